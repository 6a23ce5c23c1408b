//! Descriptors run out: callers wait, and tokens, probes and those who are connected do not suffer from it.

use std::time::Duration;

use super::harness::{Caller, Camunda, eventually};

#[test]
fn callers_that_hold_every_place_do_not_stop_tokens_and_probes() {
    let camunda = Camunda::start();
    let mut proxy = camunda.proxy().descriptors(64).start();
    let address = proxy.listeners[0];
    let mut first = Caller::new(address);
    let mut waiting: Vec<Caller> = (0..100).map(|_| Caller::new(address)).collect();
    let answer = first.call("GET", "/v2/topology", &[]).expect("answer");
    assert_eq!(answer.status, 200, "its token and its upstream had descriptors: {answer:?}");
    let proxy_told = proxy.line("cannot accept more connections for now: they wait");
    assert_eq!(proxy_told["level"], "WARN");
    assert_eq!(proxy.ask("/livez").status, 200);

    // Each one that goes lets one in, and fills the last place again.
    while waiting.len() > 50 {
        waiting.pop();
        std::thread::sleep(Duration::from_millis(20));
    }
    waiting.clear();
    let answer = eventually("an answer", || Caller::new(address).call("GET", "/v2/topology", &[]).ok());
    assert_eq!(answer.status, 200);
    let proxy = proxy.complete();
    let told =
        proxy.lines().iter().filter(|line| line["target"] == "listener" && line["level"] == "WARN").count();
    assert_eq!(told, 1, "{}", proxy.err.text());
    assert!(!proxy.err.text().contains("Too many open files"), "{}", proxy.err.text());
}
