//! `config`: the effective configuration, with the origin of every value.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use crate::config::{Effective, Settings};

use super::arguments::{ConfigArguments, Format, FormatArgument};
use super::{output, problems};

/// Shows the effective configuration with the origin of every value; secrets are not shown
#[derive(Clone, Debug, Default, Args)]
pub struct ConfigCommand {
    /// What to show.
    #[command(flatten)]
    pub config: ConfigArguments,
    /// How to show it.
    #[command(flatten)]
    pub format: FormatArgument,
}

impl ConfigCommand {
    /// Prints to standard output.
    pub fn run(&self) -> ExitCode {
        let format = self.format.format;
        let settings = match Settings::load(&self.config.sources()) {
            Ok(settings) => settings,
            Err(problems) => return problems::report(&problems, format),
        };
        let mut text = Vec::new();
        // Memory takes everything.
        let _ = write(&mut text, &settings, format);
        output::print(String::from_utf8_lossy(&text))
    }
}

fn write(out: &mut impl Write, settings: &Settings, format: Format) -> io::Result<()> {
    if format == Format::Json {
        let values: serde_json::Map<String, Value> = settings
            .effective
            .iter()
            .map(|e| (e.key.clone(), json!({ "value": e.value, "origin": e.origin })))
            .collect();
        let report = json!({ "config": values, "warnings": settings.warnings, "notes": settings.notes });
        serde_json::to_writer_pretty(&mut *out, &report)?;
        return writeln!(out);
    }
    let lines: Vec<(String, &str)> =
        settings.effective.iter().map(|e| (assignment(e), e.origin.as_str())).collect();
    // One very long value shall not push all origins out of sight.
    let width =
        lines.iter().map(|(line, _)| line.chars().count()).filter(|width| *width <= 80).max().unwrap_or(0);
    for (line, origin) in lines {
        writeln!(out, "{line:width$}  # {origin}")?;
    }
    for (kind, texts) in [("warning", &settings.warnings), ("note", &settings.notes)] {
        for text in texts {
            writeln!(out, "# {kind}: {text}")?;
        }
    }
    Ok(())
}

/// A line of TOML; what is not set is a comment.
fn assignment(effective: &Effective) -> String {
    match &effective.value {
        Value::Null => format!("# {} is not set", effective.key),
        value => format!("{} = {}", effective.key, toml_of(value)),
    }
}

/// JSON's scalars are TOML's; only tables are written otherwise, and there null is left out.
fn toml_of(value: &Value) -> String {
    match value {
        Value::Object(entries) => {
            let entries = entries.iter().filter(|(_, value)| !value.is_null());
            let entries: Vec<String> =
                entries.map(|(key, value)| format!("{key} = {}", toml_of(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(toml_of).collect::<Vec<_>>().join(", "))
        }
        scalar => scalar.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Sources};

    fn settings() -> Settings {
        let environment = [
            ("ZEEBE_ADDRESS", "abc.bru-2.zeebe.camunda.io:443"),
            ("ZEEBE_CLIENT_ID", "id"),
            ("ZEEBE_CLIENT_SECRET", "CANARY"),
            ("CAMUNDA_OAUTH_URL", "https://login.cloud.camunda.io/oauth/token"),
            ("CAMUNDA_PROXY_LISTENER", "[{ address = \"127.0.0.1:1\", scope = \"operate\" }]"),
            ("CAMUNDA_PROXY_OAUTH__CLIENT_SECRET", "CANARY-2"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Settings::load(&Sources { environment, ..Sources::default() }).expect("settings")
    }

    fn written(format: Format) -> String {
        let mut out = Vec::new();
        write(&mut out, &settings(), format).expect("written");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn what_is_shown_is_toml_that_means_the_same() {
        let text = written(Format::Text);
        let config: Config = toml::from_str(&text).expect("TOML");
        let addresses = |config: &Config| -> Vec<String> {
            config.listeners().iter().map(|l| l.address.to_string()).collect()
        };
        assert_eq!(addresses(&config), addresses(&settings().config));
        assert_eq!(config.oauth.client_id.as_deref(), Some("id"));
        assert!(text.contains("# environment variable ZEEBE_CLIENT_ID\n"), "{text}");
        assert!(text.contains("# note: zeebe REST address derived"), "{text}");
    }

    #[test]
    fn secrets_are_shown_in_neither_format() {
        for format in [Format::Text, Format::Json] {
            let text = written(format);
            assert!(text.contains("[redacted]") && !text.contains("CANARY"), "{text}");
        }
        let json: Value = serde_json::from_str(&written(Format::Json)).expect("JSON");
        let secret = &json["config"]["oauth.client_secret"];
        assert_eq!(secret["origin"], "environment variable CAMUNDA_PROXY_OAUTH__CLIENT_SECRET");
    }
}
