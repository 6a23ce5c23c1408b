//! One request for everybody, at the pace of the host.

use super::*;

#[tokio::test(start_paused = true)]
async fn ten_thousand_waiters_over_four_scopes_make_four_requests() {
    let bench = bench(|request, _| {
        let body = json!({ "access_token": request.audience.as_deref().unwrap(), "expires_in": 86_400 });
        reply(200, body.to_string())
    });
    let sources = ["a", "b", "c", "d"].map(|audience| bench.tokens.source(request(audience)));
    let mut waiters = tokio::task::JoinSet::new();
    for number in 0..10_000 {
        let source = sources[number % 4].clone();
        let expected = format!("Bearer {}", ["a", "b", "c", "d"][number % 4]);
        waiters.spawn(async move {
            let token = source.wait(soon()).await.unwrap();
            let authorization = token.authorization().unwrap();
            assert_eq!(authorization, expected.as_str());
            assert!(authorization.is_sensitive());
        });
    }
    let begun = Instant::now();
    waiters.join_all().await;
    assert_eq!(bench.asked(), 4);
    assert!(begun.elapsed() < Duration::from_millis(3500), "{:?}", begun.elapsed());
    assert_eq!(sources[0].status().waiters, 0);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_leaves_cancels_nothing() {
    let bench = bench(|_, number| token(number, 300).after(secs(5)));
    let source = bench.tokens.source(request("a"));
    let left = source.wait(Instant::now() + secs(1)).await.unwrap_err();
    assert_eq!((left.cause, left.retry_after), (None, None));
    let stayed = source.clone();
    let stayer = tokio::spawn(async move { stayed.wait(soon()).await });
    let leaver = source.clone();
    let leaver = tokio::spawn(async move { leaver.wait(soon()).await });
    sleep(secs(1)).await;
    assert_eq!(source.status().waiters, 2);
    leaver.abort();
    assert!(stayer.await.unwrap().is_ok());
    assert_eq!(bench.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_equal_request_has_the_same_source_and_its_task_ends_with_the_last_holder() {
    let bench = bench(|_, number| token(number, 300));
    let source = bench.tokens.source(request("a"));
    assert!(Arc::ptr_eq(&source, &bench.tokens.clone().source(request("a"))));
    source.wait(soon()).await.unwrap();
    drop(source);
    sleep(secs(3600)).await;
    assert_eq!((bench.asked(), bench.tokens.sources().len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn whoever_is_waited_for_goes_first() {
    let bench = bench(|_, number| token(number, 300));
    let _eager = bench.tokens.source(request("a"));
    sleep(Duration::from_millis(10)).await;
    let _background = bench.tokens.source(request("b"));
    sleep(Duration::from_millis(10)).await;
    bench.tokens.source(request("c")).wait(soon()).await.unwrap();
    assert_eq!(bench.fake.asked.lock().unwrap()[1].1.audience.as_deref(), Some("c"));
}

#[tokio::test(start_paused = true)]
async fn a_silent_answer_holds_up_its_own_request_alone() {
    let bench = bench(|request, number| match request.audience.as_deref() {
        Some("tarpit") => reply(401, "").after(secs(30)),
        _ => token(number, 300),
    });
    let _held = bench.tokens.source(request("tarpit"));
    sleep(Duration::from_millis(10)).await;
    let begun = Instant::now();
    bench.tokens.source(request("a")).wait(soon()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(3100), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_source_can_be_waited_for_from_another_thread_and_runtime() {
    let bench = bench(|_, number| token(number, 300));
    let source = bench.tokens.source(request("a"));
    source.wait(soon()).await.unwrap();
    let elsewhere = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(source.wait(Instant::now() + secs(1))).map(|token| token.generation())
    });
    assert_eq!(elsewhere.join().unwrap().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_killed_renewal_task_starts_again() {
    let bench = bench(|_, number| if number == 1 { panic!("on purpose") } else { token(number, 300) });
    let source = bench.tokens.source(request("a"));
    let begun = Instant::now();
    source.wait(soon()).await.unwrap();
    assert!(begun.elapsed() < secs(3), "{:?}", begun.elapsed());
    let status = source.status();
    assert_eq!((status.restarts, status.requests.transient, status.requests.ok), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_dies_every_time_asks_no_faster_than_a_failing_endpoint() {
    let bench = bench(|_, _| panic!("on purpose"));
    let _source = bench.tokens.source(request("a"));
    sleep(secs(3600)).await;
    assert!(bench.asked() < 120, "{} requests", bench.asked());
}
