//! A folder whose files nobody else on this machine may read, forge or leave half written.

use std::collections::HashSet;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;

/// The store's folder. Its methods block.
pub(super) struct Folder {
    path: PathBuf,
    /// Files that were warned of. One that is in order again is warned of again.
    warned: Mutex<HashSet<PathBuf>>,
}

/// No entry is longer: a token has 64 KiB at most.
const LONGEST: u64 = 256 * 1024;
/// What ended this long ago is swept out.
const SWEPT: Duration = Duration::from_secs(7 * 24 * 3600);

impl Folder {
    pub(super) fn new(path: PathBuf) -> Folder {
        Folder { path, warned: Mutex::default() }
    }

    /// A file's content; absent when there is no such file, and when it is not one that this user wrote.
    pub(super) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let path = self.path.join(name);
        let file = match options().read(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if is_link(&path) => return Ok(self.foreign(&path, &error.to_string())),
            Err(error) => return Err(self.told("read", &error)),
        };
        if let Err(why) = is_ours(&file) {
            return Ok(self.foreign(&path, why));
        }
        let mut content = Vec::new();
        file.take(LONGEST + 1).read_to_end(&mut content).map_err(|error| self.told("read", &error))?;
        if content.len() as u64 > LONGEST {
            return Ok(self.foreign(&path, "it is too long"));
        }
        self.warned().remove(&path);
        Ok(Some(content))
    }

    /// Puts a file in place of the one before, whole or not at all. It is swept out some time after `until`.
    pub(super) fn write(&self, name: &str, content: &[u8], until: SystemTime) -> io::Result<()> {
        self.make()?;
        let path = self.path.join(name);
        // Hidden, so that nobody takes it for an entry; swept out if its writer dies.
        let aside = self.path.join(format!(".{name}.{:016x}", fastrand::u64(..)));
        let written = (|| {
            let mut file = options().write(true).create_new(true).mode(0o600).open(&aside)?;
            file.write_all(content)?;
            file.set_modified(until)?;
            file.sync_all()?;
            std::fs::rename(&aside, &path)?;
            File::open(&self.path)?.sync_all()
        })();
        written.map_err(|error| {
            let _ = std::fs::remove_file(&aside);
            self.told("written to", &error)
        })
    }

    /// Locks a file of this name, unless another process or thread has it. The kernel unlocks it when its holder ends.
    pub(super) fn lock(&self, name: &str) -> io::Result<Option<File>> {
        self.locked(name, |file| match file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        })
    }

    fn locked(&self, name: &str, take: impl Fn(&File) -> io::Result<bool>) -> io::Result<Option<File>> {
        self.make()?;
        let path = self.path.join(name);
        let told = |error: io::Error| self.told("locked in", &error);
        for _ in 0..10 {
            let opened =
                options().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
            let file = match opened {
                Ok(file) if is_ours(&file).is_ok() => file,
                Err(error) if !is_link(&path) => return Err(told(error)),
                // Not ours, in our folder: in the way of everybody.
                _ => {
                    std::fs::remove_file(&path).map_err(told)?;
                    continue;
                }
            };
            if !take(&file).map_err(told)? {
                return Ok(None);
            }
            // It may have been swept out between the two, and another one been made.
            let still = std::fs::metadata(&path).is_ok_and(|found| {
                file.metadata().is_ok_and(|ours| (ours.dev(), ours.ino()) == (found.dev(), found.ino()))
            });
            if still {
                return Ok(Some(file));
            }
        }
        Err(told(io::Error::other("the file is replaced again and again")))
    }

    /// Changes a file under its lock. It is swept out some time after `until`.
    pub(super) fn update<T>(
        &self,
        name: &str,
        until: SystemTime,
        change: impl FnOnce(&mut Vec<u8>) -> T,
    ) -> io::Result<T> {
        use std::io::Seek;
        // Waits, because whoever has it has it for less than a millisecond.
        let locked = self.locked(name, |file| file.lock().map(|()| true))?;
        let Some(mut file) = locked else { return Err(io::ErrorKind::WouldBlock.into()) };
        let mut content = Vec::new();
        let read = Read::by_ref(&mut file).take(LONGEST).read_to_end(&mut content);
        read.map_err(|error| self.told("read", &error))?;
        let answer = change(&mut content);
        let written = (|| {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(&content)?;
            file.set_modified(until)
        })();
        written.map_err(|error| self.told("written to", &error))?;
        Ok(answer)
    }

    /// Takes out what ended long ago, and what writers left who died.
    pub(super) fn sweep(&self, now: SystemTime) -> io::Result<()> {
        let entries = std::fs::read_dir(&self.path).map_err(|error| self.told("read", &error))?;
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let suffix = name.rsplit('.').next().unwrap_or_default();
            let ours = name.starts_with('.') || ["entry", "lock", "host"].contains(&suffix);
            let ended = entry.metadata().ok().and_then(|metadata| metadata.modified().ok());
            if !ours || ended.is_none_or(|ended| ended + SWEPT > now) {
                continue;
            }
            // Only who has the lock may take it out.
            let lock = if suffix == "lock" || suffix == "host" { self.lock(name)? } else { None };
            if lock.is_some() || suffix == "entry" || name.starts_with('.') {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    pub(super) fn slow(&self) -> String {
        format!("the folder {} did not answer in time", self.path.display())
    }

    /// Says once that a file is not used.
    pub(super) fn foreign(&self, path: &Path, why: &str) -> Option<Vec<u8>> {
        if self.warned().insert(path.to_owned()) {
            tracing::warn!(target: "token", file = %path.display(),
                "a file in the store is ignored, and replaced when the next token comes: {why}");
        }
        None
    }

    pub(super) fn make(&self) -> io::Result<()> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.path);
        made.map_err(|error| self.told("made", &error))
    }

    fn told(&self, what: &str, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("the folder {} cannot be {what}: {error}", self.path.display()))
    }

    fn warned(&self) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
        self.warned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows no link, and does not wait for a pipe.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    options
}

