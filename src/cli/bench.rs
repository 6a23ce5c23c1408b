//! `bench`: what the proxy costs, measured on this machine beside the same load without it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgGroup, Args};

use super::arguments::{Format, FormatArgument};
use super::output;
use crate::bench::compare::Comparison;
use crate::bench::result::{FORMAT, Measurement};
use crate::bench::run::{self, Shape, Wishes};
use crate::bench::scenario::{self, Scenario};
use crate::bench::{self, Protocol, World, report, table};
use crate::descriptors;
use crate::secret::Secret;
use crate::upstream_address::UpstreamAddress;

/// Measures what the proxy costs: latency added, CPU and memory, beside the same load without it
///
/// Without arguments it starts an embedded Camunda and the proxy in front of it, puts the same load on both in turn, and
/// says in about a minute what the token costs. Nothing leaves this machine.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("shape").args(["rate", "saturate", "ramp"])))]
pub(super) struct BenchCommand {
    /// Load this instead of the embedded Camunda and the proxy; the first is what others are compared with. May be
    /// repeated
    #[arg(long, value_name = "NAME=URL", value_parser = named::<UpstreamAddress>)]
    target: Vec<(String, UpstreamAddress)>,
    /// A token in a file that requests to a target carry, for one that adds none
    #[arg(long, value_name = "NAME=FILE", value_parser = named::<PathBuf>)]
    token_file: Vec<(String, PathBuf)>,
    /// Starts a command that serves in front of the embedded Camunda too, to compare with. It finds LISTEN_REST,
    /// LISTEN_GRPC, UPSTREAM_REST, UPSTREAM_PATH, UPSTREAM_GRPC, TOKEN, TOKEN_URL, CREDENTIALS, CPUS and an own FOLDER in
    /// its environment
    #[arg(long, value_name = "NAME=COMMAND", value_parser = named::<String>, conflicts_with = "target")]
    start: Vec<(String, String)>,
    /// I may put load on targets that are not on this machine
    #[arg(long)]
    i_own_this_target: bool,
    /// What requests are: rest, grpc or grpc-stream. May be repeated
    #[arg(long, value_name = "PROTOCOL")]
    protocol: Vec<Protocol>,
    /// This many requests a second, by schedule, however long answers take
    #[arg(long, value_name = "PER_SECOND", value_parser = positive)]
    rate: Option<f64>,
    /// As many requests as go through
    #[arg(long)]
    saturate: bool,
    /// Eight rates, up to what the slowest target takes at most
    #[arg(long)]
    ramp: bool,
    /// Plays a scenario with the load instead: cold-start, steady, expiry, outage, revoked, reload, drain, idle-streams or
    /// herd
    #[arg(long, value_name = "SCENARIO", conflicts_with_all = ["target", "start"])]
    scenario: Option<Scenario>,
    /// How long each target is measured with each load: 30s
    #[arg(long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    /// Connections
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..))]
    connections: Option<u16>,
    /// Streams at once on each gRPC connection
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..))]
    streams: Option<u16>,
    /// Bytes in the body of each request
    #[arg(long, value_name = "BYTES", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=16_777_216))]
    body: u32,
    /// Writes everything that was measured, as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Writes one page with plots for a browser
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Measures nothing, but says what has become worse from one result of --out to another; exit status 1 if anything has
    #[arg(long, num_args = 2, value_names = ["BEFORE", "AFTER"], exclusive = true)]
    compare: Vec<PathBuf>,
    #[command(flatten)]
    format: FormatArgument,
}

impl BenchCommand {
    pub(super) fn run(&self) -> ExitCode {
        if let [before, after] = self.compare.as_slice() {
            return compare(before, after);
        }
        end_with_this_process();
        // Callers and the embedded Camunda share this process, and a herd is a thousand of them.
        descriptors::raise_limit();
        if let Err(text) = self.permitted() {
            eprintln!("{text}");
            return ExitCode::from(super::USAGE);
        }
        match self.measure() {
            Ok(measurement) => self.tell(&measurement),
            Err(error) => {
                eprintln!("it cannot be measured: {error}");
                ExitCode::FAILURE
            }
        }
    }

    /// Load is put on nobody who did not agree.
    fn permitted(&self) -> Result<(), String> {
        match self.target.iter().find(|(_, address)| !address.is_loopback()) {
            Some((name, address)) if !self.i_own_this_target => Err(format!(
                "{name} ({address}) is not on this machine: load on somebody else's server is an attack. If you may do \
                 that, say so with --i-own-this-target"
            )),
            _ => Ok(()),
        }
    }

    fn measure(&self) -> io::Result<Measurement> {
        if let Some(scenario) = self.scenario {
            return scenario::play(scenario, &self.wishes(), &command_line());
        }
        let mut world = self.world()?;
        run::run(&mut world, &self.wishes(), &command_line())
    }

