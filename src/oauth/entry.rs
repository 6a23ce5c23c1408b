//! One token request's entry: what its source, its waiters and its renewal task know together.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::answer::{Answer, Ask, Cause, Failure, Grant};
use super::clock::{Clock, Deadline};
use super::demand::Demands;
use super::life;
use super::log;
use super::measures::Measures;
use super::pace::Pace;
use super::quarantine::{self, Client};
use super::rejection::Rejection;
use super::request::TokenRequest;
use super::share::Share;
use super::status::{LastError, Requests};
use super::token::Token;

/// The shared part. What changes is either atomic or in `state`, whose lock is held for lines.
pub(super) struct Entry {
    pub(super) id: u64,
    pub(super) request: TokenRequest,
    pub(super) ask: Arc<dyn Ask>,
    pub(super) clock: Clock,
    pub(super) pace: Arc<Pace>,
    pub(super) client: Arc<Client>,
    pub(super) token: ArcSwapOption<Token>,
    /// A token that nobody has used for so long is not renewed.
    pub(super) idle_after: Duration,
    /// Somebody took the token since [`Entry::note_use`] looked.
    pub(super) used: AtomicBool,
    /// The renewal task rests until somebody takes the token.
    pub(super) resting: AtomicBool,
    /// Another source has taken its place: whoever still holds this one may be served, but nothing is asked for by itself.
    pub(super) succeeded: AtomicBool,
    pub(super) waiters: Arc<AtomicUsize>,
    pub(super) measures: Measures,
    /// Wakes the renewal task.
    pub(super) wake: Notify,
    /// Wakes the waiters.
    pub(super) changed: watch::Sender<()>,
    pub(super) generations: Arc<AtomicU64>,
    /// What the upstream's rejections of its tokens lead to. Its lock may be taken while `state`'s is held.
    pub(super) rejection: Rejection,
    /// Its part in the store; absent when nothing is shared.
    pub(super) share: Option<Share>,
    pub(super) state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    /// Since when a request is under way.
    pub(super) asking: Option<Instant>,
    /// When the last token came.
    granted_at: Option<Instant>,
    /// When the token was last used, as far as [`Entry::note_use`] knows; at first when the source was made.
    pub(super) used_at: Option<Instant>,
    /// A token that is not valid yet. Nothing is asked for until it is.
    pub(super) held: Option<Held>,
    /// What a person asked for by hand.
    pub(super) demands: Demands,
    /// When the token is to be renewed; absent when it is another source's that was taken over.
    pub(super) renew_at: Option<Deadline>,
    /// Not before this moment, after a failure of this source's own.
    pub(super) retry_at: Option<Instant>,
    pub(super) failures: u32,
    pub(super) rejections: u32,
    pub(super) error: Option<LastError>,
    /// What the log has been told since the last token came.
    pub(super) told: HashSet<Cause>,
    stop_told: bool,
    pub(super) failing_since: Option<Instant>,
    /// Failures before this moment count no more.
    pub(super) forgiven: Option<Instant>,
    pub(super) requests: Requests,
    pub(super) budget_wait: Duration,
    pub(super) skew: Option<i64>,
    pub(super) restarts: u64,
}

impl State {
    /// Of a source that was made now, which counts as a use.
    pub(super) fn new() -> State {
        State { used_at: Some(Instant::now()), ..State::default() }
    }

    /// A token came: forgets the failures, and says for how long there have been some.
    pub(super) fn recovered(&mut self) -> Option<Duration> {
        self.retry_at = None;
        self.failures = 0;
        self.rejections = 0;
        self.error = None;
        self.told.clear();
        self.stop_told = false;
        self.failing_since.take().map(|since| since.elapsed())
    }
}

/// A token that becomes valid at `from`.
pub(super) struct Held {
    pub(super) token: Arc<Token>,
    pub(super) from: Instant,
}

/// What the renewal task does next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Plan {
    /// Nothing, until somebody needs a token.
    Rest,
    /// Serve the token that has become valid.
    Serve,
    /// Nothing before this moment.
    At(Instant),
    /// Ask.
    Ask,
}

