//! Whom a run deals with: the embedded Camunda, the proxy in front of it, and other targets.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::cpus::Cpus;
use super::meter::Processes;
use super::process::{self, Program, Proxy};
use super::target::Target;
use crate::sandbox::{self, Hosted};
use crate::secret::Secret;
use crate::upstream_address::UpstreamAddress;

/// Longer than a program waits before it asks for a token again.
const QUIET: Duration = Duration::from_secs(3);

/// The audience of Zeebe's tokens, as the embedded Camunda has it.
const AUDIENCE: &str = "zeebe.camunda.io";

/// What is measured, where, and since when.
pub struct World {
    /// Every time in a result counts from here.
    pub began: Instant,
    /// Where what is measured runs.
    pub measured: Cpus,
    /// Where the generator and the embedded Camunda run.
    pub load: Cpus,
    /// The embedded Camunda.
    pub camunda: Option<Hosted>,
    /// The embedded Camunda as a target.
    pub feed: Option<Arc<Target>>,
    /// What is compared; the first is the one that others are compared with.
    pub entries: Vec<Entry>,
}

/// A target with what can be measured of it.
pub struct Entry {
    /// Where requests go.
    pub target: Arc<Target>,
    /// The processes behind it; none where they cannot be seen.
    pub processes: Processes,
    /// Keeps it running.
    pub running: Option<Running>,
}

/// What was started for a run, and ends with it.
pub enum Running {
    /// This program as a proxy.
    Proxy(Box<Proxy>),
    /// A command.
    Program(Program),
}

impl World {
    /// Nobody yet.
    pub fn empty() -> World {
        let (measured, load) = Cpus::allowed().split();
        World { began: Instant::now(), measured, load, camunda: None, feed: None, entries: Vec::new() }
    }

    /// An embedded Camunda, called `direct` as a target: its requests carry a token of their own.
    ///
    /// # Errors
    /// When it cannot start.
    pub fn with_camunda(mut self) -> io::Result<World> {
        // Under load each request is counted and none is kept.
        let config = sandbox::Config { tls: false, requests_kept: 0, ..sandbox::Config::default() };
        let cpus = self.load.clone();
        let camunda = Hosted::start(config, move || cpus.stay())?;
        let target = self.direct(&camunda)?;
        self.feed = Some(Arc::clone(&target));
        self.camunda = Some(camunda);
        self.entries.push(Entry { target, processes: Processes::default(), running: None });
        Ok(self)
    }

    fn direct(&self, camunda: &Hosted) -> io::Result<Arc<Target>> {
        Ok(Arc::new(Target {
            name: "direct".to_owned(),
            rest: parsed(&camunda.addresses.zeebe_rest)?,
            grpc: parsed(&camunda.addresses.grpc)?,
            // No token request: these are the service's to give.
            token: Some(Secret::from(camunda.tokens.issue(AUDIENCE))),
            tls: None,
        }))
    }

    /// This program as a proxy in front of the embedded Camunda.
    ///
    /// # Errors
    /// When it does not start.
    pub fn with_proxy(mut self) -> io::Result<World> {
        let entry = self.proxy("proxied")?;
        self.entries.push(entry);
        Ok(self)
    }

    /// A proxy in front of the embedded Camunda, not yet among the targets.
    ///
    /// # Errors
    /// When it does not start.
    pub(super) fn proxy(&self, name: &str) -> io::Result<Entry> {
        let files = &self.camunda()?.files;
        let proxy = Proxy::start(files.folder(), &files.credentials(), &self.measured)?;
        let target = Target::new(name, parsed(&format!("http://{}", proxy.listener))?, None)
            .map_err(io::Error::other)?;
        let processes = proxy.program.processes();
        Ok(Entry { target: Arc::new(target), processes, running: Some(Running::Proxy(Box::new(proxy))) })
    }

