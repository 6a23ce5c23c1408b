//! The registry: one source for each distinct token request, one pace for each token host.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use super::Config;
use super::answer::Ask;
use super::clock::Clock;
use super::entry::{Entry, State};
use super::measures::Measures;
use super::pace::Pace;
use super::quarantine::Client;
use super::rejection::Rejection;
use super::renewal;
use super::request::{Asker, TokenRequest};
use super::share::Share;
use super::source::TokenSource;
use super::store::{Seal, Store, StoreStatus, Watched};
use crate::secret::Secret;

/// All sources of the process. Clones are the same registry.
#[derive(Clone)]
pub struct Tokens(Arc<Registry>);

struct Registry {
    /// Absent when nothing is shared.
    sharing: Option<Sharing>,
    ask: Arc<dyn Ask>,
    clock: Clock,
    runtime: Handle,
    limit: Duration,
    idle_after: Duration,
    ids: AtomicU64,
    generations: Arc<AtomicU64>,
    known: Mutex<Known>,
}

struct Sharing {
    store: Arc<Watched>,
    key: Option<Secret>,
    watch: AbortHandle,
}

impl Drop for Sharing {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

#[derive(Default)]
struct Known {
    sources: HashMap<TokenRequest, Weak<TokenSource>>,
    clients: HashMap<Asker, Weak<Client>>,
    /// Kept for good: dropping a source and making it anew must not outrun the pace.
    hosts: HashMap<String, Arc<Pace>>,
}

impl Tokens {
    /// An empty registry. Must be called on the control thread's runtime: every renewal task runs there, so that load
    /// on the workers delays none. All else may be called from any thread.
    pub fn new(config: &Config, ask: Arc<dyn Ask>, clock: Clock) -> Tokens {
        Tokens::made(config, ask, clock, None)
    }

    /// The same, with tokens that are shared with others through a store. `key` is a further secret to seal them with.
    pub fn shared(
        config: &Config,
        ask: Arc<dyn Ask>,
        clock: Clock,
        store: Arc<dyn Store>,
        key: Option<Secret>,
    ) -> Tokens {
        let store = Arc::new(Watched::new(store));
        let watch = tokio::spawn(Arc::clone(&store).watch()).abort_handle();
        Tokens::made(config, ask, clock, Some(Sharing { store, key, watch }))
    }

    fn made(config: &Config, ask: Arc<dyn Ask>, clock: Clock, sharing: Option<Sharing>) -> Tokens {
        Tokens(Arc::new(Registry {
            sharing,
            ask,
            clock,
            runtime: Handle::current(),
            limit: config.timeout + Duration::from_secs(5),
            idle_after: config.idle_after,
            ids: AtomicU64::new(0),
            generations: Arc::new(AtomicU64::new(0)),
            known: Mutex::default(),
        }))
    }

    /// The source for this request: the same one for an equal request as long as anybody holds it. A new one asks for
    /// its first token at once, when the pace allows.
    pub fn source(&self, request: TokenRequest) -> Arc<TokenSource> {
        let registry = &*self.0;
        let mut known = registry.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = known.sources.get(&request).and_then(Weak::upgrade) {
            // Whoever went back to the secret before it wants it again.
            if source.entry.succeeded.swap(false, Ordering::Relaxed) {
                source.entry.wake.notify_one();
            }
            return source;
        }
        known.sources.retain(|_, source| source.strong_count() > 0);
        known.clients.retain(|_, client| client.strong_count() > 0);
        let pace = known.hosts.entry(request.host()).or_insert_with(|| Arc::new(Pace::new())).clone();
        let key = request.asker();
        let client = known.clients.get(&key).and_then(Weak::upgrade).unwrap_or_default();
        known.clients.insert(key, Arc::downgrade(&client));
        let share = registry.sharing.as_ref().and_then(|sharing| {
            let seal = Seal::new(&request, sharing.key.as_ref())?;
            Some(Share::new(Arc::clone(&sharing.store), seal, request.host()))
        });
        let entry = Arc::new(Entry {
            share,
            id: registry.ids.fetch_add(1, Ordering::Relaxed),
            request: request.clone(),
            ask: registry.ask.clone(),
            clock: registry.clock.clone(),
            pace,
            client,
            token: ArcSwapOption::empty(),
            idle_after: registry.idle_after,
            used: AtomicBool::new(false),
            resting: AtomicBool::new(false),
            succeeded: AtomicBool::new(false),
            waiters: Arc::new(AtomicUsize::new(0)),
            measures: Measures::default(),
            wake: Notify::new(),
            changed: watch::Sender::new(()),
            generations: registry.generations.clone(),
            rejection: Rejection::default(),
            state: Mutex::new(State::new()),
        });
        let task = renewal::supervise(entry.clone(), registry.ask.clone(), registry.limit);
        let supervisor = registry.runtime.spawn(task).abort_handle();
        let source = Arc::new(TokenSource { entry, supervisor });
        known.sources.insert(request, Arc::downgrade(&source));
        source
    }

    /// The source for the request that follows `old`'s, after the credentials changed: asks with the new ones at once,
    /// and serves `old`'s token until it has its own, if only the client's proof of who it is differs. Drop `old` afterwards.
    pub fn succeed(&self, old: &TokenSource, request: TokenRequest) -> Arc<TokenSource> {
        let source = self.source(request);
        source.adopt(old);
        // A worker without requests holds the old one for as long as none comes.
        old.entry.succeeded.store(!std::ptr::eq(&*source, old), Ordering::Relaxed);
        source
    }

    /// What the store says of itself; absent when nothing is shared.
    pub fn store(&self) -> Option<StoreStatus> {
        self.0.sharing.as_ref().map(|sharing| sharing.store.status())
    }

    /// Every source that somebody holds, for status and metrics.
    pub fn sources(&self) -> Vec<Arc<TokenSource>> {
        let known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.sources.values().filter_map(Weak::upgrade).collect()
    }
}
