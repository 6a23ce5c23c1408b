//! What an entry says: the token with its times, and the last failure, so that a fleet goes on where one process stopped.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::oauth::answer::Cause;

/// An entry's content. All times are the store's, in milliseconds since 1970.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::oauth) struct Record {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::oauth) token: Option<KeptToken>,
    /// The last failure, until a token comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::oauth) failure: Option<KeptFailure>,
    /// When the last request began that was made because the upstream had rejected a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::oauth) forced_at: Option<u64>,
}

/// A token and its times.
#[derive(PartialEq, Serialize, Deserialize)]
pub(in crate::oauth) struct KeptToken {
    pub(in crate::oauth) token: String,
    pub(in crate::oauth) obtained_at: u64,
    /// Not to be sent before, if it was not valid yet when it was obtained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::oauth) valid_at: Option<u64>,
    pub(in crate::oauth) ends_at: u64,
    /// From its start to its end.
    pub(in crate::oauth) life_ms: u64,
    /// When whoever obtained it means to ask for the next.
    pub(in crate::oauth) renew_at: u64,
}

/// A token request that brought no token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::oauth) struct KeptFailure {
    pub(in crate::oauth) cause: Cause,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::oauth) code: Option<String>,
    pub(in crate::oauth) detail: String,
    pub(in crate::oauth) at: u64,
    /// Nobody asks before.
    pub(in crate::oauth) retry_at: u64,
    /// How many there have been in a row.
    pub(in crate::oauth) count: u32,
}

/// Clocks differ; what was obtained later than this from now was not obtained.
const FUTURE: Duration = Duration::from_secs(300);
/// How long a failure counts beyond its time: whoever tries again later than this starts anew.
const REMEMBERED: Duration = Duration::from_secs(3600);

impl Record {
    /// The entry's text.
    pub(in crate::oauth) fn to_text(&self) -> Vec<u8> {
        // These types have nothing that JSON cannot hold.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The record again. Fields that a later version added are passed over.
    pub(in crate::oauth) fn from_text(text: &[u8]) -> Option<Record> {
        serde_json::from_slice(text).ok()
    }

    /// Without what has ended by now, and what cannot be.
    pub(in crate::oauth) fn at(self, now: SystemTime) -> Record {
        let (now, latest) = (millis(now), millis(now + FUTURE));
        let token = self.token.filter(|token| token.obtained_at <= latest && token.ends_at > now);
        let remembered = REMEMBERED.as_millis() as u64;
        let failure = self
            .failure
            .filter(|failure| failure.at <= latest && failure.retry_at.saturating_add(remembered) > now);
        Record { token, failure, forced_at: self.forced_at.filter(|forced_at| *forced_at <= latest) }
    }

    /// How long this is worth keeping from now on.
    pub(in crate::oauth) fn worth(&self, now: SystemTime) -> Duration {
        let token = self.token.as_ref().map(|token| until(now, token.ends_at));
        let failure = self.failure.as_ref().map(|failure| until(now, failure.retry_at) + REMEMBERED);
        token.max(failure).unwrap_or_default()
    }
}

/// The token itself is not shown.
impl std::fmt::Debug for KeptToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeptToken").field("ends_at", &self.ends_at).finish_non_exhaustive()
    }
}

/// A time as records have it.
pub(in crate::oauth) fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// From now until a record's time; zero when it has passed.
pub(in crate::oauth) fn until(now: SystemTime, at: u64) -> Duration {
    Duration::from_millis(at.saturating_sub(millis(now)))
}

/// From a record's time until now; zero when it has not come.
pub(in crate::oauth) fn since(now: SystemTime, at: u64) -> Duration {
    Duration::from_millis(millis(now).saturating_sub(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
    }

    fn token(obtained_at: u64, ends_at: u64) -> Record {
        let (obtained_at, ends_at) = (millis(at(obtained_at)), millis(at(ends_at)));
        let token = KeptToken {
            token: "canary".to_owned(),
            obtained_at,
            valid_at: None,
            ends_at,
            life_ms: ends_at - obtained_at,
            renew_at: ends_at,
        };
        Record { token: Some(token), ..Record::default() }
    }

    fn failure(retry_at: u64) -> Record {
        let failure = KeptFailure {
            cause: Cause::RateLimited,
            code: None,
            detail: "slow down".to_owned(),
            at: millis(at(0)),
            retry_at: millis(at(retry_at)),
            count: 3,
        };
        Record { failure: Some(failure), ..Record::default() }
    }

    #[test]
    fn a_record_is_the_same_after_it_was_written_and_read() {
        let both = Record { failure: failure(60).failure, ..token(0, 3600) };
        assert_eq!(Record::from_text(&both.to_text()), Some(both));
        assert_eq!(Record::from_text(&Record::default().to_text()), Some(Record::default()));
        assert_eq!(Record::from_text(br#"{"token": 1}"#), None);
        assert_eq!(Record::from_text(br#"{"later": true}"#), Some(Record::default()));
    }

    #[test]
    fn what_has_ended_or_cannot_be_is_left_out() {
        assert!(token(0, 3600).at(at(3599)).token.is_some());
        assert!(token(0, 3600).at(at(3600)).token.is_none());
        assert!(token(300, 3600).at(at(0)).token.is_some());
        assert!(token(301, 3600).at(at(0)).token.is_none());
        assert!(failure(60).at(at(3659)).failure.is_some());
        assert!(failure(60).at(at(3660)).failure.is_none());
    }

    #[test]
    fn a_record_is_kept_as_long_as_it_says_something() {
        assert_eq!(token(0, 100).worth(at(40)), Duration::from_secs(60));
        assert_eq!(token(0, 100).worth(at(200)), Duration::ZERO);
        assert_eq!(failure(60).worth(at(0)), Duration::from_secs(3660));
        assert_eq!(Record::default().worth(at(0)), Duration::ZERO);
    }

    #[test]
    fn a_token_is_not_shown() {
        assert!(!format!("{:?}", token(0, 1)).contains("canary"));
    }
}
