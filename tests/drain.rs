//! Stopping: nothing is lost, everybody is told, and what never ends is cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use camunda_auth_proxy::app::End;
use camunda_auth_proxy::shutdown::Phase;
use http::Method;
use tokio::net::TcpStream;

use crate::common::caller::Failed;
use crate::common::frames::{Frames, GOAWAY};
use crate::common::{Caller, PATIENCE, TOPOLOGY, World, in_time, message, poll, setup, until};

/// Waits for the proxy's end, which blocks.
async fn end(world: &mut World) -> End {
    let app = world.app.take().expect("running");
    in_time("the end", tokio::task::spawn_blocking(move || app.wait())).await.expect("an end")
}

#[derive(Default)]
struct Tally {
    answered: AtomicU64,
    told_to_close: AtomicU64,
}

/// Asks again as soon as it is answered, until it is told to close; a request without an answer is a loss.
async fn http1_loop(at: std::net::SocketAddr, tally: Arc<Tally>) {
    loop {
        // No listener, no request: nothing is lost.
        let Ok(stream) = TcpStream::connect(at).await else { return };
        let mut caller = Caller::http1_on(stream, at).await;
        loop {
            let answer = match caller.send(Method::GET, "/v2/topology", &[], "").await {
                Ok(answer) => answer,
                Err(error) => panic!("a request was lost: {error:?}"),
            };
            assert_eq!(answer.status, 200, "{answer:?}");
            tally.answered.fetch_add(1, Relaxed);
            if answer.header("connection") == "close" {
                tally.told_to_close.fetch_add(1, Relaxed);
                break;
            }
        }
    }
}

/// The same over gRPC: a GOAWAY says which calls were not processed.
async fn grpc_loop(mut caller: Caller, tally: Arc<Tally>) {
    loop {
        match caller.grpc(TOPOLOGY, &[], message(&[])).await {
            Ok(answer) => {
                assert_eq!(answer.grpc_status(), Some(0), "{answer:?}");
                tally.answered.fetch_add(1, Relaxed);
            }
            Err(Failed::Http2(error))
                if error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR) =>
            {
                tally.told_to_close.fetch_add(1, Relaxed);
                return;
            }
            Err(error) => panic!("a call was lost: {error:?}"),
        }
    }
}

#[tokio::test]
async fn a_drain_under_load_loses_no_request_and_ends_clean() {
    let mut world = setup().start().await.ready().await;
    let (http1, grpc) = (Arc::new(Tally::default()), Arc::new(Tally::default()));
    let mut callers = Vec::new();
    for _ in 0..8 {
        callers.push(tokio::spawn(http1_loop(world.proxy, Arc::clone(&http1))));
        callers.push(tokio::spawn(grpc_loop(world.http2().await, Arc::clone(&grpc))));
    }
    // Not under load: an idle connection of each kind, and a poll that ends by itself.
    let mut idle = Frames::connect(world.proxy).await;
    let mut keep_alive = world.http1().await;
    assert_eq!(keep_alive.get("/v2/topology").await.status, 200);
    let mut worker = world.http2().await;
    let held =
        worker.begin("/gateway_protocol.Gateway/ActivateJobs", &[], poll(Duration::from_millis(1500))).await;
    until("load", || http1.answered.load(Relaxed) > 200 && grpc.answered.load(Relaxed) > 200).await;

    world.app.as_ref().expect("running").shutdown().advance(Phase::Draining);
    let told = tokio::spawn(async move {
        let mut codes = Vec::new();
        while let Some(frame) = idle.read().await {
            if frame.kind == GOAWAY {
                codes.push(frame.payload[4..8].to_vec());
            }
        }
        codes
    });
    let ready = world.admin("/readyz").await;
    assert_eq!(ready.status, 503, "{ready:?}");
    assert_eq!(world.admin("/livez").await.status, 200);
    // A request on a connection that was idle is on its way, as far as its caller knows.
    let late = keep_alive.get("/v2/topology").await;
    assert_eq!((late.status.as_u16(), late.header("connection")), (200, "close"));
    for caller in callers {
        tokio::time::timeout(PATIENCE, caller).await.expect("in time").expect("no request lost");
    }
    let polled = crate::common::caller::read(in_time("the poll", held).await.expect("a head")).await;
    assert_eq!(polled.expect("an answer").grpc_status(), Some(0));
    let codes = in_time("a GOAWAY", told).await.expect("frames");
    assert!(!codes.is_empty() && codes.iter().all(|code| code == &[0; 4]), "NO_ERROR: {codes:?}");
    assert_eq!(end(&mut world).await, End::Clean);
    assert!(http1.told_to_close.load(Relaxed) >= 8);
    assert_eq!(grpc.told_to_close.load(Relaxed), 8);
    assert!(TcpStream::connect(world.proxy).await.is_err(), "the listener is closed");
}

#[tokio::test]
async fn what_never_ends_is_cut_when_the_grace_period_is_over() {
    let mut world = setup().start().await.ready().await;
    let mut worker = world.http2().await;
    let stream =
        worker.begin("/gateway_protocol.Gateway/StreamActivatedJobs", &[], poll(Duration::ZERO)).await;
    let mut body = in_time("a head", stream).await.unwrap().into_body();
    let mut waiting = world.http2().await;
    let waiting =
        waiting.begin("/gateway_protocol.Gateway/ActivateJobs", &[], poll(Duration::from_secs(60))).await;
    until("both are there", || world.camunda.cluster().open_streams() == 2).await;
    let shutdown = world.app.as_ref().unwrap().shutdown().clone();
    shutdown.advance(Phase::Draining);
    until("the drain is seen", || shutdown.phase() == Phase::Draining).await;
    assert_eq!(world.admin("/readyz").await.status, 503);
    shutdown.advance(Phase::Stopping);
    // What had not begun is told that it may come again.
    let told = crate::common::caller::read(in_time("an answer", waiting).await.expect("a head")).await;
    let told = told.expect("an answer");
    assert_eq!(
        (told.grpc_status(), &*told.reason(), told.header("retry-after")),
        (Some(14), "draining", "1")
    );
    assert_eq!(end(&mut world).await, End::Forced);
    // Cut, and not ended as if it were whole.
    let rest = in_time("the end", body.data()).await;
    assert!(!matches!(rest, None | Some(Ok(_))), "{rest:?}");
    until("the upstream knows", || world.camunda.cluster().open_streams() == 0).await;
}

#[tokio::test]
async fn a_drain_without_callers_is_over_at_once() {
    let mut world = setup().start().await;
    world.app.as_ref().unwrap().shutdown().advance(Phase::Draining);
    assert_eq!(end(&mut world).await, End::Clean);
}
