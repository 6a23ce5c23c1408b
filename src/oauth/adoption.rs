//! What an entry takes over from the store, and what it leaves there.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::answer::{Cause, Failure};
use super::entry::{Entry, State};
use super::life;
use super::log;
use super::quarantine;
use super::status::LastError;
use super::store::{KeptFailure, KeptToken, Record, millis, since, until};
use super::token::Token;

/// Those who took over a token ask for the next this much later than whoever obtained it means to, at most: then it is
/// there already, and they take that over too.
const LATER: Duration = Duration::from_secs(60);

impl Entry {
    /// Takes over what is worth more than what is here. `now` is the store's.
    pub(super) fn adopt(&self, record: Record, now: SystemTime) {
        if let Some(kept) = record.token {
            self.adopt_token(kept, now);
        }
        if let Some(failure) = record.failure {
            self.adopt_failure(failure, now);
        }
        if let Some(forced_at) = record.forced_at {
            self.rejection.go_on(since(now, forced_at));
        }
        self.tell();
    }

    /// What this process has to tell others. `now` is the store's.
    pub(super) fn record(&self, now: SystemTime) -> Record {
        let state = self.state();
        let held = state.held.as_ref();
        let valid_in = held.map(|held| held.from.saturating_duration_since(Instant::now()));
        let token = held.map(|held| Arc::clone(&held.token)).or_else(|| self.token.load_full());
        let token = token.filter(|token| token.is_servable(&self.clock, Instant::now()));
        // A token without a renewal is another secret's, which is served until the first of this one's is there.
        let token = token.zip(state.renew_at).map(|(token, renew_at)| {
            let age = self.clock.wall().duration_since(token.obtained_at()).unwrap_or_default();
            KeptToken {
                token: token.reveal().to_owned(),
                obtained_at: millis(now - age),
                valid_at: valid_in.map(|valid_in| millis(now + valid_in)),
                ends_at: millis(now + token.until_end(&self.clock)),
                life_ms: token.life().as_millis() as u64,
                renew_at: millis(now + self.clock.left(&renew_at)),
            }
        });
        let failure = self.failure(&state).map(|(error, count)| {
            let age = self.clock.wall().duration_since(error.at).unwrap_or_default();
            let left = |at: Instant| at.saturating_duration_since(Instant::now());
            KeptFailure {
                cause: error.cause,
                code: error.code,
                detail: error.detail,
                at: millis(now - age),
                retry_at: millis(now + self.allowed(&state).map(left).unwrap_or_default()),
                count,
            }
        });
        let forced_at = self.rejection.age().map(|age| millis(now - age));
        Record { token, failure, forced_at }
    }

    fn adopt_token(&self, kept: KeptToken, now: SystemTime) {
        let (left, renew_in) = (until(now, kept.ends_at), until(now, kept.renew_at));
        let life = Duration::from_millis(kept.life_ms).max(left);
        if left <= life::margin(life) {
            return;
        }
        let spread = (left.saturating_sub(renew_in) / 10).min(LATER).mul_f64(fastrand::f64());
        let renew_in = if renew_in.is_zero() { renew_in } else { renew_in + spread };
        let mut state = self.state();
        let age = since(now, kept.obtained_at);
        if state.demands.outdate(age) {
            return;
        }
        let ours = state.held.as_ref().map(|held| Arc::clone(&held.token)).or_else(|| self.token.load_full());
        let is_same = ours.as_ref().is_some_and(|ours| ours.reveal() == kept.token);
        if is_same && state.renew_at.is_some() {
            // Somebody asked meanwhile, and was given the same token once more.
            if state.renew_at.is_some_and(|planned| self.clock.left(&planned) < renew_in) {
                state.recovered();
                state.renew_at = Some(self.clock.deadline(renew_in));
                state.demands.renewal = false;
            }
            return;
        }
        let worse = ours.as_ref().is_some_and(|ours| ours.until_end(&self.clock) >= left);
        if worse && state.renew_at.is_some() {
            return;
        }
        let next = || self.generations.fetch_add(1, Ordering::Relaxed) + 1;
        let Some(token) = Token::kept(&kept.token, left, life, age, &self.clock, next) else { return };
        let (generation, valid_in) =
            (token.generation(), kept.valid_at.map_or(Duration::ZERO, |at| until(now, at)));
        state.renew_at = Some(self.clock.deadline(renew_in));
        state.recovered();
        state.demands.renewal = false;
        self.take(&mut state, token, valid_in);
        self.rejection.adopted(ours.as_ref().map(|ours| ours.generation()), generation);
        drop(state);
        self.pace.answered();
        log::adopted(&self.request, generation, left, ours.is_none());
        if self.client.release() {
            self.pace.ring();
        }
    }

    fn adopt_failure(&self, kept: KeptFailure, now: SystemTime) {
        let (age, wait) = (since(now, kept.at), until(now, kept.retry_at));
        let mut state = self.state();
        if state.forgiven.is_some_and(|forgiven| forgiven.elapsed() <= age) {
            return;
        }
        let failure = Failure { code: kept.code, ..Failure::new(kept.cause, kept.detail) };
        let error = LastError::new(&failure, self.clock.wall() - age);
        let until = Instant::now() + wait.min(LONGEST_WAIT);
        match failure.cause {
            Cause::RateLimited => self.pace.go_on(kept.count, wait.min(LONGEST_WAIT)),
            Cause::Rejected if failure.refuses_client() => {
                self.client.go_on(kept.count, until, error.clone());
            }
            Cause::Rejected => state.rejections = state.rejections.max(kept.count),
            Cause::Transient | Cause::Malformed => state.failures = state.failures.max(kept.count),
        }
        // One whose time has passed only tells how long to wait after the next.
        if wait.is_zero() {
            return;
        }
        if !matches!(failure.cause, Cause::RateLimited) && !failure.refuses_client() {
            state.retry_at = state.retry_at.max(Some(until));
        }
        state.error = Some(error);
        state.failing_since.get_or_insert(Instant::now());
        let news = state.told.insert(failure.cause);
        drop(state);
        if news {
            log::failed(&self.request, &failure, wait);
        }
    }

    /// The last failure and how many there have been in a row, until a token comes.
    fn failure(&self, state: &State) -> Option<(LastError, u32)> {
        if let Some((error, strikes)) = self.client.refused_so_far() {
            return Some((error, strikes));
        }
        let error = state.error.clone()?;
        let count = match error.cause {
            Cause::RateLimited => self.pace.strikes(),
            Cause::Rejected => state.rejections,
            Cause::Transient | Cause::Malformed => state.failures,
        };
        Some((error, count))
    }
}

/// No failure is rested after for longer, whatever an entry says.
const LONGEST_WAIT: Duration = quarantine::LONGEST;
