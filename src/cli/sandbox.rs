//! `sandbox`: an embedded Camunda with the proxy in front of it; no account, no network, no files needed.

use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use tokio::sync::oneshot;

use super::arguments::ConfigArguments;
use super::{logging, output, problems, run};
use crate::address::Address;
use crate::app::App;
use crate::config::{Flag, Settings, Sources};
use crate::sandbox::{self, Addresses, Sandbox};
use crate::scope::Scope;

/// Starts an embedded Camunda (token endpoint with the real limits, Zeebe, Operate, Tasklist, Optimize) with the
/// proxy in front of it, to try clients on
#[derive(Debug, Args)]
pub(super) struct SandboxCommand {
    #[command(flatten)]
    config: ConfigArguments,
    /// The embedded Camunda speaks plaintext instead of TLS
    #[arg(long)]
    plaintext: bool,
}

impl SandboxCommand {
    pub(super) fn run(&self) -> ExitCode {
        // Before there are files to remove.
        let signals = match run::Signals::new() {
            Ok(signals) => signals,
            Err(status) => return status,
        };
        let config = sandbox::Config { tls: !self.plaintext, ..sandbox::Config::default() };
        let (camunda, files) = match self.start_camunda(config) {
            Ok(started) => started,
            Err(error) => {
                eprintln!("the sandbox cannot start: {error}");
                return ExitCode::FAILURE;
            }
        };
        let sources = self.sources(&files);
        let settings = match Settings::load(&sources) {
            Ok(settings) => settings,
            Err(problems) => {
                files.remove();
                return problems::report(&problems, super::arguments::Format::Text);
            }
        };
        logging::start(&settings.config.log);
        match run::start(settings, sources) {
            Ok(app) => {
                output::print(welcome(&app, &camunda.addresses, &files));
                run::until_stopped(app, signals, || files.remove())
            }
            Err(status) => {
                files.remove();
                status
            }
        }
    }

    /// On a thread of its own, so that its load is not the proxy's.
    fn start_camunda(&self, config: sandbox::Config) -> io::Result<(Camunda, Files)> {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new().name("camunda".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let serve = async {
                match Sandbox::start(config).await {
                    Ok(sandbox) => {
                        let texts = (sandbox.credentials_file(), sandbox.ca_pem().to_owned());
                        let _ = tell.send(Ok((sandbox.addresses().clone(), texts)));
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
        let (addresses, (credentials, ca)) = started?;
        let files = Files::write(&credentials, &ca)?;
        Ok((Camunda { addresses, _stop: stop }, files))
    }

    fn sources(&self, files: &Files) -> Sources {
        let flag = |name, key, path: &Path| Flag { name, key, values: vec![path.display().to_string()] };
        let mut own = vec![
            flag("the sandbox", "credentials", &files.credentials()),
            flag("the sandbox", "oauth.ca_file", &files.ca()),
        ];
        own.extend(
            [
                (Scope::Zeebe, "scopes.zeebe.ca_file"),
                (Scope::Operate, "scopes.operate.ca_file"),
                (Scope::Tasklist, "scopes.tasklist.ca_file"),
                (Scope::Optimize, "scopes.optimize.ca_file"),
            ]
            .map(|(_, key)| flag("the sandbox", key, &files.ca())),
        );
        let mut sources = self.config.sources();
        // What is in this folder or environment is meant for a real cluster.
        sources.default_file = None;
        sources.environment.retain(|(name, _)| name.starts_with("CAMUNDA_PROXY_"));
        own.extend(sources.flags.into_iter().filter(|flag| flag.key != "credentials"));
        Sources { flags: own, ..sources }
    }
}

struct Camunda {
    addresses: Addresses,
    _stop: oneshot::Sender<()>,
}

/// The credentials file and the authority, in a folder that only this user can read.
struct Files(PathBuf);

impl Files {
    fn write(credentials: &str, ca: &str) -> io::Result<Files> {
        let folder = std::env::temp_dir();
        let name = format!("camunda-auth-proxy-sandbox-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let files = Files(folder.join(name));
        match files.fill(credentials, ca) {
            Ok(()) => Ok(files),
            Err(error) => {
                files.remove();
                // An empty container has no /tmp, and a read-only one none to write to.
                let folder = folder.display();
                Err(io::Error::other(format!(
                    "its credentials file cannot be written to {folder}: {error}. Set TMPDIR to a folder that this \
                     user can write to; in a container, mount one with `--tmpfs /tmp`"
                )))
            }
        }
    }

    fn fill(&self, credentials: &str, ca: &str) -> io::Result<()> {
        std::fs::DirBuilder::new().mode(0o700).create(&self.0)?;
        for (path, text) in [(self.credentials(), credentials), (self.ca(), ca)] {
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            io::Write::write_all(&mut file, text.as_bytes())?;
        }
        Ok(())
    }

    fn credentials(&self) -> PathBuf {
        self.0.join("credentials.txt")
    }

    fn ca(&self) -> PathBuf {
        self.0.join("ca.pem")
    }

    fn remove(&self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What to do next, for somebody who has never seen this.
fn welcome(app: &App, camunda: &Addresses, files: &Files) -> String {
    let tcp: Vec<&Address> =
        app.listeners().iter().filter(|address| matches!(address, Address::Tcp(_))).collect();
    let Some(first) = tcp.first() else { return "The sandbox is running.\n".to_owned() };
    let (grpc, rest) = (first, tcp.last().unwrap_or(first));
    let listeners: Vec<String> = app.listeners().iter().map(ToString::to_string).collect();
    format!(
        "\
A Camunda to try clients on is running, and the proxy is in front of it.

  proxy            {listeners}   HTTP/1.1, HTTP/2 and gRPC alike, no credentials needed
  admin            {admin}   /status /metrics /readyz
  token endpoint   {token}
  Zeebe            {zeebe_grpc}  {zeebe_rest}
  Operate          {operate}
  Tasklist         {tasklist}
  Optimize         {optimize}
  credentials      {credentials}   as Console would hand them out
  authority        {ca}   signs the certificates of this sandbox

Five commands to paste into another terminal:

  curl http://{rest}/v2/topology
  curl http://{rest}/operate/v1/process-instances/search -X POST -d '{{}}' -H 'content-type: application/json'
  curl http://{rest}/tasklist/v1/tasks/search -X POST -d '{{}}' -H 'content-type: application/json'
  grpcurl -plaintext {grpc} gateway_protocol.Gateway/Topology
  camunda-auth-proxy status --admin {admin}

What arrives is logged below. Stop with Ctrl-C.

",
        listeners = listeners.join(", "),
        admin = app.admin(),
        token = camunda.token_endpoint,
        zeebe_grpc = camunda.grpc,
        zeebe_rest = camunda.zeebe_rest,
        operate = camunda.operate,
        tasklist = camunda.tasklist,
        optimize = camunda.optimize,
        credentials = files.credentials().display(),
        ca = files.ca().display(),
    )
}
