//! What the admin address knows: plain values and handles that others gave it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::metrics::Shard;
use crate::oauth::{Authorizer, State as TokenState, Tokens};
use crate::scope::Scope;
use crate::shutdown::{Phase, Shutdown};

/// A worker that has not shown a sign of life for so long is stuck.
const STUCK: Duration = Duration::from_secs(10);

/// What there is to tell.
pub struct State {
    /// When the process started.
    pub started_at: SystemTime,
    /// The addresses listened on, as bound.
    pub listeners: Vec<String>,
    /// The admin address, as bound.
    pub admin: String,
    /// How far the process is.
    pub shutdown: Shutdown,
    /// The workers' counters.
    pub shards: Vec<Arc<Shard>>,
    /// The scopes that are served, as they are now.
    pub scopes: arc_swap::ArcSwap<BTreeMap<Scope, ScopeState>>,
    /// All tokens of the process.
    pub tokens: Tokens,
    /// What is likely wrong with the configuration.
    pub warnings: Vec<String>,
    /// What was derived or decided.
    pub notes: Mutex<Vec<String>>,
    heartbeats: Mutex<Vec<(u64, Instant)>>,
}

/// One scope, as far as others may know.
pub struct ScopeState {
    /// Its addresses.
    pub upstream: Upstreams,
    /// Its token.
    pub tokens: Authorizer,
}

/// A scope's addresses.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Upstreams {
    /// REST.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rest: Option<String>,
    /// gRPC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc: Option<String>,
}

impl State {
    /// Of a process that has just bound its addresses.
    pub fn new(
        listeners: Vec<String>,
        admin: String,
        shutdown: Shutdown,
        shards: Vec<Arc<Shard>>,
        tokens: Tokens,
    ) -> State {
        let heartbeats = shards.iter().map(|shard| (shard.beats(), Instant::now())).collect();
        State {
            started_at: SystemTime::now(),
            listeners,
            admin,
            shutdown,
            shards,
            scopes: arc_swap::ArcSwap::default(),
            tokens,
            warnings: Vec::new(),
            notes: Mutex::default(),
            heartbeats: Mutex::new(heartbeats),
        }
    }

    /// Whether every thread still turns.
    pub(super) fn is_live(&self) -> Result<(), String> {
        let mut heartbeats = self.heartbeats.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = Instant::now();
        let mut stuck = 0;
        for ((seen, since), shard) in heartbeats.iter_mut().zip(&self.shards) {
            if *seen != shard.beats() {
                (*seen, *since) = (shard.beats(), now);
            }
            // A drain ends the heartbeat, not the life.
            stuck += usize::from(now - *since > STUCK && self.shutdown.phase() == Phase::Running);
        }
        if stuck == 0 { Ok(()) } else { Err(format!("{stuck} worker threads are stuck")) }
    }

    /// Whether requests can be served: never when no token is there to be had, whatever the reason.
    pub(super) fn readiness(&self) -> Result<(), String> {
        if self.shutdown.phase() != Phase::Running {
            return Err("draining".to_owned());
        }
        let scopes = self.scopes.load();
        // An idle scope's token is asked for when the next request comes. Looking at the state, and not for a token,
        // keeps a probe from counting as such a request.
        let served = |scope: &ScopeState| {
            matches!(
                scope.tokens.status().state,
                TokenState::Valid | TokenState::Renewing | TokenState::Idle | TokenState::Fixed
            )
        };
        match scopes.values().any(served) {
            true => Ok(()),
            false => Err(format!("no scope has a token: {}", summary(&scopes))),
        }
    }

    /// Whether every scope has a token or a reason why not.
    pub(super) fn startup(&self) -> Result<(), String> {
        let scopes = self.scopes.load();
        let pending = scopes.values().any(|scope| scope.tokens.status().state == TokenState::Pending);
        if pending { Err(summary(&scopes)) } else { Ok(()) }
    }

    /// `/status`.
    pub(super) fn status(&self) -> Value {
        let scopes: serde_json::Map<String, Value> = self
            .scopes
            .load()
            .iter()
            .map(|(scope, state)| {
                let token = state.tokens.status();
                let told = json!({
                    "upstream": state.upstream,
                    "audience": token.audience,
                    "state": token.state,
                    "expires_at": token.expires_at.map(timestamp),
                    "last_error": token.last_error,
                    "token": token,
                });
                (scope.name().to_owned(), told)
            })
            .collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "state": if self.shutdown.phase() == Phase::Running { "running" } else { "draining" },
            "ready": self.readiness().is_ok(),
            "started_at": timestamp(self.started_at),
            "addresses": { "listeners": self.listeners, "admin": self.admin },
            "workers": self.shards.len(),
            "confinement": crate::confine::in_force(),
            "scopes": scopes,
            "store": self.tokens.store().map_or(json!({ "kind": "memory" }), |store| json!(store)),
            "warnings": self.warnings,
            "notes": *self.notes.lock().unwrap_or_else(std::sync::PoisonError::into_inner),
        })
    }
}

fn summary(scopes: &BTreeMap<Scope, ScopeState>) -> String {
    let states = scopes.iter().map(|(scope, state)| {
        let status = state.tokens.status();
        match status.last_error {
            Some(error) => format!("{scope}: {} ({})", status.state.name(), error.detail),
            None => format!("{scope}: {}", status.state.name()),
        }
    });
    states.collect::<Vec<_>>().join("; ")
}

fn timestamp(time: SystemTime) -> Value {
    humantime_serde::re::humantime::format_rfc3339_seconds(time).to_string().into()
}
