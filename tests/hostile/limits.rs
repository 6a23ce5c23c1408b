//! More than there is room for is refused at once, with when to come back; whoever stops half-way is not waited for.

use std::time::Duration;

use camunda_auth_proxy::address::Address;
use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;

use crate::common::caller::raw;
use crate::common::frames::{Frames, RST_STREAM, SETTINGS};
use crate::common::peer::http1_peer;
use crate::common::{Answer, Caller, TOPOLOGY, World, in_time, message, poll, setup, until};

const ACTIVATE: &str = "/gateway_protocol.Gateway/ActivateJobs";
const MINUTE: Duration = Duration::from_secs(60);

fn is_overload(answer: &Answer) {
    assert_eq!(answer.reason(), "overloaded", "{answer:?}");
    assert_eq!(answer.header("retry-after"), "1", "{answer:?}");
    let told = "camunda-auth-proxy; error=connection_limit_reached; details=\"overloaded\"";
    assert_eq!(answer.header("proxy-status"), told);
}

async fn metrics(world: &World) -> String {
    String::from_utf8_lossy(&world.admin("/metrics").await.body).into_owned()
}

#[tokio::test]
async fn requests_beyond_the_limit_are_refused_in_both_dialects_and_served_when_others_have_ended() {
    let world = setup().with("limits.requests", "3").start().await.ready().await;
    let mut caller = world.http2().await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(caller.begin(ACTIVATE, &[], poll(MINUTE)).await);
    }
    until("three polls", || world.camunda.cluster().open_streams() == 3).await;
    world.camunda.cluster().clear();
    let began = Instant::now();
    let rest = world.http1().await.send(Method::POST, "/v2/x", &[], "body").await.expect("an answer");
    assert_eq!(rest.status, 503);
    is_overload(&rest);
    let grpc = caller.grpc(TOPOLOGY, &[], message(&[])).await.expect("an answer");
    assert_eq!((grpc.grpc_status(), grpc.head_alone), (Some(14), true));
    is_overload(&grpc);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(world.camunda.cluster().counts().requests, 0, "nothing reached the upstream");
    let metrics = metrics(&world).await;
    for protocol in ["http1", "grpc"] {
        let counted = metrics.lines().any(|line| {
            line.starts_with("camunda_proxy_requests_total{")
                && line.contains(&format!("protocol=\"{protocol}\""))
                && line.ends_with("reason=\"overloaded\"} 1")
        });
        assert!(counted, "{protocol}: {metrics}");
    }

    held.pop();
    until("a place", || world.camunda.cluster().open_streams() == 2).await;
    let again = async {
        while world.get("/v2/topology").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    in_time("a free place", again).await;
}

#[tokio::test]
async fn a_caller_with_too_many_connections_is_told_so_and_others_are_not() {
    let toml = "[[listener]]\naddress = \"unix:{folder}/proxy.sock\"\nscope = \"zeebe\"\n";
    let world = setup().with("limits.connections_per_caller", "2").toml(toml).start().await.ready().await;
    let Address::Unix { path, .. } = world.listener(1) else { panic!("no socket") };
    let connect = || async { UnixStream::connect(&path).await.expect("connected") };
    let mut first = Caller::http1_on(connect().await, world.proxy).await;
    assert_eq!(first.get("/v2/topology").await.status, 200);
    let second = connect().await;

    let mut third = Caller::http1_on(connect().await, world.proxy).await;
    let refused = third.get("/v2/topology").await;
    assert_eq!((refused.status.as_u16(), refused.header("connection")), (503, "close"));
    is_overload(&refused);
    let mut fourth = Caller::http2_on(connect().await, world.proxy).await;
    let refused = fourth.grpc(TOPOLOGY, &[], message(&[])).await.expect("an answer");
    assert_eq!(refused.grpc_status(), Some(14));
    is_overload(&refused);
    // Who asks nothing is not kept either.
    let mut fifth = connect().await;
    let mut said = Vec::new();
    in_time("the end", fifth.read_to_end(&mut said)).await.expect("ended");
    assert!(said.is_empty());
    assert!(metrics(&world).await.contains("camunda_proxy_refused_connections_total 3"));

    // This machine's callers on TCP are not one another, and who has a place keeps it.
    assert_eq!(world.get("/v2/topology").await.status, 200);
    assert_eq!(first.get("/v2/topology").await.status, 200);
    drop(second);
    let again = async {
        while Caller::http1_on(connect().await, world.proxy).await.get("/v2/topology").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    in_time("a free place", again).await;
}

#[tokio::test]
async fn an_upload_that_stops_is_answered_and_its_connection_ends_and_a_stream_may_be_silent() {
    let world = setup().with("limits.body_timeout", "300ms").start().await.ready().await;
    let head = "POST /v2/documents HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\nx";
    let began = Instant::now();
    let mut caller = world.http2().await;
    let (silent, _sending) = caller.open(Method::POST, "/v2/documents", &[], false).await.expect("a stream");
    let call = [("content-type", "application/grpc"), ("te", "trailers")];
    let (stream, mut open) = caller.open(Method::POST, TOPOLOGY, &call, false).await.expect("a stream");
    let answer = raw(world.proxy, head).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("limits.body_timeout"), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    assert_eq!(in_time("an answer", silent).await.expect("an answer").status(), 408);
    assert!(began.elapsed() > Duration::from_millis(290), "{:?}", began.elapsed());

    // One that goes on slowly is not silent; a gRPC stream may be.
    let mut slow = TcpStream::connect(world.proxy).await.expect("connected");
    slow.write_all(head.replace("100", "6").as_bytes()).await.expect("written");
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        slow.write_all(b"x").await.expect("written");
    }
    let mut answer = [0; 13];
    in_time("an answer", slow.read_exact(&mut answer)).await.expect("an answer");
    assert!(!answer.ends_with(b"408 "), "{}", String::from_utf8_lossy(&answer));
    open.send_data(message(&[]), true).expect("sent");
    assert_eq!(in_time("an answer", stream).await.expect("an answer").status(), 200);
}

