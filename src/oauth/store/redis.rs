//! The Redis store, which Valkey serves as well: for processes anywhere, by the server's clock and nobody else's.
//!
//! A turn and a stop are keys that expire, so that nothing has to be compared with a clock; a lease is a key that its
//! holder keeps alive.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError, Script, cmd, pipe};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Mutex;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use super::address::{Place, RedisAddress};
use super::{LONGEST_STOP, Lease, Loaded, Operation, STARTING, Store, Turn};

/// Tokens in Redis or Valkey.
#[derive(Clone)]
pub struct RedisStore(Arc<Shared>);

struct Shared {
    address: RedisAddress,
    tls: TlsConnector,
    prefix: String,
    /// Made when it is needed, dropped at the first failure.
    connection: Mutex<Option<MultiplexedConnection>>,
    scripts: Scripts,
}

/// Name look-up, TCP, TLS and log-in.
const CONNECT: Duration = Duration::from_secs(2);
const COMMAND: Duration = Duration::from_secs(1);
/// How long a lease outlives its holder, and how often the holder says that it lives.
const LEASE: Duration = Duration::from_secs(5);
const BEAT: Duration = Duration::from_millis(1500);

impl RedisStore {
    /// A store at this address, all of whose keys begin with `prefix`. `tls` is used for `rediss://`.
    pub fn new(address: RedisAddress, tls: rustls::ClientConfig, prefix: &str) -> RedisStore {
        RedisStore(Arc::new(Shared {
            address,
            tls: TlsConnector::from(Arc::new(tls)),
            prefix: prefix.to_owned(),
            connection: Mutex::default(),
            scripts: Scripts::new(),
        }))
    }

    fn key(&self, kind: &str, name: &str) -> String {
        format!("{}:{kind}:{name}", self.0.prefix)
    }

    /// One exchange over the connection, for so long and no longer.
    fn run<T, F>(
        &self,
        exchange: impl FnOnce(Arc<Shared>, MultiplexedConnection) -> F + Send + 'static,
    ) -> Operation<T>
    where
        T: Send,
        F: Future<Output = Result<T, RedisError>> + Send,
    {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let connection = shared.connection().await?;
            let ended = match timeout(COMMAND, exchange(Arc::clone(&shared), connection)).await {
                Ok(ended) => ended.map_err(|error| shared.told(&error)),
                Err(_) => Err(shared.slow("did not answer")),
            };
            if ended.is_err() {
                // Whatever is left of it is not trusted: an answer that comes late would be taken for the next one's.
                *shared.connection.lock().await = None;
            }
            ended
        })
    }
}

impl Shared {
    async fn connection(&self) -> io::Result<MultiplexedConnection> {
        let mut kept = self.connection.lock().await;
        if let Some(connection) = &*kept {
            return Ok(connection.clone());
        }
        let connection = match timeout(CONNECT, self.connect()).await {
            Ok(connected) => connected?,
            Err(_) => return Err(self.slow("could not be connected to")),
        };
        *kept = Some(connection.clone());
        Ok(connection)
    }

    async fn connect(&self) -> io::Result<MultiplexedConnection> {
        let told = |error: io::Error| self.at(error.kind(), &error.to_string());
        match &self.address.place {
            Place::Unix(path) => self.log_in(UnixStream::connect(path).await.map_err(told)?).await,
            Place::Tcp { host, port, tls } => {
                let tcp = TcpStream::connect((host.as_str(), *port)).await.map_err(told)?;
                tcp.set_nodelay(true).map_err(told)?;
                match tls {
                    None => self.log_in(tcp).await,
                    Some(name) => {
                        let stream = self.tls.connect(name.clone(), tcp).await.map_err(told)?;
                        self.log_in(stream).await
                    }
                }
            }
        }
    }

    async fn log_in<S>(&self, stream: S) -> io::Result<MultiplexedConnection>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        // The limits are ours.
        let config = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
        let connected = MultiplexedConnection::new_with_config(&self.address.login, stream, config).await;
        let (connection, driver) = connected.map_err(|error| self.told(&error))?;
        // Ends when the last handle of the connection is dropped.
        tokio::spawn(driver);
        Ok(connection)
    }

    fn told(&self, error: &RedisError) -> io::Error {
        self.at(io::ErrorKind::Other, &error.to_string())
    }

    fn slow(&self, what: &str) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, format!("{} {what} in time", self.address))
    }

    fn at(&self, kind: io::ErrorKind, what: &str) -> io::Error {
        let what: String = what.chars().filter(|c| !c.is_control()).take(200).collect();
        io::Error::new(kind, format!("{}: {what}", self.address))
    }
}

