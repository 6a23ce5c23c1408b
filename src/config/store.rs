//! Where tokens are kept besides memory: from the keys of `[store]` to a store that can be opened.

use std::path::{Path, PathBuf};

use crate::oauth::{ClientAuth, RedisAddress, StoreConfig, StoreKind};
use crate::problem::Problem;
use crate::secret::Secret;

use super::file;

/// The store to open.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Where it is.
    pub place: StorePlace,
    /// A further secret to seal tokens with.
    pub key: Option<Secret>,
}

/// Where a store is.
#[derive(Clone, Debug)]
pub enum StorePlace {
    /// In this process alone.
    Memory,
    /// In this folder.
    Folder(PathBuf),
    /// On this Redis or Valkey server.
    Redis(RedisAddress),
}

/// The folder's name below the one for programs' state.
const FOLDER: &str = "camunda-auth-proxy";

/// Finds the store, or says all that is wrong with its keys.
pub(super) fn store(
    config: &StoreConfig,
    client_auth: Option<&ClientAuth>,
    environment: &[(String, String)],
    origin: &impl Fn(&str) -> String,
) -> Result<StoreSettings, Vec<Problem>> {
    let mut problems = combinations(config, origin);
    let mut read = |key: &str, value: &Option<Secret>, path: &Option<PathBuf>| match (value, path) {
        (Some(value), _) => Some(value.clone()),
        (None, Some(path)) => secret(key, path, origin).map_err(|problem| problems.push(problem)).ok(),
        (None, None) => None,
    };
    let key = read("store.key_file", &config.key, &config.key_file);
    let url = read("store.url_file", &config.url, &config.url_file);
    let named = |name: &str| if config.url.is_some() { "store.url".to_owned() } else { name.to_owned() };
    let place = match (config.kind, url) {
        (StoreKind::Memory, _) => Ok(StorePlace::Memory),
        (StoreKind::File, _) => {
            let path = config.path.clone().or_else(|| folder(environment));
            path.map(StorePlace::Folder).ok_or_else(|| {
                let message = "there is no folder for this user's state to put the store in";
                Problem::new("store.path", origin("store.path"), message, "name a folder")
            })
        }
        (StoreKind::Redis, Some(url)) => RedisAddress::parse(&url).map(StorePlace::Redis).map_err(|error| {
            let key = named("store.url_file");
            let remedy = "write redis://, rediss:// or unix://, then USER:PASSWORD@ if needed, and HOST:PORT";
            Problem::new(key.clone(), origin(&key), error.to_string(), remedy)
        }),
        // Told of before: by what is read above, or by the combinations.
        (StoreKind::Redis, None) => Ok(StorePlace::Memory),
    };
    let sealless = client_auth.is_some_and(|client_auth| client_auth.store_key().is_none());
    let keyless = config.kind != StoreKind::Memory && key.is_none() && sealless;
    if keyless && problems.is_empty() {
        let message =
            "a workload token is replaced all the time, so there is no secret to seal stored tokens with";
        let remedy =
            "put a long random text in a file, the same for all who share the store, and name it here";
        problems.push(Problem::new("store.key_file", origin("store.key_file"), message, remedy));
    }
    match place {
        Ok(place) if problems.is_empty() => Ok(StoreSettings { place, key }),
        place => Err(problems.into_iter().chain(place.err()).collect()),
    }
}

impl StoreSettings {
    /// That a password can be read on its way.
    pub(super) fn warning(&self) -> Option<String> {
        match &self.place {
            StorePlace::Redis(address) if address.shows_password() => Some(format!(
                "the password for {address} can be read on the way; use rediss:// (tokens are sealed either way)"
            )),
            _ => None,
        }
    }
}

/// What is missing, and what has no use.
fn combinations(config: &StoreConfig, origin: &impl Fn(&str) -> String) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut refuse = |key: &str, message: &str, remedy: &str| {
        problems.push(Problem::new(key, origin(key), message, remedy));
    };
    let (url, url_file) = (config.url.is_some(), config.url_file.is_some());
    if url && url_file {
        refuse("store.url", "store.url and store.url_file are both set", "keep one of them");
    }
    if config.key.is_some() && config.key_file.is_some() {
        refuse("store.key", "store.key and store.key_file are both set", "keep one of them");
    }
    if config.kind == StoreKind::Redis && !url && !url_file {
        refuse("store.url", "the Redis server is not named", "write redis://HOST:PORT");
    }
    for (key, set, kind, word) in [
        ("store.path", config.path.is_some(), StoreKind::File, "file"),
        ("store.url", url, StoreKind::Redis, "redis"),
        ("store.url_file", url_file, StoreKind::Redis, "redis"),
        ("store.ca_file", config.ca_file.is_some(), StoreKind::Redis, "redis"),
    ] {
        if set && config.kind != kind {
            let remedy = format!("set store.kind = \"{word}\", or take it out");
            refuse(key, "the store that store.kind names has no use for it", &remedy);
        }
    }
    problems
}

fn secret(key: &str, path: &Path, origin: &impl Fn(&str) -> String) -> Result<Secret, Problem> {
    let text = std::fs::read_to_string(path).map_err(|error| file::unreadable(key, &origin(key), &error))?;
    match text.trim() {
        "" => Err(Problem::new(key, origin(key), "the file is empty", "put the text in it")),
        text => Ok(Secret::from(text)),
    }
}

/// As systemd (`StateDirectory=`) and the XDG Base Directory Specification have it.
fn folder(environment: &[(String, String)]) -> Option<PathBuf> {
    let variable = |name: &str| {
        let found = environment.iter().find(|(known, value)| known == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    };
    let systemd = variable("STATE_DIRECTORY").and_then(|list| list.split(':').next()).map(PathBuf::from);
    let xdg = || variable("XDG_STATE_HOME").map(|path| Path::new(path).join(FOLDER));
    let home = || variable("HOME").map(|path| Path::new(path).join(".local/state").join(FOLDER));
    systemd.or_else(xdg).or_else(home)
}
