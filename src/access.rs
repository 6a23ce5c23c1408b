//! Who may come in.

use serde::{Deserialize, Serialize};

/// The Host and Origin guard.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Names, with or without a port, that callers may use for this proxy besides loopback names and bound addresses.
    pub allowed_hosts: Vec<String>,
    /// Web origins (`https://host:port`) whose pages may call. None by default.
    pub allowed_origins: Vec<String>,
}

/// How far away an unauthenticated caller may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Anonymous {
    /// On this machine only: a listener that others can reach refuses to start.
    #[default]
    Loopback,
    /// Wherever a listener can be reached from. Whoever reaches it acts as the cluster's client.
    Anywhere,
}
