//! Callers by name: who is known by what, what each may do, and how much.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use http::Method;
use tokio::net::UnixStream;

use crate::common::{Answer, Caller, TOPOLOGY, World, in_time, message, poll, setup, tcp, until};

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// Named callers in front of it; `{key}` is the hash of [`KEY`].
async fn known(anonymous: &str, toml: &str) -> World {
    let hash: String =
        digest(&SHA256, KEY.as_bytes()).as_ref().iter().map(|octet| format!("{octet:02x}")).collect();
    setup().with("anonymous", anonymous).toml(toml.replace("{key}", &hash)).start().await
}

async fn ask(world: &World, method: Method, path: &str, key: Option<&str>) -> Answer {
    let bearer = key.map(|key| format!("Bearer {key}"));
    let fields: Vec<_> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
    world.http1().await.send(method, path, &fields, "").await.expect("an answer")
}

#[tokio::test]
async fn who_proves_nothing_stays_out_where_a_proof_is_wanted() {
    let world = known("nowhere", "[[caller]]\nname = \"pods\"\nkey_sha256 = \"{key}\"\n").await;
    for key in [None, Some("another"), Some("")] {
        let answer = ask(&world, Method::GET, "/v2/topology", key).await;
        assert_eq!((answer.status.as_u16(), &*answer.reason()), (401, "caller_unknown"), "{key:?}");
        assert_eq!(answer.headers.get_all("www-authenticate").iter().count(), 2, "{answer:?}");
    }
    let answer = world.http2().await.grpc(TOPOLOGY, &[], message(&[])).await.expect("an answer");
    assert_eq!((answer.grpc_status(), &*answer.reason()), (Some(16), "caller_unknown"));
    assert_eq!(world.camunda.cluster().counts().requests, 0);

    assert_eq!(ask(&world, Method::GET, "/v2/topology", Some(KEY)).await.status, 200);
    let basic = "Basic cG9kczowMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg==";
    for name in ["authorization", "proxy-authorization"] {
        let answer =
            world.http2().await.grpc(TOPOLOGY, &[(name, basic)], message(&[])).await.expect("an answer");
        assert_eq!(answer.grpc_status(), Some(0), "{answer:?}");
    }
    // The key goes no further.
    for seen in world.camunda.cluster().requests() {
        let all = format!("{:?}", seen.headers);
        assert!(
            !all.contains(KEY) && !all.contains("cG9kcz") && !all.contains("proxy-authorization"),
            "{all}"
        );
    }
}

#[tokio::test]
async fn on_this_machine_a_caller_without_a_proof_is_served_as_ever_and_a_known_one_by_its_rules() {
    let toml = "[[caller]]\nname = \"dashboard\"\nkey_sha256 = \"{key}\"\nscopes = [\"zeebe\", \"operate\"]\nread_only = true\ndeny = [\"/v2/users/**\"]\n";
    let world = known("loopback", toml).await;
    for (method, path, status) in [
        (Method::GET, "/v2/topology", 200),
        (Method::POST, "/v2/process-instances/search", 200),
        (Method::POST, "/operate/v1/process-instances/search", 200),
        (Method::POST, "/v2/process-instances", 403),
        (Method::DELETE, "/operate/v1/process-instances/7", 403),
        (Method::GET, "/v2/users/7", 403),
        (Method::GET, "/zeebe/v2/%75sers/7", 403),
        (Method::POST, "/tasklist/v1/tasks/search", 403),
    ] {
        let answer = ask(&world, method.clone(), path, Some(KEY)).await;
        assert_eq!(answer.status, status, "{method} {path} {answer:?}");
        if status == 403 {
            assert_eq!(answer.reason(), "caller_denied");
            assert!(answer.json()["detail"].as_str().expect("why").contains("`dashboard`"), "{answer:?}");
        }
    }
    let bearer = format!("Bearer {KEY}");
    let denied = "/gateway_protocol.Gateway/CreateProcessInstance";
    for (path, status) in [(TOPOLOGY, 0), (denied, 7)] {
        let fields = [("authorization", bearer.as_str())];
        let answer = world.http2().await.grpc(path, &fields, message(&[])).await.expect("an answer");
        assert_eq!(answer.grpc_status(), Some(status), "{path} {answer:?}");
    }
    // Nor is a call another one because it says GET.
    let fields = [("authorization", bearer.as_str()), ("content-type", "application/grpc")];
    let answer = world.http2().await.send(Method::GET, denied, &fields, "").await.expect("an answer");
    assert_eq!(answer.grpc_status(), Some(7), "{answer:?}");
    // A stale token of an old client is no proof, and no offence.
    for key in [None, Some("eyJhbGciOiJub25lIn0.e30.")] {
        assert_eq!(ask(&world, Method::POST, "/tasklist/v1/tasks/search", key).await.status, 200);
    }
}

