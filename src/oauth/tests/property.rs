//! What must hold whatever happens.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Once;

use http::header;
use proptest::prelude::*;

use super::*;

const AUDIENCES: [&str; 3] = ["a", "b", "c"];
/// What the engine's clock shows first, in Unix time.
const START: u64 = 1_800_000_000;

#[derive(Clone, Debug)]
enum Step {
    Token(i64),
    /// A JWT of this life that becomes valid so many seconds after the answer.
    Early(i64, u64),
    Dead(u16),
    Limited(u8),
    Broken,
    Slow(u64),
    Panic,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::sample::select(vec![-1, 0, 1, 5, 30, 59, 60, 300, 3600, 86_400]).prop_map(Step::Token),
        2 => (prop::sample::select(vec![1i64, 30, 300, 3600]), 0..330u64).prop_map(|(life, ahead)| Step::Early(life, ahead)),
        2 => prop::sample::select(vec![200, 204, 302, 400, 401, 403, 404, 500, 503]).prop_map(Step::Dead),
        1 => (0..90u8).prop_map(Step::Limited),
        1 => Just(Step::Broken),
        1 => (0..60u64).prop_map(Step::Slow),
        1 => Just(Step::Panic),
    ]
}

/// When a token begins and ends, and whom it is for, by a clock that nobody touches, in milliseconds since the start.
fn opaque(audience: &str, number: usize, from: u64, end: u64) -> String {
    format!("{audience}:{number}:{from}:{end}")
}

/// Looks at all of it each time a token is served.
fn look(token: &Token, audience: &str, now: Duration, wall: SystemTime) {
    let text = token.reveal();
    let parts: Vec<&str> = text.rsplit('.').next().unwrap_or(text).split(':').collect();
    let [of, _, from, end] = parts[..] else { panic!("{text}") };
    assert_eq!(of, audience, "a token of somebody else's");
    assert!(now.as_millis() < end.parse().unwrap(), "served after its end");
    // The endpoint's clock is told in whole seconds.
    assert!(now.as_millis() + 1000 >= from.parse().unwrap(), "served before its beginning");
    assert!(token.expires_at() > Some(wall), "served after its end by the wall clock");
}

/// Runs a script with callers now and then, a clock that is stepped, and an endpoint whose clock is `skew` seconds off.
async fn run(skew: i64, steps: Vec<Step>, moves: Vec<(u64, i64, usize)>) {
    let begun = Instant::now();
    let bench = bench(move |request, number| {
        let audience = request.audience.as_deref().unwrap_or_default();
        let now = begun.elapsed().as_millis() as u64;
        let plain = |life: i64| {
            let own = opaque(audience, number, now, now + life.max(1) as u64 * 1000 + 50);
            reply(200, json!({ "access_token": own, "expires_in": life }).to_string())
        };
        let early = |life: i64, ahead: u64| {
            let wall = START.checked_add_signed(skew).unwrap() + now / 1000;
            let (from, end) = (wall + ahead, wall + ahead + life as u64);
            let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
            let claims = part(json!({ "nbf": from, "exp": end, "jti": number }));
            let since = |at: u64| (at - wall) * 1000 + now;
            let own = opaque(audience, number, since(from), since(end) + 50);
            let token = format!("{}.{claims}.{own}", part(json!({ "alg": "none" })));
            let answer = Answer::new(200, json!({ "access_token": token, "expires_in": life }).to_string());
            let date = httpdate::fmt_http_date(UNIX_EPOCH + secs(wall));
            Reply { after: Duration::ZERO, with: Ok(answer.with(header::DATE, &date)) }
        };
        match steps[(number - 1) % steps.len()] {
            Step::Token(life) => plain(life),
            Step::Early(life, ahead) => early(life, ahead),
            Step::Dead(status) => reply(status, "{}"),
            Step::Limited(seconds) => {
                let answer = Answer::new(429, "").with(header::RETRY_AFTER, &seconds.to_string());
                Reply { after: Duration::ZERO, with: Ok(answer) }
            }
            Step::Broken => {
                Reply { after: secs(1), with: Err(Failure::new(Cause::Transient, "connection reset")) }
            }
            Step::Slow(seconds) => {
                Reply { after: secs(seconds), ..reply(200, json!({ "expires_in": 60 }).to_string()) }
            }
            Step::Panic => panic!("on purpose"),
        }
    });
    let sources = AUDIENCES.map(|audience| bench.tokens.source(request(audience)));
    for (seconds, stepped, waits) in moves {
        bench.clock.step(stepped);
        if let Some(source) = sources.get(waits) {
            let until = Instant::now() + secs(5);
            let _ = source.wait(until).await;
            assert!(Instant::now() <= until + Duration::from_millis(2));
        }
        for _ in 0..20 {
            sleep(secs(seconds) / 20).await;
            for (source, audience) in sources.iter().zip(AUDIENCES) {
                let Some(token) = source.current() else { continue };
                look(&token, audience, begun.elapsed(), bench.clock.wall());
            }
        }
    }
    let hours = begun.elapsed().as_secs_f64() / 3600.0;
    assert!(bench.asked() as f64 <= 3273.0 * hours + 5.0, "{} requests in {hours} h", bench.asked());
}

proptest! {
    // 256 cases, or as many as PROPTEST_CASES says.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_token_is_served_from_its_beginning_to_its_end_and_never_besides(
        skew in prop_oneof![2 => Just(0i64), 1 => -7200..7200i64],
        steps in prop::collection::vec(step(), 1..12),
        moves in prop::collection::vec(
            (1..4000u64, prop_oneof![6 => Just(0i64), 1 => -7200..7200i64], 0..6usize), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        QUIET.call_once(|| std::panic::set_hook(Box::new(quiet)));
        runtime.block_on(run(skew, steps, moves));
    }

    #[test]
    fn a_change_of_any_field_makes_another_request(field in 0..9usize, text in "[a-z]{1,8}") {
        let one = request("a");
        let mut other = one.clone();
        match field {
            0 => other.endpoint += &text,
            1 => other.client_id += &text,
            2 => other.client_auth = ClientAuth::Post(text.into()),
            3 => other.audience = Some(format!("a{text}")),
            4 => other.oauth_scope = Some(text),
            5 => other.resource = Some(text),
            6 => { other.extra.insert(text, "".into()); }
            7 => { other.headers.insert("x-tenant".to_owned(), text.into()); }
            _ => other.audience = None,
        }
        prop_assert_ne!(&one, &other);
        prop_assert_ne!(hash(&one), hash(&other));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let bench = bench(|_, number| token(number, 300));
            let sources = [one, other].map(|request| bench.tokens.source(request));
            let (first, second) = (sources[0].wait(soon()).await, sources[1].wait(soon()).await);
            assert_ne!(first.unwrap().authorization(), second.unwrap().authorization());
        });
    }
}

static QUIET: Once = Once::new();

/// Panics on purpose say nothing; all others do.
fn quiet(info: &std::panic::PanicHookInfo<'_>) {
    if info.payload_as_str() != Some("on purpose") {
        eprintln!("{info}");
    }
}

fn hash(request: &TokenRequest) -> u64 {
    let mut hasher = DefaultHasher::new();
    request.hash(&mut hasher);
    hasher.finish()
}
