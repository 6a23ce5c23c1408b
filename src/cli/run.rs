//! `run`: the proxy, until a signal says stop.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::arguments::{ConfigArguments, Format};
use super::{PERMISSION, confinement, logging, problems};
use crate::app::{App, End, StartError};
use crate::config::{Confine, Settings, Sources};
use crate::problem::Problem;
use crate::shutdown::Phase;
use crate::{confine, descriptors};

/// After everything was told to end at once, the process ends by itself or after this time.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// Runs the proxy until SIGTERM or SIGINT; a second signal ends it at once
#[derive(Debug, Args)]
pub(super) struct RunCommand {
    #[command(flatten)]
    config: ConfigArguments,
}

impl RunCommand {
    pub(super) fn run(&self) -> ExitCode {
        let sources = self.config.sources();
        let settings = match Settings::load(&sources) {
            Ok(settings) => settings,
            Err(problems) => return problems::report(&problems, Format::Text),
        };
        // Before any thread is started, and after everything was read whose place may be anywhere.
        let confined = (settings.config.confine == Confine::Auto)
            .then(|| confine::confine(&confinement::files(&settings)));
        logging::start(&settings.config.log);
        if let Some(confined) = confined {
            confinement::tell(confined);
        }
        let signals = match Signals::new() {
            Ok(signals) => signals,
            Err(status) => return status,
        };
        match start(settings, sources) {
            Ok(app) => until_stopped(app, signals, || ()),
            Err(status) => status,
        }
    }
}

/// Starts the proxy, and says which addresses it has; or says why not.
pub(super) fn start(settings: Settings, sources: Sources) -> Result<App, ExitCode> {
    for warning in &settings.warnings {
        tracing::warn!(target: "config", "{warning}");
    }
    descriptors::raise_limit();
    let app = App::start(settings, sources).map_err(|error| refused(&error))?;
    let listeners: Vec<String> = app.listeners().iter().map(ToString::to_string).collect();
    let scopes: Vec<&str> = app.settings().scopes.keys().map(|scope| scope.name()).collect();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        listeners = listeners.join(", "),
        admin = %app.admin(),
        scopes = scopes.join(", "),
        "listening"
    );
    Ok(app)
}

fn refused(error: &StartError) -> ExitCode {
    match error {
        StartError::Config(_) | StartError::Tls(_) | StartError::Origin(_) | StartError::TokenEndpoint(_) => {
            let problem = |text| Problem::new("", "", text, "");
            let problems: Vec<Problem> = error.sentences().into_iter().map(problem).collect();
            problems::report(&problems, Format::Text)
        }
        StartError::Bind(bind) => {
            eprintln!("{error}");
            if bind.is_permission() { ExitCode::from(PERMISSION) } else { ExitCode::FAILURE }
        }
        StartError::System(_) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Waits for the end, and for the signals that bring it about. `stopped` runs when the proxy has ended.
pub(super) fn until_stopped(app: App, signals: Signals, stopped: impl FnOnce()) -> ExitCode {
    let Signals { runtime, mut arriving } = signals;
    let shutdown = app.shutdown().clone();
    let timeout = app.settings().config.drain.timeout;
    let (tell, mut ended) = oneshot::channel();
    std::thread::spawn(move || tell.send(app.wait()));
    let end = runtime.block_on(async {
        tokio::select! {
            end = &mut ended => return end.unwrap_or(End::Forced),
            name = arriving.next() => tracing::info!(
                signal = name,
                grace_seconds = timeout.as_secs(),
                "draining: no new connections, what is under way goes on; a second signal ends at once"
            ),
        }
        shutdown.advance(Phase::Draining);
        tokio::select! {
            end = &mut ended => return end.unwrap_or(End::Forced),
            name = arriving.next() => tracing::warn!(signal = name, "ending at once"),
            () = tokio::time::sleep(timeout) => tracing::warn!("the grace period is over: ending at once"),
        }
        shutdown.advance(Phase::Stopping);
        let _ = tokio::time::timeout(LAST_WAIT, &mut ended).await;
        End::Forced
    });
    stopped();
    match end {
        End::Clean => {
            tracing::info!("stopped: every request was answered");
            ExitCode::SUCCESS
        }
        End::Forced => ExitCode::FAILURE,
    }
}

/// The signals that stop the process. Taken before it listens, or the one that comes early would end it without a
/// drain, and as the first process of a container it would not end at all.
pub(super) struct Signals {
    runtime: Runtime,
    arriving: Arriving,
}

impl Signals {
    /// From now on signals are waited for.
    pub(super) fn new() -> Result<Signals, ExitCode> {
        let listen = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let arriving = runtime.block_on(async { Arriving::new() })?;
            Ok::<_, std::io::Error>(Signals { runtime, arriving })
        };
        listen().map_err(|error| {
            eprintln!("signals cannot be waited for: {error}");
            ExitCode::FAILURE
        })
    }
}

/// SIGHUP is taken too, or a closed terminal would end the process without a drain.
struct Arriving {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    /// Started by a person in a terminal: SIGHUP says that it was closed. For a service it asks to read files again.
    in_terminal: bool,
}

impl Arriving {
    fn new() -> std::io::Result<Arriving> {
        Ok(Arriving {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            in_terminal: std::io::stderr().is_terminal(),
        })
    }

    async fn next(&mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hang_up.recv() => {
                    if self.in_terminal {
                        return "SIGHUP";
                    }
                    tracing::info!(
                        "SIGHUP: a changed client id or secret is noticed within a second by itself; anything else needs a restart"
                    );
                }
            }
        }
    }
}
