//! Why a request has no route, in words for somebody who never saw this code.

use std::fmt;

use crate::scope::Scope;

/// The request goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The method is never passed on: CONNECT opens tunnels, and an answer to TRACE would show the token.
    MethodRefused,
    /// The target could be read in more than one way; the text says how.
    Malformed(&'static str),
    /// Nothing serves this path here.
    NoRoute(NoRoute),
}

/// Why nothing serves a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoute {
    /// No line of the table matches.
    Unknown,
    /// Two components serve this very path.
    Ambiguous,
    /// `/secrets` on a listener that does not enable it.
    SecretsDisabled,
    /// gRPC on a listener pinned to a scope that speaks REST alone.
    NoGrpc(Scope),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::MethodRefused => f.write_str("CONNECT, TRACE and TRACK are not passed on"),
            Refusal::Malformed(what) => f.write_str(what),
            Refusal::NoRoute(why) => why.fmt(f),
        }
    }
}

impl fmt::Display for NoRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoRoute::Unknown => f.write_str(
                "this path belongs to no Camunda component that is known here: put the component in front of it, \
                 as /zeebe/…, /operate/…, /tasklist/… or /optimize/…",
            ),
            NoRoute::Ambiguous => f.write_str(
                "both Operate and Tasklist serve this path: put the one that is meant in front of it, \
                 as /operate/v1/variables/… or /tasklist/v1/variables/…",
            ),
            NoRoute::SecretsDisabled => f.write_str(
                "/secrets answers with every secret of the cluster and is off: a listener serves it with \
                 `secrets = true`; the other components are at /zeebe/…, /operate/…, /tasklist/… and /optimize/…",
            ),
            NoRoute::NoGrpc(scope) => {
                write!(f, "this listener is pinned to {scope}, which has no gRPC: send gRPC to a zeebe listener")
            }
        }
    }
}

impl std::error::Error for Refusal {}
