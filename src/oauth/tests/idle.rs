//! Tokens that nobody uses: no longer renewed after a while, and at once again when somebody comes.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_token_that_nobody_uses_is_renewed_for_an_hour_and_then_no_more() {
    for (life, in_time) in [(300, 16), (1800, 3), (3600, 2)] {
        let bench = bench(move |_, number| token(number, life));
        let source = bench.tokens.source(request("a"));
        sleep(secs(3 * 3600)).await;
        let asked = bench.asked();
        assert!((1..=in_time).contains(&asked), "{asked} requests for lives of {life} s");
        assert_eq!((source.status().state, source.status().next_attempt), (State::Idle, None));
        sleep(secs(86_400)).await;
        assert_eq!(bench.asked(), asked);
        source.wait(soon()).await.unwrap();
        assert_eq!(bench.asked(), asked + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_scope_whose_token_is_still_good_serves_at_once_and_renews_behind() {
    let bench = bench(|_, number| token(number, 86_400));
    let source = bench.tokens.source(request("a"));
    source.wait(soon()).await.unwrap();
    sleep(secs(21 * 3600)).await;
    assert_eq!((bench.asked(), source.status().state), (1, State::Idle));
    assert_eq!(source.current().unwrap().generation(), 1);
    sleep(secs(1)).await;
    assert_eq!((source.current().unwrap().generation(), source.status().state), (2, State::Valid));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_used_now_and_then_is_never_idle() {
    let bench = bench(|_, number| token(number, 7200));
    let source = bench.tokens.source(request("a"));
    source.wait(soon()).await.unwrap();
    for _ in 0..48 {
        sleep(secs(1800)).await;
        assert!(source.current().is_some());
        assert_ne!(source.status().state, State::Idle);
    }
    assert!((14..=19).contains(&bench.asked()), "{} requests in a day", bench.asked());
}

#[tokio::test(start_paused = true)]
async fn a_scope_that_fails_goes_on_trying_although_nobody_uses_it() {
    let bench = bench(|_, number| if number == 1 { token(1, 30) } else { reply(503, "") });
    let source = bench.tokens.source(request("a"));
    source.wait(soon()).await.unwrap();
    sleep(secs(86_400)).await;
    assert_eq!(source.status().state, State::Failing);
    bench.script(|_, number| token(number, 300));
    sleep(secs(301)).await;
    assert!(source.status().last_error.is_none(), "it has recovered by itself");
}

#[tokio::test(start_paused = true)]
async fn how_long_a_scope_may_be_idle_is_configured() {
    let bench = bench(|_, number| token(number, 300));
    let config = Config { idle_after: secs(600), ..Config::default() };
    let tokens = Tokens::new(&config, bench.fake.clone(), bench.clock.clone());
    let source = tokens.source(request("a"));
    sleep(secs(3600)).await;
    assert_eq!(source.status().state, State::Idle);
    assert!(bench.asked() <= 4, "{} requests", bench.asked());
}
