//! The token endpoint and the REST components.

use std::sync::Arc;

use http::{Method, Version};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::talk::{ASK, Answer, Caller, ORDER, address, rest, sandbox, zeebe_token};
use crate::sandbox::authorization_server::Fault;
use crate::sandbox::{Config, Sandbox, cluster};

const H1: Version = Version::HTTP_11;
const H2: Version = Version::HTTP_2;

/// A component's base and a token for it.
fn component<'a>(sandbox: &'a Sandbox, name: &str) -> (&'a str, String) {
    let addresses = sandbox.addresses();
    let base = match name {
        "zeebe" => &addresses.zeebe_rest,
        "operate" => &addresses.operate,
        "tasklist" => &addresses.tasklist,
        _ => &addresses.optimize,
    };
    (base, format!("Bearer {}", sandbox.authorization_server().issue(&format!("{name}.camunda.io"))))
}

async fn ask(sandbox: &Sandbox, name: &str, method: Method, path: &str, body: &str) -> Answer {
    let (base, token) = component(sandbox, name);
    let fields = [("authorization", token.as_str()), ("content-type", "application/json")];
    rest(H1, (method, &format!("{base}{path}")), &fields, body.to_owned()).await.expect("an answer")
}

#[tokio::test]
async fn without_a_valid_token_every_component_answers_a_problem() {
    let sandbox = sandbox().await;
    for (name, other) in
        [("zeebe", "operate"), ("operate", "zeebe"), ("tasklist", "zeebe"), ("optimize", "zeebe")]
    {
        let url = format!("{}/v1/tasks/search", component(&sandbox, name).0);
        let wrong = component(&sandbox, other).1;
        for (version, fields) in [(H1, vec![]), (H2, vec![("authorization", wrong.as_str())])] {
            let refused = rest(version, (Method::POST, &url), &fields, "{}").await.expect("an answer");
            assert_eq!((refused.status.as_u16(), refused.version), (401, version));
            assert_eq!(refused.headers["content-type"], "application/problem+json");
            assert!(!refused.headers.contains_key("www-authenticate"));
            let instance = format!("/{}/v1/tasks/search", sandbox.cluster_id());
            let expected = format!(
                r#"{{"type":"about:blank","title":"Unauthorized","status":401,"detail":"Access Denied","instance":"{instance}"}}"#
            );
            assert_eq!(refused.body, expected);
        }
    }
}

#[tokio::test]
async fn status_and_license_need_no_token_and_another_cluster_is_unknown() {
    let sandbox = sandbox().await;
    let base = component(&sandbox, "zeebe").0;
    let open = rest(H1, (Method::GET, &format!("{base}/v2/status")), &[], "").await.expect("an answer");
    assert_eq!(open.status, 204);
    let open = rest(H2, (Method::GET, &format!("{base}/v2/license")), &[], "").await.expect("an answer");
    assert_eq!(open.json()["validLicense"], true);
    let url = format!("http://{}/other/v2/status", address(base));
    assert_eq!(rest(H1, (Method::GET, &url), &[], "").await.expect("an answer").status, 404);
    assert_eq!(ask(&sandbox, "zeebe", Method::GET, "/v9/nothing", "").await.status, 404);
}

