//! `healthcheck`: for containers that have no shell.

use std::process::ExitCode;

use clap::Args;

use super::arguments::{ConfigArguments, Format};
use super::{admin_client, problems};
use crate::config::Config;

/// Exits with 0 when a running proxy is ready, with 1 otherwise
#[derive(Debug, Args)]
pub(super) struct HealthcheckCommand {
    #[command(flatten)]
    config: ConfigArguments,
}

impl HealthcheckCommand {
    pub(super) fn run(&self) -> ExitCode {
        let config = match Config::load(&self.config.sources()) {
            Ok(config) => config,
            Err(problems) => return problems::report(&problems, Format::Text),
        };
        match admin_client::get(&config.admin.address, "/readyz") {
            Ok((200, _)) => ExitCode::SUCCESS,
            Ok((_, why)) => {
                eprintln!("not ready: {}", why.trim());
                ExitCode::FAILURE
            }
            Err(error) => {
                eprintln!("no proxy answers on {}: {error}", config.admin.address);
                ExitCode::FAILURE
            }
        }
    }
}