#[tokio::test]
async fn a_caller_that_does_not_read_its_answer_is_not_waited_for_for_ever() {
    let upstream = http1_peer(|_| {
        let body = "x".repeat(16 << 20);
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    })
    .await;
    let world = setup().zeebe_rest(upstream.at).with("limits.body_timeout", "300ms").start().await;
    let mut stream = TcpStream::connect(world.proxy).await.expect("connected");
    stream.write_all(b"GET /v2/large HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("written");
    // A look at all connections a second.
    let cut = async {
        while stream.write_all(b"\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    in_time("the end", cut).await;
    // Who reads gets all of it.
    assert_eq!(world.get("/v2/large").await.body.len(), 16 << 20);
}

#[tokio::test]
async fn a_request_that_finds_no_room_for_a_copy_is_sent_once() {
    for (length, http2, status) in
        [(900, false, 200), (900, true, 200), (1100, false, 401), (1100, true, 401)]
    {
        let world = setup().with("limits.replay_memory", "1000").start().await.ready().await;
        let mut caller = if http2 { world.http2().await } else { world.http1().await };
        world.camunda.authorization_server().revoke_all();
        let body = format!("{{\"filter\":{{\"x\":\"{}\"}}}}", "y".repeat(length - 20));
        let json = [("content-type", "application/json")];
        let answer = caller.send(Method::POST, "/v2/process-instances/search", &json, body).await;
        assert_eq!(answer.expect("an answer").status, status, "{length} {http2}");
    }
}

#[tokio::test]
async fn streams_and_heads_have_the_configured_limits() {
    let setup = setup().with("limits.streams", "3").with("limits.head_size", "8192");
    let world = setup.start().await.ready().await;
    let mut frames = Frames::connect(world.proxy).await;
    let settings = frames.read().await.expect("SETTINGS");
    assert_eq!(settings.kind, SETTINGS);
    let told: Vec<&[u8]> = settings.payload.chunks(6).collect();
    assert!(told.contains(&&[0, 3, 0, 0, 0, 3][..]) && told.contains(&&[0, 6, 0, 0, 32, 0][..]), "{told:?}");
    for stream in [1, 3, 5, 7] {
        let fields =
            [(":method", "POST"), (":scheme", "http"), (":path", ACTIVATE), (":authority", "localhost")];
        frames.head(stream, 0, &[&fields[..], &[("content-type", "application/grpc")]].concat()).await;
    }
    let refused = async {
        loop {
            let frame = frames.read().await.expect("a frame");
            if frame.kind == RST_STREAM {
                return (frame.stream, frame.payload);
            }
        }
    };
    assert_eq!(refused.await, (7, vec![0, 0, 0, 7]), "REFUSED_STREAM");

    let long = "y".repeat(9000);
    let answer = raw(world.proxy, format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {long}\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431 ") && answer.contains("8192 bytes"), "{answer}");
    let mut caller = world.http2().await;
    let answer = caller.send(Method::GET, "/v2/topology", &[("x", &long)], "").await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 431));
    let short = "y".repeat(7000);
    let answer = world.http1().await.send(Method::GET, "/v2/topology", &[("x", &short)], "").await;
    assert_eq!(answer.expect("an answer").status, 200);
}
