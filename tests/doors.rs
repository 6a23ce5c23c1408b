//! How callers come in: deadlines, TLS, Unix sockets, pinned listeners, upgrades, and requests that lie.

use std::sync::Arc;
use std::time::Duration;

use camunda_auth_proxy::address::Address;
use camunda_auth_proxy::sandbox::{Config, Sandbox};
use camunda_auth_proxy::scope::Scope;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;

use crate::common::caller::raw;
use crate::common::peer::http1_peer;
use crate::common::{Caller, TOPOLOGY, World, in_time, message, setup, tcp};

/// An authority and a certificate of `localhost`, written where the configuration looks for it.
fn certificate(folder: &std::path::Path) -> rustls::RootCertStore {
    let mut ca = rcgen::CertificateParams::new(Vec::<String>::new()).expect("parameters");
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_key = rcgen::KeyPair::generate().expect("a key");
    let ca_cert = ca.self_signed(&ca_key).expect("a certificate");
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().expect("a key");
    let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    let leaf = leaf.signed_by(&key, &issuer).expect("a certificate");
    std::fs::write(folder.join("cert.pem"), leaf.pem()).expect("a file");
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).expect("a file");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca_cert.der().clone()).expect("a root");
    roots
}

async fn tls_world(more: &str) -> (World, rustls::RootCertStore) {
    let files = tempfile::TempDir::new().expect("a folder");
    let roots = certificate(files.path());
    let at = files.path().display();
    let toml = format!(
        "[[listener]]\naddress = \"127.0.0.1:0\"\ntls = {{ cert_file = \"{at}/cert.pem\", key_file = \"{at}/key.pem\" }}\n"
    );
    let world = setup().with("limits.head_timeout", "1s").toml(toml + more).start().await;
    (world, roots)
}

