//! What must hold whatever happens to whom: a second between two requests, one flight for each token request, and
//! never a token after its end.

use std::time::Duration;

use camunda_auth_proxy::oauth::{Answer, Cause, Failure};
use proptest::prelude::*;
use tokio::time::{Instant, sleep};

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Token(i64),
    Status(u16),
    Limited(u8),
    Broken(u64),
    Slow(u64),
}

#[derive(Clone, Debug)]
enum Event {
    Wait(u64),
    /// An engine starts, in place of an older one.
    Restart(usize),
    /// Somebody waits for a token.
    Call(usize, usize),
    /// The clock of the machine is set.
    Set(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::sample::select(vec![1, 5, 30, 60, 300, 3600, 86_400]).prop_map(Step::Token),
        2 => prop::sample::select(vec![200, 400, 401, 403, 500, 503]).prop_map(Step::Status),
        1 => (0..90u8).prop_map(Step::Limited),
        1 => (0..5u64).prop_map(Step::Broken),
        1 => (0..60u64).prop_map(Step::Slow),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1..3000u64).prop_map(Event::Wait),
        3 => (0..ENGINES).prop_map(Event::Restart),
        3 => (0..ENGINES, 0..AUDIENCES.len()).prop_map(|(engine, audience)| Event::Call(engine, audience)),
        1 => (-200..7200i64).prop_map(Event::Set),
    ]
}

const AUDIENCES: [&str; 2] = ["a", "b"];
const ENGINES: usize = 4;

async fn run(steps: Vec<Step>, events: Vec<Event>) {
    let begun = Instant::now();
    let world = World::new(move |request, number| {
        let audience = request.audience.as_deref().unwrap_or_default();
        let token = |life: i64| {
            let end = begun.elapsed().as_millis() as i64 + life * 1000 + 50;
            let body = format!(r#"{{"access_token":"{audience}.{number}.{end}","expires_in":{life}}}"#);
            Ok(Answer::new(200, body))
        };
        let (after, with) = match steps[(number - 1) % steps.len()] {
            Step::Token(life) => (Duration::from_millis(50), token(life)),
            Step::Status(status) => (Duration::from_millis(50), Ok(Answer::new(status, "{}"))),
            Step::Limited(seconds) => {
                let answer = Answer::new(429, "").with(http::header::RETRY_AFTER, &seconds.to_string());
                (Duration::ZERO, Ok(answer))
            }
            Step::Broken(after) => (secs(after), Err(Failure::new(Cause::Transient, "connection reset"))),
            Step::Slow(after) => (secs(after), token(60)),
        };
        Reply { after, with }
    });
    // A server's clock is its own: what is done to this machine's is nothing to it.
    let model = Model::new(&model::clock());
    let start = || {
        let tokens = world.engine(&model);
        let sources = AUDIENCES.map(|audience| tokens.source(request(audience)));
        (tokens, sources)
    };
    let mut engines: Vec<_> = (0..ENGINES).map(|_| start()).collect();
    for event in events {
        match event {
            Event::Wait(seconds) => {
                for _ in 0..20 {
                    sleep(secs(seconds) / 20).await;
                    look(&engines, begun, &world);
                }
            }
            Event::Restart(engine) => engines[engine] = start(),
            Event::Call(engine, audience) => {
                let _ = engines[engine].1[audience].wait(Instant::now() + secs(5)).await;
                look(&engines, begun, &world);
            }
            Event::Set(seconds) => world.clock.step(seconds),
        }
    }
    assert_eq!(world.broken(), Vec::<String>::new());
    let hours = begun.elapsed().as_secs_f64() / 3600.0;
    assert!(world.asked() as f64 <= 3273.0 * hours + 5.0, "{} requests in {hours} h", world.asked());
}

type Engine = (
    camunda_auth_proxy::oauth::Tokens,
    [std::sync::Arc<camunda_auth_proxy::oauth::TokenSource>; AUDIENCES.len()],
);

fn look(engines: &[Engine], begun: Instant, world: &World) {
    for (source, audience) in engines.iter().flat_map(|(_, sources)| sources.iter().zip(AUDIENCES)) {
        let Some(token) = source.current() else { continue };
        let mut parts = token.reveal().split('.');
        assert_eq!(parts.next(), Some(audience), "a token of somebody else's");
        let end: u128 = parts.next_back().and_then(|end| end.parse().ok()).expect("an end");
        assert!(begun.elapsed().as_millis() < end, "served after its end");
        assert!(token.expires_at() > Some(world.clock.wall()), "served after its end by the wall clock");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_fleet_asks_like_one_and_serves_no_expired_token(
        steps in prop::collection::vec(step(), 1..12),
        events in prop::collection::vec(event(), 1..30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(run(steps, events));
    }
}
