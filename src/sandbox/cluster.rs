//! The cluster: one in-memory engine behind gRPC and REST, the record of what arrived, and the faults.

pub(super) mod bpmn;
pub(super) mod fault;
mod instances;
pub(super) mod jobs;
pub(super) mod record;
pub(super) mod state;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

pub use self::fault::Fault;
use self::fault::Faults;
use self::jobs::{ActivatedJob, Activation, Taken};
use self::record::Record;
pub use self::record::{Counts, RequestSeen};
use self::state::{Rejection, State, Variables};
use super::lock;
use super::serve::Connections;

/// How often a waiting worker looks for jobs whose time is up.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A cluster's components. A cheap handle: clones share everything.
#[derive(Clone)]
pub struct Cluster {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) record: Record,
    pub(super) faults: Faults,
    pub(super) connections: Arc<Connections>,
    hold: AtomicU64,
}

impl Cluster {
    pub(super) fn new(kept: usize, connections: Arc<Connections>) -> Cluster {
        let shared = Shared {
            state: Mutex::default(),
            record: Record::new(kept),
            faults: Faults::default(),
            connections,
            hold: AtomicU64::new(0),
        };
        Cluster { shared: Arc::new(shared) }
    }

    /// The requests that arrived at the components, the oldest first; the last ones are kept, as many as
    /// [`super::Config::requests_kept`] says.
    pub fn requests(&self) -> Vec<RequestSeen> {
        self.shared.record.seen()
    }

    /// How many requests arrived, were refused, are open, were cancelled.
    pub fn counts(&self) -> Counts {
        self.shared.record.counts()
    }

    /// Server streams of gRPC that are open.
    pub fn open_streams(&self) -> u64 {
        self.counts().open_streams
    }

    /// Server streams of gRPC that their callers cancelled, or whose connections broke.
    pub fn cancelled_streams(&self) -> u64 {
        self.counts().cancelled_streams
    }

    /// Forgets the requests seen so far and sets the counters to zero, those of what is open excepted.
    pub fn clear(&self) {
        self.shared.record.clear();
    }

    /// Connections that are open, those to the token endpoint included.
    pub fn open_connections(&self) -> usize {
        self.shared.connections.open().len()
    }

    /// Connections that there have been, those to the token endpoint included.
    pub fn connections(&self) -> u64 {
        self.shared.connections.total()
    }

    /// Holds every unary answer back for this time; server streams and long polls are not held.
    pub fn hold_unary(&self, time: Duration) {
        self.shared.hold.store(time.as_millis() as u64, Ordering::Relaxed);
    }

    /// Meets every request with a fault, or stops doing so. Health is met too.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.shared.faults.set(fault, "", None);
    }

    /// Meets the next `n` requests with a fault.
    pub fn fail_next(&self, n: u64, fault: Fault) {
        self.shared.faults.set(Some(fault), "", Some(n));
    }

    /// Meets the next `n` requests whose path contains `path` with a fault.
    pub fn fail_next_at(&self, path: &str, n: u64, fault: Fault) {
        self.shared.faults.set(Some(fault), path, Some(n));
    }

    /// Closes every open connection, whatever is on it, those to the token endpoint included.
    pub fn close_connections(&self) {
        self.shared.connections.open().iter().for_each(|connection| connection.close());
    }

    /// Lets every connection finish what is on it and take nothing more: GOAWAY, or `connection: close`.
    pub fn go_away(&self) {
        self.shared.connections.open().iter().for_each(|connection| connection.go_away());
    }

    /// Runs a command or a query; the lock is held for no longer.
    pub(super) fn state<T>(&self, command: impl FnOnce(&mut State) -> T) -> T {
        command(&mut lock(&self.shared.state))
    }

    /// Waits for as long as answers are held back.
    pub(super) async fn held(&self) {
        let hold = self.shared.hold.load(Ordering::Relaxed);
        if hold > 0 {
            tokio::time::sleep(Duration::from_millis(hold)).await;
        }
    }

    /// Activates jobs, waiting for the first as long as it takes. Nothing is lost when the waiter leaves.
    pub(super) async fn next_jobs(&self, asked: &Activation) -> Vec<ActivatedJob> {
        loop {
            let (arrived, next) = match self.state(|state| state.activate(asked)) {
                Taken::Jobs(jobs) => return jobs,
                Taken::None { arrived, next } => (arrived, next),
            };
            // Another worker may take a job meanwhile and never finish it, so the time to look again can
            // come closer while we wait. The engine itself looks for jobs that timed out once a second.
            let at = (Instant::now() + LOOK_AGAIN).min(next.unwrap_or_else(|| Instant::now() + LOOK_AGAIN));
            // The result only says what woke us.
            let _ = tokio::time::timeout_at(at, arrived.notified()).await;
        }
    }

    /// Activates jobs, waiting at most `patience`; not at all when it is zero.
    pub(super) async fn poll_jobs(&self, asked: &Activation, patience: Duration) -> Vec<ActivatedJob> {
        let until = Instant::now() + patience;
        tokio::time::timeout_at(until, self.next_jobs(asked)).await.unwrap_or_default()
    }

    /// Creates an instance and waits for its variables at the end.
    pub(super) async fn run_instance(
        &self,
        definition: (i64, &str, i32),
        variables: Variables,
        patience: Duration,
    ) -> Result<(i64, Arc<state::Definition>, Variables), Rejection> {
        let created = self.state(|state| state.create_instance(definition, variables, true))?;
        let late = || Rejection::Timeout("Time out between gateway and broker: Request timed out".to_owned());
        match created.done {
            Some(done) => match tokio::time::timeout(patience, done).await {
                Ok(Ok(variables)) => Ok((created.key, created.definition, variables)),
                Ok(Err(_)) => Err(Rejection::Precondition("the process instance was canceled".to_owned())),
                Err(_) => Err(late()),
            },
            None => Err(late()),
        }
    }
}
