//! The credentials file, or the environment in its place, with what the configuration says over it.

use std::path::Path;

use crate::credentials::{Credentials, Draft, Key, Kind};
use crate::problem::Problem;
use crate::scope::Scope;
use crate::secret::Secret;
use crate::upstream_address::UpstreamAddress;

use super::{Config, Sources, environment, file, preset};

/// The credentials with what the configuration says over them.
pub(super) fn credentials(
    config: &Config,
    sources: &Sources,
    origin: &impl Fn(&str) -> String,
) -> Result<Credentials, Vec<Problem>> {
    let mut draft = draft(config, sources, origin)?;
    if !config.oauth.client_auth.has_secret() {
        draft.want_no_secret();
    }
    override_with(&mut draft, config, origin)?;
    preset::fall_back(&mut draft, &config.oauth, origin)?;
    let mut problems = plaintext(&draft, config);
    let finished = draft.finish().map_err(|more| problems.extend(more));
    let named = |problems| match &config.credentials {
        Some(path) => within(problems, path),
        None => within_environment(problems),
    };
    match finished {
        Ok(credentials) if problems.is_empty() => Ok(named_by_file(credentials, config)),
        _ => Err(named(problems)),
    }
}

/// The credentials file, or the environment in its place.
pub(super) fn draft(
    config: &Config,
    sources: &Sources,
    origin: &impl Fn(&str) -> String,
) -> Result<Draft, Vec<Problem>> {
    let Some(path) = &config.credentials else {
        let ours = |(name, _): &(String, String)| !name.starts_with(environment::PREFIX);
        return Ok(Draft::from_variables(sources.environment.iter().filter(|v| ours(v)).cloned()));
    };
    let text = std::fs::read(path).and_then(decoded).map_err(|error| {
        let problem = file::unreadable("credentials", &origin("credentials"), &error);
        let message = format!("{}: {}", path.display(), problem.message);
        vec![Problem { message, ..problem }]
    })?;
    if let Some(message) = no_credentials(&text) {
        let message = format!("{}: {message}", path.display());
        let remedy = "take the file as Console hands it out when a client is created";
        return Err(vec![Problem::new("credentials", origin("credentials"), message, remedy)]);
    }
    Draft::parse(&text).map_err(|problems| within(problems, path))
}

/// What somebody took for a credentials file, so that nobody has to guess it from a list of what is missing.
fn no_credentials(text: &str) -> Option<&'static str> {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let is_comment = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    match text {
        "" => Some("the file is empty"),
        text if text.starts_with('<') => Some("this is a web page or XML, and no credentials file"),
        text if text.lines().all(is_comment) => Some("the file holds nothing but comments"),
        _ => None,
    }
}

/// UTF-8, or the UTF-16 that PowerShell's `>` writes.
fn decoded(bytes: Vec<u8>) -> std::io::Result<String> {
    let invalid = || std::io::Error::from(std::io::ErrorKind::InvalidData);
    match bytes.strip_prefix(&[0xff, 0xfe]) {
        Some(rest) => {
            let units: Vec<u16> =
                rest.chunks(2).map(|b| u16::from_le_bytes([b[0], *b.get(1).unwrap_or(&0)])).collect();
            String::from_utf16(&units).map_err(|_| invalid())
        }
        None => String::from_utf8(bytes).map_err(|_| invalid()),
    }
}

