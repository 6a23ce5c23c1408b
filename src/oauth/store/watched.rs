//! A store that is watched: what fails is counted, told once, and left alone until it works again.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use tokio::sync::watch;
use tokio::time::sleep;

use super::Store;

/// The store with its state. While it is down nobody waits for it.
pub(in crate::oauth) struct Watched {
    store: Arc<dyn Store>,
    state: Mutex<State>,
    back: watch::Sender<()>,
    ok: AtomicU64,
    failed: AtomicU64,
    timed_out: AtomicU64,
}

struct State {
    down: Option<String>,
    since: SystemTime,
}

/// What a store says of itself.
#[derive(Clone, Debug, Serialize)]
pub struct StoreStatus {
    /// `memory`, `file` or `redis`.
    pub kind: &'static str,
    /// `up` or `down`.
    pub state: &'static str,
    /// Since when.
    #[serde(with = "humantime_serde")]
    pub since: SystemTime,
    /// Why it is down.
    pub error: Option<String>,
    /// Operations that worked.
    pub ok: u64,
    /// Operations that failed.
    pub failed: u64,
    /// Operations that took too long.
    pub timed_out: u64,
}

/// How often a store that works is looked at. One that was restarted has lost its connections, and its content perhaps.
const LOOK: Duration = Duration::from_secs(10);
/// How often a store that is down is tried, at first and then.
const SOON: Duration = Duration::from_secs(1);
const LATER: Duration = Duration::from_secs(5);

impl Watched {
    pub(in crate::oauth) fn new(store: Arc<dyn Store>) -> Watched {
        Watched {
            store,
            state: Mutex::new(State { down: None, since: SystemTime::now() }),
            back: watch::Sender::new(()),
            ok: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            timed_out: AtomicU64::new(0),
        }
    }

    /// An operation's result; nothing while the store is down, and when this is how it shows. An operation that took
    /// too long is tried once more: a machine on which a fleet starts is slow, and processes that go on by themselves
    /// would meet the token endpoint's limit.
    pub(in crate::oauth) async fn run<T, F>(&self, operation: impl Fn(&dyn Store) -> F) -> Option<T>
    where
        F: Future<Output = io::Result<T>>,
    {
        if self.is_down() {
            return None;
        }
        match operation(&*self.store).await {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                self.timed_out.fetch_add(1, Ordering::Relaxed);
                self.attempt(operation(&*self.store)).await
            }
            ended => self.settle(ended),
        }
    }

    pub(in crate::oauth) fn is_down(&self) -> bool {
        self.state().down.is_some()
    }

    /// Rings when the store works again.
    pub(in crate::oauth) fn back(&self) -> watch::Receiver<()> {
        self.back.subscribe()
    }

    /// Looks at the store from time to time. Never ends.
    pub(in crate::oauth) async fn watch(self: Arc<Watched>) {
        let mut pause = SOON;
        loop {
            // Spread, because a fleet lost its store together.
            sleep(if self.is_down() { pause.mul_f64(0.5 + 0.5 * fastrand::f64()) } else { LOOK }).await;
            if self.is_down() {
                let works = self.attempt(self.store.probe()).await.is_some();
                pause = if works { SOON } else { (pause * 2).min(LATER) };
            } else {
                self.attempt(self.store.load("probe")).await;
            }
        }
    }

    pub(in crate::oauth) fn status(&self) -> StoreStatus {
        let state = self.state();
        StoreStatus {
            kind: self.store.kind(),
            state: if state.down.is_some() { "down" } else { "up" },
            since: state.since,
            error: state.down.clone(),
            ok: self.ok.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            timed_out: self.timed_out.load(Ordering::Relaxed),
        }
    }

    async fn attempt<T>(&self, operation: impl Future<Output = io::Result<T>>) -> Option<T> {
        self.settle(operation.await)
    }

    fn settle<T>(&self, ended: io::Result<T>) -> Option<T> {
        match ended {
            Ok(found) => {
                self.ok.fetch_add(1, Ordering::Relaxed);
                self.up();
                Some(found)
            }
            Err(error) => {
                let slow = error.kind() == io::ErrorKind::TimedOut;
                let count = if slow { &self.timed_out } else { &self.failed };
                count.fetch_add(1, Ordering::Relaxed);
                self.fell(error.to_string());
                None
            }
        }
    }

    fn up(&self) {
        let mut state = self.state();
        if state.down.take().is_none() {
            return;
        }
        let down_for = state.since.elapsed().unwrap_or_default();
        state.since = SystemTime::now();
        drop(state);
        tracing::info!(target: "token", store = self.store.kind(), outage_seconds = down_for.as_secs(),
            "the token store works again");
        self.back.send_replace(());
    }

    fn fell(&self, error: String) {
        let mut state = self.state();
        let first = state.down.is_none();
        if first {
            state.since = SystemTime::now();
            tracing::warn!(target: "token", store = self.store.kind(),
                "the token store does not work: {error}; until it does, this process keeps its tokens to itself");
        }
        state.down = Some(error);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
