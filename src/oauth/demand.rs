//! What a person asks of a source by hand: to renew its token now, or to forget it.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use tokio::time::Instant;

use super::entry::State;
use super::source::TokenSource;

/// Between two demands of a kind. Whoever reaches the admin address could otherwise keep the token endpoint at its limit.
const BETWEEN: Duration = Duration::from_secs(60);

/// A source's demands.
#[derive(Default)]
pub(super) struct Demands {
    /// A token request was asked for and has not begun.
    pub(super) renewal: bool,
    renewed: Option<Instant>,
    purged: Option<Instant>,
}

impl Demands {
    /// Whether something that is this old was there before the last demand, and is not what was demanded.
    pub(super) fn outdate(&self, age: Duration) -> bool {
        self.renewed.max(self.purged).is_some_and(|demanded| demanded.elapsed() <= age)
    }
}

/// What comes of a demand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Demand {
    /// In one word.
    pub result: Outcome,
    /// When the token endpoint is asked, or when to demand it again; absent while it is being asked.
    #[serde(with = "humantime_serde")]
    pub next_attempt: Option<SystemTime>,
    /// The same in a sentence.
    pub detail: &'static str,
}

/// What comes of a demand, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The token endpoint is asked as soon as its pace allows.
    Queued,
    /// A token request was under way or queued already, and serves this demand too.
    Joined,
    /// The token endpoint wants to be left alone, and is asked after that.
    Waiting,
    /// Nothing happens: the last demand is too recent.
    Refused,
}

impl TokenSource {
    /// Asks for the next token now, within the pace and the token endpoint's own limits; back-off and quarantine are
    /// forgotten. The old token is served until the new one is there.
    pub fn renew(&self) -> Demand {
        let mut state = self.entry.state();
        if state.asking.is_some() || state.demands.renewal {
            return self.joined(&state);
        }
        if let Some(refused) = self.too_soon(state.demands.renewed) {
            return refused;
        }
        state.demands.renewed = Some(Instant::now());
        self.demand(state)
    }

    /// Forgets the token: nothing is sent until the next one is there, which is asked for at once as by
    /// [`TokenSource::renew`].
    pub fn purge(&self) -> Demand {
        let mut state = self.entry.state();
        if let Some(refused) = self.too_soon(state.demands.purged) {
            return refused;
        }
        state.demands.purged = Some(Instant::now());
        self.entry.token.store(None);
        state.held = None;
        if state.asking.is_some() {
            return self.joined(&state);
        }
        self.demand(state)
    }

    fn demand(&self, mut state: std::sync::MutexGuard<'_, State>) -> Demand {
        state.demands.renewal = true;
        state.held = None;
        state.renew_at = Some(self.entry.clock.deadline(Duration::ZERO));
        drop(state);
        self.entry.forgive();
        let stopped = self.entry.pace.stopped_until();
        match stopped {
            Some(until) => Demand {
                result: Outcome::Waiting,
                next_attempt: Some(self.entry.wall_of(until)),
                detail: "the token endpoint asked for fewer requests; it is asked after that",
            },
            None => Demand {
                result: Outcome::Queued,
                next_attempt: Some(self.entry.clock.wall()),
                detail: "the token endpoint is asked as soon as its pace of one request per second allows",
            },
        }
    }

    fn joined(&self, state: &State) -> Demand {
        let detail = "a token request is under way or queued already";
        let stopped = self.entry.pace.stopped_until().filter(|_| state.asking.is_none());
        let next_attempt = stopped.map(|until| self.entry.wall_of(until));
        Demand { result: Outcome::Joined, next_attempt, detail }
    }

    fn too_soon(&self, last: Option<Instant>) -> Option<Demand> {
        let again = last.map(|last| last + BETWEEN).filter(|again| *again > Instant::now())?;
        Some(Demand {
            result: Outcome::Refused,
            next_attempt: Some(self.entry.wall_of(again)),
            detail: "this was done less than a minute ago; demand it again after that",
        })
    }
}
