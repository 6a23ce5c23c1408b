//! Listeners: the addresses that callers connect to, and the workers that serve their connections.
//!
//! A thread of its own accepts and hands each connection to the least loaded worker; a worker is a thread with a
//! runtime, connection pools and counters of its own.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::scope::Scope;

mod accept;
mod bind;
mod connection;
mod date;
mod detect;
mod handover;
mod http1;
mod http2;
mod places;
mod watch;
mod worker;

pub use accept::{Listening, accept};
pub use bind::{BindError, Bound};
pub use handover::{Acceptor, Entrance};
pub use places::Places;
pub use worker::{Handle, Worker};

/// One listener: an address, and whether it is pinned to a scope or speaks TLS.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to listen.
    pub address: Address,
    /// Pins the listener to one scope: no prefix is needed on it. Every scope when absent.
    #[serde(default)]
    pub scope: Option<Scope>,
    /// Serves `/secrets`, which answers with every secret of the cluster.
    #[serde(default)]
    pub secrets: bool,
    /// Speaks TLS, with ALPN for HTTP/2 and HTTP/1.1.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
}

/// The certificate that a TLS listener shows.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file: the certificate, then its intermediates.
    pub cert_file: PathBuf,
    /// PEM file: the certificate's private key.
    pub key_file: PathBuf,
    /// PEM file: the authorities whose certificates prove who a caller is. Callers without one may come, too.
    #[serde(default)]
    pub client_ca_file: Option<PathBuf>,
}

/// What callers may take of this process.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Open connections of all listeners together, as far as descriptors reach; more wait in the kernel's queue.
    pub connections: usize,
    /// Of these, how many may come from one caller.
    pub connections_per_caller: usize,
    /// Streams of one HTTP/2 connection.
    pub streams: u32,
    /// Requests under way, waiting ones and streams included.
    pub requests: usize,
    /// Bytes of a request's head, fields and all.
    pub head_size: usize,
    /// Bytes of request bodies that are kept to be sent again, of all requests together.
    pub replay_memory: usize,
    /// From accepting a connection, or from the first byte of a later request, to the end of the request's head.
    #[serde(with = "humantime_serde")]
    pub head_timeout: Duration,
    /// How long a body may not go on because of the caller, which does not send or does not read.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
    /// A connection without a request in flight is closed after this time.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
}

/// No head may be longer, whatever is configured: so much memory may each caller take before it is known.
pub const LONGEST_HEAD: usize = 64 * 1024;
/// A head with a token of the caller's own and a few cookies has to fit.
pub const SHORTEST_HEAD: usize = 8 * 1024;

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 16_384,
            connections_per_caller: 4096,
            // Long polls and job streams stay open, and one gRPC client has one connection for all of them.
            streams: 1000,
            requests: 32_768,
            head_size: LONGEST_HEAD,
            replay_memory: 64 << 20,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(75),
        }
    }
}

#[cfg(test)]
mod tests;
