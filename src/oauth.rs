//! Tokens: asked for once, kept, renewed ahead of time.
//!
//! [`Tokens`] has one [`TokenSource`] for each distinct [`TokenRequest`], whose `entry` its waiters and its renewal
//! task share. That task looks at its `entry`'s plan, queues for its host's `pace`, asks the token [`Endpoint`] once,
//! reads the `answer`, gives the token its `life`, and starts over. It is the only one that asks, which is what makes
//! a flight single.

mod adoption;
mod answer;
mod assertion;
mod authorizer;
mod client_auth;
mod client_identity;
mod clock;
mod demand;
mod discovery;
mod endpoint;
mod entry;
mod free;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzed;
mod identity;
mod life;
mod log;
mod measures;
mod pace;
mod preset;
mod quarantine;
mod rejection;
mod renewal;
mod request;
mod share;
mod signing_key;
mod source;
mod status;
mod store;
mod token;
mod tokens;

#[cfg(test)]
mod tests;

pub use answer::{Answer, Ask, Asked, Cause, Failure};
pub use authorizer::Authorizer;
pub use client_auth::{ClientAuth, ClientAuthMethod};
pub use client_identity::ClientIdentity;
pub use clock::Clock;
pub use demand::{Demand, Outcome};
pub use endpoint::Endpoint;
pub use free::Free;
pub use measures::Measured;
pub use preset::Preset;
pub use rejection::Verdict;
pub use request::TokenRequest;
pub use signing_key::{KeyError, SigningKey};
pub use source::TokenSource;
pub use status::{LastError, RenewOn401, Requests, State, Status, Unavailable};
pub use store::{
    AddressError, Config as StoreConfig, FileStore, Kind as StoreKind, Lease, Loaded, Operation,
    RedisAddress, RedisStore, Store, StoreStatus, Turn,
};
pub use token::Token;
pub use tokens::Tokens;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// The token endpoint. What is not set comes from the credentials file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The identity provider whose settings are known.
    pub preset: Option<Preset>,
    /// The address of the preset's provider.
    pub server: Option<String>,
    /// The realm of `keycloak`.
    pub realm: Option<String>,
    /// The tenant of `entra`.
    pub tenant: Option<String>,
    /// The token endpoint (RFC 6749 §3.2).
    pub url: Option<String>,
    /// The issuer, whose metadata name the token endpoint.
    pub issuer: Option<String>,
    /// The client id.
    pub client_id: Option<String>,
    /// The client secret.
    #[serde(serialize_with = "crate::secret::redacted")]
    pub client_secret: Option<Secret>,
    /// A file that holds the client secret; spaces and line ends around it are cut.
    pub client_secret_file: Option<PathBuf>,
    /// How the client proves who it is.
    pub client_auth: ClientAuthMethod,
    /// The private key, as PEM or PKCS#12: signs with `private_key_jwt`; else its certificate is shown in TLS.
    pub key_file: Option<PathBuf>,
    /// The password of an encrypted key file.
    #[serde(serialize_with = "crate::secret::redacted")]
    pub key_password: Option<Secret>,
    /// A file that holds the key file's password; line ends behind it are cut.
    pub key_password_file: Option<PathBuf>,
    /// Which key of a PKCS#12 file is meant, when it holds several.
    pub key_alias: Option<String>,
    /// PEM file of the key's certificate, when that is not in the key file; those of its authorities follow.
    pub cert_file: Option<PathBuf>,
    /// Shows the certificate in TLS with `private_key_jwt` too, as all other methods do.
    pub mutual_tls: bool,
    /// The `kid` of assertions, by which the provider finds the public key.
    pub key_id: Option<String>,
    /// The `aud` of assertions, where it is not the token endpoint's URL.
    pub assertion_audience: Option<String>,
    /// The file in which the platform keeps the token that `workload_token` sends.
    pub workload_token_file: Option<PathBuf>,
    /// OAuth's own `scope` parameter (RFC 6749 §3.3), for providers that want one.
    pub oauth_scope: Option<String>,
    /// The `resource` parameter (RFC 8707), for providers that want one.
    pub resource: Option<String>,
    /// Further parameters. One that has the name of another is sent in its place.
    pub parameters: BTreeMap<String, Free>,
    /// Further header fields. One that has the name of another is sent in its place.
    pub headers: BTreeMap<String, Free>,
    /// Allows the token endpoint to be plaintext beyond loopback: the client secret can then be read on the way.
    pub allow_plaintext: bool,
    /// PEM file of authorities to trust for the token endpoint, besides the system's.
    pub ca_file: Option<PathBuf>,
    /// How long a request waits for a token before it is answered with `token_pending`.
    #[serde(with = "humantime_serde")]
    pub wait: Duration,
    /// A scope whose token nobody has used for so long is no longer renewed, until somebody uses it again.
    #[serde(with = "humantime_serde")]
    pub idle_after: Duration,
    /// How long one token request may take. Longer than the 30 s by which SaaS delays repeated rejections.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            preset: None,
            server: None,
            realm: None,
            tenant: None,
            url: None,
            issuer: None,
            client_id: None,
            client_secret: None,
            client_secret_file: None,
            client_auth: ClientAuthMethod::default(),
            key_file: None,
            key_password: None,
            key_password_file: None,
            key_alias: None,
            cert_file: None,
            mutual_tls: false,
            key_id: None,
            assertion_audience: None,
            workload_token_file: None,
            oauth_scope: None,
            resource: None,
            parameters: BTreeMap::new(),
            headers: BTreeMap::new(),
            allow_plaintext: false,
            ca_file: None,
            wait: Duration::from_secs(10),
            idle_after: Duration::from_secs(3600),
            timeout: Duration::from_secs(40),
        }
    }
}
