//! Upstreams: the Camunda addresses that requests go to, and the connections to them.
//!
//! Each worker has its own [`Pool`] for each [`Origin`]; nothing is shared between threads.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http::uri::{Authority, Scheme};
use rustls::ClientConfig;
use serde::{Deserialize, Serialize};

use crate::body::CallerBody;
use crate::http2::Failure;
use crate::message::{request, response};
use crate::tls;
use crate::upstream_address::UpstreamAddress;

mod answer;
mod connect;
mod http1;
mod http2;
mod pool;
mod pump;
mod stream;

pub use crate::http1::RequestHead;
pub use answer::AnswerBody;
pub use pool::Pool;

/// Connections are renewed after this time, so that changes of names and load balancers are followed.
const MAX_AGE: Duration = Duration::from_secs(30 * 60);

/// One scope's upstream. What is not set comes from the credentials file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScopeConfig {
    /// REST base address, for example `https://bru-2.operate.camunda.io/<cluster id>`.
    pub address: Option<String>,
    /// gRPC address, for example `grpcs://<cluster id>.bru-2.zeebe.camunda.io:443`. Zeebe only.
    pub grpc_address: Option<String>,
    /// Whom this scope's token is for.
    pub audience: Option<String>,
    /// Allows this scope's addresses to be plaintext beyond loopback: the token can then be read on the way.
    pub allow_plaintext: bool,
    /// PEM file of authorities to trust for this scope, besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The protocol of the REST address; gRPC is always HTTP/2.
    pub protocol: Protocol,
}

/// The protocol spoken to a REST address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP/2 or HTTP/1.1 as TLS negotiates it (ALPN); HTTP/1.1 in plaintext.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2; in plaintext with prior knowledge (RFC 9113 §3.3).
    Http2,
}

/// The connections to upstreams.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// From starting to connect to a usable connection: name look-up, TCP, TLS.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// From a REST request to the head of its answer. Generous, since long polls are held by the upstream for as long
    /// as their callers ask. gRPC calls have their own deadlines.
    #[serde(with = "humantime_serde")]
    pub response_timeout: Duration,
    /// An HTTP/1.1 connection is kept this long after its last answer. Shorter than what servers and load
    /// balancers keep, so that a request seldom meets a connection that is just being closed.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// A ping goes out on an HTTP/2 connection with streams after this time, between Zeebe's floor of 30 s and
    /// Cloudflare's limit of 60 s.
    #[serde(with = "humantime_serde")]
    pub ping_interval: Duration,
    /// So many bytes of a request's body are kept until the head of its answer, so that the request can be sent once more
    /// when the upstream refuses its token, or the request as a whole without having looked at it. A longer body is not
    /// kept at all.
    pub replay_buffer: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            connect_timeout: Duration::from_secs(10),
            response_timeout: Duration::from_secs(3600),
            idle_timeout: Duration::from_secs(4),
            ping_interval: Duration::from_secs(45),
            replay_buffer: 64 * 1024,
        }
    }
}

/// One address that requests go to, with what is needed to connect.
#[derive(Debug)]
pub struct Origin {
    /// Host, port and base path.
    pub address: UpstreamAddress,
    /// The scheme of request targets in HTTP/2.
    pub scheme: Scheme,
    /// `host:port`, without the port where it is the scheme's own; goes out as `host` or `:authority`.
    pub authority: Authority,
    wire: Wire,
    base_uri: Uri,
    /// TLS with the ALPN that fits `wire`, and the same for HTTP/1.1 alone (upgrades need it).
    tls: Option<(Arc<ClientConfig>, Arc<ClientConfig>)>,
}

/// What is spoken to an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    Http1,
    Http2,
    Negotiated,
}

impl Origin {
    /// A REST origin.
    pub fn rest(address: UpstreamAddress, config: &ScopeConfig) -> Result<Origin, OriginError> {
        let wire = match (config.protocol, address.tls) {
            (Protocol::Http1, _) | (Protocol::Auto, false) => Wire::Http1,
            (Protocol::Http2, _) => Wire::Http2,
            (Protocol::Auto, true) => Wire::Negotiated,
        };
        Origin::new(address, wire, config)
    }

