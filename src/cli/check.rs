//! `check`: is the configuration valid, and what would it do?

use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value, json};

use super::arguments::{ConfigArguments, Format, FormatArgument};
use super::{output, problems};
use crate::access::CallerConfig;
use crate::config::{ScopeSettings, Settings};
use crate::credentials::Authorization;

/// Checks the configuration and the credentials file without any network, and shows what they amount to
#[derive(Debug, Args)]
pub(super) struct CheckCommand {
    #[command(flatten)]
    config: ConfigArguments,
    #[command(flatten)]
    format: FormatArgument,
}

impl CheckCommand {
    pub(super) fn run(&self) -> ExitCode {
        let format = self.format.format;
        let settings = match Settings::load(&self.config.sources()) {
            Ok(settings) => settings,
            Err(problems) => {
                // What is wrong is this command's result, so programs find it where results are.
                if format == Format::Json {
                    output::print(format_args!("{:#}\n", json!({ "valid": false, "problems": problems })));
                }
                return problems::report(&problems, Format::Text);
            }
        };
        match format {
            Format::Json => output::print(format_args!("{:#}\n", report(&settings))),
            Format::Text => output::print(told(&settings)),
        }
    }
}

fn report(settings: &Settings) -> Value {
    let scopes: Map<String, Value> = settings
        .scopes
        .iter()
        .map(|(scope, scope_settings)| (scope.name().to_owned(), scope_report(scope_settings)))
        .collect();
    let client = settings.credentials.authorization.client();
    json!({
        "valid": true,
        "authorization": settings.credentials.authorization.kind().name(),
        "client_id": client.map(|client| &client.id),
        "client_auth": settings.proof.as_ref().map(|proof| proof.client_auth.method()),
        "token_endpoint": client.filter(|client| !client.by_issuer).map(|client| &client.token_endpoint),
        "issuer": client.filter(|client| client.by_issuer).map(|client| &client.token_endpoint),
        "cluster_id": settings.credentials.cluster_id,
        "listeners": settings.listeners.iter().map(|listener| listener.address.to_string()).collect::<Vec<_>>(),
        "admin": settings.config.admin.address.to_string(),
        "anonymous": settings.config.anonymous,
        "callers": settings.config.caller.iter().map(caller_report).collect::<Vec<_>>(),
        "scopes": scopes,
        "warnings": settings.warnings,
        "notes": settings.notes,
    })
}

/// How a caller proves who it is, and what limits it.
fn caller_report(caller: &CallerConfig) -> Value {
    let proofs = [
        ("key", caller.key_sha256.is_some()),
        ("certificate", caller.certificate.is_some()),
        ("unix user", caller.uid.is_some() || caller.gid.is_some()),
    ];
    json!({
        "name": caller.name,
        "proofs": proofs.iter().filter(|(_, has)| *has).map(|(proof, _)| proof).collect::<Vec<_>>(),
        "scopes": caller.scopes,
        "read_only": caller.read_only,
        "allow": caller.allow,
        "deny": caller.deny,
        "rate": caller.rate,
        "concurrency": caller.concurrency,
    })
}

fn scope_report(scope: &ScopeSettings) -> Value {
    json!({
        "rest": scope.address.as_ref().map(ToString::to_string),
        "grpc": scope.grpc_address.as_ref().map(ToString::to_string),
        "audience": scope.audience,
        "hosts": scope.migrated.as_ref().map(|_| "decided when the proxy starts"),
    })
}

fn told(settings: &Settings) -> String {
    let mut lines = vec!["The configuration is valid.".to_owned(), String::new()];
    match (&settings.credentials.authorization, &settings.proof) {
        (Authorization::OAuth(client), Some(proof)) => {
            lines.push(format!("client id       {}", client.id));
            lines.push(format!("client auth     {}", proof.client_auth.method().name()));
            let what = if client.by_issuer { "issuer" } else { "token endpoint" };
            lines.push(format!("{what:15} {}", client.token_endpoint));
        }
        (other, _) => lines.push(format!("authorization   {}", other.told())),
    }
    for listener in &settings.listeners {
        let pinned = listener.scope.map(|scope| format!(", {scope} only")).unwrap_or_default();
        let tls = if listener.tls.is_some() { ", TLS" } else { "" };
        lines.push(format!("listener        {}{pinned}{tls}", listener.address));
    }
    lines.push(format!("admin           {}", settings.config.admin.address));
    for caller in &settings.config.caller {
        let limited = caller.scopes.is_some() || !caller.allow.is_empty() || !caller.deny.is_empty();
        let reads = if caller.read_only { ", read-only" } else { "" };
        let limits = if limited { ", with limits" } else { "" };
        lines.push(format!("caller          {}{reads}{limits}", caller.name));
    }
    for (scope, of) in &settings.scopes {
        lines.push(String::new());
        lines.push(scope.to_string());
        lines.extend(of.grpc_address.as_ref().map(|address| format!("  grpc      {address}")));
        lines.extend(of.address.as_ref().map(|address| format!("  rest      {address}")));
        if let Some(migrated) = &of.migrated {
            lines.push(format!("  or        {}, if Camunda has moved this cluster there", migrated.address));
        }
        if settings.credentials.authorization.client().is_some() {
            lines.push(format!("  audience  {}", of.audience.as_deref().unwrap_or("none")));
        }
    }
    lines.extend(settings.warnings.iter().map(|warning| format!("\nwarning: {warning}")));
    lines.extend(settings.notes.iter().map(|note| format!("\nnote: {note}")));
    lines.join("\n") + "\n"
}
