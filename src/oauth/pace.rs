//! The pace: one request per second and token host, whoever asks and however it ends.
//!
//! The service counts arrivals by source address, failures included, and blocks the address when they come faster. So
//! everybody queues here, those whom a caller waits for first, and a rate limit stops the whole host.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use super::measures;
use crate::metrics::Histogram;

/// Between two starts: a second, and a tenth for timers and the network's own variation.
const BETWEEN_STARTS: Duration = Duration::from_millis(1100);
/// From an answer to the next start: then the two arrivals are a second apart, however slow the connection was.
pub(super) const AFTER_ANSWER: Duration = Duration::from_secs(1);
/// Longer nobody waits for an answer: a request that is held up for 30 s must not stop the others.
pub(super) const AFTER_SILENCE: Duration = Duration::from_secs(3);

/// One token host's queue.
pub(super) struct Pace {
    state: Mutex<State>,
    moved: Notify,
    changed: watch::Sender<()>,
    warned: AtomicU64,
    /// How long token requests waited for their turn.
    pub(super) waits: Histogram,
}

#[derive(Default)]
struct State {
    queue: Vec<Ticket>,
    tickets: u64,
    last: Option<Last>,
    /// Other processes have their turns until then.
    held_until: Option<Instant>,
    stopped_until: Option<Instant>,
    strikes: u32,
}

struct Ticket {
    id: u64,
    waiters: Arc<AtomicUsize>,
    granted: bool,
}

struct Last {
    id: u64,
    started: Instant,
    completed: Option<Instant>,
}

impl Pace {
    pub(super) fn new() -> Pace {
        Pace {
            state: Mutex::default(),
            moved: Notify::new(),
            changed: watch::Sender::new(()),
            warned: AtomicU64::new(0),
            waits: Histogram::new(measures::SECONDS),
        }
    }

    /// Waits for the turn. Tickets with waiters go first, then in order. Whoever leaves the queue leaves no trace.
    pub(super) async fn turn(self: &Arc<Pace>, waiters: Arc<AtomicUsize>) -> Flight {
        let place = self.queue(waiters);
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            moved.as_mut().enable();
            match self.advance(place.id) {
                None => return place,
                Some(at) => tokio::select! {
                    () = sleep_until(at) => {}
                    () = moved => {}
                },
            }
        }
    }

    /// Until when the host is to be left alone.
    pub(super) fn stopped_until(&self) -> Option<Instant> {
        self.state().stopped_until.filter(|until| *until > Instant::now())
    }

    /// Whether a request could start at once.
    pub(super) fn is_free(&self) -> bool {
        let state = self.state();
        let now = Instant::now();
        state.queue.iter().all(|ticket| ticket.granted) && state.not_before(now) <= now
    }

    /// Leaves the host alone for this time.
    pub(super) fn stop(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut state = self.state();
        state.stopped_until = state.stopped_until.max(Some(until));
        drop(state);
        self.ring();
    }

    /// The host answered 429: leaves it alone for the time it states, or for a growing one when it states none.
    pub(super) fn rate_limited(&self, stated: Option<Duration>) {
        let time = stated.unwrap_or_else(|| {
            let mut state = self.state();
            // Answers to requests that were under way together are one rate limit.
            if state.stopped_until.is_none_or(|until| until <= Instant::now()) {
                state.strikes += 1;
            }
            let longest = 10.0 * f64::from(1 << state.strikes.saturating_sub(1).min(5));
            Duration::from_secs_f64(longest.min(300.0) * (0.5 + 0.5 * fastrand::f64()))
        });
        self.stop(time);
    }

    /// Another process was answered 429: goes on from there.
    pub(super) fn go_on(&self, strikes: u32, time: Duration) {
        let mut state = self.state();
        state.strikes = state.strikes.max(strikes);
        drop(state);
        if !time.is_zero() {
            self.stop(time);
        }
    }

    /// How many rate limits there have been in a row.
    pub(super) fn strikes(&self) -> u32 {
        self.state().strikes
    }

    /// How long the host rests after a request that started then and has ended now.
    pub(super) fn pause(started: Instant) -> Duration {
        AFTER_ANSWER.max(BETWEEN_STARTS.saturating_sub(started.elapsed()))
    }

    /// The host handed out a token: it has forgiven.
    pub(super) fn answered(&self) {
        self.state().strikes = 0;
    }

    /// Tells whether this is the first time that something is said about the host's clock.
    pub(super) fn first_warning(&self) -> bool {
        self.warned.fetch_add(1, Ordering::Relaxed) == 0
    }

    /// Rings when the host is stopped, and when somebody else calls [`Pace::ring`].
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Tells every source of this host to look again.
    pub(super) fn ring(&self) {
        self.changed.send_replace(());
        self.moved.notify_waiters();
    }

    fn queue(self: &Arc<Pace>, waiters: Arc<AtomicUsize>) -> Flight {
        let mut state = self.state();
        state.tickets += 1;
        let id = state.tickets;
        state.queue.push(Ticket { id, waiters, granted: false });
        Flight { pace: self.clone(), id }
    }

    /// Gives the turn to whoever is first once it is time, and says when to look again unless it was this ticket.
    /// Whoever looks decides, so that no turn is lost when the first in the queue is asleep or gone.
    fn advance(&self, id: u64) -> Option<Instant> {
        let mut state = self.state();
        let now = Instant::now();
        if state.not_before(now) <= now {
            let waiting = |ticket: &&mut Ticket| ticket.waiters.load(Ordering::Relaxed) > 0;
            let mut open: Vec<&mut Ticket> =
                state.queue.iter_mut().filter(|ticket| !ticket.granted).collect();
            let first = open.iter().position(waiting).unwrap_or(0);
            if first < open.len() {
                let ticket = open.swap_remove(first);
                ticket.granted = true;
                let last = Last { id: ticket.id, started: now, completed: None };
                state.last = Some(last);
                self.moved.notify_waiters();
            }
        }
        if let Some(at) = state.queue.iter().position(|ticket| ticket.id == id && ticket.granted) {
            state.queue.remove(at);
            return None;
        }
        Some(state.not_before(now))
    }

    fn completed(&self, id: u64) {
        let mut state = self.state();
        state.queue.retain(|ticket| ticket.id != id);
        if let Some(last) = state.last.as_mut().filter(|last| last.id == id) {
            last.completed = Some(Instant::now());
        }
        drop(state);
        self.moved.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn not_before(&self, now: Instant) -> Instant {
        let paced = self.last.as_ref().map_or(now, |last| {
            let silence = last.started + AFTER_SILENCE;
            let answer = last.completed.map_or(silence, |completed| silence.min(completed + AFTER_ANSWER));
            answer.max(last.started + BETWEEN_STARTS)
        });
        let paced = self.held_until.map_or(paced, |until| until.max(paced));
        self.stopped_until.map_or(paced, |until| until.max(paced))
    }
}

/// A place in the queue, then the turn. Dropping it says that the request has ended, or will never start.
pub(super) struct Flight {
    pace: Arc<Pace>,
    id: u64,
}

impl Flight {
    /// The request leaves only now.
    pub(super) fn start(&self) {
        let mut state = self.pace.state();
        if let Some(last) = state.last.as_mut().filter(|last| last.id == self.id) {
            last.started = Instant::now();
        }
    }

    /// It is another process's turn: gives this one back for as long.
    pub(super) fn give_back(self, time: Duration) {
        let mut state = self.pace.state();
        state.last = state.last.take().filter(|last| last.id != self.id);
        state.held_until = Some(Instant::now() + time);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.pace.completed(self.id);
    }
}
