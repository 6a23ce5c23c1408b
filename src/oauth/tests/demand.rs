//! Demands by hand: within the pace, joined by whoever demands the same, and not in a loop.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_renewal_keeps_the_old_token_until_the_next_one_is_there() {
    let bench = bench(|_, number| token(number, 86_400).after(secs(2)));
    let source = bench.tokens.source(request("a"));
    source.wait(soon()).await.unwrap();
    sleep(secs(10)).await;
    assert_eq!(source.renew().result, Outcome::Queued);
    assert_eq!(source.renew().result, Outcome::Joined, "before it begins");
    sleep(secs(1)).await;
    assert_eq!(source.renew().result, Outcome::Joined, "while it is under way");
    assert_eq!(source.current().unwrap().generation(), 1);
    sleep(secs(2)).await;
    assert_eq!((source.current().unwrap().generation(), bench.asked()), (2, 2));
    let refused = source.renew();
    assert_eq!(refused.result, Outcome::Refused);
    assert!(refused.next_attempt.unwrap() > bench.clock.wall());
    sleep(secs(60)).await;
    assert_eq!((bench.asked(), source.renew().result), (2, Outcome::Queued));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_after_a_purge_until_the_next_token_is_there() {
    let bench = bench(|_, number| token(number, 86_400).after(secs(2)));
    let source = bench.tokens.source(request("a"));
    source.wait(soon()).await.unwrap();
    sleep(secs(10)).await;
    assert_eq!(source.purge().result, Outcome::Queued);
    assert!(source.current().is_none());
    assert_eq!(source.purge().result, Outcome::Refused);
    assert_eq!(source.wait(soon()).await.unwrap().generation(), 2);
    assert_eq!(bench.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn demands_of_every_scope_at_once_keep_to_the_pace() {
    let bench = bench(|_, number| token(number, 300));
    let sources = ["a", "b", "c", "d"].map(|audience| bench.tokens.source(request(audience)));
    sleep(secs(10)).await;
    for _ in 0..600 {
        for source in &sources {
            source.renew();
            source.purge();
        }
        sleep(secs(1)).await;
    }
    // The bench itself watches that no two of them are less than a second apart.
    assert!(bench.asked() <= 4 * 25, "{} requests in ten minutes", bench.asked());
}

#[tokio::test(start_paused = true)]
async fn a_demand_obeys_a_rate_limit_and_forgets_a_quarantine() {
    let limited = bench(|_, _| {
        let answer = Answer::new(429, "").with(http::header::RETRY_AFTER, "90");
        Reply { after: Duration::ZERO, with: Ok(answer) }
    });
    let source = limited.tokens.source(request("a"));
    sleep(secs(1)).await;
    let demand = source.renew();
    assert_eq!(demand.result, Outcome::Waiting);
    assert!(demand.next_attempt.unwrap() > limited.clock.wall() + secs(80));
    sleep(secs(80)).await;
    assert_eq!(limited.asked(), 1);

    let refused = bench(|_, number| if number == 1 { reply(401, "") } else { token(number, 300) });
    let source = refused.tokens.source(request("a"));
    sleep(secs(10)).await;
    assert_eq!(source.status().state, State::Rejected);
    source.renew();
    sleep(secs(1)).await;
    assert_eq!(source.status().state, State::Valid);
}

#[tokio::test(start_paused = true)]
async fn a_demand_wakes_an_idle_scope() {
    let bench = bench(|_, number| token(number, 300));
    let source = bench.tokens.source(request("a"));
    sleep(secs(2 * 3600)).await;
    assert_eq!(source.status().state, State::Idle);
    let before = bench.asked();
    source.renew();
    sleep(secs(2)).await;
    assert_eq!((bench.asked(), source.current().is_some()), (before + 1, true));
}
