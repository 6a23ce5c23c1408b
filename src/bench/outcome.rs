//! How a request ended, in the words that results use.

use std::collections::BTreeMap;

use http::HeaderMap;

use crate::proxy::NAME;

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// 2xx, and for gRPC status 0.
    Ok,
    /// No connection.
    Connect,
    /// The connection or the stream broke off before the answer's end.
    Reset,
    /// No answer in time.
    Timeout,
    /// The run ended first.
    Unanswered,
    /// An HTTP status that is no success.
    Http(u16),
    /// A gRPC status that is no success; none is missing trailers.
    Grpc(Option<u16>),
    /// The proxy's own answer.
    Proxy(String),
}

/// How often each thing went wrong.
pub type Errors = BTreeMap<String, u64>;

impl Outcome {
    /// The outcome of an HTTP answer.
    pub(super) fn of_http(status: u16, proxy_status: Option<&[u8]>) -> Outcome {
        match (status, reason(proxy_status)) {
            (200..=299, _) => Outcome::Ok,
            (_, Some(reason)) => Outcome::Proxy(reason),
            (status, None) => Outcome::Http(status),
        }
    }

    /// The outcome of a gRPC call, by the fields that hold its status: trailers, or the only HEADERS frame.
    pub(super) fn of_grpc(fields: &HeaderMap) -> Outcome {
        let text = |name: &str| fields.get(name).map(http::HeaderValue::as_bytes);
        let status = text("grpc-status").and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
        match (status, reason(text("proxy-status"))) {
            (Some(0), _) => Outcome::Ok,
            (_, Some(reason)) => Outcome::Proxy(reason),
            (status, None) => Outcome::Grpc(status),
        }
    }

    /// Whether somebody answered, with whatever.
    pub(super) fn is_answer(&self) -> bool {
        matches!(self, Outcome::Ok | Outcome::Http(_) | Outcome::Grpc(_) | Outcome::Proxy(_))
    }

    /// The word for it; none for a success.
    pub(super) fn word(&self) -> Option<String> {
        Some(match self {
            Outcome::Ok => return None,
            Outcome::Connect => "connect".to_owned(),
            Outcome::Reset => "reset".to_owned(),
            Outcome::Timeout => "timeout".to_owned(),
            Outcome::Unanswered => "unanswered".to_owned(),
            Outcome::Http(status) => format!("http {status}"),
            Outcome::Grpc(Some(status)) => format!("grpc {status} {}", code(*status)),
            Outcome::Grpc(None) => "grpc without a status".to_owned(),
            Outcome::Proxy(reason) => format!("proxy {reason}"),
        })
    }
}

/// The reason in this proxy's own `proxy-status` (RFC 9209).
fn reason(proxy_status: Option<&[u8]>) -> Option<String> {
    let text = std::str::from_utf8(proxy_status?).ok()?;
    let rest = text.strip_prefix(NAME)?;
    let reason = rest.split("details=\"").nth(1)?.split('"').next()?;
    Some(reason.to_owned())
}

/// <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>
fn code(status: u16) -> &'static str {
    const CODES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    CODES.get(usize::from(status)).copied().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const OURS: &str = "camunda-auth-proxy; error=proxy_internal_error; details=\"token_pending\"";

    #[test]
    fn a_grpc_refusal_is_no_success_although_its_http_status_is_200() {
        let mut fields = HeaderMap::new();
        assert_eq!(Outcome::of_grpc(&fields), Outcome::Grpc(None));
        fields.insert("grpc-status", HeaderValue::from_static("16"));
        assert_eq!(Outcome::of_grpc(&fields).word().as_deref(), Some("grpc 16 UNAUTHENTICATED"));
        fields.insert("grpc-status", HeaderValue::from_static("0"));
        assert_eq!(Outcome::of_grpc(&fields), Outcome::Ok);
    }

    #[test]
    fn answers_of_this_proxy_are_told_from_the_upstreams_by_their_reason() {
        assert_eq!(
            Outcome::of_http(503, Some(OURS.as_bytes())).word().as_deref(),
            Some("proxy token_pending")
        );
        assert_eq!(Outcome::of_http(503, None).word().as_deref(), Some("http 503"));
        assert_eq!(Outcome::of_http(503, Some(b"other; details=\"x\"")), Outcome::Http(503));
        assert_eq!(Outcome::of_http(204, None), Outcome::Ok);
    }
}
