//! An entry's dealings with the store: look, agree on who asks, take turns, and leave word of the outcome.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::entry::Entry;
use super::pace::{AFTER_SILENCE, Pace};
use super::store::{Lease, Record, Seal, Turn, Watched};

/// One token request's share in a store.
pub(super) struct Share {
    store: Arc<Watched>,
    seal: Seal,
    host: String,
    /// What time it was for the store, and for us at the same moment.
    clocks: Mutex<Option<(SystemTime, Instant)>>,
    arrived: AtomicBool,
    warned: AtomicBool,
}

/// Whether to ask, after the others were looked at.
pub(super) enum Agreed {
    /// As the one who asks for all.
    Leased(Lease),
    /// Alone, because the store is down or whoever has the lease hangs.
    Alone,
    /// Not now: something came of looking.
    Not,
}

/// How often the store is looked at while another process asks.
const WATCH: Duration = Duration::from_millis(100);
/// Added for each other process that starts at the same time, so that they do not look all at once.
const FOR_EACH_START: Duration = Duration::from_millis(20);
/// How long whoever has the lease may have to wait for its turn.
const QUEUE: Duration = Duration::from_secs(60);
const LONGEST_START: Duration = Duration::from_secs(1);
/// How long a process waits before its first request, if it can see no others: they may all start.
const BLIND_START: Duration = Duration::from_secs(5);

impl Share {
    pub(super) fn new(store: Arc<Watched>, seal: Seal, host: String) -> Share {
        let (arrived, warned) = (AtomicBool::new(false), AtomicBool::new(false));
        Share { store, seal, host, clocks: Mutex::default(), arrived, warned }
    }

    /// Takes over what others left in the store. Says whether a token is there; nothing while the store is down.
    pub(super) async fn look(&self, entry: &Entry) -> Option<bool> {
        let loaded = self.store.run(|store| store.load(self.seal.name())).await?;
        *self.clocks.lock().unwrap_or_else(PoisonError::into_inner) = Some((loaded.now, Instant::now()));
        let Some(sealed) = loaded.entry else { return Some(false) };
        let Some(record) = self.seal.open(&sealed).and_then(|text| Record::from_text(&text)) else {
            if !self.warned.swap(true, Ordering::Relaxed) {
                tracing::warn!(target: "token", endpoint = entry.request.shown(), audience = entry.request.audience,
                    "an entry in the token store is ignored, and replaced when the next token comes: \
                     it is damaged, or of another version");
            }
            return Some(false);
        };
        self.warned.store(false, Ordering::Relaxed);
        let record = record.at(loaded.now);
        let has_token = record.token.is_some();
        entry.adopt(record, loaded.now);
        Some(has_token)
    }

    /// Finds out whether to ask. `needed` says whether it is still this entry's plan, and `limit` how long a request
    /// may take at most.
    pub(super) async fn agree(&self, entry: &Entry, limit: Duration, needed: impl Fn() -> bool) -> Agreed {
        let begun = Instant::now();
        let mut host = entry.pace.changes();
        loop {
            if self.look(entry).await.is_none() {
                self.start_blindly(entry).await;
                if !self.store.is_down() {
                    continue;
                }
                return if needed() { Agreed::Alone } else { Agreed::Not };
            }
            if !needed() {
                return Agreed::Not;
            }
            self.start_spread(entry).await;
            match self.store.run(|store| store.lease(self.seal.name())).await {
                // Whoever had it before may have stored something since we looked.
                Some(Some(lease)) => {
                    self.look(entry).await;
                    return if needed() { Agreed::Leased(lease) } else { Agreed::Not };
                }
                Some(None) if begun.elapsed() < limit + QUEUE => {}
                // A process that was halted keeps its lease, and would keep everybody waiting.
                Some(None) => return Agreed::Alone,
                None => continue,
            }
            tokio::select! {
                () = sleep(WATCH.mul_f64(0.5 + 1.5 * fastrand::f64())) => {}
                () = entry.wake.notified() => {}
                _ = host.changed() => {}
            }
        }
    }

    /// Takes the host's turn among all processes; alone when the store is down.
    pub(super) async fn turn(&self, id: u64) -> Turn {
        loop {
            match self.store.run(|store| store.turn(&self.host, id, AFTER_SILENCE)).await {
                Some(turn) => return turn,
                None if self.store.is_down() => return Turn::Yours,
                // It was down for a moment only.
                None => {}
            }
        }
    }

    /// Leaves word of a request's outcome: for the next turn, and for those who want the same token.
    pub(super) async fn leave(&self, entry: &Entry, id: u64, started: Instant) {
        match entry.pace.stopped_until() {
            Some(until) => {
                let time = until.saturating_duration_since(Instant::now());
                self.store.run(|store| store.stop(&self.host, time)).await;
            }
            None => {
                let pause = Pace::pause(started);
                self.store.run(|store| store.rest(&self.host, id, pause)).await;
            }
        }
        self.publish(entry).await;
    }

    /// Stores what this process has to tell.
    pub(super) async fn publish(&self, entry: &Entry) {
        let clocks = *self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((then, at)) = clocks else { return };
        let now = then + at.elapsed();
        let record = entry.record(now);
        let keep = record.worth(now);
        if keep.is_zero() {
            return;
        }
        if let Some(sealed) = self.seal.seal(&record.to_text()) {
            self.store.run(|store| store.save(self.seal.name(), sealed.clone(), keep)).await;
        }
    }

    /// Rings when the store works again.
    pub(super) fn back(&self) -> watch::Receiver<()> {
        self.store.back()
    }

    /// The store works again: takes what others left, or else leaves what this process has, for whoever starts next.
    pub(super) async fn meet_again(&self, entry: &Entry) {
        if self.look(entry).await == Some(false) {
            self.publish(entry).await;
        }
    }

    /// Lets some time pass before the first request when others start too.
    async fn start_spread(&self, entry: &Entry) {
        if self.arrived.swap(true, Ordering::Relaxed) {
            return;
        }
        let others = self.store.run(|store| store.arrive(&self.host)).await.unwrap_or_default();
        let longest = FOR_EACH_START.saturating_mul(others.min(1000) as u32).min(LONGEST_START);
        let _ = timeout(longest.mul_f64(fastrand::f64()), entry.wake.notified()).await;
    }

    /// Lets some time pass before the first request when nobody knows whether others start too, unless a caller waits
    /// or the store comes back.
    async fn start_blindly(&self, entry: &Entry) {
        if self.arrived.swap(true, Ordering::Relaxed) || entry.is_waited_for() {
            return;
        }
        let mut back = self.store.back();
        let waited_for = async {
            tokio::select! {
                () = entry.wake.notified() => {}
                _ = back.changed() => {}
            }
        };
        let _ = timeout(BLIND_START.mul_f64(fastrand::f64()), waited_for).await;
    }
}
