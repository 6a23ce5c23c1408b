//! Mistakes that a key's type does not show.

use std::path::Path;
use std::time::Duration;

use crate::address::Address;
use crate::problem::{Problem, did_you_mean};
use crate::scope::Scope;

use super::{Config, file};

/// Everything that is wrong with a configuration by itself. `origin` says where a key's value comes from.
pub(super) fn check(config: &Config, origin: &impl Fn(&str) -> String) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut refuse = |key: &str, message: &str, remedy: &str| {
        problems.push(Problem::new(key, origin(key), message, remedy));
    };
    if config.oauth.client_secret.is_some() && config.oauth.client_secret_file.is_some() {
        let message = "oauth.client_secret and oauth.client_secret_file are both set";
        refuse("oauth.client_secret", message, "keep one of them");
    }
    if config.limits.connections == 0 {
        refuse("limits.connections", "no connection could ever be accepted", "write 1 or more");
    }
    for (key, duration) in [
        ("limits.head_timeout", config.limits.head_timeout),
        ("limits.idle_timeout", config.limits.idle_timeout),
        ("oauth.timeout", config.oauth.timeout),
        ("upstream.connect_timeout", config.upstream.connect_timeout),
        ("upstream.ping_interval", config.upstream.ping_interval),
    ] {
        if duration == Duration::ZERO {
            refuse(key, "a time of nothing is over before it began", "write a duration such as 30s");
        }
    }
    for scope in Scope::ALL.into_iter().filter(|scope| *scope != Scope::Zeebe) {
        if config.scopes.of(scope).grpc_address.is_some() {
            let key = format!("scopes.{scope}.grpc_address");
            refuse(&key, "only zeebe speaks gRPC", "set scopes.zeebe.grpc_address");
        }
    }
    if let Err((message, remedy)) = log_level(&config.log.level) {
        refuse("log.level", message, &remedy);
    }
    problems.extend(addresses(config, origin));
    problems.extend(files(config, origin));
    problems
}

/// `info`, or with targets `info,token=debug`.
fn log_level(text: &str) -> Result<(), (&'static str, String)> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let expected = || format!("write one of {}, or `info,token=debug`", LEVELS.join(", "));
    for directive in text.split(',') {
        let level = directive.rsplit('=').next().unwrap_or_default().trim().to_ascii_lowercase();
        if !LEVELS.contains(&level.as_str()) {
            let remedy = did_you_mean(&level, LEVELS).map(|level| format!("did you mean `{level}`?"));
            return Err(("there is no such level", remedy.unwrap_or_else(expected)));
        }
    }
    Ok(())
}

/// No address twice, the admin address included.
fn addresses(config: &Config, origin: &impl Fn(&str) -> String) -> Vec<Problem> {
    let mut problems = Vec::new();
    let listeners: Vec<Address> = config.listeners().into_iter().map(|listener| listener.address).collect();
    let key = if config.listen.is_some() { "listen" } else { "listener" };
    let chosen = |address: &Address| !matches!(address, Address::Tcp(address) if address.port() == 0);
    for (index, address) in listeners.iter().enumerate() {
        if chosen(address) && listeners[..index].contains(address) {
            let message = format!("{address} is named twice");
            problems.push(Problem::new(key, origin(key), message, "keep one listener for an address"));
        }
    }
    if chosen(&config.admin.address) && listeners.contains(&config.admin.address) {
        let message = format!("{} is a listener's address too", config.admin.address);
        let remedy = "give the admin address a port of its own";
        problems.push(Problem::new("admin.address", origin("admin.address"), message, remedy));
    }
    problems
}

/// Files that are named must be there; what is in them is for those who use them.
fn files(config: &Config, origin: &impl Fn(&str) -> String) -> Vec<Problem> {
    let scopes =
        Scope::ALL.map(|scope| (format!("scopes.{scope}.ca_file"), &config.scopes.of(scope).ca_file));
    let mut named: Vec<(String, &Path)> = [
        ("oauth.ca_file".to_owned(), &config.oauth.ca_file),
        ("oauth.client_secret_file".to_owned(), &config.oauth.client_secret_file),
    ]
    .into_iter()
    .chain(scopes)
    .filter_map(|(key, path)| Some((key, path.as_deref()?)))
    .collect();
    for (index, listener) in config.listener.iter().enumerate() {
        if let Some(tls) = &listener.tls {
            named.push((format!("listener.{index}.tls.cert_file"), &tls.cert_file));
            named.push((format!("listener.{index}.tls.key_file"), &tls.key_file));
        }
    }
    let problem = |(key, path): (String, &Path)| {
        let error = match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => std::io::ErrorKind::IsADirectory.into(),
            Ok(_) => return None,
            Err(error) => error,
        };
        let origin = origin(&key);
        Some(file::unreadable(&key, &origin, &error))
    };
    named.into_iter().filter_map(problem).collect()
}
