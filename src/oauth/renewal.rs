//! The renewal task: one for each source, on the control runtime, started again whenever it stops.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::answer::{Ask, Cause, Failure};
use super::entry::{Entry, Plan};

/// Timers stand still while a laptop sleeps. Looking this often finds a token that ended meanwhile.
const LOOK: Duration = Duration::from_secs(10);

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
    loop {
        entry.note_use();
        match entry.plan() {
            Plan::Serve => entry.serve_held(),
            Plan::Ask if entry.client.claim(entry.id) => ask_in_turn(&entry, &*ask, limit).await,
            // Another source has just begun to probe for the same client: the next plan knows.
            Plan::Ask => tokio::task::yield_now().await,
            Plan::At(at) => tokio::select! {
                () = sleep_until(at.min(Instant::now() + LOOK)) => {}
                () = entry.wake.notified() => {}
                _ = host.changed() => {}
            },
            Plan::Rest => rest(&entry, &mut host).await,
        }
    }
}

/// Waits for somebody who takes the token or waits for one. Who takes it looks whether anybody rests; so this says that
/// it does, and only then looks whether the token was taken.
async fn rest(entry: &Entry, host: &mut watch::Receiver<()>) {
    entry.resting.store(true, Ordering::SeqCst);
    if !entry.used.load(Ordering::SeqCst) {
        tokio::select! {
            () = entry.wake.notified() => {}
            _ = host.changed() => {}
        }
    }
    entry.resting.store(false, Ordering::SeqCst);
}

/// Waits for the turn and asks, unless there is no need any more when something has changed in the queue.
async fn ask_in_turn(entry: &Arc<Entry>, ask: &dyn Ask, limit: Duration) {
    let queued = Instant::now();
    let mut host = entry.pace.changes();
    let mut turn = std::pin::pin!(entry.pace.turn(entry.waiters.clone()));
    let _flight = loop {
        tokio::select! {
            biased;
            flight = &mut turn => break flight,
            () = entry.wake.notified() => {}
            _ = host.changed() => {}
        }
        if entry.plan() != Plan::Ask {
            return;
        }
    };
    entry.begin(queued.elapsed());
    // The endpoint has its own limit; this one holds whatever asks.
    let asked = timeout(limit, ask.ask(&entry.request)).await;
    let slow = || Err(Failure::new(Cause::Transient, "the token endpoint did not answer in time"));
    entry.settle(asked.unwrap_or_else(|_| slow()));
}
