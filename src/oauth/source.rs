//! The source of one token: current without a lock, waited for from any thread.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::answer::Cause;
use super::entry::{Entry, Plan, State as Inner};
use super::request::TokenRequest;
use super::status::{LastError, State, Status, Unavailable};
use super::token::Token;

/// Where the token of one token request comes from. Its renewal task ends with it.
pub struct TokenSource {
    pub(super) entry: Arc<Entry>,
    pub(super) supervisor: AbortHandle,
}

impl TokenSource {
    /// The token, unless there is none or its end has come by either clock.
    pub fn current(&self) -> Option<Arc<Token>> {
        self.current_at(Instant::now())
    }

    /// The same for who has read the clock just now, as every request has: that takes longer than all else here.
    pub fn current_at(&self, now: Instant) -> Option<Arc<Token>> {
        let entry = &self.entry;
        let token = entry.token.load_full().filter(|token| token.is_servable(&entry.clock, now))?;
        self.mark_used();
        Some(token)
    }

    /// Waits for a token, on whatever runtime. Says so early when waiting cannot help: when the credentials were
    /// refused, or when the token endpoint will not be asked before `until`. Leaving cancels nothing.
    pub async fn wait(&self, until: Instant) -> Result<Arc<Token>, Unavailable> {
        if let Some(token) = self.current() {
            return Ok(token);
        }
        let mut changed = self.entry.changed.subscribe();
        let mut host = self.entry.pace.changes();
        let _waiting = Waiting::new(&self.entry);
        // Who waits in vain would have used it.
        self.mark_used();
        loop {
            if let Some(token) = self.current() {
                return Ok(token);
            }
            if self.is_hopeless(until) {
                return Err(self.unavailable());
            }
            let change = async {
                tokio::select! {
                    _ = changed.changed() => {}
                    _ = host.changed() => {}
                }
            };
            if timeout_at(until, change).await.is_err() {
                return self.current().ok_or_else(|| self.unavailable());
            }
        }
    }

    /// What it asks for.
    pub fn request(&self) -> &TokenRequest {
        &self.entry.request
    }

    /// For how long a token of this source is still served.
    pub fn left(&self, token: &Token) -> Duration {
        token.left(&self.entry.clock)
    }

    /// What there is to say of it now.
    pub fn status(&self) -> Status {
        let entry = &self.entry;
        let plan = entry.plan();
        let token = entry.token.load_full();
        let inner = entry.state();
        let (renew_on_401, paused_until) = entry.rejection.renewing();
        Status {
            endpoint: Some(entry.ask.shown(&entry.request)),
            audience: entry.request.audience.clone(),
            state: self.state(&inner, plan),
            generation: token.as_ref().map(|token| token.generation()),
            obtained_at: token.as_ref().map(|token| token.obtained_at()),
            expires_at: token.as_ref().and_then(|token| token.expires_at()),
            next_attempt: match plan {
                _ if inner.asking.is_some() => None,
                Plan::Rest => None,
                Plan::At(at) => Some(entry.wall_of(at)),
                Plan::Ask | Plan::Serve => Some(entry.clock.wall()),
            },
            last_error: self.last_error(&inner),
            renew_on_401,
            renew_on_401_paused_until: paused_until.map(|until| entry.wall_of(until)),
            waiters: entry.waiters.load(Ordering::Relaxed),
            requests: inner.requests,
            budget_wait: inner.budget_wait,
            skew_seconds: inner.skew,
            restarts: inner.restarts,
        }
    }

    /// Serves another source's token until there is one of its own: for a new secret of the same client. Nothing
    /// happens when the two ask for anything else that differs, or when a token is here already.
    pub fn adopt(&self, old: &TokenSource) {
        let entry = &self.entry;
        let state = entry.state();
        let free =
            entry.token.load().is_none() && entry.request.differs_in_client_auth_only(&old.entry.request);
        if let Some(token) = old.entry.token.load_full().filter(|_| free) {
            entry.token.store(Some(token));
        }
        drop(state);
        entry.changed.send_replace(());
    }

    /// Tries again at once, whatever failed before: for a credentials file that was touched. A token endpoint's
    /// rate limit stays in force, and so does the pace.
    pub fn retry(&self) {
        self.entry.forgive();
    }

    fn mark_used(&self) {
        // Loaded first: a store by every request would move the cache line between all cores.
        if !self.entry.used.load(Ordering::Relaxed) {
            self.entry.used.store(true, Ordering::SeqCst);
            if self.entry.resting.load(Ordering::SeqCst) {
                self.entry.wake.notify_one();
            }
        }
    }

    /// Whether waiting until then is useless.
    pub(super) fn is_hopeless(&self, until: Instant) -> bool {
        let inner = self.entry.state();
        let late = inner.asking.is_none() && self.not_before(&inner).is_some_and(|at| at > until);
        late || self.entry.is_rejected(&inner)
    }

    fn unavailable(&self) -> Unavailable {
        let inner = self.entry.state();
        let now = Instant::now();
        let next = self.not_before(&inner).filter(|at| *at > now && inner.asking.is_none());
        let error = self.last_error(&inner);
        let cause = if self.entry.is_rejected(&inner) {
            Some(Cause::Rejected)
        } else if self.entry.pace.stopped_until().is_some() {
            Some(Cause::RateLimited)
        } else {
            error.as_ref().map(|error| error.cause)
        };
        let detail = match (error, cause) {
            (Some(error), _) => error.detail,
            _ if inner.held.is_some() => {
                "the token that the token endpoint handed out is not valid yet".to_owned()
            }
            (None, Some(_)) => "the token endpoint asked for fewer requests".to_owned(),
            (None, None) => "the first token has not come yet".to_owned(),
        };
        Unavailable { cause, retry_after: next.map(|at| at - now), detail }
    }

    /// Before this moment no token can come.
    fn not_before(&self, inner: &Inner) -> Option<Instant> {
        inner.held.as_ref().map(|held| held.from).or_else(|| self.entry.allowed(inner))
    }

    fn last_error(&self, inner: &Inner) -> Option<LastError> {
        self.entry.client.refusal().or_else(|| inner.error.clone())
    }

    fn state(&self, inner: &Inner, plan: Plan) -> State {
        let token = self.entry.token.load();
        let served = token.as_ref().is_some_and(|token| token.is_servable(&self.entry.clock, Instant::now()));
        match token.as_ref() {
            Some(_) if served && inner.asking.is_some() => State::Renewing,
            Some(_) if served && plan == Plan::Rest => State::Idle,
            Some(_) if served => State::Valid,
            _ if self.entry.is_rejected(inner) => State::Rejected,
            _ if self.entry.pace.stopped_until().is_some() => State::RateLimited,
            _ if inner.error.is_some() => State::Failing,
            Some(_) if plan == Plan::Rest => State::Idle,
            Some(_) => State::Expired,
            None => State::Pending,
        }
    }
}

impl Drop for TokenSource {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

/// Counts a waiter as long as it waits, and how long that is.
pub(super) struct Waiting<'a> {
    entry: &'a Entry,
    since: Instant,
}

impl Waiting<'_> {
    pub(super) fn new(entry: &Entry) -> Waiting<'_> {
        // Only the first one changes anything for the renewal task.
        if entry.waiters.fetch_add(1, Ordering::Relaxed) == 0 {
            entry.wake.notify_one();
        }
        Waiting { entry, since: Instant::now() }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.entry.waiters.fetch_sub(1, Ordering::Relaxed);
        self.entry.measures.waits.observe(self.since.elapsed());
    }
}
