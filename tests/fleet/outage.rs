//! One failure for all: rate limits, refused credentials, back-off; and work without the store.

use camunda_auth_proxy::oauth::{Cause, ClientAuth, TokenRequest};
use tokio::time::{Instant, sleep};

use super::*;

fn soon() -> Instant {
    Instant::now() + secs(10)
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_that_one_meets_stops_all() {
    let world = World::new(|_, number| match number {
        1 => {
            let reply = status(429, "");
            let with = reply.with.map(|answer| answer.with(http::header::RETRY_AFTER, "60"));
            Reply { with, ..reply }
        }
        _ => ok(number, 3600),
    });
    let model = Model::new(&world.clock);
    let first = engines(&world, &model, 1, "a");
    sleep(secs(2)).await;
    let others: Vec<_> =
        ["a", "b"].iter().flat_map(|audience| engines(&world, &model, 5, audience)).collect();
    sleep(secs(40)).await;
    assert_eq!(world.asked(), 1);
    for (_, source) in first.iter().chain(&others) {
        let unavailable = source.wait(soon()).await.expect_err("no token");
        assert_eq!(unavailable.cause, Some(Cause::RateLimited));
    }
    sleep(secs(30)).await;
    assert!(first.iter().chain(&others).all(|(_, source)| source.current().is_some()));
    assert_eq!((world.asked(), world.broken()), (3, vec![]));
}

#[tokio::test(start_paused = true)]
async fn rate_limits_without_a_time_grow_longer_whoever_meets_them() {
    let world = World::new(|_, _| status(429, ""));
    let model = Model::new(&world.clock);
    let engines = engines(&world, &model, 20, "a");
    sleep(secs(3600)).await;
    // Doubling to five minutes: some twenty in an hour, and not a hundred.
    assert!(world.asked() < 30, "{}", world.asked());
    drop(engines);
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_goes_on_with_the_back_off_of_those_before() {
    let world = World::new(|_, _| status(503, ""));
    let model = Model::new(&world.clock);
    let begun = Instant::now();
    while begun.elapsed() < secs(3600) {
        let _one = engines(&world, &model, 1, "a");
        sleep(secs(7)).await;
    }
    // Alone, one process would make about 30; starting anew each time, 500 and more.
    assert!(world.asked() < 60, "{}", world.asked());
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_tried_by_one_for_all_and_new_ones_at_once() {
    let world = World::new(|request, number| match &request.client_auth {
        ClientAuth::Post(secret) if secret.expose() == "canary-secret" => {
            status(401, r#"{"error":"invalid_client"}"#)
        }
        _ => ok(number, 3600),
    });
    let model = Model::new(&world.clock);
    let engines = engines(&world, &model, 20, "a");
    for (_, source) in &engines {
        let unavailable = source.wait(soon()).await.expect_err("no token");
        assert_eq!(unavailable.cause, Some(Cause::Rejected));
    }
    sleep(secs(200)).await;
    assert_eq!(world.asked(), 1);
    let mended = TokenRequest { client_auth: ClientAuth::Post("mended".into()), ..request("a") };
    let begun = Instant::now();
    for (tokens, _) in &engines {
        tokens.source(mended.clone()).wait(soon()).await.expect("a token");
    }
    assert!(begun.elapsed() < secs(2), "{:?}", begun.elapsed());
    assert_eq!(world.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_touched_file_is_a_new_try_although_others_failed_before() {
    let world = World::new(|_, _| status(401, r#"{"error":"access_denied"}"#));
    let model = Model::new(&world.clock);
    let engines = engines(&world, &model, 2, "a");
    sleep(secs(10)).await;
    assert_eq!(world.asked(), 1);
    world.script(|_, number| ok(number, 3600));
    engines[0].1.retry();
    engines[0].1.wait(soon()).await.expect("a token");
    // The other one looks while it has none.
    sleep(secs(11)).await;
    assert!(engines[1].1.current().is_some());
    assert_eq!(world.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_its_store_a_process_works_alone() {
    let world = World::new(|_, number| ok(number, 3600));
    let model = Model::new(&world.clock);
    model.state().down = true;
    let one = engines(&world, &model, 1, "a").remove(0);
    one.1.wait(soon()).await.expect("a token");
    assert_eq!(one.0.store().expect("a store").state, "down");
    model.state().down = false;
    sleep(secs(10)).await;
    assert_eq!(one.0.store().expect("a store").state, "up");
    // The store has what was obtained without it.
    drop(one);
    let next = engines(&world, &model, 1, "a").remove(0);
    next.1.wait(soon()).await.expect("a token");
    assert_eq!(world.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_lost_and_comes_back_empty_gets_the_tokens_again() {
    let world = World::new(|_, number| ok(number, 3600));
    let model = Model::new(&world.clock);
    let engines = engines(&world, &model, 5, "a");
    sleep(secs(30)).await;
    model.state().down = true;
    model.state().entries.clear();
    sleep(secs(1000)).await;
    assert!(engines.iter().all(|(_, source)| source.current().is_some()));
    model.state().down = false;
    sleep(secs(20)).await;
    assert_eq!(model.state().entries.len(), 1);
    assert_eq!(world.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_given_up_and_nobody_waits_for_it_again() {
    let world = World::new(|_, number| ok(number, 3600));
    let model = Model::new(&world.clock);
    model.state().latency = secs(3);
    model.state().down = true;
    let begun = Instant::now();
    let one = engines(&world, &model, 1, "a").remove(0);
    one.1.wait(soon()).await.expect("a token");
    assert!(begun.elapsed() < secs(4), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_damaged_entry_is_replaced() {
    let world = World::new(|_, number| ok(number, 3600));
    let model = Model::new(&world.clock);
    drop({
        let one = engines(&world, &model, 1, "a").remove(0);
        one.1.wait(soon()).await.expect("a token");
        sleep(secs(1)).await;
        one
    });
    for entry in model.state().entries.values_mut() {
        entry[20] ^= 1;
    }
    let one = engines(&world, &model, 1, "a").remove(0);
    assert_eq!(one.1.wait(soon()).await.expect("a token").reveal(), "token-2");
    sleep(secs(1)).await;
    drop(one);
    let one = engines(&world, &model, 1, "a").remove(0);
    assert_eq!(one.1.wait(soon()).await.expect("a token").reveal(), "token-2");
}
