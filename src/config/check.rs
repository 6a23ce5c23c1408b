//! Mistakes that a key's type does not show.

use std::path::Path;
use std::time::Duration;

use crate::access::{self, Access, Anonymous, Callers};
use crate::address::Address;
use crate::problem::{Problem, did_you_mean};
use crate::scope::Scope;
use crate::tls;

use super::{Config, file};
use crate::listener;

/// Everything that is wrong with a configuration and the files that it names. `origin` says where a key's value comes
/// from.
pub(super) fn check(config: &Config, origin: &impl Fn(&str) -> String) -> Vec<Problem> {
    let mut problems = by_itself(config, origin);
    problems.extend(files(config, origin));
    problems
}

/// Everything that is wrong with a configuration whatever is in the files.
pub(super) fn by_itself(config: &Config, origin: &impl Fn(&str) -> String) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut refuse = |key: &str, message: &str, remedy: &str| {
        problems.push(Problem::new(key, origin(key), message, remedy));
    };
    let (oauth, own) = (&config.oauth, &config.authorization);
    for (key, twice) in [
        ("oauth.client_secret", oauth.client_secret.is_some() && oauth.client_secret_file.is_some()),
        ("authorization.password", own.password.is_some() && own.password_file.is_some()),
        ("authorization.value", own.value.is_some() && own.value_file.is_some()),
    ] {
        if twice {
            refuse(key, &format!("{key} and {key}_file are both set"), "keep one of them");
        }
    }
    if oauth.url.is_some() && oauth.issuer.is_some() {
        refuse("oauth.issuer", "oauth.url and oauth.issuer are both set", "keep one of them");
    }
    if own.kind.is_none() && own.username.is_some() && (own.value.is_some() || own.value_file.is_some()) {
        let message = "both a user and a whole field are set, so requests could be authorized in two ways";
        refuse("authorization.username", message, "keep one, or set authorization.kind");
    }
    if config.oauth.key_password.is_some() && config.oauth.key_password_file.is_some() {
        let message = "oauth.key_password and oauth.key_password_file are both set";
        refuse("oauth.key_password", message, "keep one of them");
    }
    let limits = &config.limits;
    for (key, is_none, what) in [
        ("limits.connections", limits.connections == 0, "no connection could ever be accepted"),
        (
            "limits.connections_per_caller",
            limits.connections_per_caller == 0,
            "no connection could ever be accepted",
        ),
        ("limits.streams", limits.streams == 0, "no request could ever be made over HTTP/2"),
        ("limits.requests", limits.requests == 0, "no request could ever be served"),
    ] {
        if is_none {
            refuse(key, what, "write 1 or more");
        }
    }
    if !(listener::SHORTEST_HEAD..=listener::LONGEST_HEAD).contains(&limits.head_size) {
        refuse("limits.head_size", "is not from 8192 to 65536", "write a number of bytes between them");
    }
    for (key, duration) in [
        ("limits.head_timeout", limits.head_timeout),
        ("limits.body_timeout", limits.body_timeout),
        ("limits.idle_timeout", limits.idle_timeout),
        ("oauth.idle_after", config.oauth.idle_after),
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
    problems.extend(lists(config, origin));
    problems.extend(callers(config, origin));
    problems
}

/// Addresses that others can reach, unless that was written out. Apart from the rest, because a command that only
/// asks another process listens nowhere.
pub(super) fn bind_guard(config: &Config, origin: &impl Fn(&str) -> String) -> Vec<Problem> {
    let main = config.listen.iter().flatten().map(|address| ("listen".to_owned(), address));
    let special = config.listener.iter().enumerate();
    let special = special.map(|(index, listener)| (format!("listener.{index}.address"), &listener.address));
    let all = main.chain(special).chain([("admin.address".to_owned(), &config.admin.address)]);
    let problem = |(key, address): (String, &Address)| {
        // Nobody proves anything at the admin address.
        let known = !config.caller.is_empty() && key != "admin.address";
        let message = access::bind_guard(address, config.anonymous, known).err()?;
        let origin = origin(&key);
        Some(Problem::new(key, origin, message, access::REMEDY))
    };
    all.filter_map(problem).collect()
}