fn is_link(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file())
}

fn is_ours(file: &File) -> Result<(), &'static str> {
    let Ok(found) = file.metadata() else { return Err("it cannot be looked at") };
    if !found.is_file() {
        Err("it is not a file")
    } else if found.uid() != rustix::process::geteuid().as_raw() {
        Err("it belongs to another user")
    } else if found.mode() & 0o077 != 0 {
        Err("other users may read or write it")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn folder() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path().join("a/b"));
        (dir, folder)
    }

    fn names(folder: &Folder) -> Vec<String> {
        let found = std::fs::read_dir(&folder.path).unwrap();
        let mut names: Vec<_> =
            found.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn folder_and_files_are_for_this_user_alone() {
        let (_dir, folder) = folder();
        folder.write("one.entry", b"1", SystemTime::now()).unwrap();
        let _lock = folder.lock("one.lock").unwrap().unwrap();
        folder.update("one.host", SystemTime::now(), |text| text.extend(b"2")).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&folder.path), 0o700);
        for name in names(&folder) {
            assert_eq!(mode(&folder.path.join(name)), 0o600);
        }
        assert_eq!(folder.read("one.entry").unwrap().unwrap(), b"1");
        assert_eq!(folder.read("none.entry").unwrap(), None);
        folder.write("one.entry", b"longer", SystemTime::now()).unwrap();
        assert_eq!(folder.read("one.entry").unwrap().unwrap(), b"longer");
        assert_eq!(names(&folder), ["one.entry", "one.host", "one.lock"]);
    }

    #[test]
    fn files_that_are_not_ours_are_not_read_and_are_replaced() {
        let (dir, folder) = folder();
        let path = folder.path.join("one.entry");
        let secret = dir.path().join("secret");
        std::fs::write(&secret, "secret").unwrap();
        folder.make().unwrap();
        let ways: [(&str, &dyn Fn()); 4] = [
            ("a link", &|| symlink(&secret, &path).unwrap()),
            ("a folder", &|| std::fs::create_dir(&path).unwrap()),
            ("too open", &|| {
                std::fs::write(&path, "1").unwrap();
                std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
            }),
            ("too long", &|| {
                folder.write("one.entry", &vec![b'x'; LONGEST as usize + 1], SystemTime::now()).unwrap();
            }),
        ];
        for (what, make) in ways {
            make();
            assert_eq!(folder.read("one.entry").unwrap(), None, "{what}");
            let replaced = folder.write("one.entry", b"ours", SystemTime::now());
            assert_eq!(replaced.is_ok(), what != "a folder", "{what}");
            let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path));
        }
        assert_eq!(std::fs::read(&secret).unwrap(), b"secret");
        symlink(&secret, folder.path.join("one.host")).unwrap();
        folder.update("one.host", SystemTime::now(), |text| text.extend(b"2")).unwrap();
        assert_eq!(std::fs::read(&secret).unwrap(), b"secret");
    }

    #[test]
    fn one_has_the_lock_until_its_file_is_closed() {
        let (_dir, folder) = folder();
        let lock = folder.lock("one.lock").unwrap();
        assert!(lock.is_some() && folder.lock("one.lock").unwrap().is_none());
        assert!(folder.lock("two.lock").unwrap().is_some());
        drop(lock);
        assert!(folder.lock("one.lock").unwrap().is_some());
    }

    #[test]
    fn updates_of_many_threads_are_all_there() {
        let (_dir, folder) = folder();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    (0..50).for_each(|_| {
                        folder.update("one.host", SystemTime::now(), |text| text.push(b'x')).unwrap()
                    })
                });
            }
        });
        assert_eq!(folder.read("one.host").unwrap().unwrap().len(), 400);
    }

    #[test]
    fn what_ended_long_ago_is_swept_out_and_nothing_else() {
        let (_dir, folder) = folder();
        let now = SystemTime::now();
        folder.write("old.entry", b"", now - 8 * DAY).unwrap();
        folder.write("new.entry", b"", now - 6 * DAY).unwrap();
        for name in [".one.entry.0123", "old.lock", "held.lock", "notes.txt"] {
            std::fs::write(folder.path.join(name), "").unwrap();
            std::fs::set_permissions(folder.path.join(name), PermissionsExt::from_mode(0o600)).unwrap();
            let file = File::options().write(true).open(folder.path.join(name)).unwrap();
            file.set_modified(now - 8 * DAY).unwrap();
        }
        let _held = folder.lock("held.lock").unwrap().unwrap();
        folder.sweep(now).unwrap();
        assert_eq!(names(&folder), ["held.lock", "new.entry", "notes.txt"]);
    }

    #[test]
    fn a_folder_that_cannot_be_is_named_in_the_error() {
        let (dir, folder) = folder();
        std::fs::write(dir.path().join("a"), "a file").unwrap();
        for error in [
            folder.write("one.entry", b"", SystemTime::now()).unwrap_err(),
            folder.lock("one.lock").unwrap_err(),
            folder.update("one.host", SystemTime::now(), |_| ()).unwrap_err(),
        ] {
            let told = error.to_string();
            assert!(told.starts_with(&format!("the folder {} cannot be", folder.path.display())), "{told}");
        }
    }
}
