//! Options that several commands share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::config::{Flag, Sources};

/// Where configuration comes from. Precedence: flags, environment (`CAMUNDA_PROXY_`), files in order, defaults.
#[derive(Clone, Debug, Default, Args)]
pub struct ConfigArguments {
    /// Configuration file; a later one counts more. Without any, ./proxy.toml is read if it is there
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Credentials file as Console hands it out. Without one, ZEEBE_* and CAMUNDA_* variables are read
    #[arg(long, value_name = "FILE")]
    pub credentials: Option<String>,
    /// Address of a main listener: 127.0.0.1:8080, unix:/path?mode=0600 or systemd:NAME. May be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Vec<String>,
    /// Refuses files with secrets that other users can read, instead of warning of them
    #[arg(long)]
    pub strict: bool,
    /// Address of probes, metrics and status
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<String>,
}

/// How a report is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// `--format`, for every command that reports something.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct FormatArgument {
    /// How results are written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}

impl ConfigArguments {
    /// These flags over the files, the environment and the working directory of this process. Their values are
    /// checked with all others, so that mistakes in files and flags are reported together.
    pub fn sources(&self) -> Sources {
        Sources::of_process(self.files.clone(), self.flags())
    }

    fn flags(&self) -> Vec<Flag> {
        let one =
            |name, key, value: &Option<String>| Flag { name, key, values: value.iter().cloned().collect() };
        vec![
            one("--credentials", "credentials", &self.credentials),
            Flag { name: "--listen", key: "listen", values: self.listen.clone() },
            one("--admin", "admin.address", &self.admin),
            Flag {
                name: "--strict",
                key: "strict",
                values: self.strict.then(|| "true".to_owned()).into_iter().collect(),
            },
        ]
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        config: ConfigArguments,
        #[command(flatten)]
        format: FormatArgument,
    }

    #[test]
    fn flags_become_keys() {
        let line = "x -c a.toml --config b.toml --listen 127.0.0.1:0 --listen [::1]:0 --admin 127.0.0.1:1 \
                    --credentials c.txt --strict --format json";
        let line = Line::try_parse_from(line.split_whitespace()).expect("parsed");
        let sources = line.config.sources();
        assert_eq!(sources.files, [PathBuf::from("a.toml"), PathBuf::from("b.toml")]);
        let flags: Vec<_> = sources.flags.iter().map(|flag| (flag.key, flag.values.len())).collect();
        assert_eq!(flags, [("credentials", 1), ("listen", 2), ("admin.address", 1), ("strict", 1)]);
        assert_eq!(line.format.format, Format::Json);
    }
}
