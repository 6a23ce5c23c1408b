//! Failures: a valid token outlives them, an expired one is never served, and none is terminal.

use http::header;

use super::*;

#[tokio::test(start_paused = true)]
async fn three_hours_of_outage_are_not_noticed_by_callers() {
    let bench = bench(|_, number| token(number, 86_400));
    let source = bench.tokens.source(request("a"));
    source.wait(soon()).await.unwrap();
    sleep(secs(17 * 3600)).await;
    bench.script(|_, _| reply(503, "<html>"));
    for _ in 0..(5 * 360) {
        sleep(secs(10)).await;
        assert!(source.current().is_some());
    }
    assert_eq!(source.status().state, State::Valid);
    assert_eq!(source.status().last_error.unwrap().cause, Cause::Transient);
    let before = bench.asked();
    assert!((10..200).contains(&before), "{before} requests in an outage");
    bench.script(|_, number| token(number, 86_400));
    sleep(secs(301)).await;
    assert_eq!(bench.asked(), before + 1);
    assert_eq!(source.current().unwrap().generation(), 2);
    assert!(source.status().last_error.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_outage_longer_than_the_life_ends_in_a_true_retry_after() {
    let bench = bench(|_, number| if number == 1 { token(1, 300) } else { reply(500, "") });
    let source = bench.tokens.source(request("a"));
    source.wait(soon()).await.unwrap();
    sleep(secs(294)).await;
    assert!(source.current().is_some());
    sleep(secs(2)).await;
    assert!(source.current().is_none());
    sleep(secs(3600)).await;
    let refused = source.wait(Instant::now() + Duration::from_millis(100)).await.unwrap_err();
    assert_eq!(refused.cause, Some(Cause::Transient));
    assert_eq!(source.status().state, State::Failing);
    let before = bench.asked();
    sleep(refused.retry_after.unwrap() - Duration::from_millis(1)).await;
    assert_eq!(bench.asked(), before);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(bench.asked(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_is_told_early_when_the_next_attempt_comes_too_late() {
    let bench = bench(|_, _| {
        let answer = Answer::new(429, "").with(header::RETRY_AFTER, "60");
        Reply { after: Duration::ZERO, with: Ok(answer) }
    });
    let source = bench.tokens.source(request("a"));
    let begun = Instant::now();
    let refused = source.wait(soon()).await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(refused.cause, Some(Cause::RateLimited));
    assert_eq!(refused.retry_after, Some(secs(60)));
    assert_eq!(source.status().state, State::RateLimited);
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_stops_the_whole_host_and_no_other() {
    for (status, stated) in [(429, "30"), (503, "30"), (429, "Fri, 15 Jan 2027 08:00:30 GMT")] {
        let bench = bench(move |request, number| match request.audience.as_deref() {
            Some("a") if number == 1 => Reply {
                after: Duration::ZERO,
                with: Ok(Answer::new(status, "").with(header::RETRY_AFTER, stated)),
            },
            _ => token(number, 300),
        });
        let sources = ["a", "b"].map(|audience| bench.tokens.source(request(audience)));
        sleep(secs(29)).await;
        assert_eq!(bench.asked(), 1, "{status} {stated}");
        let elsewhere = TokenRequest { endpoint: "https://other.example/token".into(), ..request("a") };
        bench.tokens.source(elsewhere).wait(soon()).await.unwrap();
        for source in sources {
            source.wait(soon()).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_without_a_time_is_obeyed_for_longer_and_longer() {
    let bench = bench(|_, _| reply(429, "slow down"));
    let _sources = ["a", "b", "c", "d"].map(|audience| bench.tokens.source(request(audience)));
    sleep(secs(3600)).await;
    // Four sources come back after each stop, of which the first is answered before the others start.
    assert!(bench.asked() <= 40, "{} requests", bench.asked());
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_that_is_over_is_forgotten() {
    let bench = bench(|_, number| if number == 5 { token(5, 300) } else { reply(429, "") });
    let source = bench.tokens.source(request("a"));
    while bench.asked() < 6 {
        sleep(Duration::from_millis(100)).await;
    }
    sleep(secs(1)).await;
    let next = source.status().next_attempt.unwrap().duration_since(bench.clock.wall()).unwrap();
    assert!(next <= secs(10), "{next:?} after the first limit since a token came");
}

#[tokio::test(start_paused = true)]
async fn no_answer_is_terminal() {
    let huge = format!(r#"{{"access_token":"{}"}}"#, "x".repeat(70_000));
    let malformed: Vec<(u16, &str)> = vec![
        (200, ""),
        (200, "{}"),
        (200, "null"),
        (200, "[\"x\",\"Bearer\",300]"),
        (200, "<html>sign in</html>"),
        (200, r#"{"access_token":"x","expires"#),
        (200, r#"{"access_token":"x"} trailing"#),
        (200, r#"{"access_token":null}"#),
        (200, r#"{"access_token":""}"#),
        (200, r#"{"access_token":7}"#),
        (200, r#"{"access_token":"a b"}"#),
        (200, r#"{"access_token":"ä"}"#),
        (200, r#"{"access_token":"a\r\nx: y"}"#),
        (200, r#"{"access_token":"x","access_token":"y"}"#),
        (200, r#"{"access_token":"x","token_type":"mac"}"#),
        (200, r#"{"access_token":"x","token_type":7}"#),
        (200, "\u{1f}\u{8b}\u{8}"),
        (201, r#"{"access_token":"x"}"#),
        (204, ""),
        (302, ""),
        (404, "not here"),
    ];
    let transient = [(408, ""), (425, ""), (500, "{"), (502, "<html>"), (503, ""), (504, ""), (599, "")];
    let all = malformed.into_iter().map(|(status, body)| (status, body, Cause::Malformed));
    let all = all.chain(transient.map(|(status, body)| (status, body, Cause::Transient)));
    for (status, body, cause) in all {
        let bad = body.to_owned();
        let bench = bench(move |_, number| match number {
            1 => reply(status, bad.clone()),
            _ => token(number, 300),
        });
        let source = bench.tokens.source(request("a"));
        sleep(Duration::from_millis(500)).await;
        let error = source.status().last_error.unwrap();
        assert_eq!(error.cause, cause, "{status} {body}");
        assert!(source.wait(soon()).await.is_ok(), "{status} {body}");
    }
    assert!(Answer::new(200, huge).read(UNIX_EPOCH).is_ok(), "length is the endpoint's business");
}

#[tokio::test(start_paused = true)]
async fn answers_of_every_spelling_are_tokens() {
    for body in [
        r#"{"access_token":"x"}"#,
        r#"{"access_token":"x","token_type":null,"expires_in":null}"#,
        r#"{"access_token":"x","token_type":"bearer","expires_in":"300"}"#,
        r#"{"access_token":"x","token_type":"BEARER","expires_in":300.5,"scope":"s","not-before-policy":0}"#,
        r#" {"access_token":"x","expires_in":"soon"} "#,
        r#"{"access_token":"x","expires_in":-1}"#,
        r#"{"access_token":"x","expires_in":{"a":1}}"#,
        r#"{"access_token":"a.b.c","expires_in":1e300}"#,
    ] {
        assert!(Answer::new(200, body).read(UNIX_EPOCH).is_ok(), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_never_answers_is_given_up_and_asked_again() {
    let bench = bench(|_, number| match number {
        1 => token(1, 300).after(secs(1_000_000)),
        _ => token(number, 300),
    });
    let source = bench.tokens.source(request("a"));
    let token = source.wait(Instant::now() + secs(60)).await.unwrap();
    assert_eq!(source.status().requests.transient, 1);
    assert_eq!(token.generation(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_secret_is_in_status_errors_or_debug() {
    let bench = bench(|_, number| match number {
        1 => token(1, 30),
        2 => reply(400, r#"{"error":"invalid_request","error_description":"canary-secret"}"#),
        _ => reply(401, r#"{"error":"canary-secret is WRONG"}"#),
    });
    let source = bench.tokens.source(request("a"));
    let token = source.wait(soon()).await.unwrap();
    let mut shown = format!("{token:?} {:?} {:?}", token.authorization(), Answer::new(200, "canary-token"));
    for _ in 0..60 {
        sleep(secs(10)).await;
        let status = source.status();
        shown += &format!("{status:?} {}", serde_json::to_string(&status).unwrap());
        if let Err(unavailable) = source.wait(Instant::now()).await {
            shown += &format!("{unavailable:?} {unavailable}");
        }
    }
    assert!(shown.contains("invalid_request") && !shown.contains("canary"), "{shown}");
}
