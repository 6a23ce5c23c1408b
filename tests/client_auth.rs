//! Every way in which the client proves who it is, against a token endpoint that looks closely.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use camunda_auth_proxy::certificate::Certificate;
use camunda_auth_proxy::key_file::{self, KeyFile};
use camunda_auth_proxy::oauth::{self, Ask, ClientAuth, ClientIdentity, Clock, Endpoint, TokenRequest};
use camunda_auth_proxy::sandbox::{self, Sandbox};
use camunda_auth_proxy::tls;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::common::{Setup, World, setup, until};

fn keys() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys")
}

fn certificate(name: &str) -> Certificate {
    let pem = std::fs::read(keys().join(name)).expect("a file");
    Certificate::read(&key_file::certificates(&pem).expect("certificates")[0]).expect("a certificate")
}

/// A Camunda over TLS, and no secret anywhere.
fn secretless(method: &str) -> Setup {
    setup()
        .camunda(|camunda| camunda.tls = true)
        .credentials(|line| !line.contains("SECRET"))
        .with("oauth.client_auth", method)
}

fn file(setup: Setup, key: &str, path: &Path) -> Setup {
    setup.with(key, path.display().to_string())
}

fn with_key(setup: Setup, key: &Path, certificate: &Path) -> Setup {
    file(file(setup, "oauth.key_file", key), "oauth.cert_file", certificate)
}

async fn trusting(setup: Setup, trusted: &str) -> World {
    setup.start_with(|camunda| camunda.authorization_server().trust(certificate(trusted))).await
}

/// Every token request so far was granted, and there were some.
fn all_granted(world: &World) -> bool {
    let asked = world.camunda.authorization_server().requests();
    !asked.is_empty() && asked.iter().all(|request| request.status == 200)
}

#[tokio::test]
async fn basic_alone_is_sent_and_granted() {
    // What `:` and `+` become shows whether both were encoded first.
    let secret = "s+e:c/r=e%t ~".to_owned();
    let world = setup()
        .camunda(|camunda| camunda.client_secret = secret.as_str().into())
        .with("oauth.client_auth", "client_secret_basic")
        .start()
        .await;
    assert_eq!(world.get("/v2/topology").await.status, 200);
    assert!(all_granted(&world));
    for request in world.camunda.authorization_server().requests() {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        assert!(!body.contains("client_id") && !body.contains("client_secret"), "{body}");
    }
}

#[tokio::test]
async fn assertions_are_granted_whatever_the_key() {
    for (key, trusted) in
        [("rsa.p12", "rsa.cert.pem"), ("rsa.pkcs1.pem", "rsa.cert.pem"), ("ec.sec1.pem", "ec.cert.pem")]
    {
        let setup = file(secretless("private_key_jwt"), "oauth.key_file", &keys().join(key));
        let setup =
            if key.ends_with("12") { setup.with("oauth.key_password", "canary-password") } else { setup };
        let world = trusting(setup, trusted).await;
        assert_eq!(world.get("/v2/topology").await.status, 200, "{key}");
        assert!(all_granted(&world), "{key}");
        let asked = world.camunda.authorization_server().requests();
        assert!(
            asked.iter().all(|request| request.certificate.is_none()),
            "a signing key is no TLS certificate"
        );
    }
}

#[tokio::test]
async fn a_certificate_of_the_connection_is_granted() {
    let setup = with_key(secretless("tls_client_auth"), &keys().join("ec.pem"), &keys().join("ec.cert.pem"));
    let world = trusting(setup, "ec.cert.pem").await;
    assert_eq!(world.get("/v2/topology").await.status, 200);
    assert!(all_granted(&world));
    let body = world.camunda.authorization_server().requests().remove(0).body;
    let client_id = format!("client_id={}", world.camunda.client_id());
    assert!(String::from_utf8_lossy(&body).contains(&client_id), "{body:?}");
}

#[tokio::test]
async fn a_platforms_token_is_granted_also_when_it_comes_late() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("token");
    let setup = file(secretless("workload_token"), "oauth.workload_token_file", &path);
    let world = setup
        .start_with(|camunda| camunda.authorization_server().trust_workload_token("of.the.platform"))
        .await;
    until_status(&world, "cannot be read").await;
    assert_eq!(world.camunda.authorization_server().request_count(), 0);
    std::fs::write(&path, "of.the.platform\n").expect("written");
    assert_eq!(world.get("/v2/topology").await.status, 200);
    assert!(all_granted(&world));
}