impl Entry {
    /// What to do next. Called whenever anything changed, so it only looks and decides nothing for good.
    pub(super) fn plan(&self) -> Plan {
        let now = Instant::now();
        let state = self.state();
        if let Some(held) = &state.held {
            return if held.from <= now { Plan::Serve } else { Plan::At(held.from) };
        }
        if self.succeeded.load(Ordering::Relaxed) && self.waiters.load(Ordering::Relaxed) == 0 {
            return Plan::Rest;
        }
        let wanted = match (&*self.token.load(), &state.renew_at) {
            (Some(token), _) if self.rejection.wants(token.generation()) => now,
            (Some(token), Some(renew_at)) => {
                let left = self.clock.left(renew_at);
                if left.is_zero() && !self.is_needed(token, &state) {
                    return Plan::Rest;
                }
                now + left
            }
            _ => now,
        };
        let at = self.allowed(&state).map_or(wanted, |allowed| allowed.max(wanted));
        if at <= now { Plan::Ask } else { Plan::At(at) }
    }

    /// Whether the next token is worth a request. After a failure it is, or a scope without a token would wait for
    /// requests that its own state keeps away.
    fn is_needed(&self, token: &Token, state: &State) -> bool {
        let asked_for = self.used.load(Ordering::Relaxed) || self.waiters.load(Ordering::Relaxed) > 0;
        let since = match token.is_short() {
            true => state.granted_at,
            false => Instant::now().checked_sub(self.idle_after),
        };
        asked_for || state.demands.renewal || state.error.is_some() || state.used_at > since
    }

    /// Takes down that the token was used: requests themselves only set a flag, and seldom.
    pub(super) fn note_use(&self) {
        if self.used.swap(false, Ordering::SeqCst) {
            self.state().used_at = Some(Instant::now());
        }
    }

    /// The token that was held is valid now.
    pub(super) fn serve_held(&self) {
        let mut state = self.state();
        if let Some(held) = state.held.take() {
            self.token.store(Some(held.token));
        }
        drop(state);
        self.tell();
    }

    /// The first moment at which this source may ask, whoever stands in its way.
    pub(super) fn allowed(&self, state: &State) -> Option<Instant> {
        state.retry_at.max(self.client.until(self.id)).max(self.pace.stopped_until())
    }

    /// The request leaves, after it waited for its turn this long.
    pub(super) fn begin(&self, waited: Duration) {
        let mut state = self.state();
        self.rejection.begin(self.token.load().as_ref().map(|token| token.generation()));
        state.asking = Some(Instant::now());
        state.budget_wait += waited;
        state.demands.renewal = false;
        self.pace.waits.observe(waited);
    }

    /// The request has ended. Those who wait are not told yet.
    pub(super) fn settle(&self, asked: Result<Answer, Failure>) {
        let wall = self.clock.wall();
        let took = self.state().asking.take().map(|since| since.elapsed()).unwrap_or_default();
        let granted = asked.and_then(|answer| answer.read(wall)).and_then(|grant| {
            let life = life::of(&grant, wall)?.since(took);
            Ok((grant, life))
        });
        let durations = if granted.is_ok() { &self.measures.ok } else { &self.measures.error };
        durations.observe(took);
        match granted {
            Ok((grant, life)) => self.granted(grant, &life),
            Err(failure) => self.failed(&failure),
        }
    }

    /// Tells the waiters that something has changed.
    pub(super) fn tell(&self) {
        self.changed.send_replace(());
    }

    fn granted(&self, grant: Grant, life: &life::Life) {
        let skewed = life.skew.filter(|skew| skew.abs() > 30);
        if (skewed.is_some() || life.doubtful) && self.pace.first_warning() {
            log::clocks_differ(&self.request, skewed);
        }
        self.pace.answered();
        if self.client.release() {
            self.pace.ring();
        }
        let mut state = self.state();
        let previous = self.token.load_full();
        let next = || self.generations.fetch_add(1, Ordering::Relaxed) + 1;
        let token = Token::new(grant, life, &self.clock, previous.as_deref(), next);
        let idle = previous.as_ref().is_some_and(|previous| token.moved_nothing(previous));
        let wait = if idle { life::rearm(life.left) } else { life::renewal(life.left) };
        let outage = state.recovered();
        state.renew_at = Some(self.clock.deadline(wait));
        state.skew = life.skew.or(state.skew);
        state.requests.ok += 1;
        let generation = token.generation();
        self.take(&mut state, token, life.held);
        let before = previous.as_ref().map(|previous| previous.generation());
        let pausing = self.rejection.granted(before, generation);
        drop(state);
        if let Some(time) = pausing {
            log::renewing_pauses(&self.request, time);
        }
        log::granted(&self.request, generation, life.left, previous.is_none(), outage);
    }

