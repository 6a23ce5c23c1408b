//! Files with secrets that other users of this machine can read.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::problem::Problem;

use super::{Config, free};

/// One of them: its key, its path, and what it holds.
pub(super) struct OpenFile<'a> {
    key: &'static str,
    path: &'a Path,
    holds: &'static str,
}

/// All that the configuration names.
pub(super) fn open_files(config: &Config) -> Vec<OpenFile<'_>> {
    let (oauth, own) = (&config.oauth, &config.authorization);
    let named = [
        ("credentials", &config.credentials, "client secret"),
        ("oauth.client_secret_file", &oauth.client_secret_file, "client secret"),
        ("oauth.key_file", &oauth.key_file, "private key"),
        ("oauth.key_password_file", &oauth.key_password_file, "password"),
        ("authorization.password_file", &own.password_file, "password"),
        ("authorization.value_file", &own.value_file, "authorization field"),
        ("store.url_file", &config.store.url_file, "password"),
        ("store.key_file", &config.store.key_file, "key of the store"),
    ];
    let named = named.into_iter().filter_map(|(key, path, holds)| Some((key, path.as_deref()?, holds)));
    let free = free::files(oauth).map(|path| ("oauth", path.as_path(), "secret"));
    let listeners = config.listener.iter().filter_map(|listener| listener.tls.as_ref());
    let keys = listeners.map(|tls| ("listener", tls.key_file.as_path(), "private key"));
    let open = named.chain(free).chain(keys).filter(|(_, path, _)| is_open(path));
    open.map(|(key, path, holds)| OpenFile { key, path, holds }).collect()
}

/// A link is a mounted secret, as Kubernetes makes them; who may read those is decided elsewhere.
fn is_open(path: &Path) -> bool {
    let metadata = std::fs::symlink_metadata(path);
    metadata.is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o077 != 0)
}

impl OpenFile<'_> {
    /// For people who may have a reason.
    pub(super) fn warning(&self) -> String {
        let OpenFile { path, holds, .. } = self;
        let path = path.display();
        format!("{path}: other users can read the {holds} in it; run `chmod 600 {path}`")
    }

    /// For those who want to hear of it before it matters (`strict`).
    pub(super) fn problem(&self, origin: &impl Fn(&str) -> String) -> Problem {
        let path = self.path.display();
        let message = format!("{path}: other users can read the {} in it", self.holds);
        Problem::new(self.key, origin(self.key), message, format!("run `chmod 600 {path}`"))
    }
}
