//! Bodies, trailers and framing on their way through.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::common::caller::{raw, read};
use crate::common::frames::{DATA, END_STREAM, Frames, HEADERS, grpc_head};
use crate::common::peer::{Talk, grpc_ok, http1_peer, http2_peer, peer};
use crate::common::{TOPOLOGY, in_time, message, setup, until};

/// More than any buffer on the way holds.
const LOTS: u64 = 256 << 20;

#[tokio::test]
async fn the_first_byte_of_an_endless_answer_is_there_at_once() {
    let world = setup().start().await.ready().await;
    let path = "/v2/documents/stream?chunks=100000&interval_ms=60000";
    // The upstream connection is there.
    world.get("/v2/topology").await;
    let mut fastest = Duration::MAX;
    for _ in 0..5 {
        let mut caller = world.http2().await;
        let began = Instant::now();
        let (response, _) = caller.open(Method::GET, path, &[], true).await.unwrap();
        let mut body = in_time("the head", response).await.unwrap().into_body();
        let first = in_time("the first byte", body.data()).await.unwrap().unwrap();
        assert_eq!(first, "data: 0\n\n");
        fastest = fastest.min(began.elapsed());

        let began = Instant::now();
        let mut stream = TcpStream::connect(world.proxy).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"data: 0\n\n\r\n") {
            let n = in_time("the first byte", stream.read_buf(&mut seen)).await.unwrap();
            assert!(n > 0, "{}", String::from_utf8_lossy(&seen));
        }
        fastest = fastest.min(began.elapsed());
    }
    assert!(fastest < Duration::from_millis(50), "{fastest:?}");
}

/// Waits until a count has stood still, and says where.
async fn standstill(count: &AtomicU64) -> u64 {
    let standing = async {
        loop {
            let before = count.load(Relaxed);
            tokio::time::sleep(Duration::from_millis(250)).await;
            if before > 0 && count.load(Relaxed) == before {
                return before;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(15), standing).await.expect("it never stood still")
}

#[tokio::test]
async fn an_answer_that_nobody_reads_stops_at_its_source() {
    // HTTP/1.1 upstream: the sockets' buffers are the kernel's and take some.
    let written = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&written);
    let source = peer(move |stream| {
        let count = Arc::clone(&count);
        async move {
            let mut talk = Talk::new(stream);
            talk.head().await;
            talk.say(format!("HTTP/1.1 200 OK\r\ncontent-length: {LOTS}\r\n\r\n")).await;
            let chunk = vec![7; 64 * 1024];
            while talk.0.get_mut().write_all(&chunk).await.is_ok() {
                count.fetch_add(chunk.len() as u64, Relaxed);
            }
        }
    })
    .await;
    let world = setup().zeebe_rest(source.at).start().await;
    let mut slow = TcpStream::connect(world.proxy).await.unwrap();
    slow.write_all(b"GET /v2/x HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let stood = standstill(&written).await;
    assert!(stood < 32 << 20, "{stood} bytes were taken for a caller that reads nothing");
    let mut rest = vec![0; 1 << 20];
    let mut got = 0;
    while got < 64 << 20 {
        got += in_time("more", slow.read(&mut rest)).await.unwrap();
    }
    drop(slow);

    // HTTP/2: windows bound it tightly.
    let written = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&written);
    let source = http2_peer(
        |_| (),
        move |_, mut respond| {
            let count = Arc::clone(&count);
            async move {
                let Ok(mut sending) = respond.send_response(Response::new(()), false) else { return };
                loop {
                    sending.reserve_capacity(16 * 1024);
                    let Some(Ok(n)) = std::future::poll_fn(|cx| sending.poll_capacity(cx)).await else {
                        return;
                    };
                    if sending.send_data(Bytes::from(vec![7; n]), false).is_err() {
                        return;
                    }
                    count.fetch_add(n as u64, Relaxed);
                }
            }
        },
    )
    .await;
    let world = setup().zeebe_grpc(source.at).start().await;
    let mut caller = world.http2().await;
    let response = caller.begin("/gateway_protocol.Gateway/StreamActivatedJobs", &[], message(&[])).await;
    let mut body = in_time("a head", response).await.unwrap().into_body();
    let stood = standstill(&written).await;
    assert!(stood < 4 << 20, "{stood} bytes were taken for a caller that reads nothing");
    let mut got = 0;
    while got < 8 << 20 {
        let data = in_time("more", body.data()).await.unwrap().unwrap();
        got += data.len();
        body.flow_control().release_capacity(data.len()).unwrap();
    }
}

#[tokio::test]
async fn an_upload_that_the_upstream_does_not_read_stops_at_its_source() {
    let (open, opened) = tokio::sync::watch::channel(false);
    let stalled = peer(move |stream| {
        let mut opened = opened.clone();
        async move {
            let mut talk = Talk::new(stream);
            talk.head().await;
            opened.wait_for(|open| *open).await.unwrap();
            talk.body(LOTS as usize).await;
            talk.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
    })
    .await;
    let world = setup().zeebe_rest(stalled.at).start().await;
    let written = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&written);
    let mut stream = TcpStream::connect(world.proxy).await.unwrap();
    let upload = tokio::spawn(async move {
        let head =
            format!("POST /v2/documents HTTP/1.1\r\nhost: localhost\r\ncontent-length: {LOTS}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let chunk = vec![7; 64 * 1024];
        while count.load(Relaxed) < LOTS {
            stream.write_all(&chunk).await.unwrap();
            count.fetch_add(chunk.len() as u64, Relaxed);
        }
        let mut answer = [0; 512];
        let n = stream.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..n]).into_owned()
    });
    let stood = standstill(&written).await;
    assert!(stood < 32 << 20, "{stood} bytes were taken for an upstream that reads nothing");
    open.send_replace(true);
    let answer = tokio::time::timeout(Duration::from_secs(60), upload).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let stalled = http2_peer(
        |_| (),
        |request, respond| async move {
            let _kept = (request, respond);
            std::future::pending::<()>().await;
        },
    )
    .await;
    let world = setup().zeebe_grpc(stalled.at).start().await;
    let mut caller = world.http2().await;
    let fields = [("content-type", "application/grpc")];
    let (_response, mut sending) = caller.open(Method::POST, TOPOLOGY, &fields, false).await.unwrap();
    let written = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&written);
    tokio::spawn(async move {
        loop {
            sending.reserve_capacity(16 * 1024);
            let Some(Ok(n)) = std::future::poll_fn(|cx| sending.poll_capacity(cx)).await else { return };
            sending.send_data(Bytes::from(vec![7; n]), false).unwrap();
            count.fetch_add(n as u64, Relaxed);
        }
    });
    let stood = standstill(&written).await;
    assert!(stood < 2 << 20, "{stood} bytes were taken for an upstream that reads nothing");
}

