//! The renewal task: one for each source, on the control runtime, started again whenever it stops.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::answer::{Ask, Cause, Failure};
use super::entry::{Entry, Plan};
use super::pace::Flight;
use super::share::{Agreed, Share};
use super::store::Turn;

/// Timers stand still while a laptop sleeps. Looking this often finds a token that ended meanwhile.
const LOOK: Duration = Duration::from_secs(10);

/// How often a turn is looked for that another process has.
const LOOK_FOR_TURN: Duration = Duration::from_millis(500);
/// No longer does a slow store keep a token back from those who wait for it.
const LEAVE: Duration = Duration::from_millis(250);

/// Keeps the renewal task alive until the source's owner ends this.
pub(super) async fn supervise(entry: Arc<Entry>, ask: Arc<dyn Ask>, limit: Duration) {
    loop {
        // The set ends its task when it is dropped, so that ending the supervisor ends the request too.
        let mut task = JoinSet::new();
        task.spawn(renew(entry.clone(), ask.clone(), limit));
        match task.join_next().await {
            Some(Err(error)) if error.is_panic() => entry.stopped("panicked"),
            _ => entry.stopped("ended"),
        }
        sleep(Duration::from_secs(1)).await;
    }
}

async fn renew(entry: Arc<Entry>, ask: Arc<dyn Ask>, limit: Duration) {
    let mut host = entry.pace.changes();
    let mut back = entry.share.as_ref().map(Share::back);
    loop {
        entry.note_use();
        match entry.plan() {
            Plan::Serve => entry.serve_held(),
            Plan::Ask if entry.client.claim(entry.id) => obtain(&entry, &*ask, limit).await,
            // Another source has just begun to probe for the same client: the next plan knows.
            Plan::Ask => tokio::task::yield_now().await,
            Plan::At(at) => tokio::select! {
                () = sleep_until(at.min(Instant::now() + LOOK)) => look_around(&entry).await,
                () = entry.wake.notified() => {}
                _ = host.changed() => {}
                () = rings(&mut back) => meet_again(&entry).await,
            },
            Plan::Rest => rest(&entry, &mut host, &mut back).await,
        }
    }
}

/// Waits for somebody who takes the token or waits for one. Who takes it looks whether anybody rests; so this says that
/// it does, and only then looks whether the token was taken.
async fn rest(entry: &Entry, host: &mut watch::Receiver<()>, back: &mut Option<watch::Receiver<()>>) {
    entry.resting.store(true, Ordering::SeqCst);
    if !entry.used.load(Ordering::SeqCst) {
        tokio::select! {
            () = entry.wake.notified() => {}
            _ = host.changed() => {}
            () = rings(back) => meet_again(entry).await,
        }
    }
    entry.resting.store(false, Ordering::SeqCst);
}

/// Asks, unless another process does or did.
async fn obtain(entry: &Arc<Entry>, ask: &dyn Ask, limit: Duration) {
    let Some(share) = &entry.share else { return ask_in_turn(entry, ask, limit).await };
    match share.agree(entry, limit, || entry.plan() == Plan::Ask).await {
        // Held until the outcome is stored.
        Agreed::Leased(_lease) => ask_in_turn(entry, ask, limit).await,
        Agreed::Alone => ask_in_turn(entry, ask, limit).await,
        Agreed::Not => {}
    }
}

/// Without a token, another process may have one before it is our time to ask.
async fn look_around(entry: &Entry) {
    let served =
        entry.token.load().as_ref().is_some_and(|token| token.is_servable(&entry.clock, Instant::now()));
    if let Some(share) = entry.share.as_ref().filter(|_| !served) {
        share.look(entry).await;
    }
}

async fn meet_again(entry: &Entry) {
    if let Some(share) = &entry.share {
        share.meet_again(entry).await;
    }
}

/// Rings when the store is back; never without a store.
async fn rings(back: &mut Option<watch::Receiver<()>>) {
    if let Some(back) = back
        && back.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// Waits for the turn and asks, unless there is no need any more when something has changed in the queue.
async fn ask_in_turn(entry: &Arc<Entry>, ask: &dyn Ask, limit: Duration) {
    let queued = Instant::now();
    let id = fastrand::u64(..);
    let Some(flight) = turn_among_all(entry, id).await else { return };
    flight.start();
    let started = Instant::now();
    entry.begin(queued.elapsed());
    // The endpoint has its own limit; this one holds whatever asks.
    let asked = timeout(limit, ask.ask(&entry.request)).await;
    let slow = || Err(Failure::new(Cause::Transient, "the token endpoint did not answer in time"));
    entry.settle(asked.unwrap_or_else(|_| slow()));
    drop(flight);
    if let Some(share) = &entry.share {
        // Stored before it is told of: a process that ends as soon as it has its token leaves it behind.
        let mut leaving = pin!(share.leave(entry, id, started));
        if timeout(LEAVE, &mut leaving).await.is_err() {
            entry.tell();
            leaving.await;
        }
    }
    entry.tell();
}

/// The turn in this process, and then among all that share a store; nothing when there is no need any more.
async fn turn_among_all(entry: &Arc<Entry>, id: u64) -> Option<Flight> {
    loop {
        let flight = turn(entry).await?;
        let Some(share) = &entry.share else { return Some(flight) };
        match share.turn(id).await {
            Turn::Yours => return Some(flight),
            // Whoever has it may be ready before its time.
            Turn::In(time) => flight.give_back(time.min(LOOK_FOR_TURN)),
            Turn::Stopped(time) => {
                entry.pace.stop(time);
                return None;
            }
        }
    }
}

async fn turn(entry: &Arc<Entry>) -> Option<Flight> {
    let mut host = entry.pace.changes();
    let mut turn = pin!(entry.pace.turn(entry.waiters.clone()));
    loop {
        tokio::select! {
            biased;
            flight = &mut turn => return Some(flight),
            () = entry.wake.notified() => {}
            _ = host.changed() => {}
        }
        if entry.plan() != Plan::Ask {
            return None;
        }
    }
}
