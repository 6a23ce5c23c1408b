//! The answers that the proxy gives itself, in both dialects, from one table.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::error::{Error, OauthCode};
use crate::body::Body;
use crate::message::{Headers, Response};
use crate::reason::Reason;

/// The protocol in which a caller expects to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// HTTP: a status and RFC 9457's `application/problem+json`.
    Rest,
    /// gRPC: HTTP 200 and a status in the only HEADERS frame.
    Grpc,
}

/// How a reason is answered.
struct Row {
    status: StatusCode,
    /// <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>
    grpc_status: u8,
    title: &'static str,
    /// RFC 9209 §2.3.
    proxy_error: &'static str,
}

const fn row(status: StatusCode, grpc_status: u8, title: &'static str, proxy_error: &'static str) -> Row {
    Row { status, grpc_status, title, proxy_error }
}

/// The table of answers. Never 2xx, and never 401 for a failure of the proxy itself: clients would throw their own
/// credentials away.
const fn answer(reason: Reason) -> Row {
    use StatusCode as S;
    match reason {
        Reason::TokenPending => row(S::SERVICE_UNAVAILABLE, 14, "No token yet", "proxy_internal_error"),
        Reason::TokenEndpointUnavailable => {
            row(S::SERVICE_UNAVAILABLE, 14, "Token endpoint unavailable", "proxy_internal_error")
        }
        Reason::TokenRateLimited => {
            row(S::SERVICE_UNAVAILABLE, 14, "Token endpoint is rate-limited", "proxy_internal_error")
        }
        Reason::CredentialsRejected => {
            row(S::SERVICE_UNAVAILABLE, 14, "Credentials rejected", "proxy_configuration_error")
        }
        Reason::ScopeNotGranted => row(S::FORBIDDEN, 7, "Scope not granted", "http_request_denied"),
        Reason::NoRoute => row(S::NOT_FOUND, 12, "No route", "destination_not_found"),
        Reason::CallerUnknown => row(S::UNAUTHORIZED, 16, "Caller unknown", "http_request_denied"),
        Reason::CallerDenied => row(S::FORBIDDEN, 7, "Caller denied", "http_request_denied"),
        Reason::HostDenied => row(S::MISDIRECTED_REQUEST, 7, "Host denied", "http_request_denied"),
        Reason::OriginDenied => row(S::FORBIDDEN, 7, "Origin denied", "http_request_denied"),
        Reason::UpstreamConnect => row(S::BAD_GATEWAY, 14, "Upstream unreachable", "destination_unavailable"),
        Reason::UpstreamReset => row(S::BAD_GATEWAY, 14, "Upstream broke off", "connection_terminated"),
        Reason::UpstreamTimeout => row(S::GATEWAY_TIMEOUT, 4, "Upstream timed out", "http_response_timeout"),
        Reason::Overloaded => row(S::SERVICE_UNAVAILABLE, 14, "Overloaded", "connection_limit_reached"),
        Reason::Draining => row(S::SERVICE_UNAVAILABLE, 14, "Draining", "proxy_internal_response"),
        Reason::QuotaExceeded => row(S::TOO_MANY_REQUESTS, 8, "Quota exceeded", "http_request_denied"),
        Reason::Malformed => row(S::BAD_REQUEST, 13, "Malformed request", "http_request_error"),
        Reason::MethodRefused => row(S::METHOD_NOT_ALLOWED, 12, "Method refused", "http_request_denied"),
        Reason::LoopDetected => row(S::LOOP_DETECTED, 13, "Loop detected", "proxy_loop_detected"),
    }
}

/// The name under which the proxy speaks of itself in `via` and `proxy-status`.
pub const NAME: &str = "camunda-auth-proxy";

/// RFC 9209.
pub(super) const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
pub(super) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
pub(super) const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// What is percent-encoded in `grpc-message`: all but printable ASCII, and the percent sign.
const GRPC_MESSAGE_SET: &AsciiSet = &CONTROLS.add(b'%');