#[tokio::test]
async fn trailers_pass_both_ways_but_for_what_only_a_head_may_say() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let upstream = http2_peer(
        |_| (),
        move |request, respond| {
            let tell = tell.clone();
            async move {
                let mut body = request.into_body();
                while let Some(Ok(data)) = body.data().await {
                    let _ = body.flow_control().release_capacity(data.len());
                }
                let _ = tell.send(body.trailers().await.unwrap());
                grpc_ok(respond);
            }
        },
    )
    .await;
    let world = setup().zeebe_grpc(upstream.at).start().await;
    let mut caller = world.http2().await;
    let fields = [("content-type", "application/grpc"), ("te", "trailers")];
    let (response, mut sending) = caller.open(Method::POST, TOPOLOGY, &fields, false).await.unwrap();
    sending.send_data(message(&[]), false).unwrap();
    let mut trailers = HeaderMap::new();
    for (name, value) in [("authorization", "Bearer stale"), ("x-checksum", "7"), ("host", "evil.example")] {
        trailers.append(name, HeaderValue::from_static(value));
    }
    sending.send_trailers(trailers).unwrap();
    let answer = read(in_time("a head", response).await.unwrap()).await.unwrap();
    assert_eq!(answer.grpc_status(), Some(0));
    assert!(answer.trailers.is_some());
    let seen = in_time("the request", told.recv()).await.unwrap().expect("trailers");
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen["x-checksum"], "7");

    // Chunked trailers of HTTP/1.1 become those of HTTP/2.
    let upstream = http1_peer(|_| {
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 9\r\n\r\n".to_owned()
    })
    .await;
    let world = setup().zeebe_rest(upstream.at).start().await;
    let answer = world.http2().await.get("/v2/x").await;
    assert_eq!(answer.body, "hi");
    assert_eq!(answer.trailers.expect("trailers")["x-sum"], "9");
}

