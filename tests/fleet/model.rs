//! A store in this process, with the manners of a server: it takes time, loses its content, and can be down. It is
//! written apart from the real ones, so that it does not share their mistakes.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use camunda_auth_proxy::oauth::{Clock, Lease, Loaded, Operation, Store, Turn};
use tokio::time::{Instant, sleep};

/// The store. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Model {
    clock: Clock,
    state: Arc<Mutex<State>>,
}

pub(crate) struct State {
    /// How long each operation takes.
    pub(crate) latency: Duration,
    /// Every operation fails.
    pub(crate) down: bool,
    /// How long a lease outlives its holder.
    pub(crate) lease_outlives: Duration,
    pub(crate) entries: HashMap<String, Vec<u8>>,
    leases: HashMap<String, (u64, Option<Instant>)>,
    turn: Option<(u64, Instant)>,
    stopped_until: Option<Instant>,
    starts: Vec<Instant>,
    /// How many operations there have been.
    pub(crate) operations: u64,
}

impl Model {
    pub(crate) fn new(clock: &Clock) -> Model {
        let state = State {
            latency: Duration::from_millis(2),
            down: false,
            lease_outlives: Duration::ZERO,
            entries: HashMap::new(),
            leases: HashMap::new(),
            turn: None,
            stopped_until: None,
            starts: Vec::new(),
            operations: 0,
        };
        Model { clock: clock.clone(), state: Arc::new(Mutex::new(state)) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run<T>(&self, work: impl FnOnce(&Model, &mut State) -> T + Send + 'static) -> Operation<T>
    where
        T: Send + 'static,
    {
        let model = self.clone();
        Box::pin(async move {
            let latency = model.state().latency;
            sleep(latency).await;
            let mut state = model.state();
            state.operations += 1;
            if state.down { Err(io::Error::other("the model is down")) } else { Ok(work(&model, &mut state)) }
        })
    }
}

impl Store for Model {
    fn kind(&self) -> &'static str {
        "model"
    }

    fn load(&self, name: &str) -> Operation<Loaded> {
        let name = name.to_owned();
        self.run(move |model, state| Loaded {
            entry: state.entries.get(&name).cloned(),
            now: model.clock.wall(),
        })
    }

    fn save(&self, name: &str, entry: Vec<u8>, _keep: Duration) -> Operation<()> {
        let name = name.to_owned();
        self.run(move |_, state| {
            state.entries.insert(name, entry);
        })
    }

    fn lease(&self, name: &str) -> Operation<Option<Lease>> {
        let name = name.to_owned();
        self.run(move |model, state| {
            let held = state.leases.get(&name);
            if held.is_some_and(|(_, ends)| ends.is_none_or(|ends| ends > Instant::now())) {
                return None;
            }
            let id = fastrand::u64(..);
            state.leases.insert(name.clone(), (id, None));
            Some(Box::new(Held { model: model.clone(), name, id }) as Lease)
        })
    }

    fn arrive(&self, _host: &str) -> Operation<u64> {
        self.run(|_, state| {
            let now = Instant::now();
            state.starts.retain(|at| at.elapsed() < Duration::from_secs(10));
            state.starts.push(now);
            state.starts.len() as u64 - 1
        })
    }

    fn turn(&self, _host: &str, id: u64, hold: Duration) -> Operation<Turn> {
        self.run(move |_, state| {
            let left = |until: Instant| until.saturating_duration_since(Instant::now());
            let stopped = state.stopped_until.map(left).unwrap_or_default();
            let turn = state.turn.map(|(_, until)| left(until)).unwrap_or_default();
            if !stopped.is_zero() {
                Turn::Stopped(stopped)
            } else if !turn.is_zero() && state.turn.is_none_or(|(of, _)| of != id) {
                Turn::In(turn)
            } else {
                state.turn = Some((id, Instant::now() + hold));
                Turn::Yours
            }
        })
    }

    fn rest(&self, _host: &str, id: u64, pause: Duration) -> Operation<()> {
        self.run(move |_, state| {
            if let Some((_, until)) = state.turn.as_mut().filter(|(of, _)| *of == id) {
                *until = Instant::now() + pause;
            }
        })
    }

    fn stop(&self, _host: &str, time: Duration) -> Operation<()> {
        self.run(move |_, state| {
            state.stopped_until = state.stopped_until.max(Some(Instant::now() + time));
        })
    }

    fn probe(&self) -> Operation<()> {
        self.run(|_, _| ())
    }
}

/// The clock that the store and all engines have.
pub(crate) fn clock() -> Clock {
    Clock::steered(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000))
}

struct Held {
    model: Model,
    name: String,
    id: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.model.state();
        let ends = Instant::now() + state.lease_outlives;
        if let Some(held) = state.leases.get_mut(&self.name).filter(|(id, _)| *id == self.id) {
            held.1 = Some(ends);
        }
    }
}
