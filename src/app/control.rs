//! The control thread: the admin address, the credentials file's changes, and where Camunda's REST is.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::plan::Plan;
use crate::admin::Admin;
use crate::config::{ClientProof, Settings, Sources};
use crate::credentials::Credentials;
use crate::listener::{Bound, Listening};
use crate::proxy::Destinations;
use crate::shutdown::{Phase, Shutdown};

mod saas;

/// How often the credentials file is looked at. Polled, since the symlinks of mounted secrets confuse notifications.
const LOOK: Duration = Duration::from_secs(1);
/// Nobody answered where the cluster's REST is, perhaps for want of a network: asked again after this time.
const PROBE_AGAIN: Duration = Duration::from_secs(60);
/// Open connections of the admin address.
const CONNECTIONS: usize = 256;

/// What runs on the control thread. The tokens' renewal tasks run there by themselves.
pub(super) struct Control {
    pub(super) admin: Arc<Admin>,
    pub(super) plan: Plan,
    pub(super) destinations: Arc<ArcSwap<Destinations>>,
    pub(super) settings: Arc<Settings>,
    pub(super) sources: Sources,
    pub(super) shutdown: Shutdown,
}

impl Control {
    /// Runs until the process stops.
    pub(super) async fn run(mut self, admin: Bound) {
        let shutdown = self.shutdown.clone();
        let admin = serve_admin(Arc::clone(&self.admin), admin);
        let changes = self.follow_changes();
        tokio::select! {
            () = admin => {}
            () = changes => {}
            () = shutdown.reached(Phase::Stopping) => {}
        }
    }

    /// Never ends.
    async fn follow_changes(&mut self) {
        let mut seen = signature(&self.settings.files);
        let mut probe_at = Some(Instant::now());
        loop {
            if probe_at.is_some_and(|at| at <= Instant::now()) {
                probe_at = if self.find_rest().await { None } else { Some(Instant::now() + PROBE_AGAIN) };
            }
            tokio::time::sleep(LOOK).await;
            let now = signature(&self.settings.files);
            if now != seen {
                seen = now;
                self.take_over_credentials();
            }
        }
    }

    /// Decides whether this cluster's REST has moved (`saas.hosts = "auto"`); false while nobody answers the question.
    async fn find_rest(&mut self) -> bool {
        let Some(verdict) = saas::probe(&self.settings).await else { return true };
        let mut notes = self.admin.state.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if !notes.contains(&verdict.note) {
            tracing::info!(target: "config", "{}", verdict.note);
            notes.push(verdict.note);
        }
        drop(notes);
        if verdict.moved == Some(true) {
            self.plan.migrate();
            self.apply();
        }
        verdict.moved.is_some()
    }

    /// Takes over a new client id, secret, key or certificate, password or field as soon as its file has it: rejected
    /// credentials are tried again at once then, also when only the file's time has changed.
    fn take_over_credentials(&mut self) {
        match Settings::load(&self.sources) {
            Ok(Settings { credentials: Credentials { authorization, .. }, proof, .. }) => {
                let note = |proof: &Option<ClientProof>| proof.as_ref().and_then(ClientProof::note);
                let (old, new) = (note(&self.plan.proof), note(&proof));
                let (ours, theirs) = (self.plan.credentials.authorization.kind(), authorization.kind());
                if ours != theirs {
                    tracing::warn!(target: "config", "requests are authorized by {} until a restart, and not by {}",
                        ours.name(), theirs.name());
                } else if !self.plan.rotate(&authorization, proof) {
                    self.plan.retry();
                } else {
                    self.apply();
                    tracing::info!(target: "config",
                        "the credentials have changed; the new ones are used from now on");
                }
                let mut notes = self.admin.state.notes.lock().unwrap_or_else(PoisonError::into_inner);
                notes.retain(|note| Some(note) != old.as_ref());
                notes.extend(new);
            }
            Err(problems) => tracing::warn!(
                target: "config",
                problems = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
                "a changed file is not valid; what was read before stays in force"
            ),
        }
    }

    fn apply(&self) {
        match self.plan.destinations() {
            Ok(destinations) => {
                self.admin.state.scopes.store(Arc::new(self.plan.states()));
                self.destinations.store(Arc::new(destinations));
            }
            Err(error) => tracing::error!(target: "config", %error, "the upstreams stay as they were"),
        }
    }
}

/// Serves the admin address until the process stops.
async fn serve_admin(admin: Arc<Admin>, bound: Bound) {
    let listening = match Listening::new(bound) {
        Ok(listening) => listening,
        Err(error) => {
            tracing::error!(target: "admin", %error, "the admin address is not served");
            return std::future::pending().await;
        }
    };
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS {
            connections.join_next().await;
        }
        match listening.accept().await {
            Ok((io, local)) => {
                connections.spawn(Arc::clone(&admin).serve(io, local));
            }
            Err(error) => {
                tracing::warn!(target: "admin", %error, "cannot accept a connection; trying again");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// What a change of the files would change: their times and lengths, following links.
fn signature(files: &[PathBuf]) -> Vec<Option<(SystemTime, u64)>> {
    let one = |file: &PathBuf| {
        let found = std::fs::metadata(file).ok()?;
        Some((found.modified().ok()?, found.len()))
    };
    files.iter().map(one).collect()
}
