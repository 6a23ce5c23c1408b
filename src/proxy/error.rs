//! Why a request is answered here and not upstream.

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;

use crate::access::{CallerDenial, Denial};
use crate::oauth::{Cause, Unavailable};
use crate::reason::Reason;
use crate::route::{Leg, Refusal};
use crate::scope::Scope;
use crate::upstream;

/// A failure on the way, as the caller will see it.
#[derive(Debug)]
pub struct Error {
    /// The word for it.
    pub reason: Reason,
    /// A sentence for a person: what happened and what to do.
    pub detail: Cow<'static, str>,
    /// When another try makes sense.
    pub retry_after: Option<Duration>,
    /// In place of the status that the reason has in the table of answers.
    pub status: Option<StatusCode>,
    /// The caller takes us for a token endpoint and is told in OAuth's own words.
    pub(super) oauth: Option<OauthCode>,
    /// The one method that is served there; all that are forwarded, when absent.
    pub(super) only_post: bool,
}

/// RFC 6749 §5.2's error codes, and RFC 8707's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OauthCode {
    InvalidRequest,
    InvalidClient,
    InvalidScope,
    InvalidTarget,
    UnsupportedGrantType,
    TemporarilyUnavailable,
}

impl OauthCode {
    pub(super) const fn name(self) -> &'static str {
        match self {
            OauthCode::InvalidRequest => "invalid_request",
            OauthCode::InvalidClient => "invalid_client",
            OauthCode::InvalidScope => "invalid_scope",
            OauthCode::InvalidTarget => "invalid_target",
            OauthCode::UnsupportedGrantType => "unsupported_grant_type",
            OauthCode::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }
}

