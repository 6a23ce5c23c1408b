//! The effective configuration: every key with its value and where that comes from.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::credentials::{Authorization, Credentials, Key};
use crate::scope::Scope;
use crate::secret::REDACTED;

use super::{Config, ScopeSettings};

/// A key with its value and where that comes from. Secrets are `[redacted]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Effective {
    /// The key: `oauth.client_id`.
    pub key: String,
    /// Its value; null when it is not set.
    pub value: Value,
    /// File and line, variable, flag, or `default`.
    pub origin: String,
}

/// Every key, those from the credentials included.
pub(super) fn effective(
    config: &Config,
    credentials: &Credentials,
    scopes: &BTreeMap<Scope, ScopeSettings>,
    origin: &impl Fn(&str) -> String,
) -> Vec<Effective> {
    let found = from_credentials(credentials, scopes);
    let mut keys = Vec::new();
    flatten(String::new(), config_value(config), &mut keys);
    // Only Zeebe speaks gRPC; a key that may not be set need not be shown.
    let useless = |key: &str| key.ends_with(".grpc_address") && key != Key::GrpcAddress.to_string();
    keys.into_iter()
        .filter(|(key, _)| !useless(key))
        .map(|(key, value)| match (value, found.get(key.as_str())) {
            (Value::Null, Some((value, origin))) => {
                Effective { key, value: value.clone(), origin: origin.clone() }
            }
            (value, _) => Effective { origin: origin(&key), key, value },
        })
        .collect()
}

/// The names of all keys, with their values, in a configuration.
fn flatten(name: String, value: Value, keys: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let name = if name.is_empty() { key } else { format!("{name}.{key}") };
                flatten(name, value, keys);
            }
        }
        value => keys.push((name, value)),
    }
}

/// A configuration as JSON, `listen` as it is in effect.
fn config_value(config: &Config) -> Value {
    let main: Vec<_> =
        config.listeners().into_iter().filter(|l| l.scope.is_none() && l.tls.is_none()).collect();
    let listen = config.listen.clone().unwrap_or_else(|| main.into_iter().map(|l| l.address).collect());
    let shown = Config { listen: Some(listen), ..config.clone() };
    serde_json::to_value(shown).unwrap_or_default()
}

/// What the credentials say for keys that the configuration leaves open.
fn from_credentials(
    credentials: &Credentials,
    scopes: &BTreeMap<Scope, ScopeSettings>,
) -> BTreeMap<String, (Value, String)> {
    let mut found = BTreeMap::new();
    let mut add = |key: Key, value: Option<String>, otherwise: &str| {
        if let Some(value) = value {
            let origin = credentials.origins.get(&key).cloned().unwrap_or_else(|| otherwise.to_owned());
            found.insert(key.to_string(), (Value::from(value), origin));
        }
    };
    let derived = "derived from region and cluster id";
    let redacted = || Some(REDACTED.to_owned());
    add(Key::Kind, Some(credentials.authorization.kind().name().to_owned()), "default");
    match &credentials.authorization {
        Authorization::OAuth(client) => {
            add(Key::ClientId, Some(client.id.clone()), "");
            add(Key::ClientSecret, redacted().filter(|_| !client.secret.is_empty()), "");
            let key = if client.by_issuer { Key::Issuer } else { Key::TokenEndpoint };
            add(key, Some(client.token_endpoint.clone()), "default of Camunda's SaaS");
            add(Key::OauthScope, client.oauth_scope.clone(), "");
            add(Key::Resource, client.resource.clone(), "");
        }
        Authorization::Basic { username, .. } => {
            add(Key::Username, Some(username.clone()), "");
            add(Key::Password, redacted(), "");
        }
        Authorization::Header(_) => add(Key::HeaderValue, redacted(), ""),
        Authorization::None => {}
    }
    for (scope, settings) in scopes {
        add(Key::Address(*scope), settings.address.as_ref().map(ToString::to_string), derived);
        let none = credentials.audiences.get(scope).filter(|audience| audience.is_empty());
        add(Key::Audience(*scope), settings.audience.as_ref().or(none).cloned(), "default for this address");
        add(Key::GrpcAddress, settings.grpc_address.as_ref().map(ToString::to_string), derived);
    }
    found
}

#[cfg(test)]
pub(super) fn keys(config: &Config) -> Vec<(String, Value)> {
    let mut keys = Vec::new();
    flatten(String::new(), serde_json::to_value(config).unwrap_or_default(), &mut keys);
    keys
}
