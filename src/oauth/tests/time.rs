//! Clocks that jump, stand still or are simply wrong.

use http::header;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_suspended_machine_wakes_without_serving_a_dead_token() {
    let bench = bench(|_, number| token(number, 3600));
    let source = bench.tokens.source(request("a"));
    source.wait(soon()).await.unwrap();
    // The monotonic clock stands still meanwhile.
    bench.clock.step(7200);
    assert!(source.current().is_none());
    assert_eq!(source.wait(soon()).await.unwrap().generation(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_suspended_machine_renews_by_itself_when_it_wakes() {
    let bench = bench(|_, number| token(number, 3600));
    let source = bench.tokens.source(request("a"));
    source.wait(soon()).await.unwrap();
    bench.clock.step(3000);
    sleep(secs(12)).await;
    assert_eq!(source.current().unwrap().generation(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_clock_stepped_back_prolongs_no_life() {
    let bench = bench(|_, number| if number == 1 { token(1, 3600) } else { reply(500, "") });
    let source = bench.tokens.source(request("a"));
    source.wait(soon()).await.unwrap();
    bench.clock.step(-7200);
    sleep(secs(3590)).await;
    assert!(source.current().is_some());
    sleep(secs(10)).await;
    assert!(source.current().is_none());
}

#[tokio::test(start_paused = true)]
async fn steps_back_and_forth_make_few_requests() {
    let bench = bench(|_, number| token(number, 3600));
    let source = bench.tokens.source(request("a"));
    for hours in [2, -2, 2, -2, 2, -2] {
        bench.clock.step(hours * 3600);
        sleep(secs(60)).await;
        assert!(source.current().is_some());
    }
    assert!(bench.asked() <= 7, "{} requests", bench.asked());
}

#[tokio::test(start_paused = true)]
async fn a_wrong_clock_of_ours_breaks_nothing() {
    for ahead in [-7200, 0, 7200] {
        let bench = bench(|_, _| reply(500, ""));
        let truth = bench.clock.clone();
        let ours = Clock::steered(truth.wall());
        ours.step(ahead);
        bench.script(move |_, number| {
            let now = truth.wall();
            let exp = unix(now) + 300;
            let body = json!({ "access_token": jwt(number, exp), "expires_in": 300 }).to_string();
            let answer = Answer::new(200, body).with(header::DATE, &httpdate::fmt_http_date(now));
            Reply { after: Duration::ZERO, with: Ok(answer) }
        });
        let tokens = Tokens::new(&Config::default(), bench.fake.clone(), ours);
        let source = tokens.source(request("a"));
        source.wait(soon()).await.unwrap();
        for _ in 0..3600 {
            sleep(secs(1)).await;
            assert!(source.current().is_some(), "clock {ahead} s ahead");
        }
        assert!(bench.asked() <= 17, "{} requests, clock {ahead} s ahead", bench.asked());
        assert!((source.status().skew_seconds.unwrap() + ahead).abs() <= 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_dead_by_its_endpoints_own_clock_is_refused() {
    let bench = bench(|_, _| reply(500, ""));
    let clock = bench.clock.clone();
    bench.script(move |_, number| {
        let body = json!({ "access_token": jwt(number, unix(clock.wall()) - 100), "expires_in": 300 });
        let answer = Answer::new(200, body.to_string());
        let answer = answer.with(header::DATE, &httpdate::fmt_http_date(clock.wall()));
        Reply { after: Duration::ZERO, with: Ok(answer) }
    });
    let source = bench.tokens.source(request("a"));
    sleep(secs(1)).await;
    assert!(source.current().is_none());
    assert_eq!(source.status().last_error.unwrap().cause, Cause::Malformed);
}

#[tokio::test(start_paused = true)]
async fn a_life_begins_when_the_token_was_asked_for() {
    let bench = bench(|_, number| match number {
        1 => token(1, 100).after(secs(30)),
        _ => reply(500, ""),
    });
    let begun = Instant::now();
    let source = bench.tokens.source(request("a"));
    source.wait(Instant::now() + secs(40)).await.unwrap();
    while source.current().is_some() {
        sleep(secs(1)).await;
    }
    assert!((90..100).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}
