//! What the proxy answers by itself, in both dialects.

use std::time::Duration;

use camunda_auth_proxy::sandbox::Sandbox;
use camunda_auth_proxy::sandbox::authorization_server::Fault;
use camunda_auth_proxy::sandbox::cluster;
use http::Method;

use crate::common::caller::raw;
use crate::common::peer::{http2_peer, peer};
use crate::common::{Answer, Setup, TOPOLOGY, World, message, setup};

/// That an answer over REST is the proxy's own, for this reason.
fn assert_problem(answer: &Answer, status: u16, reason: &str) {
    assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (status, reason), "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert!(answer.header("proxy-status").starts_with("camunda-auth-proxy; error="), "{answer:?}");
    let problem = answer.json();
    assert_eq!(problem["status"], status);
    assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
}

/// The same over gRPC: one HEADERS frame.
fn assert_status(answer: &Answer, status: i32, reason: &str) {
    assert_eq!((answer.status.as_u16(), answer.grpc_status()), (200, Some(status)), "{answer:?}");
    assert_eq!(answer.reason(), reason);
    assert_eq!(answer.header("content-type"), "application/grpc");
    assert!(answer.header("proxy-status").starts_with("camunda-auth-proxy; error="), "{answer:?}");
    assert!(answer.head_alone, "{answer:?}");
    let message = answer.header("grpc-message");
    assert!(message.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{message}");
}

async fn both(world: &World, rest: u16, grpc: i32, reason: &str) -> (Answer, Answer) {
    let told = world.get("/v2/topology").await;
    assert_problem(&told, rest, reason);
    let called = world.http2().await.grpc(TOPOLOGY, &[], message(&[])).await.expect("an answer");
    assert_status(&called, grpc, reason);
    let over_http2 = world.http2().await.get("/v2/topology").await;
    assert_problem(&over_http2, rest, reason);
    (told, called)
}

#[tokio::test]
async fn a_missing_token_is_told_as_what_it_is() {
    let cases: [(Fault, &str); 8] = [
        (Fault::Hang, "token_pending"),
        (Fault::ServerError, "token_endpoint_unavailable"),
        (Fault::Html, "token_endpoint_unavailable"),
        (Fault::EmptyToken, "token_endpoint_unavailable"),
        (Fault::Close, "token_endpoint_unavailable"),
        (Fault::TooManyRequests(Some(30)), "token_rate_limited"),
        (Fault::Rejected(Duration::ZERO), "credentials_rejected"),
        (Fault::Forbidden, "credentials_rejected"),
    ];
    let each = cases.map(|(fault, reason)| async move {
        let broken = |camunda: &Sandbox| camunda.authorization_server().set_fault(Some(fault.clone()));
        let world = setup().with("oauth.wait", "700ms").start_with(broken).await;
        let (told, called) = both(&world, 503, 14, reason).await;
        if reason == "token_rate_limited" {
            for answer in [told, called] {
                let after: u64 = answer.header("retry-after").parse().expect("seconds");
                assert!((25..=60).contains(&after), "{after}");
            }
        }
        assert_eq!(world.camunda.cluster().counts().requests, 0, "{reason}");
        let ready = world.admin("/readyz").await;
        assert_eq!(ready.status, 503, "{reason}");
        assert_eq!(world.admin("/livez").await.status, 200, "{reason}");
    });
    futures(each).await;
}

/// All at once.
async fn futures<const N: usize>(all: [impl Future<Output = ()>; N]) {
    let mut all: Vec<_> = all.into_iter().map(Box::pin).collect();
    std::future::poll_fn(|cx| {
        all.retain_mut(|one| one.as_mut().poll(cx).is_pending());
        if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

#[tokio::test]
async fn a_first_request_waits_for_a_token_endpoint_that_is_slow() {
    let slow = |camunda: &Sandbox| {
        camunda.authorization_server().fail_next(1, Fault::SlowBody(Duration::from_micros(500)));
    };
    let world = setup().start_with(slow).await;
    assert_eq!(world.get("/v2/topology").await.status, 200);
}

#[tokio::test]
async fn the_proxy_starts_and_recovers_when_the_token_endpoint_was_down() {
    let down = |camunda: &Sandbox| camunda.authorization_server().fail_next(1, Fault::Close);
    let world = setup().start_with(down).await;
    let mut answer = world.get("/v2/topology").await;
    for _ in 0..20 {
        if answer.status == 200 {
            return;
        }
        assert_eq!(answer.status, 503);
        answer = world.get("/v2/topology").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("{answer:?}");
}

#[tokio::test]
async fn a_scope_that_is_not_granted_is_denied() {
    let without_zeebe: fn(&str) -> bool = |line| {
        !line.contains("ZEEBE_ADDRESS")
            && !line.contains("ZEEBE_REST")
            && !line.contains("ZEEBE_GRPC")
            && !line.contains("SCOPES")
    };
    let world = setup().credentials(without_zeebe).start().await;
    both(&world, 403, 7, "scope_not_granted").await;
}

#[tokio::test]
async fn a_scope_of_which_one_address_is_missing_is_not_said_to_be_denied() {
    let only_grpc: fn(&str) -> bool = |line| !line.contains("ZEEBE_REST") && !line.contains("CLUSTER");
    let world = setup().credentials(only_grpc).start().await;
    let told = world.get("/v2/topology").await;
    assert_problem(&told, 403, "scope_not_granted");
    let problem = told.json();
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("no REST address") && detail.contains("scopes.zeebe.address"), "{detail}");
    let called = world.http2().await.grpc(TOPOLOGY, &[], message(&[])).await.expect("an answer");
    assert_eq!(called.grpc_status(), Some(0), "{called:?}");
}

#[tokio::test]
async fn what_must_not_pass_is_refused_before_it_reaches_anybody() {
    let world = setup()
        .toml("[[listener]]\naddress = \"127.0.0.1:0\"\nscope = \"operate\"\n")
        .start()
        .await
        .ready()
        .await;
    let via = "1.1 camunda-auth-proxy";
    let origin = [("origin", "https://evil.example")];
    type Fields<'a> = &'a [(&'a str, &'a str)];
    type Case<'a> = (&'a str, &'a str, Fields<'a>, u16, Option<i32>, &'a str);
    let cases: [Case<'_>; 18] = [
        // What the admin address serves is nothing here.
        ("GET", "/livez", &[], 404, None, "no_route"),
        ("GET", "/metrics", &[], 404, None, "no_route"),
        ("GET", "/status", &[], 404, None, "no_route"),
        ("GET", "/nope", &[], 404, None, "no_route"),
        ("GET", "/v1/variables/7", &[], 404, None, "no_route"),
        ("GET", "/secrets", &[], 404, None, "no_route"),
        ("POST", "/v2/%2e%2e/x", &[], 400, Some(13), "malformed"),
        ("POST", "/v2/..%253bx/y", &[], 400, Some(13), "malformed"),
        ("POST", "/v2/a%2fb", &[], 400, Some(13), "malformed"),
        ("POST", "/v2//x", &[], 400, Some(13), "malformed"),
        ("POST", "/v2/%00", &[], 400, Some(13), "malformed"),
        ("TRACE", "/v2/topology", &[], 405, Some(12), "method_refused"),
        ("TRACK", "/v2/topology", &[], 405, Some(12), "method_refused"),
        ("trace", "/v2/topology", &[], 405, Some(12), "method_refused"),
        ("POST", "/v2/topology", &origin, 403, Some(7), "origin_denied"),
        ("POST", "/v2/topology", &[("sec-fetch-site", "cross-site")], 403, Some(7), "origin_denied"),
        ("POST", "/v2/topology", &[("via", via); 5], 508, Some(13), "loop_detected"),
        ("POST", "/v2/topology", &[("host", "evil.example")], 421, Some(7), "host_denied"),
    ];
    for (method, path, fields, rest, grpc, reason) in cases {
        let method: Method = method.parse().expect("a method");
        let told = world.http1().await.send(method.clone(), path, fields, "").await.expect("an answer");
        assert_problem(&told, rest, reason);
        let mut over_http2 = fields.to_vec();
        for field in &mut over_http2 {
            if field.0 == "host" {
                field.0 = ":authority";
            }
        }
        let told = world.http2().await.send(method.clone(), path, &over_http2, "").await.expect("an answer");
        assert_problem(&told, rest, reason);
        assert_eq!(told.headers.contains_key("allow"), reason == "method_refused", "{reason}");
        if let Some(grpc) = grpc {
            over_http2.push(("content-type", "application/grpc"));
            let called =
                world.http2().await.send(method, path, &over_http2, message(&[])).await.expect("an answer");
            assert_status(&called, grpc, reason);
        }
    }
    let four = world.http1().await.send(Method::GET, "/v2/status", &[("via", via); 4], "").await;
    assert_eq!(four.expect("an answer").status, 204);
    let four =
        world.http1().await.send(Method::GET, "/v2/status", &[("via", &[via; 5].join(", "))], "").await;
    assert_problem(&four.expect("an answer"), 508, "loop_detected");
    let connect = raw(
        world.proxy,
        "CONNECT operate.example:443 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(connect.starts_with("HTTP/1.1 405") && connect.contains("method_refused"), "{connect}");
    // gRPC where only Operate is served.
    let pinned = crate::common::tcp(&world.listener(1));
    let called = crate::common::Caller::http2(pinned).await.grpc(TOPOLOGY, &[], message(&[])).await;
    assert_status(&called.expect("an answer"), 12, "no_route");
    assert_eq!(world.camunda.cluster().counts().requests, 1);
}

#[tokio::test]
async fn an_upstream_that_is_late_or_breaks_off_is_told_as_such() {
    let silent = http2_peer(
        |_| (),
        |request, respond| async move {
            let _kept = (request, respond);
            std::future::pending::<()>().await;
        },
    )
    .await;
    let quiet = peer(|stream| async move {
        let _kept = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let both_silent = |setup: Setup| setup.zeebe_rest(quiet.at).zeebe_grpc(silent.at);
    let world = both_silent(setup()).with("upstream.response_timeout", "200ms").start().await;
    let told = world.get("/v2/topology").await;
    assert_problem(&told, 504, "upstream_timeout");
    let mut caller = world.http2().await;
    let began = tokio::time::Instant::now();
    let called = caller.grpc(TOPOLOGY, &[("grpc-timeout", "300m")], message(&[])).await.expect("an answer");
    assert_status(&called, 4, "upstream_timeout");
    assert!(began.elapsed() >= Duration::from_millis(290) && began.elapsed() < Duration::from_secs(5));

    let world = setup().start().await.ready().await;
    for fault in [cluster::Fault::Close, cluster::Fault::Reset(2)] {
        world.camunda.cluster().set_fault(Some(fault));
        both(&world, 502, 14, "upstream_reset").await;
    }
}

#[tokio::test]
async fn an_answer_to_head_is_a_head_in_either_protocol() {
    let world = setup().start().await;
    let whole = world.get("/nowhere").await;
    for mut caller in [world.http1().await, world.http2().await] {
        let answer = caller.send(Method::HEAD, "/nowhere", &[], "").await.expect("an answer");
        assert_eq!((answer.status.as_u16(), answer.body.len()), (404, 0), "{answer:?}");
        assert_eq!(answer.header("content-length"), whole.body.len().to_string());
    }
}

#[tokio::test]
async fn an_upstreams_own_failure_passes_as_it_is() {
    let world = setup().start().await.ready().await;
    for status in [401, 403, 429, 500, 503] {
        world.camunda.cluster().set_fault(Some(cluster::Fault::Html(status)));
        let answer = world.get("/v2/topology").await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (status, "text/html"));
        assert!(!answer.headers.contains_key("proxy-status"));
    }
    world.camunda.cluster().set_fault(Some(cluster::Fault::Html(502)));
    let answer = world.http2().await.grpc(TOPOLOGY, &[], message(&[])).await.expect("an answer");
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (502, "text/html"));
    world.camunda.cluster().set_fault(Some(cluster::Fault::Unauthorized));
    let answer = world.http2().await.grpc(TOPOLOGY, &[], message(&[])).await.expect("an answer");
    assert_eq!(answer.grpc_status(), Some(16));
    assert!(!answer.headers.contains_key("proxy-status"));
}