async fn handshake(
    world: &World,
    roots: &rustls::RootCertStore,
    alpn: &[&[u8]],
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut config = rustls::ClientConfig::builder_with_provider(camunda_auth_proxy::tls::provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let stream = TcpStream::connect(tcp(&world.listener(1))).await.expect("connected");
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    connector.connect(ServerName::try_from("localhost").expect("a name"), stream).await.expect("TLS")
}

#[tokio::test]
async fn who_says_too_little_is_shown_out_in_time() {
    let (world, _) = tls_world("").await;
    let (plain, tls) = (world.proxy, tcp(&world.listener(1)));
    let cases: [(std::net::SocketAddr, &[u8], &[u8]); 8] = [
        (plain, b"", b""),
        (plain, b"PRI * HT", b""),
        (plain, b"GET /v2/topology HTTP/1.1\r\nhost: localhost\r\n", b"x"),
        (plain, b"G", b""),
        (plain, b"", b"\r\n"),
        // A second request on a connection that had a good one.
        (plain, b"GET /nope HTTP/1.1\r\nhost: localhost\r\n\r\n", b"G"),
        (tls, b"", b""),
        (tls, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b""),
    ];
    let each = cases.map(|(at, first, drip)| {
        tokio::spawn(async move {
            let began = Instant::now();
            let stream = TcpStream::connect(at).await.expect("connected");
            let (mut reading, mut writing) = stream.into_split();
            writing.write_all(first).await.expect("written");
            let dripping = tokio::spawn(async move {
                let mut pace = tokio::time::interval(Duration::from_millis(100));
                while !drip.is_empty() && writing.write_all(drip).await.is_ok() {
                    pace.tick().await;
                }
                std::future::pending::<()>().await;
            });
            let mut rest = Vec::new();
            let _ = in_time(&format!("the door for {first:?} and {drip:?}"), reading.read_to_end(&mut rest))
                .await;
            dripping.abort();
            let stayed = began.elapsed();
            assert!(stayed > Duration::from_millis(900), "{stayed:?} {first:?} {drip:?}");
            assert!(stayed < Duration::from_secs(5), "{stayed:?} {first:?} {drip:?}");
        })
    });
    for one in each {
        one.await.expect("shown out");
    }
}

#[tokio::test]
async fn a_tls_listener_speaks_what_alpn_agrees_on() {
    let (world, roots) = tls_world("").await;
    let at = tcp(&world.listener(1));
    for (alpn, agreed) in [
        (&[&b"h2"[..], b"http/1.1"][..], Some(&b"h2"[..])),
        (&[b"http/1.1"], Some(b"http/1.1")),
        (&[b"h2"], Some(b"h2")),
        (&[], None),
    ] {
        let stream = handshake(&world, &roots, alpn).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), agreed);
        if agreed == Some(b"h2") {
            let mut caller = Caller::http2_on(stream, at).await;
            let called = caller.grpc(TOPOLOGY, &[], message(&[])).await.expect("an answer");
            assert_eq!(called.grpc_status(), Some(0), "{called:?}");
            assert_eq!(caller.get("/v2/topology").await.status, 200);
        } else {
            assert_eq!(Caller::http1_on(stream, at).await.get("/v2/topology").await.status, 200);
        }
    }
    // TLS where there is none, and none where there is TLS: closed, and nobody hangs.
    raw(world.proxy, b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00").await;
    let answer = raw(at, "GET /v2/topology HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(!answer.contains("200 OK"), "{answer}");
}

#[tokio::test]
async fn a_proxy_in_tls_on_both_sides_verifies_its_upstream_and_speaks_http2_to_it() {
    let world = setup().camunda(|camunda| camunda.tls = true).start().await;
    assert_eq!(world.get("/v2/topology").await.status, 200);
    let called = world.http2().await.grpc(TOPOLOGY, &[], message(&[])).await.expect("an answer");
    assert_eq!(called.grpc_status(), Some(0), "{called:?}");
    for seen in world.camunda.cluster().requests() {
        assert_eq!(seen.version, http::Version::HTTP_2);
        assert_eq!(seen.server_name.as_deref(), Some("localhost"));
    }
}

#[tokio::test]
async fn an_upstream_that_nobody_trusted_vouches_for_gets_nothing() {
    let tls = Config { tls: true, ..Config::default() };
    let other = Sandbox::start(tls).await.expect("another Camunda");
    let world = setup()
        .camunda(|camunda| camunda.tls = true)
        .with("scopes.zeebe.address", &other.addresses().zeebe_rest)
        .with("scopes.zeebe.grpc_address", &other.addresses().grpc)
        .start()
        .await;
    let answer = world.get("/v2/topology").await;
    assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (502, "upstream_connect"));
    let called = world.http2().await.grpc(TOPOLOGY, &[], message(&[])).await.expect("an answer");
    assert_eq!(called.grpc_status(), Some(14), "{called:?}");
    assert_eq!(other.cluster().requests().len(), 0);
}

#[tokio::test]
async fn a_unix_socket_is_a_listener_like_any_other() {
    let world = setup()
        .toml("[[listener]]\naddress = \"unix:{folder}/proxy.sock\"\nscope = \"zeebe\"\n")
        .start()
        .await;
    let Address::Unix { path, .. } = world.listener(1) else { panic!("not a Unix socket") };
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let stream = UnixStream::connect(&path).await.unwrap();
    assert_eq!(Caller::http1_on(stream, world.proxy).await.get("/v2/topology").await.status, 200);
    let stream = UnixStream::connect(&path).await.unwrap();
    let called = Caller::http2_on(stream, world.proxy).await.grpc(TOPOLOGY, &[], message(&[])).await.unwrap();
    assert_eq!(called.grpc_status(), Some(0));
}

