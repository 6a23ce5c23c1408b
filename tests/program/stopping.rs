//! Stopping: nothing is lost, nothing outlives the grace period, and the exit status says which it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::harness::{Caller, Camunda, Running, eventually};

#[test]
fn a_signal_ends_an_idle_proxy_with_0() {
    let camunda = Camunda::start();
    for signal in [Signal::TERM, Signal::INT] {
        let mut proxy = camunda.proxy().start().ready();
        // An idle connection that a caller keeps does not hold the end up.
        let mut caller = Caller::new(proxy.listeners[0]);
        assert_eq!(caller.call("GET", "/v2/topology", &[]).expect("answer").status, 200);
        let signalled = Instant::now();
        proxy.signal(signal);
        assert_eq!(proxy.status(), 0, "{signal:?} {}", proxy.err.text());
        assert!(signalled.elapsed() < Duration::from_secs(5), "{:?}", signalled.elapsed());
        assert_eq!(proxy.out.text(), "");
    }
}

#[test]
fn a_signal_that_comes_as_soon_as_it_listens_is_not_lost() {
    let camunda = Camunda::start();
    for _ in 0..5 {
        let mut proxy = camunda.proxy().start();
        proxy.signal(Signal::TERM);
        assert_eq!(proxy.status(), 0, "{}", proxy.err.text());
    }
}

#[test]
fn no_request_is_lost_when_it_stops_under_load() {
    let camunda = Camunda::start();
    let mut proxy = camunda.proxy().start().ready();
    let address = proxy.listeners[0];
    let answered = Arc::new(AtomicU64::new(0));
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let answered = Arc::clone(&answered);
            std::thread::spawn(move || {
                let mut caller = Caller::new(address);
                loop {
                    let answer =
                        caller.call("GET", "/v2/topology", &[]).map_err(|error| error.to_string())?;
                    if answer.status != 200 {
                        return Err(format!("{answer:?}"));
                    }
                    answered.fetch_add(1, Ordering::SeqCst);
                    if answer.header("connection") == "close" {
                        return Ok(());
                    }
                }
            })
        })
        .collect();
    eventually("load", || (answered.load(Ordering::SeqCst) > 200).then_some(()));
    proxy.signal(Signal::TERM);
    for caller in callers {
        caller.join().expect("called").expect("every request is answered");
    }
    assert_eq!(proxy.status(), 0);
    let lines = proxy.lines();
    let logged =
        lines.iter().filter(|line| line["target"] == "access" && line["status"] == 200).count() as u64;
    assert_eq!(logged, answered.load(Ordering::SeqCst), "each answer has its line");
    assert!(lines.iter().all(|line| line["aborted"] != true));
}

/// A proxy with a request under way that will not end by itself.
fn with_open_request(camunda: &Camunda, grace: &str) -> (Running, Caller) {
    let proxy = camunda.proxy().with("CAMUNDA_PROXY_DRAIN__TIMEOUT", grace).start().ready();
    camunda.cluster.clear();
    camunda.cluster.hold_unary(Duration::from_secs(60));
    let mut caller = Caller::new(proxy.listeners[0]);
    caller.send("GET", "/v2/topology", &[]).expect("sent");
    eventually("the request upstream", || (!camunda.cluster.requests().is_empty()).then_some(()));
    (proxy, caller)
}

/// A request whose time is over is answered, and not cut.
fn told_to_try_again(mut caller: Caller) {
    let answer = caller.answer(false).expect("an answer");
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"), "{answer:?}");
    assert_eq!(answer.json()["reason"], "draining");
}

#[test]
fn a_request_under_way_is_waited_for_and_readiness_says_draining() {
    let camunda = Camunda::start();
    let (mut proxy, caller) = with_open_request(&camunda, "30s");
    // What is held now answers when its time is over; the next ones at once.
    camunda.cluster.hold_unary(Duration::ZERO);
    proxy.signal(Signal::TERM);
    let why = eventually("draining", || {
        let answer = super::harness::Caller::connect(proxy.admin).ok()?.call("GET", "/readyz", &[]).ok()?;
        (answer.status == 503).then_some(answer.body)
    });
    assert_eq!(why, "draining\n");
    // One that was on its way may still be served.
    eventually("an end of new connections", || refused(&proxy).then_some(()));
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.status(), 1, "a second signal ends at once");
    told_to_try_again(caller);
}

fn refused(proxy: &Running) -> bool {
    let answer =
        Caller::connect(proxy.listeners[0]).and_then(|mut caller| caller.call("GET", "/v2/topology", &[]));
    answer.is_err()
}

#[test]
fn no_connection_outlives_the_grace_period() {
    let camunda = Camunda::start();
    let (mut proxy, caller) = with_open_request(&camunda, "1s");
    let signalled = Instant::now();
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.status(), 1, "{}", proxy.err.text());
    let took = signalled.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(5), "{took:?}");
    told_to_try_again(caller);
    let lines = proxy.lines();
    assert!(lines.iter().any(|line| line["message"] == "the grace period is over: ending at once"));
}

#[test]
fn a_closed_terminal_ends_nothing() {
    let camunda = Camunda::start();
    let proxy = camunda.proxy().start().ready();
    proxy.signal(Signal::HUP);
    eventually("a word", || proxy.err.text().contains("SIGHUP").then_some(()));
    assert_eq!(proxy.get("/v2/topology").status, 200);
}
