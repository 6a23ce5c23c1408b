//! A scope: a Camunda component that a client was granted.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A Camunda component, in the words of Console's `CAMUNDA_CREDENTIALS_SCOPES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The engine: gRPC and the orchestration cluster's REST API.
    Zeebe,
    /// Operate's REST API.
    Operate,
    /// Tasklist's REST API and GraphQL.
    Tasklist,
    /// Optimize's public and ingestion APIs.
    Optimize,
    /// The cluster's secrets. Off by default: it answers with every secret of the cluster.
    Secrets,
}

impl Scope {
    /// All scopes, in the order in which they are shown.
    pub const ALL: [Scope; 5] =
        [Scope::Zeebe, Scope::Operate, Scope::Tasklist, Scope::Optimize, Scope::Secrets];

    /// The scope's name in configuration, logs, metrics and status.
    pub const fn name(self) -> &'static str {
        match self {
            Scope::Zeebe => "zeebe",
            Scope::Operate => "operate",
            Scope::Tasklist => "tasklist",
            Scope::Optimize => "optimize",
            Scope::Secrets => "secrets",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name is not a scope's.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownScope;

impl fmt::Display for UnknownScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a scope: expected zeebe, operate, tasklist, optimize or secrets")
    }
}

impl std::error::Error for UnknownScope {}

impl FromStr for Scope {
    type Err = UnknownScope;

    /// Compared without case and trimmed: Console's spelling has changed between generations.
    fn from_str(name: &str) -> Result<Scope, UnknownScope> {
        let name = name.trim();
        Scope::ALL.into_iter().find(|scope| scope.name().eq_ignore_ascii_case(name)).ok_or(UnknownScope)
    }
}
