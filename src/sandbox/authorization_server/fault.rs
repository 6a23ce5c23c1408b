//! Faults of a token endpoint: what real ones were seen to answer on bad days.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use super::answer::{Answer, Manner};

/// A way to go wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// 429, with `retry-after` in seconds or without.
    TooManyRequests(Option<u64>),
    /// 401 after a delay.
    Rejected(Duration),
    /// 403 as JSON.
    Forbidden,
    /// 500 as JSON.
    ServerError,
    /// 502 as HTML, from a load balancer.
    BadGateway,
    /// Any status with any body, as JSON.
    Status(u16, String),
    /// 200 with a login page.
    Html,
    /// 200 with `{}`.
    EmptyObject,
    /// 200 with JSON that stops in the middle.
    TruncatedJson,
    /// 200 with a body of 10 MiB.
    HugeBody,
    /// 204.
    NoContent,
    /// 302 to this URL.
    Redirect(String),
    /// Takes the request and never answers.
    Hang,
    /// Closes the connection without an answer.
    Close,
    /// A good answer of which one byte arrives in each interval.
    SlowBody(Duration),
    /// A good answer with this JSON text as `expires_in`: `"300"` in quotes, `null`, `-1`, `0`, `299.5`.
    ExpiresIn(String),
    /// A good answer without `expires_in`.
    NoExpiresIn,
    /// A good answer in which every key comes twice, first with another value.
    DuplicateKeys,
    /// A good answer, compressed although nobody asked for it.
    Gzip,
    /// A token that is no JWT; components take it.
    OpaqueToken,
    /// A good answer with an empty token.
    EmptyToken,
    /// A good answer with this `token_type`: `bearer`, `mac`.
    TokenType(String),
    /// A good answer whose `date` is off by this many seconds.
    SkewedDate(i64),
    /// The same token again, to its very end.
    SameToken,
}

impl Fault {
    /// The answer of a fault that does not look at the request.
    pub(super) fn instead(&self) -> Option<Answer> {
        let denied = |status, text: &str| Answer::error(status, "access_denied", text);
        let ok = |kind, body: Bytes| Answer::new(StatusCode::OK, kind, body);
        let nothing = || ok("application/json", Bytes::new());
        Some(match self {
            Fault::TooManyRequests(retry_after) => {
                let answer = denied(StatusCode::TOO_MANY_REQUESTS, "Too many requests");
                match retry_after {
                    Some(seconds) => answer.with("retry-after", seconds),
                    None => answer,
                }
            }
            Fault::Rejected(delay) => denied(StatusCode::UNAUTHORIZED, "Unauthorized").after(*delay),
            Fault::Forbidden => denied(StatusCode::FORBIDDEN, "Service not enabled within domain"),
            Fault::ServerError => Answer::error(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "Oops"),
            Fault::BadGateway => Answer::new(StatusCode::BAD_GATEWAY, "text/html", BAD_GATEWAY),
            Fault::Status(status, body) => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                Answer::new(status, "application/json", body.clone())
            }
            Fault::Html => ok("text/html", Bytes::from_static(LOGIN.as_bytes())),
            Fault::EmptyObject => ok("application/json", Bytes::from_static(b"{}")),
            Fault::TruncatedJson => ok(
                "application/json",
                Bytes::from_static(br#"{"access_token":"eyJhbGciOiJFUzI1NiJ9.eyJpc3Mi"#),
            ),
            Fault::HugeBody => ok("application/json", Bytes::from(vec![b' '; 10 << 20])),
            Fault::NoContent => Answer { status: StatusCode::NO_CONTENT, ..nothing() },
            Fault::Redirect(to) => Answer { status: StatusCode::FOUND, ..nothing() }.with("location", to),
            Fault::Hang => nothing().sent(Manner::Hang),
            Fault::Close => nothing().sent(Manner::Close),
            _ => return None,
        })
    }

    /// Spoils a good answer. `admit` makes another token valid.
    pub(super) fn spoil(&self, token: &str, left: Duration, admit: impl FnOnce(&str)) -> Answer {
        let good = Answer::token(token, left);
        let left = left.as_secs().to_string();
        match self {
            Fault::SlowBody(interval) => good.sent(Manner::Slow(*interval)),
            Fault::ExpiresIn(text) => written(token, Some(text), "Bearer"),
            Fault::NoExpiresIn => written(token, None, "Bearer"),
            Fault::DuplicateKeys => {
                let body = format!(
                    r#"{{"access_token":"first","expires_in":1,"token_type":"mac","access_token":"{token}","expires_in":{left},"token_type":"Bearer"}}"#
                );
                Answer { body: body.into(), ..good }
            }
            Fault::Gzip => Answer { body: gzipped(&good.body), ..good }.with("content-encoding", "gzip"),
            Fault::OpaqueToken => {
                let opaque = format!("opaque-{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
                admit(&opaque);
                written(&opaque, Some(&left), "Bearer")
            }
            Fault::EmptyToken => written("", Some(&left), "Bearer"),
            Fault::TokenType(kind) => written(token, Some(&left), kind),
            // `Answer::dated` adds the skew to the time.
            Fault::SkewedDate(seconds) => good.with("date", seconds),
            _ => good,
        }
    }
}

const BAD_GATEWAY: &str = "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>\n";

const LOGIN: &str =
    "<!doctype html><html><head><title>Log in</title></head><body><form method=post></form></body></html>\n";

fn written(token: &str, expires_in: Option<&str>, token_type: &str) -> Answer {
    let expires_in = expires_in.map(|text| format!(r#""expires_in":{text},"#)).unwrap_or_default();
    let body = format!(r#"{{"access_token":"{token}",{expires_in}"token_type":"{token_type}"}}"#);
    Answer::new(StatusCode::OK, "application/json", body)
}

fn gzipped(body: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // Writing to a vector cannot fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default().into()
}