/// The answer to a failed request.
pub fn reply(error: &Error, dialect: Dialect) -> Response<Body> {
    let row = answer(error.reason);
    let mut response = match dialect {
        Dialect::Rest if error.oauth.is_some() => oauth_error(error, &row),
        Dialect::Rest => problem(error, &row),
        Dialect::Grpc => {
            let mut response = Response::new(StatusCode::OK, Body::Empty);
            response.head.headers = grpc_status(error);
            response.head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            response
        }
    };
    if let Some(seconds) = error.retry_after.or_else(|| usual_retry_after(error.reason)) {
        let seconds = seconds.as_secs() + u64::from(seconds.subsec_nanos() > 0);
        response.head.headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    if error.reason == Reason::MethodRefused {
        let all = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
        let allowed = HeaderValue::from_static(if error.only_post { "POST" } else { all });
        response.head.headers.insert(ALLOW, allowed);
    }
    if error.reason == Reason::CallerUnknown {
        // RFC 9110 §15.5.2: a 401 says how to do better. A token endpoint knows Basic alone.
        let challenges = ["Basic realm=\"camunda-auth-proxy\"", "Bearer realm=\"camunda-auth-proxy\""];
        for challenge in &challenges[..if error.oauth.is_some() { 1 } else { 2 }] {
            response.head.headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
    }
    response
}

/// `grpc-status`, `grpc-message` and `proxy-status`, for headers or trailers.
pub(super) fn grpc_status(error: &Error) -> Headers {
    let row = answer(error.reason);
    let text = format!("{}: {}", error.reason, error.detail);
    let message = utf8_percent_encode(&text, GRPC_MESSAGE_SET).to_string();
    let mut headers = Headers::with_capacity(6);
    headers.insert(GRPC_STATUS, HeaderValue::from(u16::from(row.grpc_status)));
    if let Ok(message) = HeaderValue::from_str(&message) {
        headers.insert(GRPC_MESSAGE, message);
    }
    headers.insert(PROXY_STATUS, proxy_status(error.reason, &row));
    headers
}

fn problem(error: &Error, row: &Row) -> Response<Body> {
    let status = error.status.unwrap_or(row.status);
    let problem = serde_json::json!({
        "type": "about:blank",
        "title": row.title,
        "status": status.as_u16(),
        "detail": error.detail,
        "reason": error.reason.name(),
    });
    let mut response = Response::new(status, Body::Full(Bytes::from(problem.to_string())));
    let headers = &mut response.head.headers;
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(PROXY_STATUS, proxy_status(error.reason, row));
    response
}

/// RFC 6749 §5.2.
fn oauth_error(error: &Error, row: &Row) -> Response<Body> {
    let told = serde_json::json!({
        "error": error.oauth.map(OauthCode::name),
        "error_description": error.detail,
        "reason": error.reason.name(),
    });
    let mut response = Response::new(row.status, Body::Full(Bytes::from(told.to_string())));
    let headers = &mut response.head.headers;
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PROXY_STATUS, proxy_status(error.reason, row));
    response
}

fn proxy_status(reason: Reason, row: &Row) -> HeaderValue {
    let text = format!("{NAME}; error={}; details=\"{reason}\"", row.proxy_error);
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(NAME))
}

/// Overload and stopping pass by themselves soon.
fn usual_retry_after(reason: Reason) -> Option<Duration> {
    matches!(reason, Reason::Overloaded | Reason::Draining | Reason::QuotaExceeded | Reason::TokenRateLimited)
        .then_some(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_of_the_proxy_is_a_success_or_blames_the_callers_credentials() {
        for &reason in Reason::ALL {
            let row = answer(reason);
            assert!(row.status.as_u16() >= 400, "{reason}");
            assert_ne!(row.grpc_status, 0, "{reason}");
            if reason != Reason::CallerUnknown {
                assert_ne!(row.status, StatusCode::UNAUTHORIZED, "{reason}");
                assert_ne!(row.grpc_status, 16, "{reason}");
            }
        }
    }

    #[test]
    fn a_grpc_answer_is_headers_alone_and_its_message_is_percent_encoded() {
        let error = Error::new(Reason::UpstreamConnect, "100 % täglich\n");
        let response = reply(&error, Dialect::Grpc);
        assert_eq!(response.head.status, 200);
        assert!(http_body::Body::is_end_stream(&response.body));
        assert_eq!(response.head.headers.get(GRPC_STATUS).unwrap(), "14");
        let message = response.head.headers.get(GRPC_MESSAGE).unwrap();
        assert_eq!(message, "upstream_connect: 100 %25 t%C3%A4glich%0A");
    }

    #[test]
    fn a_part_of_a_second_is_rounded_up_in_retry_after() {
        let mut error = Error::new(Reason::TokenRateLimited, "later");
        error.retry_after = Some(Duration::from_millis(2100));
        assert_eq!(reply(&error, Dialect::Rest).head.headers.get(RETRY_AFTER).unwrap(), "3");
    }
}
