//! Lives of every length: bounded requests, with constant use and with none.

use super::*;

async fn requests_in_an_hour(answer: impl Fn(usize) -> Reply + Send + 'static, used: bool) -> usize {
    let bench = bench(move |_, number| answer(number));
    let source = bench.tokens.source(request("a"));
    source.wait(soon()).await.unwrap();
    let begun = Instant::now();
    while begun.elapsed() < secs(3600) {
        if used {
            source.wait(soon()).await.unwrap();
            sleep(Duration::from_millis(100)).await;
        } else {
            sleep(secs(10)).await;
        }
    }
    bench.asked()
}

#[tokio::test(start_paused = true)]
async fn requests_in_an_hour_are_bounded_for_every_life() {
    for (life, used, unused) in [
        (json!(0), 3300, 2),
        (json!(-3), 3300, 2),
        (json!(1), 3300, 2),
        (json!(5), 960, 2),
        (json!(30), 160, 2),
        (json!("30"), 160, 2),
        (json!(60), 80, 80),
        (json!(300), 16, 16),
        (json!("300"), 16, 16),
        (json!(300.9), 16, 16),
        (json!(null), 16, 16),
        (json!("soon"), 16, 16),
        (json!("NaN"), 16, 16),
        (json!({ "seconds": 300 }), 16, 16),
        (json!(86_400), 1, 1),
        (json!(u64::MAX), 1, 1),
        (json!(1e18), 1, 1),
    ] {
        for (by, most) in [(true, used), (false, unused)] {
            let life = life.clone();
            let told = life.to_string();
            let made = requests_in_an_hour(move |number| token(number, life.clone()), by).await;
            assert!(made <= most, "{told}: {made} requests, used: {by}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn how_a_token_and_its_type_are_spelled_changes_no_life() {
    for body in [
        // Opaque, and nothing said: five minutes.
        r#"{"access_token":"opaque-N"}"#,
        r#"{"access_token":"opaque-N","expires_in":300,"token_type":"bearer"}"#,
        r#"{"access_token":"opaque-N","expires_in":"300","token_type":"BEARER"}"#,
        // Looks like a JWT and is none.
        r#"{"access_token":"a.b.N","expires_in":300}"#,
    ] {
        for used in [true, false] {
            let answer = move |number: usize| reply(200, body.replace('N', &number.to_string()));
            let made = requests_in_an_hour(answer, used).await;
            assert!((12..=16).contains(&made), "{body}: {made} requests, used: {used}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_token_that_nobody_uses_ends_and_comes_back_when_asked_for() {
    let bench = bench(|_, number| token(number, 5));
    let source = bench.tokens.source(request("a"));
    sleep(secs(600)).await;
    assert_eq!((bench.asked(), source.status().state), (1, State::Idle));
    assert_eq!(source.status().next_attempt, None);
    source.wait(soon()).await.unwrap();
    assert_eq!(bench.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_is_not_noticed_by_callers() {
    let bench = bench(|_, number| token(number, 60));
    let source = bench.tokens.source(request("a"));
    source.wait(soon()).await.unwrap();
    for _ in 0..10_000 {
        assert!(source.current().is_some());
        sleep(Duration::from_millis(100)).await;
    }
    assert!((19..=24).contains(&bench.asked()), "{} requests", bench.asked());
}

/// SaaS: the same token until 30 s before its end.
fn saas(clock: Clock) -> impl FnMut(&TokenRequest, usize) -> Reply {
    let mut exp = 0;
    move |_, number| {
        let now = unix(clock.wall());
        if now + 30 >= exp {
            exp = now + 86_400;
        }
        let body = json!({ "access_token": jwt(0, exp), "expires_in": exp - now, "token_type": "Bearer" });
        let _ = number;
        reply(200, body.to_string())
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_token_again_is_asked_for_again_just_before_its_end() {
    let bench = bench(|_, _| reply(500, ""));
    bench.script(saas(bench.clock.clone()));
    let source = bench.tokens.source(request("a"));
    let first = source.wait(soon()).await.unwrap();
    for _ in 0..8000 {
        sleep(secs(10)).await;
        assert!(source.current().is_some());
    }
    assert_eq!(bench.asked(), 2);
    assert_eq!(source.current().unwrap().generation(), first.generation());
    for _ in 0..(3 * 86_400) {
        sleep(secs(1)).await;
        assert!(source.current().is_some());
    }
    assert!(bench.asked() <= 9, "{} requests in four days", bench.asked());
    assert_eq!(source.current().unwrap().generation(), first.generation() + 3);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_hands_out_a_newer_token_is_not_asked_in_a_loop() {
    let bench = bench(|_, _| reply(500, ""));
    let end = unix(bench.clock.wall()) + 3600;
    let clock = bench.clock.clone();
    bench.script(move |_, _| {
        let left = end.saturating_sub(unix(clock.wall()));
        let exp = if left == 0 { end + 3600 } else { end };
        reply(200, json!({ "access_token": jwt(0, exp), "expires_in": left.max(1) }).to_string())
    });
    let source = bench.tokens.source(request("a"));
    source.wait(soon()).await.unwrap();
    sleep(secs(3650)).await;
    assert!(bench.asked() <= 14, "{} requests", bench.asked());
}
