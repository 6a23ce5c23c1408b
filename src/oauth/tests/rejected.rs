//! Refused credentials: probed slowly, told at once, forgotten as soon as they change.

use super::*;

const REFUSED: &str = r#"{"error":"invalid_client"}"#;

fn secret(request: &TokenRequest) -> &str {
    let ClientAuth::Post(secret) = &request.client_auth else { panic!("another method") };
    secret.expose()
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_make_few_requests_and_no_waiting() {
    let bench = bench(|_, _| reply(401, "Unauthorized"));
    let source = bench.tokens.source(request("a"));
    let refused = source.wait(soon()).await.unwrap_err();
    assert_eq!(refused.cause, Some(Cause::Rejected));
    assert_eq!(refused.retry_after, Some(secs(300)));
    for _ in 0..600 {
        let begun = Instant::now();
        assert!(source.wait(soon()).await.is_err());
        assert_eq!(begun.elapsed(), Duration::ZERO);
        sleep(secs(1)).await;
    }
    assert!(bench.asked() <= 3, "{} requests in ten minutes", bench.asked());
    assert_eq!(source.status().state, State::Rejected);
    sleep(secs(24 * 3600)).await;
    assert!(bench.asked() <= 30, "{} requests in a day", bench.asked());
    bench.script(|_, number| token(number, 300));
    sleep(secs(3601)).await;
    assert_eq!(source.status().requests.ok, 1);
    source.wait(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refused_client_is_refused_for_every_audience() {
    let bench = bench(|_, _| reply(401, REFUSED));
    let sources = ["a", "b", "c", "d"].map(|audience| bench.tokens.source(request(audience)));
    sleep(secs(200)).await;
    assert_eq!(bench.asked(), 1);
    for source in &sources {
        let refused = source.wait(soon()).await.unwrap_err();
        assert_eq!(refused.cause, Some(Cause::Rejected));
        assert_eq!(source.status().last_error.unwrap().code.as_deref(), Some("invalid_client"));
        assert_eq!(source.status().state, State::Rejected);
    }
    bench.script(|_, _| reply(401, REFUSED).after(secs(30)));
    sleep(secs(200)).await;
    assert_eq!(bench.asked(), 2, "one source probes for all, however slow the answer");
    bench.script(|_, number| token(number, 300));
    sleep(secs(700)).await;
    assert!(sources.iter().all(|source| source.current().is_some()));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_tells_nothing_is_soon_repeated() {
    let bench = bench(|_, number| match number {
        1 => reply(401, REFUSED),
        2 => reply(503, ""),
        _ => token(number, 300),
    });
    let source = bench.tokens.source(request("a"));
    sleep(secs(299)).await;
    assert_eq!(bench.asked(), 1);
    sleep(secs(4)).await;
    assert_eq!((bench.asked(), source.current().is_some()), (3, true));
}

#[tokio::test(start_paused = true)]
async fn a_refused_audience_is_its_own_affair() {
    let bench = bench(|request, number| match request.audience.as_deref() {
        Some("a") => reply(403, r#"{"error":"access_denied"}"#),
        _ => token(number, 300),
    });
    let sources = ["a", "b"].map(|audience| bench.tokens.source(request(audience)));
    sleep(secs(3)).await;
    assert!(sources[0].current().is_none() && sources[1].current().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_changed_secret_is_tried_at_once_and_the_old_token_serves_until_then() {
    let bench = bench(|request, number| match secret(request) {
        "canary-secret" if number == 1 => token(1, 300),
        "canary-secret" => reply(401, REFUSED),
        _ => token(number, 300).after(secs(3)),
    });
    let old = bench.tokens.source(request("a"));
    old.wait(soon()).await.unwrap();
    sleep(secs(270)).await;
    assert_eq!(old.status().requests.rejected, 1);
    let new = bench
        .tokens
        .succeed(&old, TokenRequest { client_auth: ClientAuth::Post("new".into()), ..request("a") });
    drop(old);
    assert_eq!(new.current().unwrap().generation(), 1);
    sleep(secs(4)).await;
    assert_eq!(new.current().unwrap().generation(), 2);
    assert_eq!(bench.asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_old_secret_is_not_sent_again_although_somebody_still_holds_its_source() {
    let bench = bench(|_, number| token(number, 300));
    let old = bench.tokens.source(request("a"));
    old.wait(soon()).await.unwrap();
    let changed = TokenRequest { client_auth: ClientAuth::Post("new".into()), ..request("a") };
    let new = bench.tokens.succeed(&old, changed);
    for _ in 0..600 {
        new.wait(soon()).await.unwrap();
        sleep(secs(1)).await;
    }
    assert_eq!(old_requests(&bench), 1);
    // Whoever goes back to it is served by it again.
    let back = bench.tokens.succeed(&new, request("a"));
    sleep(secs(600)).await;
    back.wait(soon()).await.unwrap();
    assert!(old_requests(&bench) > 1);
}

fn old_requests(bench: &Bench) -> usize {
    let asked = bench.fake.asked.lock().unwrap();
    asked.iter().filter(|(_, request)| secret(request) == "canary-secret").count()
}

#[tokio::test(start_paused = true)]
async fn a_refused_secret_that_changes_recovers_at_once() {
    let bench = bench(|request, number| match secret(request) {
        "canary-secret" => reply(401, REFUSED),
        _ => token(number, 300),
    });
    let old = bench.tokens.source(request("a"));
    old.wait(soon()).await.unwrap_err();
    sleep(secs(60)).await;
    let new = bench
        .tokens
        .succeed(&old, TokenRequest { client_auth: ClientAuth::Post("new".into()), ..request("a") });
    let begun = Instant::now();
    new.wait(soon()).await.unwrap();
    assert_eq!(begun.elapsed().as_millis() / 10, 5);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_never_taken_over_by_a_request_for_something_else() {
    let bench = bench(|_, number| if number == 1 { token(1, 300) } else { reply(500, "") });
    let old = bench.tokens.source(request("a"));
    old.wait(soon()).await.unwrap();
    for other in [request("b"), TokenRequest { client_id: "other".into(), ..request("a") }] {
        assert!(bench.tokens.succeed(&old, other).current().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_touched_file_with_the_same_credentials_is_tried_at_once_too() {
    let bench = bench(|_, number| if number == 1 { reply(401, REFUSED) } else { token(number, 300) });
    let source = bench.tokens.source(request("a"));
    source.wait(soon()).await.unwrap_err();
    sleep(secs(60)).await;
    source.retry();
    source.wait(soon()).await.unwrap();
}
