//! `status`: what a running proxy says of itself.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::arguments::{ConfigArguments, Format, FormatArgument};
use super::{UNREACHABLE, admin_client, output, problems};
use crate::config::Config;

/// Shows the state of a running proxy: addresses, and for each scope its upstream and token
#[derive(Debug, Args)]
pub(super) struct StatusCommand {
    #[command(flatten)]
    config: ConfigArguments,
    #[command(flatten)]
    format: FormatArgument,
}

impl StatusCommand {
    pub(super) fn run(&self) -> ExitCode {
        let format = self.format.format;
        let config = match Config::load(&self.config.sources()) {
            Ok(config) => config,
            Err(problems) => return problems::report(&problems, format),
        };
        let address = &config.admin.address;
        let status = match admin_client::get(address, "/status") {
            Ok((200, body)) => serde_json::from_str::<Value>(&body).ok(),
            Ok(_) => None,
            Err(error) => {
                eprintln!("no proxy answers on {address}: {error}; give its admin address with --admin");
                return ExitCode::from(UNREACHABLE);
            }
        };
        let Some(status) = status else {
            eprintln!(
                "what answers on {address} is not a camunda-auth-proxy; give its admin address with --admin"
            );
            return ExitCode::from(UNREACHABLE);
        };
        match format {
            Format::Json => output::print(format_args!("{status:#}\n")),
            Format::Text => output::print(told(&status)),
        }
    }
}

/// The status as a person reads it.
fn told(status: &Value) -> String {
    let mut text = String::new();
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let listeners: Vec<String> =
        status["addresses"]["listeners"].as_array().into_iter().flatten().map(word).collect();
    let ready = if status["ready"].as_bool() == Some(true) { "ready" } else { "not ready" };
    let _ = writeln!(
        text,
        "camunda-auth-proxy {}: {}, {ready}, since {}\nlistening on {}; admin {}",
        word(&status["version"]),
        word(&status["state"]),
        word(&status["started_at"]),
        listeners.join(", "),
        word(&status["addresses"]["admin"]),
    );
    for (scope, state) in status["scopes"].as_object().into_iter().flatten() {
        let _ = writeln!(text, "\n{scope}");
        for leg in ["grpc", "rest"] {
            if let Some(address) = state["upstream"][leg].as_str() {
                let _ = writeln!(text, "  {leg:8} {address}");
            }
        }
        let _ = writeln!(text, "  audience {}", word(&state["audience"]));
        let until = state["expires_at"].as_str().map(|end| format!(", until {end}")).unwrap_or_default();
        let _ = writeln!(text, "  token    {}{until}", word(&state["state"]));
        if let Some(error) = state["last_error"].as_object() {
            let _ = writeln!(text, "  error    {} ({})", word(&error["detail"]), word(&error["cause"]));
        }
    }
    for kind in ["warnings", "notes"] {
        for line in status[kind].as_array().into_iter().flatten() {
            let _ = writeln!(text, "\n{}: {}", kind.trim_end_matches('s'), word(line));
        }
    }
    text
}
