//! The upstream rejects a token: who may renew because of it, how often at most, and when that pauses.
//!
//! A token can lose its worth before its end: it was revoked, or the keys were changed. Then one renewal heals
//! everything. But a 401 can also have a cause that no token mends, such as a wrong audience, and must not turn a busy
//! client into a busy client of the token endpoint. So a rejection costs a token request only when it is about the
//! current token, at most once a minute, and ever more rarely when renewing has not helped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::log;
use super::quarantine;
use super::source::{TokenSource, Waiting};
use super::status::RenewOn401;
use super::token::Token;

/// From the start of one renewal because of a rejection to the start of the next.
const INTERVAL: Duration = Duration::from_secs(60);
/// So many renewals in a row that did not help, and renewing pauses.
const STRIKES: u32 = 3;

/// What a rejection leads to.
#[derive(Debug)]
pub enum Verdict {
    /// Another token is here already, to be sent at once.
    Newer(Arc<Token>),
    /// The next token is being asked for; [`TokenSource::renewed`] waits for it.
    Renewing,
    /// Nothing: the last renewal because of a rejection is less than a minute old.
    TooSoon,
    /// Nothing: renewing has not helped and pauses.
    Paused,
}

impl TokenSource {
    /// The upstream rejected the token of this generation. Asks for the next one, within the limits; the token is served
    /// meanwhile, and afterwards if none comes.
    pub fn rejected(&self, generation: u64) -> Verdict {
        match self.current() {
            Some(token) if token.generation() != generation => Verdict::Newer(token),
            Some(_) => {
                let (verdict, pausing) = self.entry.rejection.rejected(generation);
                if let Some(time) = pausing {
                    log::renewing_pauses(&self.entry.request, time);
                }
                if matches!(verdict, Verdict::Renewing) {
                    self.entry.wake.notify_one();
                }
                verdict
            }
            // It has ended meanwhile, and the next one is due anyway.
            None => Verdict::Renewing,
        }
    }

    /// A token that is not of this generation, if there is one. For a rejection that says nothing about the token:
    /// costs no token request and counts nowhere.
    pub fn other_than(&self, generation: u64) -> Option<Arc<Token>> {
        self.current().filter(|token| token.generation() != generation)
    }

    /// Waits for the token after a rejected one. `None` when the renewal failed, brought the same token again or will
    /// not come in time.
    pub async fn renewed(&self, generation: u64, until: Instant) -> Option<Arc<Token>> {
        let mut changed = self.entry.changed.subscribe();
        let mut host = self.entry.pace.changes();
        let _waiting = Waiting::new(&self.entry);
        loop {
            // Before the token is looked at: a renewal stores the token first and is over then.
            let under_way = self.entry.rejection.wants(generation);
            match self.current() {
                Some(token) if token.generation() != generation => return Some(token),
                Some(_) if !under_way => return None,
                _ if self.is_hopeless(until) => return None,
                _ => {}
            }
            let change = async {
                tokio::select! {
                    _ = changed.changed() => {}
                    _ = host.changed() => {}
                }
            };
            if timeout_at(until, change).await.is_err() {
                return self.other_than(generation);
            }
        }
    }

    /// The upstream accepted the token of this generation. Called for every request that succeeds.
    pub fn accepted(&self, generation: u64) {
        if self.entry.rejection.doubted.load(Ordering::Relaxed) {
            self.cleared(generation, false);
        }
    }

    /// The upstream accepted with the token of this generation what it had rejected with another one: renewing helps.
    pub fn helped(&self, generation: u64) {
        self.cleared(generation, true);
    }

    fn cleared(&self, generation: u64, proven: bool) {
        let current = self.entry.token.load().as_ref().is_some_and(|token| token.generation() == generation);
        if current && self.entry.rejection.cleared(proven) {
            log::renewing_resumes(&self.entry.request);
        }
    }
}

/// What one source knows of its rejected tokens.
#[derive(Default)]
pub(super) struct Rejection {
    /// Whether anything is to be cleared by a success. Read for every request, so that the lock need not be taken.
    doubted: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The generation that is to be followed by another one, as soon as the token endpoint may be asked.
    wanted: Option<u64>,
    /// The request under way was made because of a rejection.
    forced: bool,
    /// When the last such request began.
    began: Option<Instant>,
    /// The generation that it brought, until its first use has shown whether that helped.
    trial: Option<u64>,
    /// How many in a row did not help.
    strikes: u32,
    paused_until: Option<Instant>,
    /// When the token that was current then was last rejected.
    rejected_at: Option<Instant>,
}