/// The frames of a call's answer: kind, and whether it ends the stream.
async fn frames_of(at: &str, path: &str, authorization: Option<&str>) -> Vec<(u8, bool)> {
    let mut frames = Frames::connect(at.parse().expect("an address")).await;
    let mut fields = grpc_head("localhost", path);
    fields.extend(authorization.map(|value| ("authorization", value)));
    frames.head(1, 0, &fields).await;
    frames.write(DATA, END_STREAM, 1, &message(&[])).await;
    let mut seen = Vec::new();
    loop {
        let frame = frames.of(1).await.expect("an answer");
        let ends = frame.flags & END_STREAM != 0;
        seen.push((frame.kind, ends));
        if ends {
            return seen;
        }
    }
}

#[tokio::test]
async fn a_grpc_answer_has_the_same_frames_as_without_the_proxy() {
    let world = setup().start().await.ready().await;
    let token = format!("Bearer {}", world.camunda.authorization_server().issue("zeebe.camunda.io"));
    let grpc = world.camunda.addresses().grpc.trim_start_matches("grpc://").replace("localhost", "127.0.0.1");
    for (path, expected) in [
        (TOPOLOGY, &[(HEADERS, false), (DATA, false), (HEADERS, true)][..]),
        // Trailers-only (gRPC over HTTP/2, Responses).
        ("/gateway_protocol.Gateway/EvaluateDecision", &[(HEADERS, true)]),
    ] {
        assert_eq!(frames_of(&grpc, path, Some(&token)).await, expected);
        assert_eq!(frames_of(&world.proxy.to_string(), path, None).await, expected, "{path}");
    }
    // Our own answer too.
    assert_eq!(frames_of(&world.proxy.to_string(), "/%2e%2e/x", None).await, [(HEADERS, true)]);
}

#[tokio::test]
async fn answers_without_a_body_stay_as_they_are() {
    let script = |head: &str| {
        let status = head.split("status=").nth(1).map_or("200 OK", |rest| match &rest[..3] {
            "204" => "204 No Content",
            "304" => "304 Not Modified",
            _ => "200 OK",
        });
        match status {
            "200 OK" => {
                "HTTP/1.1 200 OK\r\ncontent-length: 1234\r\ncontent-type: text/plain\r\n\r\n".to_owned()
            }
            status => format!("HTTP/1.1 {status}\r\netag: \"7\"\r\n\r\n"),
        }
    };
    let http1 = http1_peer(script).await;
    let http2 = http2_peer(
        |_| (),
        |request, mut respond| async move {
            let query = request.uri().query().unwrap_or_default();
            let response = match query.strip_prefix("status=") {
                Some(status) => {
                    Response::builder().status(status.parse::<u16>().unwrap()).header("etag", "\"7\"")
                }
                None => Response::builder().header("content-length", "1234"),
            };
            let _ = respond.send_response(response.body(()).unwrap(), true);
        },
    )
    .await;
    for setup in
        [setup().zeebe_rest(http1.at), setup().zeebe_rest(http2.at).with("scopes.zeebe.protocol", "http2")]
    {
        let world = setup.start().await;
        for http2 in [false, true] {
            let mut caller = if http2 { world.http2().await } else { world.http1().await };
            for (method, path, status, length) in [
                (Method::HEAD, "/v2/x", 200, "1234"),
                (Method::GET, "/v2/x?status=204", 204, ""),
                (Method::GET, "/v2/x?status=304", 304, ""),
                (Method::HEAD, "/v2/x", 200, "1234"),
            ] {
                let answer = caller.send(method.clone(), path, &[], "").await.expect("an answer");
                assert_eq!((answer.status.as_u16(), answer.body.len()), (status, 0), "{path}");
                assert_eq!(answer.header("content-length"), length, "{method} {path} {http2}");
                assert!(!answer.headers.contains_key("transfer-encoding"), "{method} {path}");
                assert!(answer.head_alone, "{method} {path} {http2}");
            }
        }
    }
}

