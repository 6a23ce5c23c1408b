//! What each step of the request path costs by itself, in instructions.

mod counted;

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use camunda_auth_proxy::access::{self, Access};
use camunda_auth_proxy::message::Headers;
use camunda_auth_proxy::message::request::Head;
use camunda_auth_proxy::oauth::{self, Answer, Ask, Asked, ClientAuth, Clock, TokenRequest, Tokens};
use camunda_auth_proxy::proxy::{Dialect, Error, reply, rewrite};
use camunda_auth_proxy::route::{self, RouteTable};
use camunda_auth_proxy::scope::Scope;
use camunda_auth_proxy::secret::Secret;
use camunda_auth_proxy::upstream::{Origin, ScopeConfig};
use http::header::{CONTENT_TYPE, DATE};
use http::{HeaderValue, Request, Version};

use counted::Case;

fn main() -> ExitCode {
    counted::main(&[
        Case { name: "route", times: 5000, limit: 2580, run: find_route, base: None },
        Case { name: "admit", times: 5000, limit: 1250, run: admit, base: None },
        Case { name: "token", times: 5000, limit: 240, run: take_token, base: None },
        Case { name: "rewrite", times: 5000, limit: 4630, run: rewrite_heads, base: None },
        Case { name: "reply", times: 5000, limit: 19_670, run: reply_twice, base: None },
    ])
}

/// A head as the Node SDK sends it.
fn rest() -> Head {
    let request = Request::post("/v2/process-instances")
        .header("host", "localhost:8080")
        .header("user-agent", "openapi-client-axios/7.5.4")
        .header("accept", "application/json")
        .header("content-type", "application/json")
        .header("content-length", "213")
        .header("accept-encoding", "gzip, compress, deflate, br")
        .header("connection", "keep-alive")
        .body(());
    request.expect("a request").into()
}

/// A head as the Java client sends it.
fn grpc() -> Head {
    let request = Request::post("http://localhost:26500/gateway_protocol.Gateway/CreateProcessInstance")
        .version(Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "zeebe-client-java/8.8.0 grpc-java-netty/1.75.0")
        .header("grpc-accept-encoding", "gzip")
        .header("grpc-timeout", "10S")
        .body(());
    request.expect("a request").into()
}

fn find_route(times: u64) {
    let table = RouteTable::new(Some("0b4a1f58-cluster".to_owned()));
    let heads = [(rest(), false), (grpc(), true)];
    for _ in 0..times {
        for (head, is_grpc) in &heads {
            let target = route::target(head).expect("a target");
            let found = table.find(&head.method, target.as_str(), *is_grpc, None, false).expect("a route");
            black_box(found.upstream_path("", target).expect("a path"));
        }
    }
}

fn admit(times: u64) {
    let bound = "127.0.0.1:8080".parse().expect("an address");
    let access = Access::new(&access::Config::default(), &bound).expect("a guard");
    let heads = [rest(), grpc()];
    for _ in 0..times {
        for head in &heads {
            black_box(access.admit(head, None)).expect("admitted");
        }
    }
}

/// Answers with a token of the length that Camunda's have.
struct Granting;

impl Ask for Granting {
    fn ask(&self, _: &TokenRequest) -> Asked {
        let body = format!(r#"{{"access_token":"{}","expires_in":86400}}"#, "t".repeat(1000));
        Box::pin(std::future::ready(Ok(Answer::new(200, body))))
    }
}

fn take_token(times: u64) {
    let request = TokenRequest {
        endpoint: "https://login.example/oauth/token".to_owned(),
        by_issuer: false,
        client_id: "bench".to_owned(),
        client_auth: ClientAuth::Post(Secret::from("bench")),
        certificate: None,
        audience: None,
        oauth_scope: None,
        resource: None,
        extra: Default::default(),
        headers: Default::default(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let tokens = Tokens::new(&oauth::Config::default(), Arc::new(Granting), Clock::system());
        let source = tokens.source(request);
        source.wait(tokio::time::Instant::now() + Duration::from_secs(60)).await.expect("a token");
        for _ in 0..times {
            black_box(source.current().expect("a token"));
        }
    });
}

fn rewrite_heads(times: u64) {
    let config = ScopeConfig::default();
    let origin =
        Origin::rest("http://localhost:8088/base".parse().expect("an address"), &config).expect("an origin");
    let authorization = HeaderValue::try_from(format!("Bearer {}", "t".repeat(1000))).expect("a value");
    let heads = [(rest(), Version::HTTP_11), (grpc(), Version::HTTP_2)];
    let mut answer = Headers::default();
    answer.append(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.append(DATE, HeaderValue::from_static("Thu, 26 Nov 2026 00:00:00 GMT"));
    for _ in 0..times {
        for (head, version) in &heads {
            rewrite::refuse(head).expect("nothing to refuse");
            let target = route::target(head).expect("a target");
            match *version {
                Version::HTTP_2 => {
                    drop(black_box(rewrite::http2(head, target, &origin, Some(&authorization))))
                }
                _ => drop(black_box(rewrite::http1(head, target, &origin, Some(&authorization), None))),
            }
            rewrite::incoming(black_box(&mut answer));
        }
    }
}

fn reply_twice(times: u64) {
    let error = Error::scope_not_granted(Scope::Optimize);
    for _ in 0..times {
        black_box(reply(&error, Dialect::Rest));
        black_box(reply(&error, Dialect::Grpc));
    }
}