impl Rejection {
    /// Whether the token of this generation is to be renewed because it was rejected.
    pub(super) fn wants(&self, generation: u64) -> bool {
        self.state().wanted == Some(generation)
    }

    /// A token request leaves, while the token of this generation is served.
    pub(super) fn begin(&self, generation: Option<u64>) {
        let mut state = self.state();
        state.forced = generation.is_some() && state.wanted == generation;
        if state.forced {
            state.began = Some(Instant::now());
        }
    }

    /// It brought a token. Says for how long renewing pauses from now on, if it does.
    pub(super) fn granted(&self, before: Option<u64>, generation: u64) -> Option<Duration> {
        let mut state = self.state();
        state.wanted = None;
        if !std::mem::take(&mut state.forced) {
            if before.is_some() && state.trial == before {
                state.trial = Some(generation);
            }
            return None;
        }
        if before == Some(generation) {
            // The very token that was rejected.
            return state.strike();
        }
        state.trial = Some(generation);
        None
    }

    /// Another process's token takes the place of the one before.
    pub(super) fn adopted(&self, before: Option<u64>, generation: u64) {
        let mut state = self.state();
        let wanted = state.wanted.take();
        if before.is_some() && (wanted == before || state.trial == before) {
            state.trial = Some(generation);
        }
    }

    /// Another process began such a request this long ago: what came of it holds here too.
    pub(super) fn go_on(&self, age: Duration) {
        let mut state = self.state();
        state.began = state.began.max(Instant::now().checked_sub(age));
        if age < INTERVAL && !state.forced {
            state.wanted = None;
        }
    }

    /// How long ago the last such request began.
    pub(super) fn age(&self) -> Option<Duration> {
        self.state().began.map(|began| began.elapsed())
    }

    /// It brought none. The next rejection asks again, when a minute has passed.
    pub(super) fn failed(&self) {
        let mut state = self.state();
        state.wanted = None;
        state.forced = false;
    }

    /// Whether rejections lead to renewals now, and until when not.
    pub(super) fn renewing(&self) -> (RenewOn401, Option<Instant>) {
        let until = self.state().paused_until;
        match until {
            None => (RenewOn401::Active, None),
            Some(at) if at > Instant::now() => (RenewOn401::Paused, until),
            Some(_) => (RenewOn401::Probing, None),
        }
    }

    /// The current token was rejected.
    fn rejected(&self, generation: u64) -> (Verdict, Option<Duration>) {
        let now = Instant::now();
        let mut state = self.state();
        self.doubted.store(true, Ordering::Relaxed);
        state.rejected_at = Some(now);
        let in_vain = state.trial.take_if(|trial| *trial == generation).is_some();
        let pausing = if in_vain { state.strike() } else { None };
        let verdict = if state.wanted == Some(generation) {
            Verdict::Renewing
        } else if state.paused_until.is_some_and(|until| until > now) {
            Verdict::Paused
        } else if state.began.is_some_and(|began| began + INTERVAL > now) {
            Verdict::TooSoon
        } else {
            state.wanted = Some(generation);
            Verdict::Renewing
        };
        (verdict, pausing)
    }

    /// The current token was accepted. Says whether this ends a pause.
    ///
    /// A success alone proves little: one path may answer 401 whatever the token while others work, and probes of
    /// health need none. So it counts once the token has not been rejected for a minute, or when it is `proven` by a
    /// request that was rejected with another token.
    fn cleared(&self, proven: bool) -> bool {
        let mut state = self.state();
        if !proven && state.rejected_at.is_some_and(|at| at.elapsed() < INTERVAL) {
            return false;
        }
        self.doubted.store(false, Ordering::Relaxed);
        state.trial = None;
        state.strikes = 0;
        state.paused_until.take().is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A renewal did not help. Says for how long renewing pauses, when that begins now: a probe that did not help
    /// either goes on with a pause that was told already.
    fn strike(&mut self) -> Option<Duration> {
        self.strikes += 1;
        let time = quarantine::pause((self.strikes + 1).checked_sub(STRIKES).filter(|strikes| *strikes > 0)?);
        let begins = self.paused_until.is_none();
        self.paused_until = Some(Instant::now() + time);
        begins.then_some(time)
    }
}
