//! What a source says of itself: plain values for `/status`, metrics and logs, nothing secret in them.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::answer::{Cause, Failure};

/// One source's state at one moment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Status {
    /// The token endpoint, without user info and query. Absent where nobody is asked.
    pub endpoint: Option<String>,
    /// The audience asked for.
    pub audience: Option<String>,
    /// In one word.
    pub state: State,
    /// The generation of the last token.
    pub generation: Option<u64>,
    /// When the last token was obtained.
    #[serde(with = "humantime_serde")]
    pub obtained_at: Option<SystemTime>,
    /// The last token's end.
    #[serde(with = "humantime_serde")]
    pub expires_at: Option<SystemTime>,
    /// When the token endpoint is asked next; absent while it is being asked, and while nobody needs a token.
    #[serde(with = "humantime_serde")]
    pub next_attempt: Option<SystemTime>,
    /// What went wrong last, until a token comes.
    pub last_error: Option<LastError>,
    /// Whether the upstream's rejections of the token lead to renewals.
    pub renew_on_401: RenewOn401,
    /// Until when not, while that is paused.
    #[serde(with = "humantime_serde")]
    pub renew_on_401_paused_until: Option<SystemTime>,
    /// Requests that wait for a token now.
    pub waiters: usize,
    /// Token requests made, by outcome.
    pub requests: Requests,
    /// Time that token requests have waited for their turn, in total.
    #[serde(with = "humantime_serde")]
    pub budget_wait: Duration,
    /// By how many seconds the token endpoint's clock is ahead of ours.
    pub skew_seconds: Option<i64>,
    /// How often the renewal task had to be started again.
    pub restarts: u64,
}

/// A source's state in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The first token has not come yet, and nothing has gone wrong.
    #[default]
    Pending,
    /// A token is served.
    Valid,
    /// A token is served, and the next one is being asked for.
    Renewing,
    /// Nobody has used the token for a while, so the next one is asked for only when somebody does.
    Idle,
    /// The token has ended and the next one is being asked for.
    Expired,
    /// There is no token, and the last attempt failed.
    Failing,
    /// There is no token, and the host is left alone because it asked for that.
    RateLimited,
    /// There is no token, and the credentials were refused.
    Rejected,
    /// Requests get a field that is not asked for and has no end, or none at all.
    Fixed,
}

impl State {
    /// All states, for a metric's state set.
    pub const ALL: [State; 9] = [
        State::Pending,
        State::Valid,
        State::Renewing,
        State::Idle,
        State::Expired,
        State::Failing,
        State::RateLimited,
        State::Rejected,
        State::Fixed,
    ];

    /// The word for it in logs, metrics and status.
    pub const fn name(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Valid => "valid",
            State::Renewing => "renewing",
            State::Idle => "idle",
            State::Expired => "expired",
            State::Failing => "failing",
            State::RateLimited => "rate_limited",
            State::Rejected => "rejected",
            State::Fixed => "fixed",
        }
    }
}

/// Whether the upstream's rejections of a token lead to renewals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RenewOn401 {
    /// They never do: the field has nobody who could be asked for another one.
    #[default]
    Never,
    /// They do, at most once a minute.
    Active,
    /// They do not for a while: the tokens of several renewals were rejected too.
    Paused,
    /// The while is over: the next rejection leads to one renewal, whose outcome decides.
    Probing,
}

/// What went wrong last.
#[derive(Clone, Debug, Serialize)]
pub struct LastError {
    /// Its place in the closed list.
    pub cause: Cause,
    /// RFC 6749's error code, when a rejection carried one.
    pub code: Option<String>,
    /// One short fact.
    pub detail: String,
    /// When, by our wall clock.
    #[serde(with = "humantime_serde")]
    pub at: SystemTime,
}

impl LastError {
    pub(super) fn new(failure: &Failure, at: SystemTime) -> LastError {
        LastError { cause: failure.cause, code: failure.code.clone(), detail: failure.detail.clone(), at }
    }
}

/// Token requests made, by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// That brought a token.
    pub ok: u64,
    /// That failed for the moment.
    pub transient: u64,
    /// That were answered 429.
    pub rate_limited: u64,
    /// That were refused.
    pub rejected: u64,
    /// That were answered with something that is not a token.
    pub malformed: u64,
}

impl Requests {
    /// All of them.
    pub const fn total(&self) -> u64 {
        self.ok + self.transient + self.rate_limited + self.rejected + self.malformed
    }

    pub(super) fn count(&mut self, cause: Cause) {
        match cause {
            Cause::Transient => self.transient += 1,
            Cause::RateLimited => self.rate_limited += 1,
            Cause::Rejected => self.rejected += 1,
            Cause::Malformed => self.malformed += 1,
        }
    }
}

/// There is no token in time, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    /// What went wrong; absent while the first answer is still being waited for.
    pub cause: Option<Cause>,
    /// When the token endpoint is asked next, from now.
    pub retry_after: Option<Duration>,
    /// One short fact, nothing secret in it.
    pub detail: String,
}

impl std::fmt::Display for Unavailable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Unavailable {}
