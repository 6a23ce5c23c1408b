//! Stores: where processes share their tokens and agree on who asks for the next.
//!
//! A store keeps two things. Entries, one for each token request, are sealed: whoever has the store can neither read
//! nor forge them. A token host's turns are plain, and hold nothing but times. All that is decided with them is decided
//! above, by the engine; a store may fail at any moment, and work goes on without it.

mod address;
mod file;
mod folder;
mod host;
mod record;
mod redis;
mod sealed;
mod watched;

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

pub use address::{AddressError, RedisAddress};
pub use file::FileStore;
pub use redis::RedisStore;
pub use watched::StoreStatus;

pub(super) use record::{KeptFailure, KeptToken, Record, millis, since, until};
pub(super) use sealed::Seal;
pub(super) use watched::Watched;

use crate::secret::Secret;

/// What processes share. [`FileStore`] does it on one host, [`RedisStore`] anywhere, tests in their own process.
pub trait Store: Send + Sync {
    /// The word for it in logs and status.
    fn kind(&self) -> &'static str;

    /// The entry of this name, if there is one.
    fn load(&self, name: &str) -> Operation<Loaded>;

    /// Keeps an entry in place of the one before, for this long at least.
    fn save(&self, name: &str, entry: Vec<u8>, keep: Duration) -> Operation<()>;

    /// Takes the lease of this name, unless somebody has it.
    fn lease(&self, name: &str) -> Operation<Option<Lease>>;

    /// Says that somebody starts who will ask this host, and learns how many others did in the last seconds.
    fn arrive(&self, host: &str) -> Operation<u64>;

    /// Takes the host's turn under this id for as long as `hold`, unless it has to be waited for. Whoever has it under
    /// this id has it again.
    fn turn(&self, host: &str, id: u64, hold: Duration) -> Operation<Turn>;

    /// The turn's request has ended: the next turn is there after this pause.
    fn rest(&self, host: &str, id: u64, pause: Duration) -> Operation<()>;

    /// Leaves the host alone for this time, whoever asks.
    fn stop(&self, host: &str, time: Duration) -> Operation<()>;

    /// Does what shows whether the store works, writing included.
    fn probe(&self) -> Operation<()>;
}

/// An operation under way. It ends within a few seconds, whatever happens.
pub type Operation<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// Held by whoever asks. Dropping it gives the lease back, and so does the end of its holder, however it ends.
pub type Lease = Box<dyn Send + Sync>;

/// What was found under a name.
#[derive(Debug)]
pub struct Loaded {
    /// The entry.
    pub entry: Option<Vec<u8>>,
    /// What time it is for the store. All who share it measure by that, and not by clocks of their own.
    pub now: SystemTime,
}

/// The answer to whoever wants a host's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Ask now.
    Yours,
    /// Somebody else's; look again after this time.
    In(Duration),
    /// The host is left alone for this time.
    Stopped(Duration),
}

/// Starts this long ago count as being at the same time.
const STARTING: Duration = Duration::from_secs(10);
/// A host is never left alone for longer.
const LONGEST_STOP: Duration = Duration::from_secs(3600);

/// Where tokens are kept besides this process's memory.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Which store.
    pub kind: Kind,
    /// The file store's folder.
    pub path: Option<PathBuf>,
    /// The Redis or Valkey server: `redis://`, `rediss://` (TLS) or `unix://`, with user and password if it wants them.
    #[serde(serialize_with = "crate::secret::redacted")]
    pub url: Option<Secret>,
    /// A file that holds the URL.
    pub url_file: Option<PathBuf>,
    /// PEM file of authorities to trust for `rediss://`, besides the system's.
    pub ca_file: Option<PathBuf>,
    /// What the names of all keys in Redis begin with.
    pub prefix: String,
    /// A further secret to seal entries with, the same for all who share them.
    #[serde(serialize_with = "crate::secret::redacted")]
    pub key: Option<Secret>,
    /// A file that holds the further secret.
    pub key_file: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            kind: Kind::Memory,
            path: None,
            url: None,
            url_file: None,
            ca_file: None,
            prefix: "camunda-auth-proxy".to_owned(),
            key: None,
            key_file: None,
        }
    }
}

/// The stores there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// This process's memory, which nobody shares.
    #[default]
    Memory,
    /// A folder, for the processes of one host and across restarts.
    File,
    /// Redis or Valkey, for processes anywhere.
    Redis,
}
