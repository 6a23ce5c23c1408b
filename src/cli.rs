//! The command line: one file for each command. Results go to standard output, logs and mistakes to standard error.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod admin_client;
pub mod arguments;
mod bench;
mod check;
pub mod config;
mod confinement;
mod healthcheck;
mod logging;
mod output;
pub mod problems;
mod route;
mod run;
mod sandbox;
mod status;
mod token;

/// The command line is wrong; what clap itself ends with.
const USAGE: u8 = 2;
/// The address could not be reached (`EX_UNAVAILABLE` of sysexits.h).
const UNREACHABLE: u8 = 69;
/// The system refuses what is asked (`EX_NOPERM`).
const PERMISSION: u8 = 77;

/// An authenticating reverse proxy for Camunda 8: legacy clients talk to localhost without any auth code, and every
/// request goes on with a cached OAuth token.
///
/// Start with `camunda-auth-proxy sandbox`, which needs no account; with Camunda's Console, with
/// `camunda-auth-proxy run --credentials FILE`.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, disable_help_subcommand = true)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunCommand),
    Sandbox(sandbox::SandboxCommand),
    Check(check::CheckCommand),
    Config(config::ConfigCommand),
    Route(route::RouteCommand),
    Token(token::TokenCommand),
    Bench(bench::BenchCommand),
    Status(status::StatusCommand),
    Healthcheck(healthcheck::HealthcheckCommand),
}

/// Parses the arguments of this process and does what they say.
///
/// Exit status: 0 success or clean drain, 1 failure or forced drain, 2 usage, 69 not reachable, 77 permission, 78
/// invalid configuration.
pub fn main() -> ExitCode {
    match Line::parse().command {
        Command::Run(command) => command.run(),
        Command::Sandbox(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Config(command) => command.run(),
        Command::Route(command) => command.run(),
        Command::Token(command) => command.run(),
        Command::Bench(command) => command.run(),
        Command::Status(command) => command.run(),
        Command::Healthcheck(command) => command.run(),
    }
}
