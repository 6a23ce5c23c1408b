//! Who breaks off tells the other side, at once and with the same word.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use camunda_auth_proxy::sandbox::cluster::Fault;
use h2::Reason;
use http::{Method, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::Instant;

use crate::common::caller::read;
use crate::common::frames::{DATA, Frames, HEADERS};
use crate::common::peer::{Peer, http2_peer, peer};
use crate::common::{Caller, TOPOLOGY, in_time, message, poll, setup, until};

const STREAM: &str = "/gateway_protocol.Gateway/StreamActivatedJobs";

#[derive(Debug, PartialEq)]
enum Seen {
    Request,
    Reset(Reason),
}

/// An upstream that never ends its answers, and tells how they were broken off. `begins` answers with a head.
async fn endless(begins: bool) -> (Peer, UnboundedReceiver<Seen>) {
    let (tell, told) = unbounded_channel();
    let peer = http2_peer(
        |_| (),
        move |request, mut respond| {
            let tell = tell.clone();
            async move {
                let _request = request;
                let _ = tell.send(Seen::Request);
                let reset = if begins {
                    let mut sending = respond.send_response(Response::new(()), false).expect("sent");
                    sending.send_data(message(&[]), false).expect("sent");
                    std::future::poll_fn(|cx| sending.poll_reset(cx)).await
                } else {
                    std::future::poll_fn(|cx| respond.poll_reset(cx)).await
                };
                if let Ok(reason) = reset {
                    let _ = tell.send(Seen::Reset(reason));
                }
            }
        },
    )
    .await;
    (peer, told)
}

#[tokio::test]
async fn a_callers_cancel_arrives_upstream_as_cancel() {
    for begins in [false, true] {
        let (upstream, mut told) = endless(begins).await;
        let world = setup().zeebe_grpc(upstream.at).start().await;
        for path in [STREAM, TOPOLOGY] {
            let mut caller = world.http2().await;
            let fields = [("content-type", "application/grpc")];
            let (response, mut sending) = caller.open(Method::POST, path, &fields, false).await.unwrap();
            sending.send_data(message(&[]), path == TOPOLOGY).unwrap();
            assert_eq!(in_time("the request", told.recv()).await, Some(Seen::Request));
            let mut response = Some(response);
            let kept =
                if begins { Some(in_time("a head", response.take().unwrap()).await.unwrap()) } else { None };
            let began = Instant::now();
            sending.send_reset(Reason::CANCEL);
            assert_eq!(
                in_time("a reset", told.recv()).await,
                Some(Seen::Reset(Reason::CANCEL)),
                "{path} {begins}"
            );
            assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
            drop((kept, response));
        }
    }
}

#[tokio::test]
async fn a_caller_that_vanishes_is_cancelled_upstream() {
    for begins in [false, true] {
        let (upstream, mut told) = endless(begins).await;
        let world = setup()
            .zeebe_grpc(upstream.at)
            .zeebe_rest(upstream.at)
            .with("scopes.zeebe.protocol", "http2")
            .start()
            .await;
        // An HTTP/2 connection that is cut.
        let mut frames = Frames::connect(world.proxy).await;
        frames.head(1, 0, &crate::common::frames::grpc_head("localhost", STREAM)).await;
        frames.write(DATA, 1, 1, &message(&[])).await;
        assert_eq!(in_time("the request", told.recv()).await, Some(Seen::Request));
        drop(frames);
        assert_eq!(in_time("a reset", told.recv()).await, Some(Seen::Reset(Reason::CANCEL)), "{begins}");
        // An HTTP/1.1 connection that is cut.
        let mut stream = TcpStream::connect(world.proxy).await.unwrap();
        stream.write_all(b"GET /v2/x HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        assert_eq!(in_time("the request", told.recv()).await, Some(Seen::Request));
        drop(stream);
        assert_eq!(in_time("a reset", told.recv()).await, Some(Seen::Reset(Reason::CANCEL)), "{begins}");
    }
}

#[tokio::test]
async fn a_caller_that_vanishes_closes_its_http1_upstream_connection() {
    let (tell, mut told) = unbounded_channel();
    let upstream = peer(move |mut stream| {
        let tell = tell.clone();
        async move {
            let mut buffer = vec![0; 65_536];
            let _ = stream.read(&mut buffer).await;
            let _ = tell.send("request");
            while !matches!(stream.read(&mut buffer).await, Ok(0) | Err(_)) {}
            let _ = tell.send("closed");
        }
    })
    .await;
    let world = setup().zeebe_rest(upstream.at).start().await;
    for head in [
        "GET /v2/x HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "POST /v2/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\nsome",
    ] {
        let mut stream = TcpStream::connect(world.proxy).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(in_time("the request", told.recv()).await, Some("request"));
        drop(stream);
        assert_eq!(in_time("the end", told.recv()).await, Some("closed"));
    }
}

#[tokio::test]
async fn an_upload_that_breaks_off_is_never_a_whole_one_upstream() {
    let (tell, mut told) = unbounded_channel();
    let upstream = http2_peer(
        |_| (),
        move |request, respond| {
            let tell = tell.clone();
            async move {
                let _respond = respond;
                let mut body = request.into_body();
                let ended = loop {
                    match body.data().await {
                        Some(Ok(data)) => {
                            let _ = body.flow_control().release_capacity(data.len());
                        }
                        Some(Err(error)) => break error.reason(),
                        None => break None,
                    }
                };
                let _ = tell.send(ended);
            }
        },
    )
    .await;
    let world = setup().zeebe_rest(upstream.at).with("scopes.zeebe.protocol", "http2").start().await;
    for head in ["content-length: 100\r\n\r\nsome", "transfer-encoding: chunked\r\n\r\n4\r\nsome\r\n"] {
        let mut stream = TcpStream::connect(world.proxy).await.unwrap();
        stream
            .write_all(format!("POST /v2/x HTTP/1.1\r\nhost: localhost\r\n{head}").as_bytes())
            .await
            .unwrap();
        drop(stream);
        assert_eq!(in_time("the end", told.recv()).await.flatten(), Some(Reason::CANCEL));
    }
}

#[tokio::test]
async fn a_reset_in_the_middle_of_an_answer_comes_back_with_the_upstreams_code() {
    let (tell, told) = tokio::sync::watch::channel(None);
    let upstream = http2_peer(
        |_| (),
        move |_, mut respond| {
            let mut told = told.clone();
            async move {
                let mut sending = respond.send_response(Response::new(()), false).expect("sent");
                sending.send_data(message(&[]), false).expect("sent");
                let code: Option<u32> = *told.wait_for(Option::is_some).await.expect("a code");
                sending.send_reset(Reason::from(code.expect("a code")));
            }
        },
    )
    .await;
    let world = setup().zeebe_grpc(upstream.at).start().await;
    let mut caller = world.http2().await;
    for code in [0, 1, 2, 8, 11, 12] {
        tell.send_replace(None);
        let response = caller.begin(STREAM, &[], message(&[])).await;
        let mut body = in_time("a head", response).await.unwrap().into_body();
        in_time("data", body.data()).await.unwrap().unwrap();
        tell.send_replace(Some(code));
        let broken = in_time("a reset", body.data()).await.expect("a reset").expect_err("a reset");
        assert_eq!(broken.reason(), Some(Reason::from(code)), "{broken:?}");
    }
    let world = setup().start().await.ready().await;
    let mut caller = world.http2().await;
    // Before the answer has begun there is somebody to tell more.
    for code in [1, 2, 8, 11] {
        world.camunda.cluster().fail_next(1, Fault::Reset(code));
        let told = caller.grpc(TOPOLOGY, &[], message(&[])).await.expect("an answer");
        assert_eq!((told.grpc_status(), told.reason().as_str()), (Some(14), "upstream_reset"), "{told:?}");
    }
}

#[tokio::test]
async fn a_grpc_stream_whose_upstream_dies_midway_ends_in_a_status() {
    let upstream = peer(|stream| async move {
        let mut frames = Frames::accept(stream, &[]).await;
        loop {
            let Some(frame) = frames.read().await else { return };
            if frame.kind == HEADERS {
                frames
                    .head(frame.stream, 0, &[(":status", "200"), ("content-type", "application/grpc")])
                    .await;
                frames.write(DATA, 0, frame.stream, &message(&[1, 2, 3])).await;
                return;
            }
        }
    })
    .await;
    let world = setup().zeebe_grpc(upstream.at).start().await;
    let mut caller = world.http2().await;
    for _ in 0..3 {
        let response = caller.begin(STREAM, &[], message(&[])).await;
        let answer = read(in_time("a head", response).await.unwrap()).await.expect("a whole answer");
        assert_eq!(answer.body, message(&[1, 2, 3]));
        assert_eq!(answer.grpc_status(), Some(14), "{answer:?}");
        let trailers = answer.trailers.expect("trailers");
        assert!(trailers["proxy-status"].to_str().unwrap().starts_with("camunda-auth-proxy"));
    }
}

#[tokio::test]
async fn a_rest_answer_that_breaks_off_is_never_a_whole_one() {
    let upstream = peer(|mut stream| async move {
        let mut buffer = [0; 4096];
        let _ = stream.read(&mut buffer).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n").await;
    })
    .await;
    let world = setup().zeebe_rest(upstream.at).start().await;
    world.http1().await.send(Method::GET, "/v2/x", &[], "").await.expect_err("a broken body");
    world.http2().await.send(Method::GET, "/v2/x", &[], "").await.expect_err("a broken body");
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_told_of_in_both_dialects() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let world = setup().zeebe_rest(closed).zeebe_grpc(closed).start().await;
    let answer = world.get("/v2/topology").await;
    assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (502, "upstream_connect"));
    let answer = world.http2().await.grpc(TOPOLOGY, &[], message(&[])).await.unwrap();
    assert_eq!((answer.grpc_status(), answer.reason().as_str()), (Some(14), "upstream_connect"));
    assert!(answer.head_alone);
}

#[tokio::test]
async fn three_hundred_callers_that_vanish_take_nobody_with_them() {
    let world = setup().start().await.ready().await;
    let cluster = world.camunda.cluster();
    let mut keepers = Vec::new();
    let mut staying = world.http2().await;
    for _ in 0..5 {
        keepers.push(
            staying.begin("/gateway_protocol.Gateway/ActivateJobs", &[], poll(Duration::from_secs(60))).await,
        );
    }
    until("the keepers wait", || cluster.open_streams() == 5).await;
    // First those whose calls have arrived, then those that leave at once.
    for wait in [true, false] {
        let mut callers = Vec::new();
        for _ in 0..300 {
            let mut caller = world.http2().await;
            let call =
                caller.begin("/gateway_protocol.Gateway/ActivateJobs", &[], poll(Duration::from_secs(60)));
            callers.push((call.await, caller));
        }
        if wait {
            until("all are there", || cluster.open_streams() == 305).await;
        }
        drop(callers);
        until("all are gone", || cluster.open_streams() == 5).await;
        let answer = staying.grpc(TOPOLOGY, &[], message(&[])).await.expect("an answer");
        assert_eq!(answer.grpc_status(), Some(0), "{answer:?}");
        assert_eq!(cluster.open_streams(), 5, "a keeper was lost");
    }
    for keeper in &mut keepers {
        let polled =
            std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut *keeper).poll(cx)));
        assert!(polled.await.is_pending(), "a keeper has ended");
    }
}

