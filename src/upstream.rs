//! Upstreams: the Camunda addresses that requests go to.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

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
    /// An HTTP/1.1 connection is kept this long after its last answer. Shorter than what servers and load
    /// balancers keep, so that a request seldom meets a connection that is just being closed.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// A ping goes out on an HTTP/2 connection with streams after this time, between Zeebe's floor of 30 s and
    /// Cloudflare's limit of 60 s.
    #[serde(with = "humantime_serde")]
    pub ping_interval: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(4),
            ping_interval: Duration::from_secs(45),
        }
    }
}