/// Puts what the configuration says over what the file says.
fn override_with(
    draft: &mut Draft,
    config: &Config,
    origin: &impl Fn(&str) -> String,
) -> Result<(), Vec<Problem>> {
    let mut set = |key: Key, value: &Option<String>| {
        if let Some(value) = value {
            let name = key.to_string();
            draft.set(key, &name, Secret::from(value.as_str()), origin(&name));
        }
    };
    let oauth = &config.oauth;
    set(Key::TokenEndpoint, &oauth.url);
    set(Key::Issuer, &oauth.issuer);
    set(Key::ClientId, &oauth.client_id);
    set(Key::OauthScope, &oauth.oauth_scope);
    set(Key::Resource, &oauth.resource);
    set(Key::GrpcAddress, &config.scopes.zeebe.grpc_address);
    for scope in Scope::ALL {
        set(Key::Address(scope), &config.scopes.of(scope).address);
        set(Key::Audience(scope), &config.scopes.of(scope).audience);
    }
    let own = &config.authorization;
    set(Key::Kind, &own.kind.map(|kind| kind.name().to_owned()));
    set(Key::Username, &own.username);
    let mut problems = Vec::new();
    for (key, secret, path, what) in [
        (Key::ClientSecret, &oauth.client_secret, &oauth.client_secret_file, "the client secret"),
        (Key::Password, &own.password, &own.password_file, "the password"),
        (Key::HeaderValue, &own.value, &own.value_file, "the whole authorization field"),
    ] {
        let name = key.to_string();
        if let Some(secret) = secret {
            draft.set(key, &name, secret.clone(), origin(&name));
        } else if let Some(path) = path {
            let name = format!("{name}_file");
            match secret_of(path, &name, what, origin) {
                Ok(secret) => draft.set(key, &name, secret, origin(&name)),
                Err(problem) => problems.push(problem),
            }
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// What a file holds that holds a secret and nothing else.
pub(super) fn secret_of(
    path: &Path,
    key: &str,
    what: &str,
    origin: &impl Fn(&str) -> String,
) -> Result<Secret, Problem> {
    let text = std::fs::read(path).and_then(decoded);
    let text = text.map_err(|error| file::unreadable(key, &origin(key), &error))?;
    match text.trim() {
        "" => Err(Problem::new(key, origin(key), "the file is empty", format!("put {what} in it"))),
        text => Ok(Secret::from(text)),
    }
}

/// Origins and warnings with the credentials file's name.
fn named_by_file(mut credentials: Credentials, config: &Config) -> Credentials {
    let Some(path) = &config.credentials else { return credentials };
    for origin in credentials.origins.values_mut() {
        *origin = origin.replacen("(line ", &format!("({}:", path.display()), 1);
    }
    for warning in &mut credentials.warnings {
        *warning = format!("{}: {warning}", path.display());
    }
    credentials
}

/// `line 3` becomes `FILE:3`.
fn within(mut problems: Vec<Problem>, path: &Path) -> Vec<Problem> {
    for problem in &mut problems {
        if let Some(line) = problem.origin.strip_prefix("line ") {
            problem.origin = format!("{}:{line}", path.display());
        } else if problem.origin.is_empty() {
            problem.origin = path.display().to_string();
        }
    }
    problems
}

/// What is missing is missing there; a variable that is wrong names itself.
fn within_environment(mut problems: Vec<Problem>) -> Vec<Problem> {
    for problem in problems.iter_mut().filter(|problem| problem.origin.is_empty()) {
        problem.origin = "environment".to_owned();
    }
    problems
}

/// Plaintext beyond loopback shows the secret or the token to the wire, so somebody has to ask for it.
fn plaintext(draft: &Draft, config: &Config) -> Vec<Problem> {
    let kind = draft.kind();
    if kind == Kind::None {
        return Vec::new();
    }
    let problem = |(key, name, origin, address): (Key, String, String, UpstreamAddress)| {
        let scope = match key {
            Key::Address(scope) => Some(scope),
            Key::GrpcAddress => Some(Scope::Zeebe),
            _ => None,
        };
        let (allowed, leg, what) = match scope {
            Some(scope) => {
                (config.scopes.of(scope).allow_plaintext, format!("scopes.{scope}"), kind.secret())
            }
            None => (config.oauth.allow_plaintext, "oauth".to_owned(), "client secret"),
        };
        let at = address.authority();
        let message =
            format!("{at} is plaintext and not on this machine: the {what} could be read on the way");
        let remedy = format!("use TLS, or set {leg}.allow_plaintext = true");
        (!allowed).then(|| Problem::new(name, origin, message, remedy))
    };
    draft.plaintext().filter_map(problem).collect()
}
