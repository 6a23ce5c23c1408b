//! Tokens that become valid later: never sent before, and no failure.

use http::header;

use super::*;

/// Lives of five minutes that begin so many seconds after the answer, by the endpoint's own clock.
fn early(clock: Clock, ahead: u64, claim: &'static str) -> impl FnMut(&TokenRequest, usize) -> Reply {
    move |_, number| {
        let now = unix(clock.wall());
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let claims = json!({ claim: now + ahead, "exp": now + ahead + 300, "jti": number });
        let token = format!("{}.{}.{CANARY}", part(json!({ "alg": "none" })), part(claims));
        let answer = Answer::new(200, json!({ "access_token": token, "expires_in": 300 }).to_string());
        let answer = answer.with(header::DATE, &httpdate::fmt_http_date(clock.wall()));
        Reply { after: Duration::ZERO, with: Ok(answer) }
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_token_is_waited_for_until_it_becomes_valid() {
    for claim in ["iat", "nbf"] {
        let bench = bench(|_, _| reply(500, ""));
        bench.script(early(bench.clock.clone(), 7, claim));
        let source = bench.tokens.source(request("a"));
        let begun = Instant::now();
        source.wait(soon()).await.unwrap();
        assert!((6900..7200).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
        assert_eq!((bench.asked(), source.status().requests.ok), (1, 1));
        assert!(source.status().last_error.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_cannot_wait_so_long_is_told_at_once_how_long_it_is() {
    let bench = bench(|_, _| reply(500, ""));
    bench.script(early(bench.clock.clone(), 120, "iat"));
    let source = bench.tokens.source(request("a"));
    sleep(secs(1)).await;
    let begun = Instant::now();
    let refused = source.wait(soon()).await.unwrap_err();
    assert_eq!((begun.elapsed(), refused.cause), (Duration::ZERO, None));
    assert!((115..=120).contains(&refused.retry_after.unwrap().as_secs()), "{refused:?}");
    sleep(refused.retry_after.unwrap() + Duration::from_millis(10)).await;
    assert!(source.current().is_some());
    assert_eq!(bench.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_old_token_is_served_until_the_next_one_is_valid() {
    let bench = bench(|_, number| token(number, 300));
    let source = bench.tokens.source(request("a"));
    source.wait(soon()).await.unwrap();
    bench.script(early(bench.clock.clone(), 20, "nbf"));
    while bench.asked() < 2 {
        sleep(Duration::from_millis(100)).await;
    }
    for _ in 0..19 {
        assert_eq!(source.current().unwrap().generation(), 1);
        sleep(secs(1)).await;
    }
    sleep(secs(2)).await;
    assert_eq!(source.current().unwrap().generation(), 2);
    assert_eq!(bench.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_for_the_far_future_is_malformed_and_asked_for_again() {
    let bench = bench(|_, _| reply(500, ""));
    bench.script(early(bench.clock.clone(), 301, "iat"));
    let source = bench.tokens.source(request("a"));
    sleep(Duration::from_millis(500)).await;
    let error = source.status().last_error.unwrap();
    assert_eq!(error.cause, Cause::Malformed);
    assert!(error.detail.contains("five minutes"), "{}", error.detail);
    bench.script(|_, number| token(number, 300));
    source.wait(soon()).await.unwrap();
}