/// Callers that could not come in, or that nobody could tell from others. The message holds no hash.
fn callers(config: &Config, origin: &impl Fn(&str) -> String) -> Vec<Problem> {
    let mistakes = Callers::new(&config.caller).err().unwrap_or_default();
    let problem = |(at, field, message): (usize, &str, &str)| {
        let key = format!("caller.{at}.{field}");
        let remedy = match field {
            "key_sha256" => "write what `printf %s \"$KEY\" | sha256sum` prints",
            "name" => "give each caller a name of its own, and a proof",
            "rate" | "concurrency" => "write 1 or more, or leave it out for no limit",
            _ => "",
        };
        let origin = origin(&key);
        Problem::new(key, origin, message, remedy)
    };
    let nobody = config.anonymous == Anonymous::Nowhere && config.caller.is_empty();
    let nobody = nobody.then(|| {
        let remedy = "name who may come in with [[caller]]";
        Problem::new("anonymous", origin("anonymous"), "nobody could come in", remedy)
    });
    mistakes.into_iter().map(problem).chain(nobody).collect()
}

/// Listeners on which a caller's key goes over the network for everybody on the way to read.
pub(super) fn plain_keys(config: &Config) -> Vec<String> {
    let keys = config.caller.iter().any(|caller| caller.key_sha256.is_some());
    let listeners = if keys { config.listeners() } else { Vec::new() };
    let open =
        listeners.into_iter().filter(|listener| listener.tls.is_none() && !listener.address.is_local());
    let warning = |listener: listener::Config| {
        format!("{}: callers' keys can be read on the way; give the listener `tls`", listener.address)
    };
    open.map(warning).collect()
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
    if listeners.is_empty() {
        let remedy = "name an address, or leave the key out for the default";
        problems.push(Problem::new(key, origin(key), "there is no address to listen on", remedy));
    }
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

/// The Host and Origin guard's lists. The address of a listener makes no difference to them.
fn lists(config: &Config, origin: &impl Fn(&str) -> String) -> Vec<Problem> {
    let mistakes = Access::new(&config.access, &config.admin.address).err().unwrap_or_default();
    let problem = |mistake: String| {
        let (list, message) = mistake.split_once(": ").unwrap_or(("", &mistake));
        let key = format!("access.{list}");
        let origin = origin(&key);
        Problem::new(key, origin, message, "")
    };
    mistakes.into_iter().map(problem).collect()
}

/// Files that are named must be there, and certificates in those that are to hold them.
fn files(config: &Config, origin: &impl Fn(&str) -> String) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut check = |key: String, path: &Path, holds: &dyn Fn() -> Result<(), tls::Error>| {
        let origin = origin(&key);
        let found = std::fs::metadata(path).and_then(|metadata| match metadata.is_dir() {
            true => Err(std::io::ErrorKind::IsADirectory.into()),
            false => Ok(metadata),
        });
        // A pipe can be read once, and not by us.
        match found.map(|metadata| if metadata.is_file() { holds() } else { Ok(()) }) {
            Err(error) => problems.push(file::unreadable(&key, &origin, &error)),
            Ok(Err(error)) => {
                let remedy = "name a PEM file, which begins with -----BEGIN";
                problems.push(Problem::new(key, origin, error.to_string(), remedy));
            }
            Ok(Ok(())) => {}
        }
    };
    for (key, path) in [
        ("oauth.client_secret_file", &config.oauth.client_secret_file),
        ("authorization.password_file", &config.authorization.password_file),
        ("authorization.value_file", &config.authorization.value_file),
    ] {
        if let Some(path) = path {
            check(key.to_owned(), path, &|| Ok(()));
        }
    }
    let oauth = ("oauth".to_owned(), &config.oauth.ca_file);
    let store = ("store".to_owned(), &config.store.ca_file);
    let scopes = Scope::ALL.map(|scope| (format!("scopes.{scope}"), &config.scopes.of(scope).ca_file));
    for (table, ca_file) in [oauth, store].into_iter().chain(scopes) {
        if let Some(path) = ca_file {
            check(format!("{table}.ca_file"), path, &|| tls::check_ca_file(path));
        }
    }
    for (index, listener) in config.listener.iter().enumerate() {
        if let Some(files) = &listener.tls {
            let key = |name| format!("listener.{index}.tls.{name}");
            check(key("key_file"), &files.key_file, &|| Ok(()));
            // A key that is not there is told of once.
            let pair = || match files.key_file.is_file() {
                true => tls::server_config(&files.cert_file, &files.key_file, None).map(|_| ()),
                false => Ok(()),
            };
            check(key("cert_file"), &files.cert_file, &pair);
        }
    }
    problems
}
