//! `sandbox`: an embedded Camunda with the proxy in front of it; no account, no network, no files needed.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::arguments::ConfigArguments;
use super::{logging, output, problems, run};
use crate::address::Address;
use crate::app::App;
use crate::config::{Flag, Settings, Sources};
use crate::sandbox::{self, Addresses, Files, Hosted};
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
        // On a thread of its own, so that its load is not the proxy's.
        let camunda = match Hosted::start(config, || ()) {
            Ok(started) => started,
            Err(error) => {
                eprintln!("the sandbox cannot start: {error}");
                return ExitCode::FAILURE;
            }
        };
        let files = &camunda.files;
        let sources = self.sources(files);
        let settings = match Settings::load(&sources) {
            Ok(settings) => settings,
            Err(problems) => return problems::report(&problems, super::arguments::Format::Text),
        };
        logging::start(&settings.config.log);
        match run::start(settings, sources) {
            Ok(app) => {
                output::print(welcome(&app, &camunda.addresses, files));
                run::until_stopped(app, signals, || files.remove())
            }
            Err(status) => status,
        }
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
