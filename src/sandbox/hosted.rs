//! A sandbox on a thread of its own, and the files that a client of it needs.

use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tokio::sync::oneshot;

use super::{Addresses, AuthorizationServer, Cluster, Config, Sandbox};

/// A running sandbox whose load is nobody else's. Dropping it stops it and removes its files.
pub struct Hosted {
    /// Where the components are.
    pub addresses: Addresses,
    /// The token endpoint.
    pub tokens: AuthorizationServer,
    /// The components and their engine.
    pub cluster: Cluster,
    /// Credentials and authority.
    pub files: Files,
    /// Its thread, as the system numbers it.
    pub thread: u32,
    _stop: oneshot::Sender<()>,
}

impl Hosted {
    /// Starts a sandbox; `first` runs on its thread before anything else.
    ///
    /// # Errors
    /// When a port cannot be bound, or the files cannot be written.
    pub fn start(config: Config, first: impl FnOnce() + Send + 'static) -> io::Result<Hosted> {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new().name("camunda".to_owned()).spawn(move || {
            first();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let serve = async {
                match Sandbox::start(config).await {
                    Ok(sandbox) => {
                        let texts = (sandbox.credentials_file(), sandbox.ca_pem().to_owned());
                        let handles = (sandbox.authorization_server().clone(), sandbox.cluster().clone());
                        let thread = rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs();
                        // Whoever started it may be gone.
                        let _ = tell.send(Ok((sandbox.addresses().clone(), handles, texts, thread)));
                        let _ = stopped.await;
                    }
                    Err(error) => {
                        let _ = tell.send(Err(error));
                    }
                }
            };
            if let Ok(runtime) = runtime {
                runtime.block_on(serve);
            }
        })?;
        let started = told.recv().map_err(|_| io::Error::other("its thread ended at once"))?;
        let (addresses, (tokens, cluster), (credentials, ca), thread) = started?;
        let files = Files::write(&credentials, &ca)?;
        Ok(Hosted { addresses, tokens, cluster, files, thread, _stop: stop })
    }
}

/// The credentials file and the authority, in a folder that only this user can read. Removed when dropped.
pub struct Files(PathBuf);

impl Drop for Files {
    fn drop(&mut self) {
        self.remove();
    }
}

impl Files {
    fn write(credentials: &str, ca: &str) -> io::Result<Files> {
        let folder = std::env::temp_dir();
        let name = format!("camunda-auth-proxy-sandbox-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let files = Files(folder.join(name));
        files.fill(credentials, ca).map_err(|error| {
            // An empty container has no /tmp, and a read-only one none to write to.
            let folder = folder.display();
            io::Error::other(format!(
                "its credentials file cannot be written to {folder}: {error}. Set TMPDIR to a folder that this user can \
                 write to; in a container, mount one with `--tmpfs /tmp`"
            ))
        })?;
        Ok(files)
    }

    fn fill(&self, credentials: &str, ca: &str) -> io::Result<()> {
        std::fs::DirBuilder::new().mode(0o700).create(&self.0)?;
        for (path, text) in [(self.credentials(), credentials), (self.ca(), ca)] {
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            io::Write::write_all(&mut file, text.as_bytes())?;
        }
        Ok(())
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// The credentials file.
    pub fn credentials(&self) -> PathBuf {
        self.0.join("credentials.txt")
    }

    /// The authority's certificate, as PEM.
    pub fn ca(&self) -> PathBuf {
        self.0.join("ca.pem")
    }

    /// Removes them; for a process that ends without dropping anything.
    pub fn remove(&self) {
        // They may be gone already.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