#[tokio::test]
async fn a_listener_that_is_pinned_serves_its_scope_without_a_prefix() {
    let world = setup().toml("[[listener]]\naddress = \"127.0.0.1:0\"\nscope = \"operate\"\n").start().await;
    let mut caller = Caller::http1(tcp(&world.listener(1))).await;
    for (path, upstream) in
        [("/v1/variables/7", "/v1/variables/7"), ("/operate/v1/x", "/v1/x"), ("/v2/topology", "/v2/topology")]
    {
        let answer = caller.get(path).await;
        assert!(!answer.headers.contains_key("proxy-status"), "{answer:?}");
        let seen = world.camunda.cluster().requests().pop().unwrap();
        assert_eq!(seen.component, Scope::Operate);
        assert_eq!(seen.target, format!("/{}{upstream}", world.camunda.cluster_id()));
    }
}

const UPGRADE: &str = "GET /v2/websocket HTTP/1.1\r\nhost: localhost\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n";

async fn head_of(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let n = in_time("a head", stream.read_buf(&mut head)).await.expect("read");
        assert!(n > 0, "{}", String::from_utf8_lossy(&head));
    }
    String::from_utf8(head).expect("text")
}

#[tokio::test]
async fn a_websocket_is_tunnelled_both_ways_until_either_side_ends() {
    for tls in [false, true] {
        let world = setup().camunda(|camunda| camunda.tls = tls).start().await;
        for _ in 0..3 {
            let mut stream = TcpStream::connect(world.proxy).await.unwrap();
            stream.write_all(UPGRADE.as_bytes()).await.unwrap();
            let head = head_of(&mut stream).await.to_ascii_lowercase();
            assert!(head.starts_with("http/1.1 101"), "{head}");
            assert!(head.contains("upgrade: websocket") && head.contains("connection: upgrade"), "{head}");
            for n in 0..10u8 {
                let sent = [n; 1000];
                stream.write_all(&sent).await.unwrap();
                let mut echoed = [0; 1000];
                in_time("an echo", stream.read_exact(&mut echoed)).await.unwrap();
                assert_eq!(echoed, sent);
            }
            stream.shutdown().await.unwrap();
            let mut rest = Vec::new();
            in_time("the end", stream.read_to_end(&mut rest)).await.unwrap();
            assert!(rest.is_empty());
        }
        let seen = world.camunda.cluster().requests().pop().unwrap();
        assert_eq!(seen.headers["upgrade"], "websocket");
        assert_eq!(seen.headers.get_all("authorization").iter().count(), 1);
        assert_eq!(seen.headers["sec-websocket-version"], "13");
    }
}

