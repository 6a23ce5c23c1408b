//! Which files `run` keeps open to itself, and what is told of the rest.

use std::path::PathBuf;

use crate::address::Address;
use crate::config::{Settings, StorePlace, StoreSettings};
use crate::confine::{Confinement, Files, Measure};
use crate::oauth::FileStore;

/// What the configuration names; a reload reads it again.
pub(super) fn files(settings: &Settings) -> Files {
    let config = &settings.config;
    let scopes = settings.scopes.values().filter_map(|scope| scope.ca_file.clone());
    let certificates = settings.listeners.iter().filter_map(|listener| listener.tls.as_ref());
    let certificates = certificates.flat_map(|tls| {
        [Some(tls.cert_file.clone()), Some(tls.key_file.clone()), tls.client_ca_file.clone()]
            .into_iter()
            .flatten()
    });
    let authorities = config.oauth.ca_file.iter().chain(&config.store.ca_file).cloned();
    let read = settings.files.iter().cloned().chain(authorities).chain(scopes).chain(certificates);
    let addresses =
        settings.listeners.iter().map(|listener| &listener.address).chain([&config.admin.address]);
    let socket = |address: &Address| -> Option<PathBuf> {
        match address {
            Address::Unix { path, .. } => Some(path.clone()),
            _ => None,
        }
    };
    Files {
        read: read.collect(),
        sockets: addresses.filter_map(socket).collect(),
        written: written(&settings.store),
    }
}

/// The store's folder. Made here, because it could not be made later.
fn written(store: &StoreSettings) -> Vec<PathBuf> {
    let StorePlace::Folder(path) = &store.place else { return Vec::new() };
    // Where that fails, the store says so.
    let _ = FileStore::make_folder(path);
    vec![path.clone()]
}

/// One line, so that whoever wonders why a file cannot be read finds the reason.
pub(super) fn tell(confinement: Confinement) {
    let Confinement { core_dumps, privileges, files, system_calls } = confinement;
    let all = [core_dumps, privileges, files, system_calls].iter().all(|measure| *measure == Measure::On);
    tracing::info!(
        target: "process",
        ?core_dumps,
        ?privileges,
        ?files,
        ?system_calls,
        "{}",
        if all { "confined to what a proxy needs" } else { "confined as far as this kernel knows how" }
    );
}