#[tokio::test]
async fn bodies_of_known_and_unknown_length_arrive_whole_and_keep_their_framing() {
    let world = setup().start().await.ready().await;
    let body: Bytes = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    for http2 in [false, true] {
        let mut caller = if http2 { world.http2().await } else { world.http1().await };
        let large = caller.get("/v2/resources/1/content/binary?bytes=1500000").await;
        assert_eq!(large.header("content-length"), "1500000");
        assert!(large.body.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at % 251));
        let stream = caller.get("/v2/documents/stream?chunks=3&interval_ms=1").await;
        assert_eq!(stream.body, "data: 0\n\ndata: 1\n\ndata: 2\n\n");
        assert!(!stream.headers.contains_key("content-length"));
        assert_eq!(stream.headers.contains_key("transfer-encoding"), !http2);
    }
    let mut caller = world.http1().await;
    let echoed = caller.send(Method::POST, "/v2/documents", &[], body.clone()).await.unwrap().json();
    assert_eq!(echoed["size"], body.len());
    let seen = world.camunda.cluster().requests().pop().unwrap();
    assert_eq!(seen.headers["content-length"], "3000000");
    // No length over HTTP/2 is no length upstream: chunked there.
    let mut caller = world.http2().await;
    let (response, mut sending) = caller.open(Method::POST, "/v2/documents", &[], false).await.unwrap();
    let rest = body.clone();
    tokio::spawn(async move {
        for at in (0..rest.len()).step_by(50_000) {
            let chunk = rest.slice(at..rest.len().min(at + 50_000));
            sending.reserve_capacity(chunk.len());
            while sending.capacity() < chunk.len() {
                std::future::poll_fn(|cx| sending.poll_capacity(cx)).await.unwrap().unwrap();
            }
            sending.send_data(chunk, false).unwrap();
        }
        sending.send_data(Bytes::new(), true).unwrap();
    });
    let again = read(in_time("an answer", response).await.unwrap()).await.unwrap().json();
    assert_eq!(again["contentHash"], echoed["contentHash"]);
    let seen = world.camunda.cluster().requests().pop().unwrap();
    assert_eq!(seen.headers["transfer-encoding"], "chunked");
    // Chunks of HTTP/1.1.
    let text = "POST /v2/documents HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let answer = raw(world.proxy, text).await;
    assert!(answer.contains("\"size\":5"), "{answer}");
}

#[tokio::test]
async fn a_compressed_body_is_not_touched() {
    let upstream = http1_peer(|head| {
        assert!(head.contains("accept-encoding: gzip, br\r\n"), "{head}");
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nvary: accept-encoding\r\ncontent-length: 4\r\n\r\n\x1f\x08\x00\x01".to_owned()
    })
    .await;
    let world = setup().zeebe_rest(upstream.at).start().await;
    let mut caller = world.http1().await;
    let answer = caller.send(Method::GET, "/v2/x", &[("accept-encoding", "gzip, br")], "").await.unwrap();
    assert_eq!((answer.header("content-encoding"), answer.header("content-length")), ("gzip", "4"));
    assert_eq!(&answer.body[..], b"\x1f\x08\x00\x01");
}

#[tokio::test]
async fn a_caller_that_waits_for_100_continue_gets_it_and_its_body_arrives() {
    let world = setup().start().await.ready().await;
    let mut stream = TcpStream::connect(world.proxy).await.unwrap();
    let head = "POST /v2/documents HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 5\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    in_time("the interim answer", stream.read_exact(&mut interim)).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").await.unwrap();
    let mut answer = String::new();
    in_time("an answer", stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"size\":5"), "{answer}");
    assert!(!world.camunda.cluster().requests()[0].headers.contains_key("expect"));
}

#[tokio::test]
async fn an_answer_before_the_request_is_whole_reaches_the_caller_at_once() {
    let http1 = http1_peer(|_| {
        "HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig".to_owned()
    })
    .await;
    let http2 = http2_peer(
        |_| (),
        |_, mut respond| async move {
            let response = Response::builder().status(413).body(()).unwrap();
            let mut sending = respond.send_response(response, false).unwrap();
            let _ = sending.send_data(Bytes::from_static(b"big"), true);
        },
    )
    .await;
    for setup in
        [setup().zeebe_rest(http1.at), setup().zeebe_rest(http2.at).with("scopes.zeebe.protocol", "http2")]
    {
        let world = setup.start().await;
        let mut caller = world.http2().await;
        let (response, mut sending) = caller.open(Method::POST, "/v2/documents", &[], false).await.unwrap();
        sending.send_data(Bytes::from_static(b"some"), false).unwrap();
        let answer = read(in_time("an answer", response).await.unwrap()).await.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (413, &b"big"[..]));

        let mut stream = TcpStream::connect(world.proxy).await.unwrap();
        let head = "POST /v2/documents HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\nsome";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains("big") {
            let n = in_time("an answer", stream.read_buf(&mut seen)).await.unwrap();
            assert!(n > 0, "{}", String::from_utf8_lossy(&seen));
        }
        assert!(seen.starts_with(b"HTTP/1.1 413"), "{}", String::from_utf8_lossy(&seen));
    }
}