    /// A command that serves in front of the embedded Camunda; it is told where and with what by its environment.
    ///
    /// # Errors
    /// When it does not listen in time.
    pub fn with_command(mut self, name: &str, command: &str) -> io::Result<World> {
        // Whoever asks for tokens asks for all of its own before another begins: they share the endpoint's pace.
        self.settle()?;
        let camunda = self.camunda()?;
        let (rest, grpc) = (free()?, free()?);
        let upstream = parsed(&camunda.addresses.zeebe_rest)?;
        let text = |name: &str, value: String| (name.to_owned(), value);
        let folder = camunda.files.folder().join(name);
        std::fs::create_dir_all(&folder)?;
        let environment = [
            text("LISTEN_REST", rest.to_string()),
            text("LISTEN_GRPC", grpc.to_string()),
            text("UPSTREAM_REST", here(&upstream)),
            text("UPSTREAM_PATH", upstream.base_path.clone()),
            text("UPSTREAM_GRPC", here(&parsed(&camunda.addresses.grpc)?)),
            text("TOKEN", camunda.tokens.issue(AUDIENCE)),
            text("TOKEN_URL", camunda.addresses.token_endpoint.clone()),
            text("CREDENTIALS", camunda.files.credentials().display().to_string()),
            text("CPUS", self.measured.count().to_string()),
            text("FOLDER", folder.display().to_string()),
        ];
        let failed = |error: io::Error| io::Error::other(format!("{name} cannot be started: {error}"));
        let program = process::serve(command, &environment, grpc, &self.measured).map_err(failed)?;
        let target = Target {
            name: name.to_owned(),
            rest: parsed(&format!("http://{rest}"))?,
            grpc: parsed(&format!("grpc://{grpc}"))?,
            token: None,
            tls: None,
        };
        let processes = program.processes();
        self.entries.push(Entry {
            target: Arc::new(target),
            processes,
            running: Some(Running::Program(program)),
        });
        Ok(self)
    }

    /// Somebody else's server. Its processes are measured when they are on this machine and may be looked at.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn with_target(
        mut self,
        name: &str,
        address: UpstreamAddress,
        token: Option<Secret>,
    ) -> io::Result<World> {
        let at =
            (address.host_name(), address.port).to_socket_addrs().ok().and_then(|mut found| found.next());
        let here = at.filter(|at| at.ip().is_loopback());
        let processes = here.map(Processes::listening).unwrap_or_default();
        let target = Target::new(name, address, token).map_err(io::Error::other)?;
        self.entries.push(Entry { target: Arc::new(target), processes, running: None });
        Ok(self)
    }

    /// The embedded Camunda, where there must be one.
    pub(super) fn camunda(&self) -> io::Result<&Hosted> {
        self.camunda.as_ref().ok_or_else(|| io::Error::other("this needs the embedded Camunda"))
    }

    /// Waits until the proxies that were started have every token, so that none is asked for while it is measured.
    ///
    /// # Errors
    /// When one has none in time.
    pub fn settle(&mut self) -> io::Result<()> {
        for entry in &mut self.entries {
            match &entry.running {
                Some(Running::Proxy(proxy)) => proxy.complete()?,
                // Its workers are there by now.
                Some(Running::Program(program)) => entry.processes = program.processes(),
                None => {}
            }
        }
        if self.entries.iter().any(|entry| matches!(entry.running, Some(Running::Program(_)))) {
            self.quiet()?;
        }
        Ok(())
    }

    /// Waits until the token endpoint has been asked nothing for a while: other programs do not say when they have
    /// their tokens.
    fn quiet(&self) -> io::Result<()> {
        let tokens = &self.camunda()?.tokens;
        let (mut count, mut since) = (tokens.request_count(), Instant::now());
        while since.elapsed() < QUIET {
            std::thread::sleep(Duration::from_millis(50));
            if tokens.request_count() != count {
                (count, since) = (tokens.request_count(), Instant::now());
            }
        }
        Ok(())
    }
}

pub(super) fn parsed(text: &str) -> io::Result<UpstreamAddress> {
    text.parse().map_err(|error| io::Error::other(format!("{text}: {error}")))
}

/// Without a name, which others would look up for IPv6 as well.
fn here(address: &UpstreamAddress) -> String {
    SocketAddr::from((Ipv4Addr::LOCALHOST, address.port)).to_string()
}

/// An address that nobody listens at.
fn free() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