#[tokio::test]
async fn a_job_made_through_rest_is_polled_and_completed_through_rest() {
    let sandbox = sandbox().await;
    let (base, token) = component(&sandbox, "zeebe");
    let form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"resources\"; filename=\"o.bpmn\"\r\n\r\n{ORDER}\r\n--b--\r\n"
    );
    let fields = [("authorization", token.as_str()), ("content-type", "multipart/form-data; boundary=b")];
    let deployed =
        rest(H1, (Method::POST, &format!("{base}/v2/deployments")), &fields, form).await.expect("an answer");
    assert_eq!(deployed.json()["deployments"][0]["processDefinition"]["processDefinitionId"], "order");

    let wanted =
        json!({ "type": "pay", "timeout": 60_000, "maxJobsToActivate": 5, "requestTimeout": 30_000 })
            .to_string();
    let (jobs, created) = tokio::join!(
        ask(&sandbox, "zeebe", Method::POST, "/v2/jobs/activation", &wanted),
        ask(
            &sandbox,
            "zeebe",
            Method::POST,
            "/v2/process-instances",
            r#"{"processDefinitionId":"order","variables":{"a":1}}"#
        ),
    );
    let instance = created.json()["processInstanceKey"].as_str().expect("a key").to_owned();
    let job = &jobs.json()["jobs"][0];
    assert_eq!((&job["processInstanceKey"], &job["variables"]["a"]), (&json!(instance), &json!(1)));
    let key = job["jobKey"].as_str().expect("a key");
    let path = format!("/v2/jobs/{key}");
    let patch = ask(&sandbox, "zeebe", Method::PATCH, &path, r#"{"changeset":{"retries":2}}"#).await;
    let done =
        ask(&sandbox, "zeebe", Method::POST, &format!("{path}/completion"), r#"{"variables":{"b":2}}"#).await;
    assert_eq!((patch.status.as_u16(), done.status.as_u16()), (204, 204));

    let found = ask(&sandbox, "operate", Method::GET, &format!("/v1/process-instances/{instance}"), "").await;
    assert_eq!(found.json()["state"], "COMPLETED");
    let searched = ask(&sandbox, "operate", Method::POST, "/v1/variables/search", "{}").await;
    let key = searched.json()["items"][0]["key"].to_string();
    let variable = ask(&sandbox, "operate", Method::GET, &format!("/v1/variables/{key}"), "").await;
    assert_eq!(variable.json()["processInstanceKey"].to_string(), instance);
    let deleted =
        ask(&sandbox, "operate", Method::DELETE, &format!("/v1/process-instances/{instance}"), "").await;
    assert_eq!(deleted.json()["deleted"], 1);
}

#[tokio::test]
async fn a_user_task_is_seen_by_tasklist_and_completed_there() {
    let sandbox = sandbox().await;
    let caller = Caller::to(&sandbox).await;
    caller.deploy(&sandbox, ASK).await;
    let instance = caller.create(&sandbox, "ask", r#"{"a":"x"}"#).await;
    let tasks = ask(&sandbox, "tasklist", Method::POST, "/v1/tasks/search", "{}").await.json();
    let id = tasks[0]["id"].as_str().expect("an id");
    let path = format!("/v1/tasks/{id}/assign");
    assert_eq!(ask(&sandbox, "tasklist", Method::PATCH, &path, r#"{"assignee":"demo"}"#).await.status, 200);
    let same = ask(&sandbox, "zeebe", Method::POST, "/v2/user-tasks/search", "{}").await.json();
    assert_eq!(same["items"][0]["assignee"], "demo");
    let variable =
        ask(&sandbox, "tasklist", Method::GET, &format!("/v1/variables/{instance}-a"), "").await.json();
    assert_eq!(variable["value"], "\"x\"");
    let path = format!("/v1/tasks/{id}/complete");
    assert_eq!(ask(&sandbox, "tasklist", Method::PATCH, &path, "{}").await.json()["taskState"], "COMPLETED");
    let left =
        ask(&sandbox, "tasklist", Method::POST, "/graphql", r#"{"query":"{ tasks { id } }"}"#).await.json();
    assert_eq!(left["data"]["tasks"], json!([]));
    assert_eq!(ask(&sandbox, "optimize", Method::GET, "/api/public/dashboard", "").await.status, 200);
}

#[tokio::test]
async fn answers_are_streamed_large_and_echoed() {
    let sandbox = sandbox().await;
    let streamed =
        ask(&sandbox, "zeebe", Method::GET, "/v2/documents/stream?chunks=3&interval_ms=1", "").await;
    assert_eq!(streamed.body, "data: 0\n\ndata: 1\n\ndata: 2\n\n");
    let large = ask(&sandbox, "zeebe", Method::GET, "/v2/resources/1/content/binary", "").await;
    assert_eq!(large.body.len(), 1 << 20);
    let echoed = ask(&sandbox, "zeebe", Method::POST, "/v2/documents", "abc").await.json();
    let sha = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!((&echoed["size"], &echoed["contentHash"]), (&json!(3), &json!(sha)));
    assert_eq!(ask(&sandbox, "zeebe", Method::DELETE, "/v2/documents/1", "").await.status, 405);
}

#[tokio::test]
async fn an_upgraded_connection_echoes() {
    let sandbox = sandbox().await;
    let (base, token) = component(&sandbox, "zeebe");
    let mut stream = TcpStream::connect(address(base)).await.expect("connected");
    let request = format!(
        "GET /{}/v2/websocket HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n",
        sandbox.cluster_id()
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a byte"));
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    stream.write_all(b"hello").await.expect("sent");
    let mut echo = [0; 5];
    stream.read_exact(&mut echo).await.expect("an echo");
    assert_eq!(&echo, b"hello");
}

#[tokio::test]
async fn faults_meet_rest_too() {
    let sandbox = sandbox().await;
    sandbox.cluster().fail_next_at("/v2/topology", 1, cluster::Fault::Unauthorized);
    assert_eq!(ask(&sandbox, "zeebe", Method::GET, "/v2/license", "").await.status, 200);
    assert_eq!(ask(&sandbox, "zeebe", Method::GET, "/v2/topology", "").await.status, 401);
    assert_eq!(ask(&sandbox, "zeebe", Method::GET, "/v2/topology", "").await.status, 200);
    sandbox.cluster().set_fault(Some(cluster::Fault::Close));
    let (base, _) = component(&sandbox, "zeebe");
    assert!(rest(H1, (Method::GET, &format!("{base}/v2/status")), &[], "").await.is_err());
    sandbox.cluster().set_fault(None);
    assert_eq!(ask(&sandbox, "zeebe", Method::GET, "/v2/topology", "").await.status, 200);
}

#[tokio::test]
async fn the_token_endpoint_takes_json_and_forms_with_and_without_a_slash() {
    let sandbox = sandbox().await;
    let url = &sandbox.addresses().token_endpoint;
    let json = json!({
        "grant_type": "client_credentials", "client_id": sandbox.client_id(),
        "client_secret": sandbox.client_secret().expose(), "audience": "zeebe.camunda.io",
    });
    let fields = [("content-type", "application/json")];
    for url in [url.clone(), format!("{url}/")] {
        let given =
            rest(H1, (Method::POST, &url), &fields, json.to_string()).await.expect("an answer").json();
        let token = given["access_token"].as_str().expect("a token");
        assert!(sandbox.authorization_server().validate(token, "zeebe.camunda.io"));
    }
    assert_eq!(rest(H2, (Method::GET, url), &[], "").await.expect("an answer").status, 405);
    sandbox.authorization_server().fail_next(1, Fault::Close);
    assert!(rest(H1, (Method::POST, url), &fields, json.to_string()).await.is_err());
    let slow = Fault::SlowBody(std::time::Duration::ZERO);
    sandbox.authorization_server().fail_next(1, slow);
    let given = rest(H1, (Method::POST, url), &fields, json.to_string()).await.expect("an answer").json();
    assert_eq!(given["token_type"], "Bearer");
    assert_eq!(sandbox.authorization_server().request_count(), 4);
}

#[tokio::test]
async fn tls_shows_a_certificate_of_the_authority_and_negotiates_the_protocol() {
    use rustls::pki_types::pem::PemObject;
    let sandbox = Sandbox::start(Config::default()).await.expect("started");
    let mut roots = rustls::RootCertStore::empty();
    let ca = rustls::pki_types::CertificateDer::from_pem_slice(sandbox.ca_pem().as_bytes()).expect("PEM");
    roots.add(ca).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let addresses = sandbox.addresses();
    let all = [&addresses.token_endpoint, &addresses.grpc, &addresses.zeebe_rest, &addresses.optimize];
    for (url, name) in all.into_iter().zip(["localhost", "localhost", "127.0.0.1", "::1"]) {
        let stream = TcpStream::connect(address(url)).await.expect("connected");
        let name = rustls::pki_types::ServerName::try_from(name).expect("a name");
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config.clone()));
        let stream = connector.connect(name, stream).await.expect("TLS");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    }
    let file = sandbox.credentials_file();
    assert!(file.contains(&format!("export ZEEBE_GRPC_ADDRESS='{}'\n", addresses.grpc)));
    assert!(file.contains(&format!("export CAMUNDA_OPERATE_BASE_URL='{}'\n", addresses.operate)));
    assert_eq!(file.lines().count(), 21);
}

#[tokio::test]
async fn what_arrives_is_recorded() {
    let sandbox = sandbox().await;
    let (base, _) = component(&sandbox, "zeebe");
    let token = zeebe_token(&sandbox);
    let fields = [("authorization", token.as_str()), ("x-twice", "1"), ("x-twice", "2")];
    let url = format!("{base}/v2/topology?a=%20b");
    rest(H1, (Method::GET, &url), &fields, "").await.expect("an answer");
    let seen = sandbox.cluster().requests();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].target, format!("/{}/v2/topology?a=%20b", sandbox.cluster_id()));
    assert_eq!(seen[0].authority.as_deref(), Some(address(base)));
    assert_eq!(seen[0].headers.get_all("x-twice").iter().count(), 2);
    sandbox.cluster().clear();
    assert!(sandbox.cluster().requests().is_empty());
}