#[tokio::test]
async fn an_upgrade_that_is_refused_or_was_not_asked_for_switches_nothing() {
    let world = setup().start().await.ready().await;
    // What comes before the answer is the next request, and nobody's tunnel.
    let early = "GET /v2/../smuggled HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let asked = UPGRADE.replace("/v2/websocket", "/v2/topology") + early;
    let answers = raw(world.proxy, asked).await;
    assert!(answers.starts_with("HTTP/1.1 200") && answers.contains("HTTP/1.1 400"), "{answers}");
    assert_eq!(world.camunda.cluster().requests().len(), 1);

    let upstream = http1_peer(|_| {
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nsmuggled"
            .to_owned()
    })
    .await;
    let world = setup().zeebe_rest(upstream.at).start().await;
    let answer = world.get("/v2/topology").await;
    assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (502, "upstream_reset"));
    let answer = world.http2().await.get("/v2/topology").await;
    assert_eq!(answer.status, 502);
    // h2c upgrades are not passed on.
    let world = setup().start().await.ready().await;
    let asked = "GET /v2/topology HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade, HTTP2-Settings, close\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n";
    let answer = raw(world.proxy, asked).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let seen = world.camunda.cluster().requests().pop().unwrap();
    for name in ["upgrade", "http2-settings", "connection"] {
        assert!(!seen.headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn a_request_that_can_be_read_in_two_ways_is_refused_and_its_connection_closed() {
    let world = setup().start().await.ready().await;
    let ask = |fields: &str| format!("POST /v2/documents HTTP/1.1\r\nhost: localhost\r\n{fields}\r\n");
    let long = format!("x: {}\r\n", "y".repeat(70_000));
    let cases = [
        (ask("content-length: 5\r\ncontent-length: 6\r\n") + "hello", "400"),
        (ask("content-length: +5\r\n") + "hello", "400"),
        (ask("transfer-encoding: gzip, chunked\r\n") + "0\r\n\r\n", "400"),
        (ask("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n") + "0\r\n\r\n", "400"),
        (ask("transfer-encoding: chunked, chunked\r\n") + "0\r\n\r\n", "400"),
        (ask("transfer-encoding: xchunked\r\n") + "0\r\n\r\n", "400"),
        (ask("transfer-encoding: identity\r\n"), "400"),
        (ask("transfer-encoding : chunked\r\n") + "0\r\n\r\n", "400"),
        (ask("transfer-encoding:\r\n chunked\r\n") + "0\r\n\r\n", "400"),
        (ask("host: evil.example\r\n"), "400"),
        (ask("host: localhost\r\n"), "400"),
        (ask("x: a\rb\r\n"), "400"),
        ("POST /v2/documents HTTP/1.1\r\n\r\n".to_owned(), "400"),
        ("POST /v2/documents HTTP/1.1\r\nhost:\r\n\r\n".to_owned(), "400"),
        ("POST /v2/documents HTTP/1.1\r\nhost: a@localhost\r\n\r\n".to_owned(), "400"),
        ("POST http://localhost/v2/documents HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(), "400"),
        ("POST http://evil.example/v2/documents HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(), "400"),
        ("POST localhost HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(), "400"),
        ("OPTIONS * HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(), "400"),
        ("GET //evil.example/v2 HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(), "400"),
        ("GET /v2/../operate HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(), "400"),
        ("GET /v2\\x HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(), "400"),
        (
            "POST /v2/x HTTP/1.0\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
                .to_owned(),
            "400",
        ),
        (ask(&long), "431"),
        (format!("GET /v2/{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "x".repeat(70_000)), "4"),
    ];
    let mut failed = Vec::new();
    for (text, status) in cases {
        // Nobody asks for the connection to be closed: who is not understood is not listened to any longer.
        let answer = raw(world.proxy, &text).await;
        let start = format!("HTTP/1.1 {status}");
        let shown = &text[..text.len().min(120)];
        if !(answer.starts_with(&start) || answer.starts_with(&start.replace("1.1", "1.0"))) {
            failed.push(format!("{shown:?} was answered {:?}", &answer[..answer.len().min(300)]));
        } else if answer.matches("HTTP/1.").count() != 1 {
            failed.push(format!("{shown:?} was answered twice: {answer:?}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert_eq!(world.camunda.cluster().counts().requests, 0);
}

#[tokio::test]
async fn over_http2_the_same_is_refused() {
    let world = setup().start().await.ready().await;
    let host = world.proxy.to_string();
    for fields in [
        vec![(":authority", &*host), ("host", "evil.example")],
        vec![(":authority", "user@localhost")],
        vec![(":authority", "evil.example"), ("host", "localhost")],
    ] {
        let mut caller = world.http2().await;
        match caller.send(http::Method::GET, "/v2/topology", &fields, "").await {
            Ok(answer) => assert!([400, 421].contains(&answer.status.as_u16()), "{fields:?} {answer:?}"),
            Err(reset) => assert!(reset.code().is_some(), "{fields:?} {reset:?}"),
        }
    }
    assert_eq!(world.camunda.cluster().counts().requests, 0);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_and_http_1_0_is_spoken() {
    let world = setup().start().await.ready().await;
    let two = "GET /v2/topology HTTP/1.1\r\nhost: localhost\r\n\r\nGET /nope HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let answers = raw(world.proxy, two).await;
    let (first, second) = (answers.find("HTTP/1.1 200"), answers.find("HTTP/1.1 404"));
    assert!(first == Some(0) && second > first, "{answers}");
    let old = raw(world.proxy, "GET /v2/topology HTTP/1.0\r\nhost: localhost\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.") && old[8..].starts_with(" 200"), "{old}");
    assert!(!old.to_ascii_lowercase().contains("transfer-encoding"), "{old}");
}