#[tokio::test]
async fn two_hundred_held_polls_delay_no_other_call() {
    let world = setup().start().await.ready().await;
    let cluster = world.camunda.cluster();
    let mut worker = world.http2().await;
    let mut held = Vec::new();
    for _ in 0..200 {
        held.push(
            worker.begin("/gateway_protocol.Gateway/ActivateJobs", &[], poll(Duration::from_secs(60))).await,
        );
    }
    until("all polls are held", || cluster.open_streams() == 200).await;
    let mut slowest = Duration::ZERO;
    for _ in 0..10 {
        let began = Instant::now();
        let answer = worker.grpc(TOPOLOGY, &[], message(&[])).await.expect("an answer");
        assert_eq!(answer.grpc_status(), Some(0));
        slowest = slowest.max(began.elapsed());
    }
    println!("the slowest of ten calls beside 200 held polls took {slowest:?}");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

/// All at once on one connection; each must be answered.
async fn burst(caller: &mut Caller, calls: usize) {
    let mut answers = Vec::new();
    for _ in 0..calls {
        answers.push(caller.begin(TOPOLOGY, &[], message(&[])).await);
    }
    for answer in answers {
        let answer = in_time("an answer", answer).await.expect("a head");
        let answer = read(answer).await.expect("an answer");
        assert_eq!(answer.grpc_status(), Some(0), "{answer:?}");
    }
}

#[tokio::test]
async fn a_burst_is_answered_whatever_number_of_streams_the_upstream_allows() {
    for allowed in [1, 3] {
        let most = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let upstream = http2_peer(
            move |builder| {
                builder.max_concurrent_streams(allowed);
            },
            move |_, respond| {
                let most = Arc::clone(&most);
                async move {
                    most.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    tokio::task::yield_now().await;
                    crate::common::peer::grpc_ok(respond);
                }
            },
        )
        .await;
        let world = setup().zeebe_grpc(upstream.at).start().await;
        let mut caller = world.http2().await;
        for _ in 0..3 {
            burst(&mut caller, 30).await;
        }
        println!("{allowed} allowed: {} connections", upstream.connections());
    }
}

#[tokio::test]
async fn what_the_upstream_did_not_process_is_sent_again() {
    let world = setup().start().await.ready().await;
    let mut caller = world.http2().await;
    for fault in [Fault::Reset(7), Fault::GoAway] {
        for _ in 0..10 {
            world.camunda.cluster().fail_next(1, fault.clone());
            burst(&mut caller, 5).await;
        }
    }
}

#[tokio::test]
async fn streams_in_flight_survive_a_goaway_and_new_calls_go_elsewhere() {
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let upstream = peer(move |stream| {
        let mut stopped = stopped.clone();
        async move {
            let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
            let first = !*stopped.borrow();
            loop {
                tokio::select! {
                    accepted = connection.accept() => {
                        let Some(Ok((request, mut respond))) = accepted else { return };
                        if request.uri().path() == TOPOLOGY {
                            crate::common::peer::grpc_ok(respond);
                            continue;
                        }
                        let mut stopped = stopped.clone();
                        tokio::spawn(async move {
                            let mut sending = respond.send_response(Response::new(()), false).expect("sent");
                            sending.send_data(Bytes::from_static(b"before"), false).expect("sent");
                            stopped.wait_for(|stopped| *stopped).await.expect("told");
                            for _ in 0..50 {
                                tokio::task::yield_now().await;
                            }
                            sending.send_data(Bytes::from_static(b"after"), true).expect("sent");
                        });
                    }
                    _ = stopped.changed(), if first => connection.graceful_shutdown(),
                }
            }
        }
    })
    .await;
    let world = setup().zeebe_grpc(upstream.at).start().await;
    let mut caller = world.http2().await;
    let response = caller.begin(STREAM, &[], message(&[])).await;
    let mut body = in_time("a head", response).await.unwrap().into_body();
    assert_eq!(in_time("data", body.data()).await.unwrap().unwrap(), "before");
    burst(&mut caller, 5).await;
    let before = upstream.connections();
    stop.send_replace(true);
    for _ in 0..20 {
        burst(&mut caller, 2).await;
    }
    assert_eq!(in_time("data", body.data()).await.unwrap().unwrap(), "after");
    assert!(upstream.connections() > before);
}

#[tokio::test]
async fn an_idle_connection_that_the_upstream_closes_loses_no_request() {
    // It says nothing of closing, as load balancers do not.
    let upstream = peer(|stream| async move {
        let mut talk = crate::common::peer::Talk::new(stream);
        if talk.head().await.is_some() {
            talk.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
    })
    .await;
    let world = setup().zeebe_rest(upstream.at).start().await;
    let mut caller = world.http1().await;
    for n in 0..200 {
        let answer = caller.get("/v2/topology").await;
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"ok"[..]), "{n}: {answer:?}");
    }
    let closing = setup().start().await.ready().await;
    let mut caller = closing.http1().await;
    for _ in 0..100 {
        assert_eq!(caller.get("/v2/topology").await.status, 200);
        closing.camunda.cluster().close_connections();
    }
}
