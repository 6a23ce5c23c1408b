//! The token endpoint's answer: what counts as a token, and the closed list of what may go wrong.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::request::TokenRequest;

/// Asks the token endpoint once. [`super::Endpoint`] does it over the network, tests do it from a script.
pub trait Ask: Send + Sync {
    /// One request, one answer of any status; a failure when there was no answer.
    fn ask(&self, request: &TokenRequest) -> Asked;

    /// The token endpoint that is asked, as it may be shown; the issuer while only that is known.
    fn shown(&self, request: &TokenRequest) -> String {
        request.shown()
    }
}

/// A request under way.
pub type Asked = Pin<Box<dyn Future<Output = Result<Answer, Failure>> + Send>>;

/// An answer as it came. Its `Debug` shows no body, because that may hold a token.
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header; `Date` and `Retry-After` are read.
    pub headers: HeaderMap,
    /// The body, 64 KiB at most.
    pub body: Bytes,
}

impl Answer {
    /// An answer without header fields.
    pub fn new(status: u16, body: impl Into<Bytes>) -> Answer {
        Answer { status, headers: HeaderMap::new(), body: body.into() }
    }

    /// The same answer with one more header field.
    pub fn with(mut self, name: HeaderName, value: &str) -> Answer {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// The token in it, or what is wrong. The status is looked at first: an error's body is never taken for a token.
    pub(super) fn read(&self, wall: SystemTime) -> Result<Grant, Failure> {
        let status = self.status;
        let failure =
            |cause, what: &str| Failure::new(cause, format!("the token endpoint answered {status}{what}"));
        match status {
            200 => self.grant(),
            429 => Err(failure(Cause::RateLimited, "").after(self.retry_after(wall))),
            503 => Err(failure(Cause::Transient, "").after(self.retry_after(wall))),
            408 | 425 | 500..=599 => Err(failure(Cause::Transient, "")),
            400 | 401 | 403 => {
                let code = self.code();
                let shown = code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
                Err(Failure { code, ..failure(Cause::Rejected, &shown) })
            }
            300..=399 => Err(failure(Cause::Malformed, ": redirects are not followed with a secret")),
            _ => Err(failure(Cause::Malformed, "")),
        }
    }

    fn grant(&self) -> Result<Grant, Failure> {
        let malformed =
            |what: &str| Failure::new(Cause::Malformed, format!("the token endpoint's answer {what}"));
        if self.headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            return Err(malformed("is compressed, which was not asked for"));
        }
        match self.body.trim_ascii_start().first() {
            None => return Err(malformed("is empty")),
            Some(b'{') => {}
            Some(b'<') => return Err(malformed("is a page, not JSON")),
            Some(_) => return Err(malformed("is not a JSON object")),
        }
        // The parser's own message may quote the body.
        let fields: Fields = serde_json::from_slice(&self.body).map_err(|error| {
            malformed(match error.classify() {
                serde_json::error::Category::Eof => "is cut off",
                serde_json::error::Category::Data => "names a field twice",
                _ => "is not JSON",
            })
        })?;
        if fields.token_type.is_some_and(|kind| !kind.as_str().is_some_and(is_bearer)) {
            return Err(malformed("holds no bearer token"));
        }
        let token = match fields.access_token {
            Some(Value::String(token)) if !token.is_empty() => token,
            Some(Value::String(_)) => return Err(malformed("holds an empty token")),
            _ => return Err(malformed("holds no access_token")),
        };
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(malformed("holds a token with characters that no header may have"));
        }
        let authorization = bearer(&token).ok_or_else(|| malformed("holds a token that fits no header"))?;
        let expires_in = fields.expires_in.as_ref().and_then(number);
        Ok(Grant { authorization, expires_in, claims: claims(&token), date: self.date() })
    }

    fn date(&self) -> Option<SystemTime> {
        httpdate::parse_http_date(self.headers.get(header::DATE)?.to_str().ok()?).ok()
    }

    /// `Retry-After` in either form, kept within reason. A date is measured by the server's own clock if it shows one.
    fn retry_after(&self, wall: SystemTime) -> Option<Duration> {
        let text = self.headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
        let stated = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Duration::from_secs(text.parse().unwrap_or(u64::MAX))
        } else {
            let at = httpdate::parse_http_date(text).ok()?;
            at.duration_since(self.date().unwrap_or(wall)).unwrap_or_default()
        };
        Some(stated.clamp(Duration::from_secs(1), Duration::from_secs(3600)))
    }

    /// RFC 6749 §5.2's error code, if it looks like one: anything else might quote the request.
    fn code(&self) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        let code = body.get("error")?.as_str()?;
        let short =
            (1..=40).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        short.then(|| code.to_owned())
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({}, {} bytes)", self.status, self.body.len())
    }
}

/// A usable answer.
pub(super) struct Grant {
    pub(super) authorization: HeaderValue,
    /// In seconds, as the endpoint stated it; absent when it stated nothing that is a number.
    pub(super) expires_in: Option<f64>,
    /// A JWT's payload, unverified; absent when the token is opaque.
    pub(super) claims: Option<Value>,
    /// The endpoint's clock.
    pub(super) date: Option<SystemTime>,
}

/// Why there is no token: the closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The endpoint could not be reached, broke off, was too slow or said it is out of order: tried again.
    Transient,
    /// The endpoint asked for fewer requests: the whole host is left alone for a while.
    RateLimited,
    /// The endpoint refused the credentials or what was asked for: probed slowly until they change.
    Rejected,
    /// The endpoint answered with something that is not a token: tried again.
    Malformed,
}

impl Cause {
    /// The word for it in logs, metrics and status.
    pub const fn name(self) -> &'static str {
        match self {
            Cause::Transient => "transient",
            Cause::RateLimited => "rate_limited",
            Cause::Rejected => "rejected",
            Cause::Malformed => "malformed",
        }
    }
}

/// A token request that brought no token.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its place in the closed list.
    pub cause: Cause,
    /// One short fact, nothing secret in it.
    pub detail: String,
    /// RFC 6749's error code, when a rejection carried one.
    pub code: Option<String>,
    /// How long the endpoint asked to be left alone.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A failure of this cause. The detail is shown in logs, status and answers.
    pub fn new(cause: Cause, detail: impl Into<String>) -> Failure {
        Failure { cause, detail: detail.into(), code: None, retry_after: None }
    }

    fn after(self, retry_after: Option<Duration>) -> Failure {
        Failure { retry_after, ..self }
    }

    /// Whether the client itself was refused, so that no other request of its can do better.
    pub(super) fn refuses_client(&self) -> bool {
        matches!(self.code.as_deref(), Some("invalid_client" | "unauthorized_client"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Failure {}

/// A field named twice is refused: which one the endpoint meant is anybody's guess.
#[derive(Deserialize)]
struct Fields {
    access_token: Option<Value>,
    token_type: Option<Value>,
    expires_in: Option<Value>,
}

fn is_bearer(kind: &str) -> bool {
    kind.trim().eq_ignore_ascii_case("bearer")
}

/// A number, or a text that is one: providers send both.
pub(super) fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

/// The header that a token becomes; absent when it fits none.
pub(super) fn bearer(token: &str) -> Option<HeaderValue> {
    let mut authorization = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    authorization.set_sensitive(true);
    Some(authorization)
}

/// A JWT's payload. Only read for its times and to be shown; whoever gets the token checks its signature.
pub(super) fn claims(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    let json = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&json).ok().filter(Value::is_object)
}
