//! The program: binds everything, knows every address, and runs until told to stop.
//!
//! Three kinds of threads: `accept` takes connections, the workers serve them, and `control` renews tokens and serves
//! the admin address, so that load never delays a renewal or a probe.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use tokio::runtime::{Builder, Runtime};

use crate::access::{self, Access, Callers};
use crate::address::Address;
use crate::admin::{Admin, State};
use crate::allowance::Stock;
use crate::config::{Settings, Sources, StorePlace};
use crate::listener::{BindError, Bound, Entrance, Handle, Places, Worker, accept};
use crate::metrics::Shard;
use crate::oauth::{FileStore, RedisStore, Store};
use crate::proxy::{self, Door};
use crate::shutdown::{Phase, Shutdown};
use crate::{descriptors, oauth, tls, upstream};

mod control;
mod plan;

pub use plan::token_request;

/// A running proxy.
pub struct App {
    listeners: Vec<Address>,
    admin: Address,
    shutdown: Shutdown,
    settings: Arc<Settings>,
    threads: Threads,
}

struct Threads {
    accept: JoinHandle<()>,
    workers: Vec<JoinHandle<bool>>,
    control: JoinHandle<()>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every connection ended by itself.
    Clean,
    /// Some were cut when the grace period was over, or by a second signal.
    Forced,
}

impl App {
    /// Binds the addresses and starts to serve. The sources are read again when one of their files changes. Requests that arrive before the first token wait for it.
    ///
    /// # Errors
    /// All that is wrong with the configuration at once; or the address that is taken; or what the system refused.
    pub fn start(settings: Settings, sources: Sources) -> Result<App, StartError> {
        let shutdown = Shutdown::default();
        let runtime = runtime().map_err(StartError::System)?;
        let _entered = runtime.enter();
        let bound = bind(&settings)?;
        let admin = Bound::new(&settings.config.admin.address).map_err(StartError::Bind)?;
        let known = !settings.config.caller.is_empty();
        guard(bound.iter().map(|bound| (bound, known)).chain([(&admin, false)]), settings.config.anonymous)
            .map_err(StartError::Config)?;
        let listeners: Vec<Address> = bound.iter().map(|bound| bound.address.clone()).collect();

        let tokens = tokens(&settings)?;
        let plan = plan::Plan::new(&settings, tokens.clone());
        let destinations = Arc::new(ArcSwap::from_pointee(plan.destinations().map_err(StartError::Origin)?));
        let workers = start_workers(&settings, &destinations, &shutdown)?;
        let shards: Vec<Arc<Shard>> = workers.iter().map(|(shard, _)| Arc::clone(shard)).collect();
        let mut state = State::new(
            listeners.iter().map(Address::to_string).collect(),
            admin.address.to_string(),
            shutdown.clone(),
            shards,
            tokens,
        );
        state.warnings.clone_from(&settings.warnings);
        state.notes = settings.notes.clone().into();
        state.scopes.store(Arc::new(plan.states()));

        let entrances = entrances(&settings, &listeners)?;
        let acceptors = workers.iter().map(|(_, worker)| worker.acceptor.clone()).collect();
        let places = Arc::new(places(&settings, workers.len()));
        let accept_thread = spawn_accept(bound, entrances, acceptors, places, shutdown.clone())?;
        let access = Access::new(&settings.config.access, &admin.address).map_err(StartError::Config)?;
        let admin_address = admin.address.clone();
        let settings = Arc::new(settings);
        let control = control::Control {
            admin: Arc::new(Admin { access, audit: settings.config.access.audit, state }),
            plan,
            destinations,
            settings: Arc::clone(&settings),
            sources,
            shutdown: shutdown.clone(),
        };
        drop(_entered);
        let control = spawn_control(runtime, admin, control)?;
        let workers = workers.into_iter().map(|(_, worker)| worker.thread).collect();
        let threads = Threads { accept: accept_thread, workers, control };
        Ok(App { listeners, admin: admin_address, shutdown, settings, threads })
    }

    /// The addresses that callers connect to, as bound.
    pub fn listeners(&self) -> &[Address] {
        &self.listeners
    }

    /// The admin address, as bound.
    pub fn admin(&self) -> &Address {
        &self.admin
    }