    /// A gRPC origin: HTTP/2, whatever is configured for REST.
    pub fn grpc(address: UpstreamAddress, config: &ScopeConfig) -> Result<Origin, OriginError> {
        Origin::new(address, Wire::Http2, config)
    }

    fn new(address: UpstreamAddress, wire: Wire, config: &ScopeConfig) -> Result<Origin, OriginError> {
        let scheme = if address.tls { Scheme::HTTPS } else { Scheme::HTTP };
        let invalid = |_| OriginError::Address(address.to_string());
        let authority: Authority = address.authority().parse().map_err(invalid)?;
        let base_uri = Uri::builder()
            .scheme(address.scheme())
            .authority(authority.clone())
            .path_and_query("/")
            .build()
            .map_err(|_| OriginError::Address(address.to_string()))?;
        let tls = if address.tls {
            let alpn: &[&[u8]] = match wire {
                Wire::Http1 => &[tls::ALPN_HTTP1],
                Wire::Http2 => &[tls::ALPN_HTTP2],
                Wire::Negotiated => &[tls::ALPN_HTTP2, tls::ALPN_HTTP1],
            };
            let config = tls::client_config(config.ca_file.as_deref(), alpn).map_err(OriginError::Tls)?;
            let mut http1 = config.clone();
            http1.alpn_protocols = vec![tls::ALPN_HTTP1.to_vec()];
            Some((Arc::new(config), Arc::new(http1)))
        } else {
            None
        };
        Ok(Origin { address, scheme, authority, wire, base_uri, tls })
    }
}

/// An origin cannot be set up.
#[derive(Debug)]
pub enum OriginError {
    /// The address cannot stand in a request.
    Address(String),
    /// TLS cannot be set up.
    Tls(tls::Error),
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OriginError::Address(address) => write!(f, "{address} cannot be used as an address"),
            OriginError::Tls(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OriginError {}

/// A request's head for the protocol that its connection turns out to speak, made at the moment in which it is sent, of which
/// it is said whether a connection or a place on one was `waited` for; and what becomes of heads that answer the request before
/// its answer.
pub trait Heads {
    /// For HTTP/1.1. `None` when it may be sent no longer.
    fn http1(&self, waited: bool) -> Option<RequestHead>;
    /// For HTTP/2. `None` when it may be sent no longer.
    fn http2(&self, waited: bool) -> Option<request::Head>;
    /// An answer before the answer has come: 1xx, but 101 (RFC 9110 §15.2).
    fn interim(&self, head: response::Head);
}

/// A request body, by how much of it is known.
#[derive(Default)]
pub enum Payload {
    /// None.
    #[default]
    Empty,
    /// The whole of it: can be sent again.
    Whole(Bytes),
    /// What still comes from the caller.
    Streaming(CallerBody),
}

impl Payload {
    /// The same body once more, when all of it is here before it goes out.
    fn again(&self) -> Option<Payload> {
        match self {
            Payload::Empty => Some(Payload::Empty),
            Payload::Whole(bytes) => Some(Payload::Whole(bytes.clone())),
            Payload::Streaming(_) => None,
        }
    }

    /// The same body once more, when all of it is here and it is no longer than so many bytes.
    pub fn again_within(&self, limit: usize) -> Option<Payload> {
        self.again().filter(|payload| !matches!(payload, Payload::Whole(bytes) if bytes.len() > limit))
    }
}

/// No answer from the upstream.
#[derive(Clone, Debug)]
pub enum Error {
    /// No connection: nothing was sent.
    Connect(String),
    /// The connection or the stream broke before an answer began; what was seen.
    Reset(String),
    /// What was to be sent had lost its validity while a connection was waited for. Nothing was sent.
    Stale,
}

impl Error {
    fn reset(detail: String) -> Error {
        Error::Reset(detail)
    }

    fn from_http2(failure: &Failure) -> Error {
        Error::Reset(failure.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Connect(detail) | Error::Reset(detail) => f.write_str(detail),
            Error::Stale => f.write_str("the token ended while a connection was waited for"),
        }
    }
}

impl std::error::Error for Error {}

/// A failed try.
struct Refused {
    error: Error,
    /// The body, when the request may go out once more.
    again: Option<Payload>,
}
