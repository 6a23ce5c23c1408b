//! The configuration: the sum of the modules' own, read in layers, all mistakes at once.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::proxy::{AccessLog, relay};
use crate::{access, admin, credentials, listener, oauth, shutdown, upstream};

mod check;
mod client_auth;
mod collect;
mod effective;
mod environment;
mod file;
mod free;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzed;
mod keystore;
mod merge;
mod open_files;
mod preset;
mod settings;
mod sources;
mod store;

pub use client_auth::ClientProof;
pub use effective::Effective;
pub use settings::{Migrated, ScopeSettings, Settings};
pub use sources::{Flag, Sources};
pub use store::{StorePlace, StoreSettings};

/// Every key that can be configured. `proxy.toml` at the top of the repository holds them all with a sentence each.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The credentials file that Console hands out. Without it the environment is read for the same names.
    pub credentials: Option<PathBuf>,
    /// Data-plane threads; 0 is one per core.
    pub workers: usize,
    /// Whether the process gives up what a proxy has no use for.
    pub confine: Confine,
    /// Files with secrets that other users can read are an error, and not a warning.
    pub strict: bool,
    /// How far away an unauthenticated caller may be.
    pub anonymous: access::Anonymous,
    /// Where the main listeners listen.
    pub listen: Option<Vec<Address>>,
    /// Listeners with more to say than an address: pinned to a scope, or with TLS.
    pub listener: Vec<listener::Config>,
    /// Probes, metrics and status.
    pub admin: admin::Config,
    /// The Host and Origin guard.
    pub access: access::Config,
    /// Callers that prove who they are.
    pub caller: Vec<access::CallerConfig>,
    /// The listeners' own token endpoint.
    pub relay: relay::Config,
    /// What takes the place of OAuth.
    pub authorization: credentials::Config,
    /// The token endpoint and the client.
    pub oauth: oauth::Config,
    /// Where tokens are kept besides this process's memory.
    pub store: oauth::StoreConfig,
    /// What each scope's upstream has of its own.
    pub scopes: Scopes,
    /// The connections to upstreams.
    pub upstream: upstream::Config,
    /// What a caller may take of this process.
    pub limits: listener::Limits,
    /// Camunda's own hosts.
    pub saas: Saas,
    /// What is logged.
    pub log: Log,
    /// How to stop.
    pub drain: shutdown::Config,
}

/// Upstreams by scope. What is not set comes from the credentials file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scopes {
    /// Zeebe, over gRPC and REST.
    pub zeebe: upstream::ScopeConfig,
    /// Operate.
    pub operate: upstream::ScopeConfig,
    /// Tasklist.
    pub tasklist: upstream::ScopeConfig,
    /// Optimize.
    pub optimize: upstream::ScopeConfig,
    /// The cluster's secrets.
    pub secrets: upstream::ScopeConfig,
}

/// Whether the process gives up core dumps, other files and other programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confine {
    /// As far as the kernel knows how.
    #[default]
    Auto,
    /// Not at all: for debuggers, and for files that a reload finds in new places.
    Off,
}

/// Camunda's own hosts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Saas {
    /// Which of the old and the new hosts of REST to use.
    pub hosts: Hosts,
}

/// Old files name hosts that Camunda 8.10 no longer answers on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hosts {
    /// Decided once, by a probe.
    #[default]
    Auto,
    /// As the file says.
    Legacy,
    /// `https://<region>.api.camunda.io/<cluster id>`.
    Api,
}

/// What is logged, on standard error.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or `off`, also by target: `info,token=debug`. `trace` adds to `debug` in debug
    /// builds alone.
    pub level: String,
    /// For people or for machines.
    pub format: LogFormat,
    /// Which requests get a line.
    pub access: AccessLog,
}

impl Default for Log {
    fn default() -> Log {
        Log { level: "info".to_owned(), format: LogFormat::default(), access: AccessLog::default() }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Human on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// A line for people.
    Human,
    /// An object for machines.
    Json,
}

impl Config {
    /// The listeners to open. `listen` names the main ones; without it they are those `[[listener]]`s that are
    /// not pinned to a scope, and without those the two defaults. Listeners with TLS, a scope or secrets of
    /// their own are always opened.
    pub fn listeners(&self) -> Vec<listener::Config> {
        let plain = |address| listener::Config { address, scope: None, secrets: false, tls: None };
        let is_plain = |l: &listener::Config| l.scope.is_none() && !l.secrets && l.tls.is_none();
        match &self.listen {
            Some(addresses) => {
                let special = self.listener.iter().filter(|l| !is_plain(l)).cloned();
                addresses.iter().cloned().map(plain).chain(special).collect()
            }
            None if self.listener.iter().any(|l| l.scope.is_none()) => self.listener.clone(),
            None => {
                let default = [26500, 8080].map(|port| plain(Address::Tcp(([127, 0, 0, 1], port).into())));
                default.into_iter().chain(self.listener.iter().cloned()).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests;