#[tokio::test]
async fn cookie_crumbs_are_joined_for_http1_and_left_alone_for_http2() {
    let crumbs = [("cookie", "a=1"), ("cookie", "b=2; c=3"), ("cookie", "d=4")];
    let world = setup().start().await.ready().await;
    world.http2().await.send(Method::GET, "/v2/topology", &crumbs, "").await.unwrap();
    let seen = world.camunda.cluster().requests().pop().unwrap();
    let cookies: Vec<_> = seen.headers.get_all("cookie").iter().collect();
    assert_eq!(cookies, ["a=1; b=2; c=3; d=4"]);
    let world = setup().with("scopes.zeebe.protocol", "http2").start().await.ready().await;
    world.http2().await.send(Method::GET, "/v2/topology", &crumbs, "").await.unwrap();
    let seen = world.camunda.cluster().requests().pop().unwrap();
    assert_eq!(seen.version, http::Version::HTTP_2);
    assert_eq!(seen.headers.get_all("cookie").iter().count(), 3);
}

#[tokio::test]
async fn an_answers_head_loses_its_hop_and_its_base_and_nothing_else() {
    let upstream = http1_peer(|_| {
        "HTTP/1.1 201 Created\r\n\
         connection: x-internal, keep-alive\r\n\
         x-internal: secret-host\r\n\
         keep-alive: timeout=5\r\n\
         proxy-connection: close\r\n\
         server: Camunda\r\n\
         date: Mon, 01 Jan 2024 00:00:00 GMT\r\n\
         location: /base/v2/documents/7?x=1\r\n\
         set-cookie: a=1; Path=/base; HttpOnly\r\n\
         set-cookie: b=2; Path=/other\r\n\
         x-twice: 1\r\n\
         x-twice: 2\r\n\
         content-length: 2\r\n\
         transfer-encoding: chunked\r\n\
         \r\n\
         5\r\nhello\r\n0\r\n\r\n"
            .to_owned()
    })
    .await;
    let world = setup().zeebe_rest(upstream.at).start().await;
    for http2 in [false, true] {
        let mut caller = if http2 { world.http2().await } else { world.http1().await };
        let answer = caller.get("/zeebe/v2/documents").await;
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (201, &b"hello"[..]));
        for name in ["connection", "x-internal", "keep-alive", "proxy-connection", "content-length"] {
            assert!(!answer.headers.contains_key(name), "{name} in {:?}", answer.headers);
        }
        assert_eq!(answer.header("server"), "Camunda");
        assert_eq!(answer.header("date"), "Mon, 01 Jan 2024 00:00:00 GMT");
        assert_eq!(answer.header("location"), "/zeebe/v2/documents/7?x=1");
        let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a=1; Path=/zeebe; HttpOnly", "b=2; Path=/other"]);
        assert_eq!(answer.headers.get_all("x-twice").iter().count(), 2);
    }
    until("every connection is reused", || upstream.connections() == 1).await;
}

#[tokio::test]
async fn a_grpc_stream_carries_each_message_at_once_both_ways() {
    let upstream = http2_peer(
        |_| (),
        |request, mut respond| async move {
            let mut body = request.into_body();
            let Ok(mut sending) = respond.send_response(Response::new(()), false) else { return };
            while let Some(Ok(data)) = body.data().await {
                let _ = body.flow_control().release_capacity(data.len());
                let _ = sending.send_data(data, false);
            }
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            let _ = sending.send_trailers(trailers);
        },
    )
    .await;
    let world = setup().zeebe_grpc(upstream.at).start().await;
    let mut caller = world.http2().await;
    let fields = [("content-type", "application/grpc"), ("te", "trailers")];
    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let (response, mut sending) = caller.open(Method::POST, path, &fields, false).await.unwrap();
    // The answer's head comes before the first message.
    let mut body = in_time("a head", response).await.unwrap().into_body();
    for n in 0..20u8 {
        sending.send_data(message(&[n; 3]), false).unwrap();
        let echoed = in_time("an echo", body.data()).await.unwrap().unwrap();
        assert_eq!(echoed, message(&[n; 3]));
    }
    sending.send_data(Bytes::new(), true).unwrap();
    assert!(in_time("the end", body.data()).await.is_none());
    let trailers = body.trailers().await.unwrap().unwrap();
    assert_eq!(trailers["grpc-status"], "0");
}
