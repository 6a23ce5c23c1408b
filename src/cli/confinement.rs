//! Which files `run` keeps open to itself, and what is told of the rest.

use std::path::PathBuf;

use crate::address::Address;
use crate::config::Settings;
use crate::confine::{Confinement, Files, Measure};

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
    let read =
        settings.files.iter().cloned().chain(config.oauth.ca_file.clone()).chain(scopes).chain(certificates);
    let addresses =
        settings.listeners.iter().map(|listener| &listener.address).chain([&config.admin.address]);
    let socket = |address: &Address| -> Option<PathBuf> {
        match address {
            Address::Unix { path, .. } => Some(path.clone()),
            _ => None,
        }
    };
    // Whoever makes the program write files names their folder here.
    Files { read: read.collect(), sockets: addresses.filter_map(socket).collect(), written: Vec::new() }
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