    fn world(&self) -> io::Result<World> {
        let mut world = World::empty();
        if self.target.is_empty() {
            world = world.with_camunda()?.with_proxy()?;
            for (name, command) in &self.start {
                world = world.with_command(name, command)?;
            }
            return Ok(world);
        }
        for (name, address) in &self.target {
            let file = self.token_file.iter().find(|(of, _)| of == name);
            let token = file.map(|(_, path)| read_token(path)).transpose()?;
            world = world.with_target(name, address.clone(), token)?;
        }
        Ok(world)
    }

    fn wishes(&self) -> Wishes {
        let shape = match (self.rate, self.saturate, self.ramp) {
            (Some(rate), ..) => Shape::Rate(rate),
            (None, true, _) => Shape::Saturate,
            (None, false, true) => Shape::Ramp,
            (None, false, false) => Shape::Standard,
        };
        Wishes {
            protocols: self.protocol.clone(),
            shape,
            duration: self.duration,
            connections: self.connections.map(usize::from),
            streams: self.streams.map(usize::from),
            body: self.body as usize,
        }
    }

    fn tell(&self, measurement: &Measurement) -> ExitCode {
        let written = [
            self.out.as_ref().map(|path| (path, write(path, measurement))),
            self.report.as_ref().map(|path| (path, std::fs::write(path, report::report(measurement)))),
        ];
        for (path, written) in written.into_iter().flatten() {
            if let Err(error) = written {
                eprintln!("{} cannot be written: {error}", path.display());
                return ExitCode::FAILURE;
            }
        }
        let told = self.print(measurement);
        // For CI: what must hold and does not is a failure.
        if measurement.findings.iter().any(|finding| finding.holds == Some(false)) {
            ExitCode::FAILURE
        } else {
            told
        }
    }

    fn print(&self, measurement: &Measurement) -> ExitCode {
        match self.format.format {
            Format::Text => output::print(table::table(measurement)),
            Format::Json => match serde_json::to_string_pretty(measurement) {
                Ok(text) => output::print(format_args!("{text}\n")),
                Err(error) => {
                    eprintln!("the result cannot be written: {error}");
                    ExitCode::FAILURE
                }
            },
        }
    }
}

/// Exit status 1 when something has become worse.
fn compare(before: &Path, after: &Path) -> ExitCode {
    let compared = read(before).and_then(|before| Ok(Comparison::of(&before, &read(after)?)));
    match compared {
        Ok(comparison) if comparison.has_regressed() || comparison.is_empty() => {
            output::print(comparison);
            ExitCode::FAILURE
        }
        Ok(comparison) => output::print(comparison),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(super::USAGE)
        }
    }
}

fn read(path: &Path) -> io::Result<Measurement> {
    let told = |error: String| io::Error::other(format!("{} {error}", path.display()));
    let text = std::fs::read(path).map_err(|error| told(format!("cannot be read: {error}")))?;
    let read: Measurement =
        serde_json::from_slice(&text).map_err(|error| told(format!("is no result of --out: {error}")))?;
    match read.format {
        FORMAT => Ok(read),
        other => Err(told(format!("has the form {other}, and this version reads {FORMAT}: measure again"))),
    }
}

fn write(path: &Path, measurement: &Measurement) -> io::Result<()> {
    let mut file = io::BufWriter::new(File::create(path)?);
    serde_json::to_writer_pretty(&mut file, measurement)?;
    io::Write::flush(&mut file)
}

fn read_token(path: &Path) -> io::Result<Secret> {
    let text = std::fs::read_to_string(path);
    let text =
        text.map_err(|error| io::Error::other(format!("{} cannot be read: {error}", path.display())))?;
    Ok(Secret::from(text.trim()))
}

/// What was started for the run is in process groups of its own, which Ctrl-C in a terminal does not reach.
fn end_with_this_process() {
    let ended = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let mut signals = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
            tokio::select! { _ = signals.0.recv() => (), _ = signals.1.recv() => () }
            Ok::<_, io::Error>(())
        })
    };
    std::thread::spawn(move || {
        if ended().is_ok() {
            bench::end_all();
            // As a shell tells of SIGINT.
            std::process::exit(130);
        }
    });
}

/// The command line, for whoever wants to repeat it.
fn command_line() -> String {
    let quoted =
        |word: String| match word.chars().all(|c| c.is_ascii_alphanumeric() || "-_=.,/:@+".contains(c)) {
            true => word,
            false => format!("'{}'", word.replace('\'', "'\\''")),
        };
    let words = std::env::args().skip(1).map(quoted);
    std::iter::once("camunda-auth-proxy".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

fn named<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<(String, T), String> {
    let (name, value) = text.split_once('=').ok_or("it has no `=` between a name and what it is for")?;
    let value = value.parse().map_err(|error: T::Err| error.to_string())?;
    Ok((name.to_owned(), value))
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = humantime_serde::re::humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if parsed.is_zero() { Err("it takes some time".to_owned()) } else { Ok(parsed) }
}

fn positive(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| (0.1..=1e7).contains(rate));
    rate.ok_or_else(|| "it is a number from 0.1 to 10000000".to_owned())
}
