//! What the token endpoint answers, and in which manner.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, DATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

/// An answer of the token endpoint.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The header fields; `date` is always among them.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// How long the answer is held back.
    pub delay: Duration,
    /// How it is sent.
    pub manner: Manner,
}

/// How an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As it should be.
    Whole,
    /// The head at once, then one byte of the body after each interval.
    Slow(Duration),
    /// Never.
    Hang,
    /// Not at all: the connection is closed.
    Close,
}

impl Answer {
    /// A token with the time it has left.
    pub(super) fn token(token: &str, left: Duration) -> Answer {
        let body = json!({
            "access_token": token,
            "scope": super::token::OAUTH_SCOPE,
            "expires_in": left.as_secs(),
            "token_type": "Bearer",
        });
        Answer::new(StatusCode::OK, "application/json", body.to_string())
    }

    /// An error (RFC 6749 §5.2).
    pub(super) fn error(status: StatusCode, error: &str, description: &str) -> Answer {
        let body = json!({ "error": error, "error_description": description });
        Answer::new(status, "application/json", body.to_string())
    }

    pub(super) fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Answer { status, headers, body: body.into(), delay: Duration::ZERO, manner: Manner::Whole }
    }

    pub(super) fn after(mut self, delay: Duration) -> Answer {
        self.delay = delay;
        self
    }

    pub(super) fn sent(mut self, manner: Manner) -> Answer {
        self.manner = manner;
        self
    }

    /// Adds a field; what is no field value is left out.
    pub(super) fn with(mut self, name: &'static str, value: impl ToString) -> Answer {
        if let Ok(value) = HeaderValue::try_from(value.to_string()) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Sets `date`, moved by what a fault asked for.
    pub(super) fn dated(self, clock: SystemTime) -> Answer {
        let skew =
            self.headers.get(DATE).and_then(|skew| skew.to_str().ok()?.parse::<i64>().ok()).unwrap_or(0);
        let by = Duration::from_secs(skew.unsigned_abs());
        let date = if skew < 0 { clock.checked_sub(by) } else { clock.checked_add(by) };
        self.with("date", httpdate::fmt_http_date(date.unwrap_or(clock)))
    }
}