impl Store for RedisStore {
    fn kind(&self) -> &'static str {
        "redis"
    }

    fn load(&self, name: &str) -> Operation<Loaded> {
        let key = self.key("entry", name);
        self.run(async move |_, mut connection| {
            let both = pipe().cmd("GET").arg(key).cmd("TIME").query_async(&mut connection).await?;
            let (entry, (seconds, micros)): (Option<Vec<u8>>, (u64, u64)) = both;
            let since = Duration::from_secs(seconds) + Duration::from_micros(micros);
            Ok(Loaded { entry, now: SystemTime::UNIX_EPOCH + since })
        })
    }

    fn save(&self, name: &str, entry: Vec<u8>, keep: Duration) -> Operation<()> {
        let key = self.key("entry", name);
        self.run(async move |_, mut connection| {
            cmd("SET").arg(key).arg(entry).arg("PX").arg(millis(keep)).query_async(&mut connection).await
        })
    }

    fn lease(&self, name: &str) -> Operation<Option<Lease>> {
        let key = self.key("lease", name);
        let store = self.clone();
        self.run(async move |_, mut connection| {
            let id = fastrand::u64(..);
            let mut set = cmd("SET");
            set.arg(&key).arg(id).arg("NX").arg("PX").arg(millis(LEASE));
            let taken: Option<()> = set.query_async(&mut connection).await?;
            Ok(taken.map(|()| Box::new(Held::new(store, key, id)) as Lease))
        })
    }

    fn arrive(&self, host: &str) -> Operation<u64> {
        let key = self.key("starts", host);
        self.run(async move |_, mut connection| {
            let mut both = pipe();
            both.atomic().cmd("INCR").arg(&key).cmd("PEXPIRE").arg(&key).arg(millis(STARTING)).ignore();
            let (starts,): (u64,) = both.query_async(&mut connection).await?;
            Ok(starts.saturating_sub(1))
        })
    }

    fn turn(&self, host: &str, id: u64, hold: Duration) -> Operation<Turn> {
        let (stop, turn) = (self.key("stop", host), self.key("turn", host));
        self.run(async move |shared, mut connection| {
            let mut call = shared.scripts.turn.key(stop);
            let (stopped, left): (u64, u64) =
                call.key(turn).arg(id).arg(millis(hold)).invoke_async(&mut connection).await?;
            Ok(match (stopped, left) {
                (0, 0) => Turn::Yours,
                (0, left) => Turn::In(Duration::from_millis(left)),
                (stopped, _) => Turn::Stopped(Duration::from_millis(stopped)),
            })
        })
    }

    fn rest(&self, host: &str, id: u64, pause: Duration) -> Operation<()> {
        let key = self.key("turn", host);
        self.run(async move |shared, mut connection| {
            let mut call = shared.scripts.keep.key(key);
            call.arg(id).arg(millis(pause)).invoke_async(&mut connection).await
        })
    }

    fn stop(&self, host: &str, time: Duration) -> Operation<()> {
        let key = self.key("stop", host);
        self.run(async move |shared, mut connection| {
            let mut call = shared.scripts.stop.key(key);
            call.arg(millis(time.min(LONGEST_STOP))).invoke_async(&mut connection).await
        })
    }

    fn probe(&self) -> Operation<()> {
        let key = self.key("probe", "");
        self.run(async move |_, mut connection| {
            cmd("SET").arg(key).arg("").arg("PX").arg(1000).query_async(&mut connection).await
        })
    }
}

/// A lease while it is held: kept alive, and given back when it is dropped.
struct Held {
    store: RedisStore,
    key: String,
    id: u64,
    beat: AbortHandle,
}

impl Held {
    fn new(store: RedisStore, key: String, id: u64) -> Held {
        let (kept, name) = (store.clone(), key.clone());
        let beat = tokio::spawn(async move {
            loop {
                sleep(BEAT).await;
                let key = name.clone();
                // One that fails is made up for by the next; if all do, the store is down, and that is told elsewhere.
                let _: io::Result<()> = kept
                    .run(async move |shared, mut connection| {
                        let mut call = shared.scripts.keep.key(key);
                        call.arg(id).arg(millis(LEASE)).invoke_async(&mut connection).await
                    })
                    .await;
            }
        });
        Held { store, key, id, beat: beat.abort_handle() }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.beat.abort();
        let (key, id) = (std::mem::take(&mut self.key), self.id);
        let give_back = self.store.run::<(), _>(async move |shared, mut connection| {
            shared.scripts.give_back.key(key).arg(id).invoke_async(&mut connection).await
        });
        // Without a runtime the process is about to end, and the lease with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(give_back);
        }
    }
}

/// What has to be one step for everybody else.
struct Scripts {
    turn: Script,
    keep: Script,
    stop: Script,
    give_back: Script,
}

impl Scripts {
    fn new() -> Scripts {
        Scripts {
            turn: Script::new(
                "local stopped = redis.call('PTTL', KEYS[1])
                 if stopped > 0 then return {stopped, 0} end
                 local left = redis.call('PTTL', KEYS[2])
                 if left > 0 and redis.call('GET', KEYS[2]) ~= ARGV[1] then return {0, left} end
                 redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
                 return {0, 0}",
            ),
            keep: Script::new(
                "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end",
            ),
            stop: Script::new(
                "if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
                     redis.call('SET', KEYS[1], '', 'PX', ARGV[1])
                 end",
            ),
            give_back: Script::new(
                "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end",
            ),
        }
    }
}

/// In whole milliseconds, one at least: Redis knows no shorter life.
fn millis(time: Duration) -> u64 {
    (time.as_millis() as u64).max(1)
}
