//! The load generator against servers whose delays are known.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use camunda_auth_proxy::bench::{Block, Cpus, Load, Protocol, Sample, Target, Work, null_server};

/// A server that waits before each answer, and what the generator sees of it.
fn loaded(
    work: Work,
    load: Load,
    millis: u64,
    delays: impl Fn() -> Duration + Clone + Send + 'static,
) -> Sample {
    let server = null_server::start(null_server::anywhere(), Cpus::default(), delays).expect("a server");
    let address = format!("http://{server}").parse().expect("an address");
    let block = Block {
        target: Arc::new(Target::new("known", address, None).expect("a target")),
        feed: None,
        work,
        load,
        warm_up: Duration::ZERO,
        duration: Duration::from_millis(millis),
        slice: Duration::from_millis(100),
        threads: 1,
        cpus: Cpus::default(),
    };
    block.start().expect("started").end()
}

fn work(protocol: Protocol, connections: usize) -> Work {
    Work { protocol, connections, streams: 8, body: 0 }
}

/// 100, 200, 300… up to 1000 ms in turn: every tenth of the requests takes 100 ms longer. So long that a busy machine's
/// own delays are small beside it.
fn steps() -> impl Fn() -> Duration + Clone + Send + 'static {
    let number = Arc::new(AtomicU64::new(0));
    move || Duration::from_millis(100 * (number.fetch_add(1, Ordering::Relaxed) % 10 + 1))
}

#[test]
fn percentiles_of_a_known_distribution_are_found_within_three_percent() {
    for (protocol, connections) in [(Protocol::Rest, 100), (Protocol::Grpc, 12)] {
        let seen = loaded(work(protocol, connections), Load::Rate(100.0), 1200, steps());
        assert_eq!((seen.ok, seen.failed()), (120, 0), "{protocol}: {:?}", seen.errors);
        for (quantile, millis) in [(0.45, 500.0), (0.75, 800.0), (0.85, 900.0), (0.95, 1000.0)] {
            let found = seen.latencies.quantile(quantile).as_secs_f64() * 1e3;
            assert!(
                (found / millis - 1.0).abs() < 0.03,
                "{protocol}, {quantile}: {found} ms instead of {millis}"
            );
        }
    }
}

#[test]
fn a_server_that_stalls_shows_as_slow_although_nobody_could_ask_meanwhile() {
    let number = Arc::new(AtomicU64::new(0));
    // One connection and one stall: a client that waits for each answer would see a single slow one.
    let stall = move || match number.fetch_add(1, Ordering::Relaxed) {
        100 => Duration::from_millis(1000),
        _ => Duration::ZERO,
    };
    let seen = loaded(work(Protocol::Rest, 1), Load::Rate(200.0), 2000, stall);
    assert_eq!(seen.ok, 400, "{:?}", seen.errors);
    // Half of the requests were due while it stood still, so their waits are spread from nothing to the whole second.
    let waited = |quantile| seen.latencies.quantile(quantile).as_secs_f64();
    assert!(waited(0.999) > 0.95 && waited(0.75) > 0.4, "{} {}", waited(0.999), waited(0.75));
}

#[test]
fn a_closed_loop_asks_again_when_it_has_its_answer() {
    let seen = loaded(work(Protocol::Rest, 4), Load::Saturate, 500, || Duration::from_millis(50));
    // Four connections, ten answers each; one more may be under way at the end.
    assert!((32..=44).contains(&seen.ok), "{}", seen.ok);
}

#[test]
fn nobody_there_is_counted_and_not_left_out() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let address = format!("http://{free}").parse().expect("an address");
    let block = Block {
        target: Arc::new(Target::new("nobody", address, None).expect("a target")),
        feed: None,
        work: work(Protocol::Rest, 4),
        load: Load::Rate(100.0),
        warm_up: Duration::ZERO,
        duration: Duration::from_millis(300),
        slice: Duration::from_millis(100),
        threads: 1,
        cpus: Cpus::default(),
    };
    let seen = block.start().expect("started").end();
    assert_eq!((seen.ok, seen.errors.get("connect")), (0, Some(&30)), "{:?}", seen.errors);
    assert_eq!(seen.answered, 0, "a refused connection is no answer");
}
