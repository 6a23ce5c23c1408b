//! The pace by itself: who goes when.

use std::sync::atomic::AtomicUsize;

use super::super::pace::Pace;
use super::*;

async fn starts(pace: &Arc<Pace>, waiters: &[usize], each: Duration) -> Vec<(usize, u128)> {
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for (name, waiters) in waiters.iter().copied().enumerate() {
        let pace = pace.clone();
        tasks.spawn(async move {
            let flight = pace.turn(Arc::new(AtomicUsize::new(waiters))).await;
            let started = begun.elapsed().as_millis();
            tokio::time::sleep(each).await;
            drop(flight);
            (name, started)
        });
    }
    let mut starts = tasks.join_all().await;
    starts.sort_by_key(|(_, at)| *at);
    starts
}

#[tokio::test(start_paused = true)]
async fn starts_are_a_second_apart_and_whoever_is_waited_for_goes_first() {
    let pace = Arc::new(Pace::new());
    let seen = starts(&pace, &[0, 0, 7, 1], Duration::from_millis(50)).await;
    assert_eq!(seen.iter().map(|(name, _)| *name).skip(1).collect::<Vec<_>>()[..1], [2]);
    for pair in seen.windows(2) {
        assert!(pair[1].1 - pair[0].1 >= 1100, "{seen:?}");
        assert!(pair[1].1 - pair[0].1 <= 1110, "{seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_pushes_the_next_start_and_a_silent_one_does_not_hold_it_up() {
    let slow = starts(&Arc::new(Pace::new()), &[0, 0], Duration::from_millis(1500)).await;
    assert!((2500..2510).contains(&slow[1].1), "{slow:?}");
    let silent = starts(&Arc::new(Pace::new()), &[0, 0], Duration::from_secs(30)).await;
    assert!((3000..3010).contains(&silent[1].1), "{silent:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_the_queue_holds_up_nobody() {
    let pace = Arc::new(Pace::new());
    drop(pace.turn(Arc::default()).await);
    let mut leaver = Box::pin(pace.turn(Arc::new(AtomicUsize::new(1))));
    let mut stayer = Box::pin(pace.turn(Arc::default()));
    tokio::select! {
        biased;
        _ = &mut leaver => panic!("too early"),
        _ = &mut stayer => panic!("too early"),
        () = tokio::time::sleep(Duration::from_millis(500)) => drop(leaver),
    }
    let begun = Instant::now();
    stayer.await;
    assert!(begun.elapsed() < Duration::from_millis(610), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_without_a_time_doubles_up_to_five_minutes_until_it_is_over() {
    let pace = Pace::new();
    for longest in [10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0] {
        pace.rate_limited(None);
        pace.rate_limited(None);
        let until = pace.stopped_until().expect("stopped");
        let time = (until - Instant::now()).as_secs_f64();
        assert!(time >= longest / 2.0 && time <= longest + 0.01, "{time} of {longest}");
        tokio::time::advance(Duration::from_secs(301)).await;
    }
    assert_eq!(pace.stopped_until(), None);
    pace.answered();
    pace.rate_limited(None);
    assert!(pace.stopped_until().expect("stopped") <= Instant::now() + Duration::from_secs(10));
}
