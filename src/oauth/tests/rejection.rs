//! The upstream's rejections of a token: one renewal for everybody, seldom, and less and less when it does not help.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use super::*;

/// An upstream that accepts the tokens from some generation on.
struct Upstream(AtomicU64);

impl Upstream {
    fn from(generation: u64) -> Upstream {
        Upstream(AtomicU64::new(generation))
    }

    fn accepts(&self, generation: u64) -> bool {
        generation >= self.0.load(Relaxed)
    }

    /// One request as the proxy handles it: sent with the current token, and once more when there is another one.
    /// Says whether it was accepted in the end.
    async fn call(&self, source: &TokenSource) -> bool {
        let sent = source.current().unwrap().generation();
        if self.accepts(sent) {
            source.accepted(sent);
            return true;
        }
        let next = match source.rejected(sent) {
            Verdict::Newer(token) => Some(token),
            Verdict::Renewing => source.renewed(sent, soon()).await,
            Verdict::TooSoon | Verdict::Paused => None,
        };
        let Some(next) = next.map(|token| token.generation()) else { return false };
        let accepted = self.accepts(next);
        if accepted {
            source.helped(next)
        } else {
            drop(source.rejected(next))
        }
        accepted
    }
}

const NOTHING: u64 = u64::MAX;

async fn ready(bench: &Bench) -> Arc<TokenSource> {
    let source = bench.tokens.source(request("a"));
    source.wait(soon()).await.unwrap();
    source
}