    /// What it runs with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// To stop it: `Draining` first, `Stopping` to end at once.
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Blocks until it has drained or stopped. Does not begin either.
    pub fn wait(self) -> End {
        let _ = self.threads.accept.join();
        // Joined all, even when one was cut.
        let ends: Vec<bool> =
            self.threads.workers.into_iter().map(|worker| worker.join().unwrap_or(false)).collect();
        let clean = ends.iter().all(|clean| *clean);
        self.shutdown.advance(Phase::Stopping);
        let _ = self.threads.control.join();
        for address in self.listeners.iter().chain([&self.admin]) {
            if let Address::Unix { path, .. } = address {
                let _ = std::fs::remove_file(path);
            }
        }
        if clean { End::Clean } else { End::Forced }
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

fn bind(settings: &Settings) -> Result<Vec<Bound>, StartError> {
    settings
        .listeners
        .iter()
        .map(|listener| Bound::new(&listener.address).map_err(StartError::Bind))
        .collect()
}

/// A socket of the service manager has shown its real address only now.
fn guard<'a>(
    bound: impl Iterator<Item = (&'a Bound, bool)>,
    anonymous: access::Anonymous,
) -> Result<(), Vec<String>> {
    let refused =
        bound.filter_map(|(bound, known)| access::bind_guard(&bound.address, anonymous, known).err());
    let mistakes: Vec<String> = refused.map(|why| format!("{why}; {}", access::REMEDY)).collect();
    if mistakes.is_empty() { Ok(()) } else { Err(mistakes) }
}

/// The tokens' registry over the configured token endpoint, in the current runtime.
///
/// # Errors
/// When TLS or the HTTP client cannot be set up.
pub fn tokens(settings: &Settings) -> Result<oauth::Tokens, StartError> {
    let config = &settings.config.oauth;
    let client = settings.credentials.authorization.client();
    let tls = match client.is_some_and(|client| client.token_endpoint.starts_with("https:")) {
        true => tls::client_config(config.ca_file.as_deref(), &[]),
        false => tls::plain_client_config(),
    };
    let tls = tls.map_err(StartError::Tls)?;
    let clock = oauth::Clock::system();
    let endpoint = oauth::Endpoint::new(config, tls, clock.clone()).map_err(StartError::TokenEndpoint)?;
    let store: Arc<dyn Store> = match &settings.store.place {
        StorePlace::Memory => return Ok(oauth::Tokens::new(config, Arc::new(endpoint), clock)),
        StorePlace::Folder(path) => Arc::new(FileStore::new(path.clone(), clock.clone())),
        StorePlace::Redis(address) => {
            let store = &settings.config.store;
            let tls = match address.is_tls() {
                true => tls::client_config(store.ca_file.as_deref(), &[]),
                false => tls::plain_client_config(),
            };
            Arc::new(RedisStore::new(address.clone(), tls.map_err(StartError::Tls)?, &store.prefix))
        }
    };
    let key = settings.store.key.clone();
    Ok(oauth::Tokens::shared(config, Arc::new(endpoint), clock, store, key))
}

type Workers = Vec<(Arc<Shard>, Handle)>;

fn start_workers(
    settings: &Settings,
    destinations: &Arc<ArcSwap<proxy::Destinations>>,
    shutdown: &Shutdown,
) -> Result<Workers, StartError> {
    let config = &settings.config;
    let count = match config.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        count => count,
    };
    // Checked with the configuration, where every mistake has its place.
    let callers = Arc::new(Callers::new(&config.caller).unwrap_or_default());
    let requests = Arc::new(Stock::new(config.limits.requests, count));
    let replays = Arc::new(Stock::new(config.limits.replay_memory, count));
    let start = |n| {
        let shard = Arc::new(Shard::default());
        let settings = proxy::Settings {
            upstream: config.upstream.clone(),
            token_wait: config.oauth.wait,
            access_log: config.log.access,
            callers: Arc::clone(&callers),
            audit: config.access.audit,
            requests: Arc::clone(&requests),
            replays: Arc::clone(&replays),
            body_timeout: config.limits.body_timeout,
            head_size: config.limits.head_size,
        };
        let worker = Worker::start(
            format!("worker-{n}"),
            Arc::clone(destinations),
            settings,
            config.limits.clone(),
            Arc::clone(&shard),
            shutdown.clone(),
        );
        Ok((shard, worker.map_err(StartError::System)?))
    };
    (0..count).map(start).collect()
}

/// How many connections may be open at once.
fn places(settings: &Settings, workers: usize) -> Places {
    let limits = &settings.config.limits;
    let wanted = limits.connections;
    let places = descriptors::connections(wanted, workers);
    if places < wanted {
        tracing::info!(
            target: "listener",
            connections = places,
            "fewer connections at once than limits.connections: this process may not open more files (ulimit -n)"
        );
    }
    // The same part of what there is as of what was wanted.
    let each = limits.connections_per_caller.saturating_mul(places) / wanted.max(1);
    Places::new(places, each.max(1))
}

fn entrances(settings: &Settings, bound: &[Address]) -> Result<Vec<Arc<Entrance>>, StartError> {
    let mut entrances = Vec::new();
    for (listener, address) in settings.listeners.iter().zip(bound) {
        let access = Access::new(&settings.config.access, address).map_err(StartError::Config)?;
        let tls = match &listener.tls {
            Some(files) => Some(Arc::new(
                tls::server_config(&files.cert_file, &files.key_file, files.client_ca_file.as_deref())
                    .map_err(StartError::Tls)?,
            )),
            None => None,
        };
        let (scope, secrets) = (listener.scope, listener.secrets);
        let relay = settings.config.relay.mode.on(address);
        let anonymous = settings.config.anonymous.may_come_in_at(address);
        let door = Arc::new(Door { name: address.to_string(), access, anonymous, scope, secrets, relay });
        entrances.push(Arc::new(Entrance { door, tls }));
    }
    Ok(entrances)
}

fn spawn_accept(
    bound: Vec<Bound>,
    entrances: Vec<Arc<Entrance>>,
    workers: Vec<crate::listener::Acceptor>,
    places: Arc<Places>,
    shutdown: Shutdown,
) -> Result<JoinHandle<()>, StartError> {
    let runtime = runtime().map_err(StartError::System)?;
    let run = move || {
        runtime.block_on(async move {
            let mut accepting = tokio::task::JoinSet::new();
            for (bound, entrance) in bound.into_iter().zip(entrances) {
                let (workers, places) = (workers.clone(), Arc::clone(&places));
                accepting.spawn(accept(bound, entrance, workers, places, shutdown.clone()));
            }
            // The workers learn that no more connections come when the last acceptor is gone.
            drop(workers);
            while accepting.join_next().await.is_some() {}
        });
    };
    std::thread::Builder::new().name("accept".to_owned()).spawn(run).map_err(StartError::System)
}

fn spawn_control(
    runtime: Runtime,
    admin: Bound,
    control: control::Control,
) -> Result<JoinHandle<()>, StartError> {
    let run = move || {
        // Upstream connections, which the probe of hosts makes, stay on one thread.
        runtime.block_on(tokio::task::LocalSet::new().run_until(control.run(admin)));
    };
    std::thread::Builder::new().name("control".to_owned()).spawn(run).map_err(StartError::System)
}

/// The proxy cannot start.
#[derive(Debug)]
pub enum StartError {
    /// The configuration is wrong; a sentence for each mistake.
    Config(Vec<String>),
    /// An address cannot be listened on.
    Bind(BindError),
    /// TLS cannot be set up.
    Tls(tls::Error),
    /// An upstream's address or TLS cannot be set up.
    Origin(upstream::OriginError),
    /// The client for the token endpoint cannot be set up.
    TokenEndpoint(reqwest::Error),
    /// The system has no thread or descriptor to give.
    System(io::Error),
}

impl StartError {
    /// A sentence for each thing that is wrong.
    pub fn sentences(&self) -> Vec<String> {
        match self {
            StartError::Config(mistakes) => mistakes.clone(),
            other => vec![other.to_string()],
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Config(mistakes) => f.write_str(&mistakes.join("\n")),
            StartError::Bind(error) => error.fmt(f),
            StartError::Tls(error) => error.fmt(f),
            StartError::Origin(error) => error.fmt(f),
            StartError::TokenEndpoint(error) => write!(f, "the token endpoint cannot be asked: {error}"),
            StartError::System(error) => write!(f, "the system refuses what is needed: {error}"),
        }
    }
}

impl std::error::Error for StartError {}
