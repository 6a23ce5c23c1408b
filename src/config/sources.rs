//! Where configuration comes from, in the order in which it counts: files, environment, flags.

use std::path::PathBuf;

use figment::value::{Dict, Map, Value};
use figment::{Error, Figment, Metadata, Profile, Provider};

use crate::problem::Problem;

use super::environment;
use super::file::TomlFile;

/// What a process is configured by. A plain value, so that a test can hold any environment it likes.
// No Debug: the environment may hold the client secret.
#[derive(Clone, Default)]
pub struct Sources {
    /// Configuration files; a later one counts more.
    pub files: Vec<PathBuf>,
    /// Read when `files` is empty and this file exists.
    pub default_file: Option<PathBuf>,
    /// The process environment.
    pub environment: Vec<(String, String)>,
    /// Flags that were given.
    pub flags: Vec<Flag>,
}

/// A flag that stands for a key.
#[derive(Clone, Debug)]
pub struct Flag {
    /// The flag: `--listen`.
    pub name: &'static str,
    /// The key: `listen`.
    pub key: &'static str,
    /// Its values; more than one make a list.
    pub values: Vec<String>,
}

impl Sources {
    /// The environment of this process and `./proxy.toml`, with what the command line adds.
    pub fn of_process(files: Vec<PathBuf>, flags: Vec<Flag>) -> Sources {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let environment = std::env::vars_os().filter_map(text).collect();
        Sources { files, default_file: Some("proxy.toml".into()), environment, flags }
    }

    /// The files that are read. Those that were asked for are read even when they are not there, to say so.
    pub fn files_to_read(&self) -> Vec<PathBuf> {
        let default = self.default_file.iter().filter(|file| self.files.is_empty() && file.exists());
        self.files.iter().chain(default).cloned().collect()
    }

    /// All layers, one over the other, and what could not be read.
    pub(super) fn layers(&self) -> (Figment, Vec<Problem>) {
        let mut figment = Figment::new();
        let mut problems = Vec::new();
        for path in self.files_to_read() {
            match TomlFile::read(&path) {
                Ok(file) => figment = figment.merge(file),
                Err(more) => problems.extend(more),
            }
        }
        for variable in environment::variables(&self.environment) {
            figment = figment.merge(variable);
        }
        for flag in self.flags.iter().filter(|flag| !flag.values.is_empty()) {
            figment = figment.merge(flag);
        }
        (figment, problems)
    }
}

impl Provider for Flag {
    fn metadata(&self) -> Metadata {
        let shown = format!("flag {}", self.name);
        Metadata::named(shown.clone()).interpolater(move |_, _| shown.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let value = match self.values.as_slice() {
            [one] => Value::from(one.as_str()),
            many => Value::from(many.iter().map(String::as_str).collect::<Vec<_>>()),
        };
        Ok(Profile::Default.collect(nested(&self.key.split('.').collect::<Vec<_>>(), value)))
    }
}

/// A value under a path of keys.
pub(super) fn nested(path: &[&str], value: Value) -> Dict {
    match path {
        [] => Dict::new(),
        [key] => Dict::from([((*key).to_owned(), value)]),
        [key, rest @ ..] => Dict::from([((*key).to_owned(), Value::from(nested(rest, value)))]),
    }
}
