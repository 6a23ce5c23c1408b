//! What the proxy adds to a request: the instructions of all three programs with the proxy between caller and
//! upstream, less those of the two without it.

mod counted;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::ExitCode;

use bytes::Bytes;
use camunda_auth_proxy::address::Address;
use camunda_auth_proxy::app::App;
use camunda_auth_proxy::config::{Settings, Sources};
use camunda_auth_proxy::shutdown::Phase;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};

use counted::Case;

// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    counted::main(&[
        Case { name: "http1", times: 300, limit: 31_000, run: http1_proxied, base: Some(http1_direct) },
        Case { name: "grpc", times: 300, limit: 41_000, run: grpc_proxied, base: Some(grpc_direct) },
    ])
}

fn http1_direct(times: u64) {
    run(async move { call_http1(upstream(Protocol::Http1).await, times).await });
}

fn http1_proxied(times: u64) {
    proxied(|proxy| call_http1(proxy, times));
}

fn grpc_direct(times: u64) {
    run(async move { call_grpc(upstream(Protocol::Http2).await, times).await });
}

fn grpc_proxied(times: u64) {
    proxied(|proxy| call_grpc(proxy, times));
}

fn run(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let tasks = tokio::task::LocalSet::new();
    runtime.block_on(tasks.run_until(future));
}

/// With a proxy of one worker in front of the upstream.
fn proxied<F: Future<Output = ()>>(call: impl FnOnce(SocketAddr) -> F) {
    run(async {
        let (rest, grpc) = (upstream(Protocol::Http1).await, upstream(Protocol::Http2).await);
        let keys = [
            ("LISTEN", "127.0.0.1:0".to_owned()),
            ("ADMIN__ADDRESS", "127.0.0.1:0".to_owned()),
            ("WORKERS", "1".to_owned()),
            ("OAUTH__URL", format!("http://{rest}/oauth/token")),
            ("OAUTH__CLIENT_ID", "bench".to_owned()),
            ("OAUTH__CLIENT_SECRET", "bench".to_owned()),
            ("SCOPES__ZEEBE__ADDRESS", format!("http://{rest}")),
            ("SCOPES__ZEEBE__GRPC_ADDRESS", format!("grpc://{grpc}")),
            ("SCOPES__ZEEBE__AUDIENCE", "zeebe".to_owned()),
        ];
        let environment = keys.map(|(key, value)| (format!("CAMUNDA_PROXY_{key}"), value)).to_vec();
        let sources = Sources { files: Vec::new(), default_file: None, environment, flags: Vec::new() };
        let settings = Settings::load(&sources).unwrap_or_else(|problems| panic!("{problems:?}"));
        let app = App::start(settings, sources).expect("a proxy");
        let Address::Tcp(proxy) = app.listeners()[0] else { panic!("a TCP listener") };
        call(proxy).await;
        app.shutdown().advance(Phase::Stopping);
    });
}

#[derive(Clone, Copy)]
enum Protocol {
    Http1,
    Http2,
}

/// Answers token requests, REST and gRPC, each with as little as there is to answer.
async fn upstream(protocol: Protocol) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("an address");
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).expect("a socket");
            let (stream, service) = (TokioIo::new(stream), service_fn(answer));
            // Both end when the other side closes.
            match protocol {
                Protocol::Http1 => {
                    tokio::task::spawn_local(http1::Builder::new().serve_connection(stream, service));
                }
                Protocol::Http2 => {
                    let builder = http2::Builder::new(TokioExecutor::new());
                    tokio::task::spawn_local(builder.serve_connection(stream, service));
                }
            }
        }
    });
    at
}

async fn answer(request: Request<Incoming>) -> Result<Response<Answered>, Infallible> {
    let (head, body) = request.into_parts();
    let _ = body.collect().await;
    let token = || format!(r#"{{"access_token":"{}","expires_in":86400}}"#, "t".repeat(1000));
    let is_grpc = head.headers.get("content-type").is_some_and(|value| value == "application/grpc");
    let body = match head.uri.path() {
        "/oauth/token" => Full::from(token()),
        _ if is_grpc => Full::from(Bytes::from_static(MESSAGE)),
        _ => Full::from(r#"{"clusterSize":1}"#),
    };
    let trailers = is_grpc.then(|| {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
        trailers
    });
    let content_type = if is_grpc { "application/grpc" } else { "application/json" };
    let response = Response::builder().header("content-type", content_type);
    Ok(response.body(body.with_trailers(std::future::ready(trailers.map(Ok)))).expect("a response"))
}

type Answered = http_body_util::combinators::WithTrailers<
    Full<Bytes>,
    std::future::Ready<Option<Result<HeaderMap, Infallible>>>,
>;

/// An empty message in its frame.
const MESSAGE: &[u8] = &[0; 5];

async fn connect(at: SocketAddr) -> TokioIo<TcpStream> {
    let stream = TcpStream::connect(at).await.expect("a connection");
    stream.set_nodelay(true).expect("a socket");
    TokioIo::new(stream)
}

/// Requests one after the other on one connection.
async fn call_http1(at: SocketAddr, times: u64) {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(connect(at).await).await.expect("HTTP/1.1");
    tokio::task::spawn_local(connection);
    for _ in 0..times {
        let request = Request::post("/v2/process-instances")
            .header("host", "localhost")
            .header("user-agent", "bench")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from_static(br#"{"processDefinitionId":"order"}"#)));
        let response = sender.send_request(request.expect("a request")).await.expect("an answer");
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.expect("a body");
    }
}

/// Unary calls one after the other on one connection.
async fn call_grpc(at: SocketAddr, times: u64) {
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = builder.handshake(connect(at).await).await.expect("HTTP/2");
    tokio::task::spawn_local(connection);
    for _ in 0..times {
        let request = Request::post(format!("http://{at}/gateway_protocol.Gateway/Topology"))
            .header("user-agent", "bench")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(Bytes::from_static(MESSAGE)));
        let response = sender.send_request(request.expect("a request")).await.expect("an answer");
        assert_eq!(response.status(), 200);
        let body = response.into_body().collect().await.expect("a body");
        assert_eq!(body.trailers().expect("trailers")["grpc-status"], "0");
    }
}
