//! The file store: a folder for the processes of one host, and for the next one after a restart.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::folder::Folder;
use super::host::Host;
use super::record::millis;
use super::{Lease, Loaded, Operation, Store, Turn};
use crate::oauth::Clock;

/// Tokens in a folder.
#[derive(Clone)]
pub struct FileStore(Arc<Shared>);

struct Shared {
    folder: Folder,
    clock: Clock,
    threads: Arc<Semaphore>,
    swept_at: AtomicU64,
}

/// A folder on a network may never answer. One on a disk does, but a machine on which many processes start is slow.
const LIMIT: Duration = Duration::from_secs(2);
/// So many threads may hang on it.
const THREADS: usize = 16;
const BETWEEN_SWEEPS: Duration = Duration::from_secs(3600);

impl FileStore {
    /// A store in this folder, which need not be there yet.
    pub fn new(path: PathBuf, clock: Clock) -> FileStore {
        let threads = Arc::new(Semaphore::new(THREADS));
        FileStore(Arc::new(Shared { folder: Folder::new(path), clock, threads, swept_at: AtomicU64::new(0) }))
    }

    /// Makes the folder, for this user alone.
    ///
    /// # Errors
    /// When the system refuses it.
    pub fn make_folder(path: &Path) -> io::Result<()> {
        Folder::new(path.to_owned()).make()
    }

    /// On a thread that may wait for the disk, for so long and no longer.
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> io::Result<T> + Send + 'static,
    ) -> Operation<T> {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let working = async {
                let permit = Arc::clone(&shared.threads).acquire_owned().await;
                let shared = Arc::clone(&shared);
                let work = move || {
                    let _permit = permit;
                    work(&shared)
                };
                tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
            };
            match timeout(LIMIT, working).await {
                Ok(ended) => ended,
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, shared.folder.slow())),
            }
        })
    }

    fn at_host<T: Send + 'static>(
        &self,
        host: &str,
        change: impl FnOnce(&mut Host, SystemTime) -> T + Send + 'static,
    ) -> Operation<T> {
        let name = format!("{}.host", file_name(host));
        self.run(move |shared| {
            let now = shared.clock.wall();
            shared.folder.update(&name, now, |text| {
                // A text that was cut off by a crash says nothing.
                let mut record: Host = serde_json::from_slice(text).unwrap_or_default();
                let answer = change(&mut record, now);
                *text = serde_json::to_vec(&record).unwrap_or_default();
                answer
            })
        })
    }
}

impl Shared {
    fn sweep_at_times(&self, now: SystemTime) -> io::Result<()> {
        let swept = self.swept_at.load(Ordering::Relaxed);
        if millis(now).abs_diff(swept) > BETWEEN_SWEEPS.as_millis() as u64 {
            self.swept_at.store(millis(now), Ordering::Relaxed);
            self.folder.sweep(now)?;
        }
        Ok(())
    }
}

impl Store for FileStore {
    fn kind(&self) -> &'static str {
        "file"
    }

    fn load(&self, name: &str) -> Operation<Loaded> {
        let name = format!("{name}.entry");
        self.run(move |shared| Ok(Loaded { entry: shared.folder.read(&name)?, now: shared.clock.wall() }))
    }

    fn save(&self, name: &str, entry: Vec<u8>, keep: Duration) -> Operation<()> {
        let name = format!("{name}.entry");
        self.run(move |shared| {
            let now = shared.clock.wall();
            shared.folder.write(&name, &entry, now + keep)?;
            shared.sweep_at_times(now)
        })
    }

    fn lease(&self, name: &str) -> Operation<Option<Lease>> {
        let name = format!("{name}.lock");
        self.run(move |shared| {
            let Some(file) = shared.folder.lock(&name)? else { return Ok(None) };
            // In use now, so not to be swept out for long.
            let _ = file.set_modified(shared.clock.wall());
            Ok(Some(Box::new(Locked { _file: file }) as Lease))
        })
    }

    fn arrive(&self, host: &str) -> Operation<u64> {
        self.at_host(host, |record, now| record.arrive(now))
    }

    fn turn(&self, host: &str, id: u64, hold: Duration) -> Operation<Turn> {
        self.at_host(host, move |record, now| record.turn(now, id, hold))
    }

    fn rest(&self, host: &str, id: u64, pause: Duration) -> Operation<()> {
        self.at_host(host, move |record, now| record.rest(now, id, pause))
    }

    fn stop(&self, host: &str, time: Duration) -> Operation<()> {
        self.at_host(host, move |record, now| record.stop(now, time))
    }

    fn probe(&self) -> Operation<()> {
        self.run(move |shared| shared.folder.write("probe.entry", b"", shared.clock.wall()))
    }
}

/// Closing the file unlocks it.
struct Locked {
    _file: File,
}

/// A host's name as a file name.
fn file_name(host: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '.' { c } else { '_' };
    let name: String = host.chars().map(safe).take(200).collect();
    name.trim_start_matches('.').to_owned()
}
