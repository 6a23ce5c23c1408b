//! `token`: what a scope's token says.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Args;
use humantime_serde::re::humantime;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::arguments::{ConfigArguments, Format, FormatArgument};
use super::{UNREACHABLE, output, problems};
use crate::app;
use crate::config::Settings;
use crate::credentials::Authorization;
use crate::oauth::{Cause, Token, TokenRequest, TokenSource, Unavailable};
use crate::problem::Problem;
use crate::scope::Scope;

/// How soon after a failure it is told.
const LOOK: Duration = Duration::from_millis(20);

/// Asks for a scope's token and shows its claims, age, expiry and audience. Makes one token request, which counts
/// against the limit of one per second and address
#[derive(Debug, Args)]
pub(super) struct TokenCommand {
    /// zeebe, operate, tasklist or optimize
    scope: Scope,
    /// Shows the token itself too. Whoever has it can act as this client until it ends
    #[arg(long)]
    reveal: bool,
    #[command(flatten)]
    config: ConfigArguments,
    #[command(flatten)]
    format: FormatArgument,
}

impl TokenCommand {
    pub(super) fn run(&self) -> ExitCode {
        let format = self.format.format;
        let settings = match Settings::load(&self.config.sources()) {
            Ok(settings) => settings,
            Err(problems) => return problems::report(&problems, format),
        };
        let Some(scope) = settings.scopes.get(&self.scope) else {
            let text = format!(
                "the credentials do not grant the scope `{}`: create a client with it in Console and use its credentials file",
                self.scope
            );
            return problems::report(&[Problem::new("", "", text, "")], format);
        };
        let authorization = &settings.credentials.authorization;
        let (Some(client), Some(proof)) = (authorization.client(), &settings.proof) else {
            return self.show_fixed(authorization);
        };
        match ask(&settings, app::token_request(client, proof, scope)) {
            Ok(token) => self.show(&token, scope.audience.as_deref()),
            Err(Failed::Setup(text)) => problems::report(&[Problem::new("", "", text, "")], format),
            Err(Failed::Token(unavailable)) => {
                eprintln!("no token: {}", unavailable.detail);
                match unavailable.cause {
                    Some(Cause::Rejected) => ExitCode::FAILURE,
                    _ => ExitCode::from(UNREACHABLE),
                }
            }
        }
    }

    /// Nobody has to be asked for a field that stays as it is.
    fn show_fixed(&self, authorization: &Authorization) -> ExitCode {
        let mut report = json!({ "scope": self.scope.name(), "authorization": authorization.told() });
        if let Some(field) = authorization.field().filter(|_| self.reveal) {
            report["value"] = Value::from(field.to_str().unwrap_or_default());
        }
        self.print(&report)
    }

    fn show(&self, token: &Token, audience: Option<&str>) -> ExitCode {
        let expires_at = token.expires_at().unwrap_or_else(SystemTime::now);
        let left = expires_at.duration_since(SystemTime::now()).unwrap_or_default();
        let mut report = json!({
            "scope": self.scope.name(),
            "audience": audience,
            "obtained_at": humantime::format_rfc3339_seconds(token.obtained_at()).to_string(),
            "expires_at": humantime::format_rfc3339_seconds(expires_at).to_string(),
            "expires_in": humantime::format_duration(Duration::from_secs(left.as_secs())).to_string(),
            "claims": token.claims(),
        });
        if self.reveal {
            report["token"] = Value::from(token.reveal());
        }
        self.print(&report)
    }

    fn print(&self, report: &Value) -> ExitCode {
        match self.format.format {
            Format::Json => output::print(format_args!("{report:#}\n")),
            Format::Text => output::print(told(report)),
        }
    }
}

/// A line for each fact, the claims as JSON below theirs.
fn told(report: &Value) -> String {
    let facts = report.as_object().into_iter().flatten();
    let line = |(key, value): (&String, &Value)| match value {
        Value::String(text) => format!("{key:13} {text}\n"),
        Value::Null if key == "claims" => format!("{key:13} none: the token is opaque\n"),
        Value::Null => format!("{key:13} none\n"),
        other => format!("{key:13} {other:#}\n"),
    };
    facts.map(line).collect()
}

enum Failed {
    Setup(String),
    Token(Unavailable),
}

/// One token request, over the same path as the proxy's.
fn ask(settings: &Settings, request: TokenRequest) -> Result<Arc<Token>, Failed> {
    let setup = |error: &dyn std::fmt::Display| Failed::Setup(error.to_string());
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| setup(&error))?;
    runtime.block_on(async {
        let tokens = app::tokens(settings).map_err(|error| setup(&error))?;
        let source = tokens.source(request);
        let until = Instant::now() + settings.config.oauth.timeout;
        // The proxy would go on trying; somebody at a terminal wants to know what went wrong.
        tokio::select! {
            token = source.wait(until) => token.map_err(Failed::Token),
            unavailable = first_failure(&source) => Err(Failed::Token(unavailable)),
        }
    })
}

async fn first_failure(source: &TokenSource) -> Unavailable {
    loop {
        if let Some(error) = source.status().last_error {
            return Unavailable { cause: Some(error.cause), retry_after: None, detail: error.detail };
        }
        tokio::time::sleep(LOOK).await;
    }
}
