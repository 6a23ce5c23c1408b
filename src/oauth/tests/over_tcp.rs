//! The endpoint over real sockets and in real time.

use http::header;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;

/// Accepts one connection, reads one request whole and lets `answer` do the rest.
pub(super) async fn server<F, Done>(answer: F) -> (TokenRequest, JoinHandle<String>)
where
    F: FnOnce(TcpStream) -> Done + Send + 'static,
    Done: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/oauth/token", listener.local_addr().unwrap());
    let seen = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let length = stream.read(&mut piece).await.unwrap();
            seen.extend_from_slice(&piece[..length]);
            let text = String::from_utf8_lossy(&seen).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let stated = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if length == 0 || body.len() >= stated.unwrap_or("0").parse().unwrap() {
                    answer(stream).await;
                    return text;
                }
            }
        }
    });
    (TokenRequest { endpoint, ..request("zeebe.camunda.io") }, seen)
}

pub(super) fn endpoint(timeout: Duration) -> Endpoint {
    endpoint_at(timeout, Clock::system())
}

pub(super) fn endpoint_at(timeout: Duration, clock: Clock) -> Endpoint {
    trusting(rustls::RootCertStore::empty(), timeout, clock)
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn trusting(roots: rustls::RootCertStore, timeout: Duration, clock: Clock) -> Endpoint {
    let tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Endpoint::new(&Config { timeout, ..Config::default() }, tls, clock).unwrap()
}

async fn ask(answer: &'static [u8]) -> (Result<Answer, Failure>, String) {
    let (request, seen) = server(async move |mut stream: TcpStream| {
        let _ = stream.write_all(answer).await;
        let _ = stream.shutdown().await;
    })
    .await;
    (endpoint(secs(5)).ask(&request).await, seen.await.unwrap())
}

#[tokio::test]
async fn the_request_has_exactly_these_bytes() {
    let body = "HTTP/1.1 200 OK\r\ncontent-length: 20\r\ndate: Fri, 15 Jan 2027 08:00:00 GMT\r\n\r\n\
                {\"access_token\":\"x\"}";
    let (answer, seen) = ask(body.as_bytes()).await;
    let answer = answer.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (200, &b"{\"access_token\":\"x\"}"[..]));
    assert!(answer.headers.contains_key(header::DATE));
    let (head, form) = seen.split_once("\r\n\r\n").unwrap();
    let (first, mut fields) = (head.lines().next().unwrap(), head.lines().skip(1).collect::<Vec<_>>());
    assert_eq!(first, "POST /oauth/token HTTP/1.1");
    fields.retain(|field| !field.starts_with("host: 127.0.0.1:"));
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "accept: application/json",
            "content-length: 96",
            "content-type: application/x-www-form-urlencoded",
            concat!("user-agent: camunda-auth-proxy/", env!("CARGO_PKG_VERSION")),
        ]
    );
    assert_eq!(
        form,
        "grant_type=client_credentials&client_id=id&client_secret=canary-secret&audience=zeebe.camunda.io"
    );
}

#[tokio::test]
async fn free_header_fields_are_sent_and_take_the_place_of_ours() {
    let (request, seen) = server(async move |mut stream: TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    })
    .await;
    let headers = [("accept", "*/*"), ("x-tenant", "one")].map(|(name, value)| (name.into(), value.into()));
    let request = TokenRequest { headers: headers.into(), ..request };
    endpoint(secs(5)).ask(&request).await.unwrap();
    let seen = seen.await.unwrap();
    assert!(seen.contains("\r\naccept: */*\r\n") && seen.contains("\r\nx-tenant: one\r\n"), "{seen}");
    assert!(!seen.contains("application/json"), "{seen}");
    for (name, value) in [("x y", "canary"), ("x-tenant", "canary\r\nx-other: canary")] {
        let unfit = TokenRequest { headers: [(name.into(), value.into())].into(), ..request.clone() };
        let failure = endpoint(secs(5)).ask(&unfit).await.unwrap_err();
        assert!(failure.detail.contains(name) && !failure.detail.contains("canary"), "{failure}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (answer, _) =
        ask(b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n")
            .await;
    assert_eq!(answer.unwrap().read(UNIX_EPOCH).err().unwrap().cause, Cause::Malformed);
}

#[tokio::test]
async fn ten_mebibytes_are_refused_before_they_are_read() {
    for head in ["content-length: 10485760", "connection: close"] {
        let (request, sent) = server(async move |mut stream: TcpStream| {
            let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n").as_bytes()).await;
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
        })
        .await;
        let failure = endpoint(secs(5)).ask(&request).await.unwrap_err();
        assert_eq!(failure.cause, Cause::Malformed, "{failure}");
        // The endless body ends because the connection is given up.
        tokio::time::timeout(secs(5), sent).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_dripping_answer_is_given_up_in_time() {
    let (request, _seen) = server(async |mut stream: TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await;
        while stream.write_all(b" ").await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let failure = endpoint(Duration::from_millis(200)).ask(&request).await.unwrap_err();
    assert_eq!(failure.cause, Cause::Transient, "{failure}");
    assert!(failure.detail.contains("in time"), "{failure}");
}

#[tokio::test]
async fn a_compressed_answer_is_malformed_and_no_more() {
    let gzip = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x8b\x08\x00";
    let failure = ask(gzip).await.0.unwrap().read(UNIX_EPOCH).err().unwrap();
    assert_eq!((failure.cause, failure.detail.contains("compressed")), (Cause::Malformed, true));
}

#[tokio::test]
async fn an_error_is_told_by_its_status_whatever_becomes_of_its_body() {
    let cut = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 1000\r\n\r\n{\"error\":";
    assert_eq!(ask(cut).await.0.unwrap().read(UNIX_EPOCH).err().unwrap().cause, Cause::Rejected);
}

#[tokio::test]
async fn broken_connections_are_transient_and_show_nothing_secret() {
    for answer in
        [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"access", b"SSH-2.0-OpenSSH\r\n"]
    {
        let failure = ask(answer).await.0.unwrap_err();
        assert_eq!(failure.cause, Cause::Transient, "{failure}");
        assert!(!format!("{failure:?}").contains("canary"), "{failure:?}");
    }
    for url in ["http://user:canary@127.0.0.1:1/token", "http://127.0.0.1:1/?canary=1", "canary"] {
        let unreachable = TokenRequest { endpoint: url.into(), ..request("a") };
        let failure = endpoint(secs(5)).ask(&unreachable).await.unwrap_err();
        assert_eq!(failure.cause, Cause::Transient);
        assert!(!format!("{failure:?}").contains("canary"), "{failure:?}");
    }
}

#[tokio::test]
async fn a_plaintext_server_where_tls_is_expected_is_transient() {
    let (plain, _seen) = server(async |_| ()).await;
    let request = TokenRequest { endpoint: plain.endpoint.replace("http:", "https:"), ..plain };
    let failure = endpoint(Duration::from_millis(300)).ask(&request).await.unwrap_err();
    assert_eq!(failure.cause, Cause::Transient);
}

#[tokio::test]
async fn an_endpoint_over_tls_is_trusted_by_the_roots_that_were_handed_in_alone() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/token", listener.local_addr().unwrap().port());
    let _server = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
        }
    });
    let request = TokenRequest { endpoint: url, ..request("a") };
    let refused = endpoint(secs(5)).ask(&request).await.unwrap_err();
    assert_eq!(refused.cause, Cause::Transient);
    assert!(refused.detail.contains("certificate"), "{refused}");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    assert_eq!(trusting(roots, secs(5), Clock::system()).ask(&request).await.unwrap().status, 200);
}
