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
mod detect;
mod handover;
mod heard;
mod watch;
mod worker;

pub use accept::{Listening, accept};
pub use bind::{BindError, Bound};
pub use handover::{Acceptor, Entrance};
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

/// What a caller may take of this process.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Open connections of all listeners together, as far as descriptors reach; more wait in the kernel's queue.
    pub connections: usize,
    /// From accepting a connection, or from the first byte of a later request, to the end of the request's head.
    #[serde(with = "humantime_serde")]
    pub head_timeout: Duration,
    /// A connection without a request in flight is closed after this time.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 16_384,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
        }
    }
}

#[cfg(test)]
mod tests;