async fn until_status(world: &World, text: &str) {
    for _ in 0..500 {
        if String::from_utf8_lossy(&world.admin("/status").await.body).contains(text) {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("not in time: {text}");
}

#[tokio::test]
async fn a_refused_method_is_not_followed_by_another() {
    let setup = with_key(secretless("private_key_jwt"), &keys().join("ec.pem"), &keys().join("ec.cert.pem"));
    let world = trusting(setup, "rsa.cert.pem").await;
    let answer = world.get("/v2/topology").await;
    assert_eq!(answer.status, 503);
    assert!(String::from_utf8_lossy(&answer.body).contains("credentials_rejected"), "{answer:?}");
    sleep(Duration::from_millis(2500)).await;
    let asked = world.camunda.authorization_server().requests();
    assert_eq!(asked.iter().map(|request| request.status).collect::<Vec<_>>(), [401]);
}

/// A key and its certificate that can be replaced.
struct Rotated {
    folder: TempDir,
}

impl Rotated {
    fn new(name: &str) -> Rotated {
        let rotated = Rotated { folder: TempDir::new().expect("a folder") };
        rotated.turn_to(name);
        rotated
    }

    fn turn_to(&self, name: &str) {
        for (from, to) in
            [(format!("{name}.cert.pem"), self.certificate()), (format!("{name}.pem"), self.key())]
        {
            std::fs::copy(keys().join(from), to).expect("copied");
        }
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }
}

#[tokio::test]
async fn a_rotated_key_is_taken_over_and_no_request_is_refused() {
    for method in ["private_key_jwt", "tls_client_auth"] {
        let files = Rotated::new("rsa");
        let world =
            trusting(with_key(secretless(method), &files.key(), &files.certificate()), "rsa.cert.pem").await;
        assert_eq!(world.get("/v2/topology").await.status, 200);
        until("all tokens", || world.camunda.authorization_server().request_count() >= 4).await;
        let server = world.camunda.authorization_server();
        server.clear();
        server.trust(certificate("ec.cert.pem"));
        files.turn_to("ec");
        let mut caller = world.http1().await;
        while server.request_count() < 4 {
            assert_eq!(caller.get("/v2/topology").await.status, 200);
            sleep(Duration::from_millis(20)).await;
        }
        assert!(
            all_granted(&world),
            "{method}: {:?}",
            server.requests().last().map(|request| request.status)
        );
        let status = world.admin("/status").await;
        let status = String::from_utf8_lossy(&status.body);
        assert!(status.contains("CN=ec client") && !status.contains("CN=rsa client"), "{status}");
    }
}

#[tokio::test]
async fn each_request_shows_its_own_certificate() {
    let camunda = Sandbox::start(sandbox::Config { token_rate_limit: false, ..sandbox::Config::default() });
    let camunda = camunda.await.expect("a sandbox");
    camunda.authorization_server().trust(certificate("ec.cert.pem"));
    let folder = TempDir::new().expect("a folder");
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, camunda.ca_pem()).expect("written");
    let tls = tls::client_config(Some(&ca), &[]).expect("TLS");
    let endpoint = Endpoint::new(&oauth::Config::default(), tls, Clock::system()).expect("an endpoint");
    let identity = |name: &str| {
        let read = |end: &str| std::fs::read(keys().join(format!("{name}.{end}"))).expect("a file");
        let mut file = KeyFile::parse(&read("pem"), None, None).expect("a key");
        file.certificates = key_file::certificates(&read("cert.pem")).expect("certificates");
        Arc::new(ClientIdentity::new(&file).expect("an identity"))
    };
    let (ec, rsa) = (identity("ec"), identity("rsa"));
    let request = |client_auth: ClientAuth, certificate: Option<&Arc<ClientIdentity>>| TokenRequest {
        endpoint: camunda.addresses().token_endpoint.clone(),
        by_issuer: false,
        client_id: camunda.client_id().to_owned(),
        client_auth,
        certificate: certificate.cloned(),
        audience: Some("zeebe.camunda.io".to_owned()),
        oauth_scope: None,
        resource: None,
        extra: Default::default(),
        headers: Default::default(),
    };
    let secret = || ClientAuth::Post(camunda.client_secret().clone());
    for (request, status, subject) in [
        (request(ClientAuth::Mtls(ec.clone()), None), 200, Some("CN=ec client")),
        (request(ClientAuth::Mtls(rsa.clone()), None), 401, Some("O=Example, CN=rsa client")),
        (request(secret(), None), 200, None),
        (request(secret(), Some(&rsa)), 200, Some("O=Example, CN=rsa client")),
        (request(ClientAuth::Mtls(ec.clone()), None), 200, Some("CN=ec client")),
        (request(ClientAuth::Mtls(rsa.clone()), None), 401, Some("O=Example, CN=rsa client")),
    ] {
        camunda.authorization_server().clear();
        assert_eq!(endpoint.ask(&request).await.expect("an answer").status, status, "{request:?}");
        let seen = camunda.authorization_server().requests().remove(0);
        assert_eq!(seen.certificate.map(|certificate| certificate.subject).as_deref(), subject);
    }
}