impl Error {
    pub(super) fn new(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Error {
        Error {
            reason,
            detail: detail.into(),
            retry_after: None,
            status: None,
            oauth: None,
            only_post: false,
        }
    }

    /// A token request that makes no sense.
    pub(super) fn oauth(code: OauthCode, detail: impl Into<Cow<'static, str>>) -> Error {
        Error::new(Reason::Malformed, detail).in_oauth(code)
    }

    /// Who asks for a token has not proved who it is.
    pub(super) fn caller_unknown() -> Error {
        let detail = "neither the client id and secret of this proxy nor a caller's key: see `relay.mode` and `[[caller]]`";
        Error::new(Reason::CallerUnknown, detail).in_oauth(OauthCode::InvalidClient)
    }

    /// Another proof of the connection was wrong, just now.
    pub(super) fn too_many_guesses(wait: Duration) -> Error {
        let detail =
            "a wrong proof has just come over this connection: the next one is looked at a second later";
        let error = Error::new(Reason::QuotaExceeded, detail).in_oauth(OauthCode::TemporarilyUnavailable);
        Error { retry_after: Some(wait), ..error }
    }

    /// The same, told as a token endpoint does.
    pub(super) fn in_oauth(self, code: OauthCode) -> Error {
        Error { oauth: Some(code), ..self }
    }

    /// The same, where POST is the only method.
    pub(super) fn only_post(self) -> Error {
        Error { only_post: true, ..self }
    }

    /// The credentials do not grant the scope.
    pub fn scope_not_granted(scope: Scope) -> Error {
        Error::new(
            Reason::ScopeNotGranted,
            format!(
                "the credentials do not grant the scope `{scope}`: create a client with that scope in Console and use its credentials file"
            ),
        )
    }

    /// The credentials grant the scope, but nobody knows where it is served.
    pub fn no_address(scope: Scope, leg: Leg) -> Error {
        let (protocol, key) = match leg {
            Leg::Grpc => ("gRPC", "grpc_address"),
            Leg::Rest => ("REST", "address"),
        };
        Error::new(
            Reason::ScopeNotGranted,
            format!(
                "the scope `{scope}` has no {protocol} address: set scopes.{scope}.{key}, or give it in the credentials file"
            ),
        )
    }

    /// A head that is longer than any may be.
    pub(super) fn too_large(limit: usize) -> Error {
        let status = Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        let detail =
            format!("the request's head has more than {limit} bytes (limits.head_size) or 100 fields");
        Error { status, ..Error::new(Reason::Malformed, detail) }
    }

    /// A caller that did not go on with its request.
    pub(super) fn stalled() -> Error {
        let detail = "the request's body did not go on for too long (limits.body_timeout)";
        Error { status: Some(StatusCode::REQUEST_TIMEOUT), ..Error::new(Reason::Malformed, detail) }
    }

    /// All places for requests are taken.
    pub(super) fn too_many_requests() -> Error {
        Error::new(
            Reason::Overloaded,
            "as many requests are under way as may be: try again, or raise limits.requests",
        )
    }

    /// A caller's connections have all the places that it may have.
    pub(super) fn too_many_connections() -> Error {
        let detail = "as many connections are open from where you call as may be: use the open ones, or raise \
                      limits.connections_per_caller";
        Error::new(Reason::Overloaded, detail)
    }

    /// The time that requests had to end in is over.
    pub(super) fn draining() -> Error {
        Error::new(
            Reason::Draining,
            "this proxy is stopping, and no answer has come in the time that was left: try again",
        )
    }

    pub(super) fn upstream_timeout() -> Error {
        Error::new(Reason::UpstreamTimeout, "the upstream did not answer in time")
    }
}

impl From<Denial> for Error {
    fn from(denial: Denial) -> Error {
        match denial {
            Denial::Malformed(what) => Error::new(Reason::Malformed, what),
            Denial::HostDenied => Error::new(
                Reason::HostDenied,
                "the Host is none of this proxy's names: use localhost or the address it listens on, or add the name to access.allowed_hosts",
            ),
            Denial::OriginDenied => Error::new(
                Reason::OriginDenied,
                "requests from web pages are refused: add the page's origin to access.allowed_origins if it may act with this proxy's credentials",
            ),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        let detail = refusal.to_string();
        let reason = match refusal {
            Refusal::NoRoute(_) => Reason::NoRoute,
            Refusal::MethodRefused => Reason::MethodRefused,
            Refusal::Malformed(_) => Reason::Malformed,
        };
        Error::new(reason, detail)
    }
}

impl From<CallerDenial> for Error {
    fn from(denial: CallerDenial) -> Error {
        match denial {
            CallerDenial::Unknown => {
                let detail = "this proxy wants to know who calls: send the key of a `[[caller]]` as \
                              `authorization: Bearer KEY`, or show a certificate";
                Error::new(Reason::CallerUnknown, detail)
            }
            CallerDenial::Denied(why) => Error::new(Reason::CallerDenied, why),
            CallerDenial::Exceeded { limit, retry_after } => {
                Error { retry_after: Some(retry_after), ..Error::new(Reason::QuotaExceeded, limit) }
            }
        }
    }
}

impl From<Unavailable> for Error {
    fn from(unavailable: Unavailable) -> Error {
        let reason = match unavailable.cause {
            None => Reason::TokenPending,
            Some(Cause::Transient | Cause::Malformed) => Reason::TokenEndpointUnavailable,
            Some(Cause::RateLimited) => Reason::TokenRateLimited,
            Some(Cause::Rejected) => Reason::CredentialsRejected,
        };
        Error { retry_after: unavailable.retry_after, ..Error::new(reason, unavailable.detail) }
    }
}

impl From<upstream::Error> for Error {
    fn from(error: upstream::Error) -> Error {
        match error {
            upstream::Error::Connect(detail) => {
                Error::new(Reason::UpstreamConnect, format!("the upstream cannot be reached: {detail}"))
            }
            upstream::Error::Stale => Error::new(
                Reason::TokenPending,
                "the token ended while a connection to the upstream was waited for; the next one is being asked for",
            ),
            upstream::Error::Reset(detail) => {
                Error::new(Reason::UpstreamReset, format!("the upstream broke the exchange off: {detail}"))
            }
        }
    }
}