#[tokio::test]
async fn a_caller_that_has_had_its_share_is_told_when_to_come_back() {
    let toml = "[[caller]]\nname = \"a\"\nkey_sha256 = \"{key}\"\nrate = 3\nconcurrency = 2\n";
    let world = known("loopback", toml).await;
    assert_eq!(world.get("/v2/topology").await.status, 200);
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(ask(&world, Method::GET, "/v2/topology", Some(KEY)).await.status.as_u16());
    }
    assert_eq!(statuses[..3], [200; 3]);
    assert!(statuses[3..].contains(&429), "{statuses:?}");
    // Nobody else pays for it.
    assert_eq!(ask(&world, Method::GET, "/v2/topology", None).await.status, 200);

    tokio::time::sleep(Duration::from_millis(1100)).await;
    let bearer = format!("Bearer {KEY}");
    let fields = [("authorization", bearer.as_str())];
    let mut caller = world.http2().await;
    let path = "/gateway_protocol.Gateway/ActivateJobs";
    let held = [
        caller.begin(path, &fields, poll(Duration::from_secs(60))).await,
        caller.begin(path, &fields, poll(Duration::from_secs(60))).await,
    ];
    until("both wait", || world.camunda.cluster().open_streams() == 2).await;
    let answer = caller.grpc(TOPOLOGY, &fields, message(&[])).await.expect("an answer");
    assert_eq!((answer.grpc_status(), &*answer.reason()), (Some(8), "quota_exceeded"));
    assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
    drop(held);
    let again = async {
        while caller.grpc(TOPOLOGY, &fields, message(&[])).await.expect("an answer").grpc_status() != Some(0)
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    in_time("a free place", again).await;
}

#[tokio::test]
async fn a_unix_socket_knows_its_caller_by_the_user_of_the_process() {
    let uid = rustix::process::getuid().as_raw();
    let socket = "[[listener]]\naddress = \"unix:{folder}/proxy.sock\"\nscope = \"zeebe\"\n";
    for (uid, status) in [(uid, 200), (uid + 1, 401)] {
        let toml = format!("{socket}[[caller]]\nname = \"a\"\nuid = {uid}\n");
        let world = known("nowhere", &toml).await;
        let camunda_auth_proxy::address::Address::Unix { path, .. } = world.listener(1) else {
            panic!("no socket")
        };
        let stream = UnixStream::connect(&path).await.expect("connected");
        assert_eq!(Caller::http1_on(stream, world.proxy).await.get("/v2/topology").await.status, status);
        // The same process over TCP is nobody.
        assert_eq!(world.get("/v2/topology").await.status, 401);
    }
}

#[tokio::test]
async fn a_listener_that_others_can_reach_is_opened_to_those_who_are_known() {
    let toml = "[[listener]]\naddress = \"0.0.0.0:0\"\nscope = \"zeebe\"\n[[caller]]\nname = \"a\"\nkey_sha256 = \"{key}\"\n";
    let world = known("loopback", toml).await;
    let port = tcp(&world.listener(1)).port();
    let at = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    assert_eq!(Caller::http1(at).await.get("/v2/topology").await.status, 401);
    let fields = [("authorization", &*format!("Bearer {KEY}"))];
    let answer =
        Caller::http1(at).await.send(Method::GET, "/v2/topology", &fields, "").await.expect("an answer");
    assert_eq!(answer.status, 200);
}

/// An authority, and files of certificates that it has signed for these names: PEM of the certificate and of its key.
fn signed(names: &[&str]) -> (String, Vec<(String, String)>) {
    let mut ca = rcgen::CertificateParams::new(Vec::<String>::new()).expect("parameters");
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_key = rcgen::KeyPair::generate().expect("a key");
    let ca_pem = ca.self_signed(&ca_key).expect("a certificate").pem();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let leaf = |name: &&str| {
        let key = rcgen::KeyPair::generate().expect("a key");
        let leaf = rcgen::CertificateParams::new(vec![(*name).to_owned()]).expect("parameters");
        (leaf.signed_by(&key, &issuer).expect("a certificate").pem(), key.serialize_pem())
    };
    (ca_pem, names.iter().map(leaf).collect())
}

#[tokio::test]
async fn a_certificate_proves_its_caller_and_one_of_others_is_not_let_in() {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    let folder = tempfile::TempDir::new().expect("a folder");
    let (ca, ours) = signed(&["localhost", "worker.example", "other.example"]);
    let (_, foreign) = signed(&["worker.example"]);
    for (name, text) in [("ca.pem", &ca), ("cert.pem", &ours[0].0), ("key.pem", &ours[0].1)] {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    let at = folder.path().display();
    let toml = format!(
        "[[listener]]\naddress = \"127.0.0.1:0\"\ntls = {{ cert_file = \"{at}/cert.pem\", key_file = \"{at}/key.pem\", client_ca_file = \"{at}/ca.pem\" }}\n\
         [[caller]]\nname = \"worker\"\ncertificate = \"worker.example\"\n"
    );
    let world = known("nowhere", &toml).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).expect("a certificate")).expect("a root");
    for (shown, status) in [
        (None, Some(401)),
        (Some(&ours[1]), Some(200)),
        (Some(&ours[2]), Some(401)),
        (Some(&foreign[0]), None),
    ] {
        let builder = rustls::ClientConfig::builder_with_provider(camunda_auth_proxy::tls::provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots.clone());
        let config = match shown {
            Some((certificate, key)) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate")],
                    PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key"),
                )
                .expect("an identity"),
            None => builder.with_no_client_auth(),
        };
        let address = tcp(&world.listener(1));
        let stream = tokio::net::TcpStream::connect(address).await.expect("connected");
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = connector.connect(name, stream).await.expect("TLS, as far as the caller knows");
        let answer = Caller::http1_on(stream, address).await.send(Method::GET, "/v2/topology", &[], "").await;
        assert_eq!(answer.ok().map(|answer| answer.status.as_u16()), status);
    }
}
