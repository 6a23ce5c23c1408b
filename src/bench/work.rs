//! What is asked for, and how often: protocol, connections, body, and an open or a closed loop.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// A REST call over HTTP/1.1: the topology, or a search when it has a body.
    Rest,
    /// A unary gRPC call: the topology.
    Grpc,
    /// A job pushed over an open gRPC stream, from the command that creates it to its arrival.
    GrpcStream,
}

impl Protocol {
    /// All of them, in the order in which they are measured.
    pub const ALL: [Protocol; 3] = [Protocol::Rest, Protocol::Grpc, Protocol::GrpcStream];

    /// The word for it on the command line and in results.
    pub const fn name(self) -> &'static str {
        match self {
            Protocol::Rest => "rest",
            Protocol::Grpc => "grpc",
            Protocol::GrpcStream => "grpc-stream",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Protocol, String> {
        let found = Protocol::ALL.into_iter().find(|protocol| protocol.name() == text);
        found.ok_or_else(|| "it is none of rest, grpc and grpc-stream".to_owned())
    }
}

/// How the requests of a block look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// What a request is.
    pub protocol: Protocol,
    /// Connections that are open.
    pub connections: usize,
    /// Streams at once on each HTTP/2 connection; HTTP/1.1 has one request at a time.
    pub streams: usize,
    /// Bytes in a request's body; zero is the smallest request there is.
    pub body: usize,
}

impl Work {
    /// How many requests can be under way at once.
    pub fn slots(&self) -> usize {
        match self.protocol {
            Protocol::Rest => self.connections,
            Protocol::Grpc | Protocol::GrpcStream => self.connections * self.streams,
        }
    }
}

/// When requests start.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Load {
    /// An open loop: this many a second by schedule, whether the earlier ones were answered or not.
    Rate(f64),
    /// A closed loop: each slot starts its next request when the one before was answered.
    Saturate,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Load::Rate(rate) => write!(f, "{rate:.0} a second"),
            Load::Saturate => f.write_str("as many as go through"),
        }
    }
}