    /// Serves this token from now on, or when it becomes valid.
    pub(super) fn take(&self, state: &mut State, token: Token, valid_in: Duration) {
        let now = Instant::now();
        if self.used.swap(false, Ordering::SeqCst) {
            state.used_at = Some(now);
        }
        state.granted_at = Some(now);
        let token = Arc::new(token);
        match valid_in.is_zero() {
            true => self.token.store(Some(token)),
            false => state.held = Some(Held { token, from: now + valid_in }),
        }
    }

    fn failed(&self, failure: &Failure) {
        let mut state = self.state();
        let now = Instant::now();
        self.rejection.failed();
        state.requests.count(failure.cause);
        let mut ring = true;
        match failure.cause {
            Cause::RateLimited => self.pace.rate_limited(failure.retry_after),
            Cause::Rejected if failure.refuses_client() => {
                self.client.refuse(self.id, LastError::new(failure, self.clock.wall()));
                state.retry_at = None;
            }
            Cause::Rejected => {
                ring = self.client.release();
                state.rejections += 1;
                state.retry_at = Some(now + quarantine::pause(state.rejections));
            }
            Cause::Transient | Cause::Malformed => {
                state.failures += 1;
                state.retry_at = Some(now + back_off(state.failures));
                if let Some(stated) = failure.retry_after {
                    self.pace.stop(stated);
                }
            }
        }
        state.error = Some(LastError::new(failure, self.clock.wall()));
        let news = state.told.insert(failure.cause);
        state.failing_since.get_or_insert(now);
        let next = self.allowed(&state).unwrap_or(now).saturating_duration_since(now);
        drop(state);
        if ring {
            self.pace.ring();
        }
        if news {
            log::failed(&self.request, failure, next);
        }
    }

    /// The renewal task has stopped, which it never should.
    pub(super) fn stopped(&self, why: &str) {
        let mut state = self.state();
        state.restarts += 1;
        let was_asking = state.asking.is_some();
        let news = !std::mem::replace(&mut state.stop_told, true);
        drop(state);
        if news {
            log::stopped(&self.request, why);
        }
        if was_asking {
            // Counted, so that a fault of ours is slowed down like one of theirs.
            self.settle(Err(Failure::new(Cause::Transient, format!("the renewal task {why}"))));
            self.tell();
        }
    }

    /// Forgets back-off and quarantine, so that the next attempt is made at once; the host's own limits stay.
    pub(super) fn forgive(&self) {
        let mut state = self.state();
        state.retry_at = None;
        state.failures = 0;
        state.rejections = 0;
        // Told again if it fails again: whoever touched the file waits for the outcome.
        state.error = None;
        state.told.clear();
        state.forgiven = Some(Instant::now());
        drop(state);
        self.client.release();
        self.pace.ring();
    }

    /// Whether a request waits for the token.
    pub(super) fn is_waited_for(&self) -> bool {
        self.waiters.load(Ordering::Relaxed) > 0
    }

    /// Whether the credentials were refused, here or for another audience.
    pub(super) fn is_rejected(&self, state: &State) -> bool {
        state.rejections > 0 || self.client.refusal().is_some()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A monotonic moment as the wall clock will show it.
    pub(super) fn wall_of(&self, at: Instant) -> SystemTime {
        self.clock.wall() + at.saturating_duration_since(Instant::now())
    }
}

/// Full jitter: anywhere from one second to a bound that doubles with every failure, up to five minutes.
fn back_off(failures: u32) -> Duration {
    let bound = f64::from(1 << failures.saturating_sub(1).min(9)).min(300.0);
    Duration::from_secs_f64((bound * fastrand::f64()).max(1.0))
}