fn day(bench: &Bench) {
    bench.script(|_, number| token(number, 86_400));
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_rejected_requests_make_one_renewal_and_all_are_helped() {
    let bench = bench(|_, number| token(number, 86_400));
    let source = ready(&bench).await;
    let upstream = Arc::new(Upstream::from(2));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..10_000 {
        let (source, upstream) = (source.clone(), upstream.clone());
        calls.spawn(async move { upstream.call(&source).await });
    }
    assert!(calls.join_all().await.iter().all(|accepted| *accepted));
    assert_eq!((bench.asked(), source.status().waiters), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_late_rejections_of_an_older_token_costs_nothing() {
    let bench = bench(|_, number| token(number, 86_400));
    let source = ready(&bench).await;
    assert!(Upstream::from(2).call(&source).await);
    sleep(secs(90)).await;
    for _ in 0..1000 {
        assert!(matches!(source.rejected(1), Verdict::Newer(token) if token.generation() == 2));
        assert_eq!(source.other_than(1).unwrap().generation(), 2);
        assert_eq!(source.renewed(1, soon()).await.unwrap().generation(), 2);
    }
    sleep(secs(300)).await;
    assert_eq!(bench.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_of_a_thousand_rejections_a_second_make_at_most_one_renewal_a_minute() {
    let bench = bench(|_, number| token(number, 86_400));
    let source = ready(&bench).await;
    let upstream = Arc::new(Upstream::from(NOTHING));
    let begun = Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    while begun.elapsed() < secs(600) {
        for _ in 0..10 {
            let (source, upstream) = (source.clone(), upstream.clone());
            calls.spawn(async move { upstream.call(&source).await });
        }
        sleep(Duration::from_millis(10)).await;
        while calls.try_join_next().is_some() {}
    }
    // After three in vain it pauses for five minutes, and then tries once.
    let asked: Vec<u64> =
        bench.fake.asked.lock().unwrap().iter().map(|(at, _)| (*at - begun).as_secs()).collect();
    assert_eq!(asked, [0, 1, 61, 121, 421], "the first is the one at the start");
}

#[tokio::test(start_paused = true)]
async fn renewals_that_help_are_never_more_than_one_a_minute_and_never_pause() {
    let bench = bench(|_, number| token(number, 86_400));
    let source = ready(&bench).await;
    let upstream = Upstream::from(1);
    for second in 0..1800 {
        // Somebody revokes what is current every ten seconds.
        if second % 10 == 0 {
            upstream.0.store(source.current().unwrap().generation() + 1, Relaxed);
        }
        upstream.call(&source).await;
        assert_eq!(source.status().renew_on_401, RenewOn401::Active);
        sleep(secs(1)).await;
    }
    assert!((25..=31).contains(&bench.asked()), "{} requests in half an hour", bench.asked());
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_brings_the_same_token_helps_nobody() {
    let bench = bench(|_, _| token(1, 86_400));
    let source = ready(&bench).await;
    assert!(matches!(source.rejected(1), Verdict::Renewing));
    assert!(source.renewed(1, soon()).await.is_none());
    assert!(matches!(source.rejected(1), Verdict::TooSoon));
    assert_eq!((bench.asked(), source.current().unwrap().generation()), (2, 1));
    let upstream = Upstream::from(NOTHING);
    for _ in 0..300 {
        upstream.call(&source).await;
        sleep(secs(1)).await;
    }
    assert_eq!((bench.asked(), source.status().renew_on_401), (4, RenewOn401::Paused));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_leaves_the_token_where_it_is() {
    let bench = bench(|_, number| if number == 1 { token(1, 86_400) } else { reply(503, "") });
    let source = ready(&bench).await;
    for _ in 0..59 {
        assert!(!Upstream::from(NOTHING).call(&source).await);
        assert_eq!(source.current().unwrap().generation(), 1);
        sleep(secs(1)).await;
    }
    assert_eq!(bench.asked(), 2, "a failed one counts as the minute's");
    sleep(secs(2)).await;
    day(&bench);
    assert!(Upstream::from(2).call(&source).await);
    assert_eq!(source.status().state, State::Valid);
}

#[tokio::test(start_paused = true)]
async fn a_rate_limited_host_is_left_alone_and_nobody_waits_for_it() {
    let bench = bench(|_, number| match number {
        1 => token(1, 86_400),
        2 => {
            Reply { with: Ok(Answer::new(429, "").with(http::header::RETRY_AFTER, "600")), ..reply(429, "") }
        }
        _ => token(number, 86_400),
    });
    let source = ready(&bench).await;
    assert!(!Upstream::from(2).call(&source).await);
    for _ in 0..585 {
        sleep(secs(1)).await;
        let begun = Instant::now();
        assert!(!Upstream::from(2).call(&source).await);
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
    assert_eq!(bench.asked(), 2);
    // What was wanted meanwhile is made up for.
    sleep(secs(20)).await;
    assert_eq!((bench.asked(), source.current().unwrap().generation()), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_probed_no_sooner() {
    let bench = bench(|_, number| match number {
        1 => token(1, 86_400),
        _ => reply(401, r#"{"error":"invalid_client"}"#),
    });
    let source = ready(&bench).await;
    for second in 0..900 {
        let begun = Instant::now();
        assert!(!Upstream::from(NOTHING).call(&source).await);
        assert!(second == 0 || begun.elapsed() < secs(1), "{second}");
        sleep(secs(1)).await;
    }
    assert_eq!(source.current().unwrap().generation(), 1);
    assert_eq!(bench.asked(), 3, "the first token, its renewal, one probe after five minutes");
}

#[tokio::test(start_paused = true)]
async fn a_pause_doubles_up_to_an_hour_with_one_probe_at_each_end() {
    let bench = bench(|_, number| token(number, 7 * 86_400));
    let source = ready(&bench).await;
    let upstream = Upstream::from(NOTHING);
    let begun = Instant::now();
    while begun.elapsed() < secs(5 * 3600) {
        upstream.call(&source).await;
        upstream.call(&source).await;
        sleep(secs(1)).await;
    }
    let asked = bench.fake.asked.lock().unwrap();
    let minutes: Vec<u64> =
        asked.windows(2).skip(1).map(|pair| (pair[1].0 - pair[0].0).as_secs() / 60).collect();
    assert_eq!(minutes, [1, 1, 5, 10, 20, 40, 60, 60, 60]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_shown_and_a_probe_that_helps_ends_it() {
    let bench = bench(|_, number| token(number, 86_400));
    let source = ready(&bench).await;
    let upstream = Upstream::from(NOTHING);
    while source.status().renew_on_401 == RenewOn401::Active {
        upstream.call(&source).await;
        sleep(secs(1)).await;
    }
    let status = source.status();
    let left = status.renew_on_401_paused_until.unwrap().duration_since(bench.clock.wall()).unwrap();
    assert_eq!((status.renew_on_401, left.as_secs()), (RenewOn401::Paused, 299));
    upstream.0.store(source.current().unwrap().generation() + 1, Relaxed);
    assert!(!upstream.call(&source).await);
    sleep(secs(300)).await;
    assert_eq!(source.status().renew_on_401, RenewOn401::Probing);
    assert!(upstream.call(&source).await);
    let status = source.status();
    assert_eq!((status.renew_on_401, status.renew_on_401_paused_until), (RenewOn401::Active, None));
    // And the next one is helped as if nothing had been.
    sleep(secs(61)).await;
    upstream.0.fetch_add(1, Relaxed);
    assert!(upstream.call(&source).await);
}

/// Four requests of a client, each with a token that no request accepts, so that renewing pauses.
async fn paused(bench: &Bench) -> Arc<TokenSource> {
    let source = ready(bench).await;
    while source.status().renew_on_401 == RenewOn401::Active {
        Upstream::from(NOTHING).call(&source).await;
        sleep(secs(1)).await;
    }
    source
}

#[tokio::test(start_paused = true)]
async fn a_success_ends_a_pause_once_no_rejection_contradicts_it() {
    let bench = bench(|_, number| token(number, 86_400));
    let source = paused(&bench).await;
    let current = source.current().unwrap().generation();
    source.accepted(current);
    assert_eq!(source.status().renew_on_401, RenewOn401::Paused);
    sleep(secs(60)).await;
    source.accepted(current - 1);
    assert_eq!(source.status().renew_on_401, RenewOn401::Paused, "another token's success says nothing");
    source.accepted(current);
    assert_eq!(source.status().renew_on_401, RenewOn401::Active);
}

#[tokio::test(start_paused = true)]
async fn a_path_that_always_answers_401_pauses_renewals_however_well_the_others_do() {
    let bench = bench(|_, number| token(number, 7 * 86_400));
    let source = ready(&bench).await;
    for _ in 0..8640 {
        source.accepted(source.current().unwrap().generation());
        Upstream::from(NOTHING).call(&source).await;
        source.accepted(source.current().unwrap().generation());
        sleep(secs(10)).await;
    }
    assert!(bench.asked() < 35, "{} requests in a day", bench.asked());
}

#[tokio::test(start_paused = true)]
async fn a_rejection_while_the_token_is_being_renewed_anyway_joins_that_request() {
    let bench = bench(|_, number| token(number, 300).after(secs(5)));
    let source = ready(&bench).await;
    while source.status().state != State::Renewing {
        sleep(secs(1)).await;
        source.current();
    }
    assert!(matches!(source.rejected(1), Verdict::Renewing));
    assert_eq!(source.renewed(1, soon()).await.unwrap().generation(), 2);
    assert_eq!(bench.asked(), 2);
    // It was revoked as well, because its request was answered before: the minute has not begun with it.
    assert!(Upstream::from(3).call(&source).await);
    assert_eq!(bench.asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_token_taken_over_from_an_older_secret_is_followed_by_the_new_ones() {
    let bench = bench(|_, number| token(number, 86_400).after(secs(2)));
    let old = ready(&bench).await;
    let mut renewed = request("a");
    renewed.client_auth = ClientAuth::Post("new".into());
    let new = bench.tokens.succeed(&old, renewed);
    assert_eq!(new.current().unwrap().generation(), 1);
    assert!(matches!(new.rejected(1), Verdict::Renewing));
    assert_eq!(new.renewed(1, soon()).await.unwrap().generation(), 2);
    assert!(matches!(new.rejected(1), Verdict::Newer(_)));
    assert!(matches!(old.rejected(1), Verdict::Renewing), "the older source knows nothing of it");
}

#[tokio::test(start_paused = true)]
async fn whoever_cannot_wait_longer_leaves_and_the_renewal_goes_on() {
    let bench = bench(|_, number| token(number, 86_400).after(secs(5)));
    let source = ready(&bench).await;
    assert!(matches!(source.rejected(1), Verdict::Renewing));
    let begun = Instant::now();
    assert!(source.renewed(1, Instant::now() + secs(1)).await.is_none());
    assert_eq!(begun.elapsed(), secs(1));
    sleep(secs(6)).await;
    assert_eq!((bench.asked(), source.current().unwrap().generation()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_nobody_waits_for_is_made_too_even_of_a_short_lived_token() {
    let bench = bench(|_, number| token(number, 50));
    let source = ready(&bench).await;
    assert!(matches!(source.rejected(1), Verdict::Renewing));
    sleep(secs(2)).await;
    assert_eq!((bench.asked(), source.current().unwrap().generation()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_rejected_token_that_has_ended_is_followed_by_the_next() {
    let bench = bench(|_, number| token(number, 30));
    let source = ready(&bench).await;
    sleep(secs(100)).await;
    assert!(source.current().is_none(), "the second was used by nobody and has ended");
    assert!(matches!(source.rejected(2), Verdict::Renewing));
    assert_eq!(source.renewed(2, soon()).await.unwrap().generation(), 3);
}

#[tokio::test(start_paused = true)]
async fn rejections_of_four_audiences_at_once_keep_the_pace() {
    let bench = bench(|_, number| token(number, 86_400));
    let sources = ["a", "b", "c", "d"].map(|audience| bench.tokens.source(request(audience)));
    for source in &sources {
        source.wait(soon()).await.unwrap();
    }
    let mut calls = tokio::task::JoinSet::new();
    for source in sources {
        calls.spawn(async move { Upstream::from(5).call(&source).await });
    }
    // The scripted endpoint watches that the starts are a second apart.
    assert!(calls.join_all().await.iter().all(|accepted| *accepted));
    assert_eq!(bench.asked(), 8);
}
