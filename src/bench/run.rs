//! What a run measures: the standard set of about a minute, or what was asked for.

use std::io;
use std::time::{Duration, SystemTime};

use super::limits::limits;
use super::machine;
use super::measure::{Step, measure};
use super::progress::Progress;
use super::result::{Event, FORMAT, Finding, Measurement, Series, Setup};
use super::work::{Load, Protocol, Work};
use super::world::World;

/// How long the generator's own limits take.
const LIMITS: Duration = Duration::from_millis(2500);

/// How often each target has its turn. Fewer rounds say less about the noise between them.
const ROUNDS: usize = 6;

/// What a target is measured for, all turns together, when nothing else is said.
const DURATION: Duration = Duration::from_millis(4200);

/// The rates of a ramp, as parts of what the slowest target takes at most.
const RAMP: [f64; 8] = [0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9, 1.0];

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Which protocols; none means those that every target can take.
    pub protocols: Vec<Protocol>,
    /// When requests start.
    pub shape: Shape,
    /// How long each target is measured with each load, all turns together.
    pub duration: Option<Duration>,
    /// Connections, instead of the protocol's own number.
    pub connections: Option<usize>,
    /// Streams on each connection, instead of the protocol's own number.
    pub streams: Option<usize>,
    /// Bytes in a request's body.
    pub body: usize,
}

/// When requests start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Shape {
    /// A modest rate for each protocol, then as many as go through.
    #[default]
    Standard,
    /// This many a second.
    Rate(f64),
    /// As many as go through.
    Saturate,
    /// From few to too many.
    Ramp,
}

impl Wishes {
    /// How requests of a protocol look.
    pub fn work(&self, protocol: Protocol) -> Work {
        let (connections, streams) = match protocol {
            Protocol::Rest => (16, 1),
            Protocol::Grpc => (4, 16),
            Protocol::GrpcStream => (2, 8),
        };
        Work {
            protocol,
            connections: self.connections.unwrap_or(connections),
            streams: self.streams.unwrap_or(streams),
            body: self.body,
        }
    }

    /// A rate that leaves most of an ordinary machine idle, so that latencies are the target's own.
    fn modest(protocol: Protocol) -> Load {
        Load::Rate(if protocol == Protocol::GrpcStream { 500.0 } else { 2000.0 })
    }

    fn step(&self, protocol: Protocol, load: Load, again: bool) -> Step {
        let rounds = if again { ROUNDS } else { ROUNDS / 2 };
        let whole = self.duration.unwrap_or(if again { DURATION } else { DURATION / 3 });
        let duration = whole / rounds as u32;
        // A fresh connection's first requests are slower, and a long turn affords more of them.
        let warm_up = (duration / 5).clamp(Duration::from_millis(50), Duration::from_secs(2));
        Step { work: self.work(protocol), load, rounds, warm_up, duration, again }
    }

    /// The steps that are known beforehand.
    fn steps(&self, protocols: &[Protocol]) -> Vec<Step> {
        let all = |load: fn(Protocol) -> Load, again: bool| {
            protocols
                .iter()
                .map(move |&protocol| self.step(protocol, load(protocol), again))
                .collect::<Vec<_>>()
        };
        match self.shape {
            Shape::Rate(rate) => {
                protocols.iter().map(|&protocol| self.step(protocol, Load::Rate(rate), true)).collect()
            }
            Shape::Saturate => all(|_| Load::Saturate, true),
            Shape::Ramp => all(|_| Load::Saturate, false),
            Shape::Standard => {
                let mut steps = all(Wishes::modest, true);
                // The time from a command to its job's arrival is the engine's: it says nothing about who passes it on.
                let unary = protocols.iter().filter(|protocol| **protocol != Protocol::GrpcStream);
                steps.extend(unary.map(|&protocol| self.step(protocol, Load::Saturate, false)));
                steps
            }
        }
    }

    /// The steps that follow from how much the slowest target took.
    fn ramp(&self, peak: &Series) -> Vec<Step> {
        let slowest = peak.targets.iter().map(|target| target.rate).fold(f64::INFINITY, f64::min);
        let step = |part: &f64| self.step(peak.work.protocol, Load::Rate((slowest * part).max(1.0)), false);
        RAMP.iter().map(step).collect()
    }
}

/// Measures what is asked for. `command` is what repeats it.
///
/// # Errors
/// When the load cannot be started.
pub fn run(world: &mut World, wishes: &Wishes, command: &str) -> io::Result<Measurement> {
    let protocols = match wishes.protocols.as_slice() {
        // Elsewhere jobs would be somebody's own.
        [] if world.camunda.is_none() => vec![Protocol::Rest, Protocol::Grpc],
        [] => Protocol::ALL.to_vec(),
        some => some.to_vec(),
    };
    let mut steps = wishes.steps(&protocols);
    let targets = world.entries.len();
    let takes = |steps: &[Step]| steps.iter().map(|step| step.takes(targets)).sum::<Duration>();
    let mut expected = LIMITS + takes(&steps);
    if wishes.shape == Shape::Ramp {
        expected += takes(&steps) * RAMP.len() as u32;
    }
    let mut progress = Progress::new(expected);
    let mut measurement = begin(world, command, &mut progress)?;
    world.settle()?;
    while !steps.is_empty() {
        for step in std::mem::take(&mut steps) {
            let series = measure(world, &step, &mut progress)?;
            if wishes.shape == Shape::Ramp && series.load == Load::Saturate {
                steps.extend(wishes.ramp(&series));
            }
            measurement.series.push(series);
        }
    }
    end(world, &mut measurement, Vec::new());
    Ok(measurement)
}

/// A measurement that knows the machine and the generator.
pub(super) fn begin(world: &World, command: &str, progress: &mut Progress) -> io::Result<Measurement> {
    progress.step("what the generator itself can do");
    let at = humantime_serde::re::humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let settings = std::env::vars().filter(|(name, _)| name.starts_with("CAMUNDA_PROXY_"));
    let setup = Setup {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        command: command.to_owned(),
        at,
        processor: machine::processor(),
        kernel: machine::kernel(),
        cpus: machine::cpus(),
        measured_on: world.measured.to_string(),
        load_on: world.load.to_string(),
        // Only names: a value may be a secret.
        settings: settings.map(|(name, _)| name).collect(),
        debug_build: cfg!(debug_assertions),
        ..Setup::default()
    };
    Ok(Measurement {
        format: FORMAT,
        setup,
        generator: Some(limits(&world.measured, &world.load)?),
        series: Vec::new(),
        events: Vec::new(),
        token_requests: None,
        findings: Vec::new(),
    })
}

/// Adds what is known at the end only.
pub(super) fn end(world: &World, measurement: &mut Measurement, findings: Vec<Finding>) {
    measurement.setup.seconds = world.began.elapsed().as_secs_f64();
    measurement.findings = findings;
    let Some(camunda) = &world.camunda else { return };
    measurement.token_requests = Some(camunda.tokens.request_count());
    let events = camunda.tokens.requests().into_iter().map(|request| Event {
        at: request.at.saturating_duration_since(world.began).as_secs_f64(),
        what: format!("token request for {}: {}", request.audience.unwrap_or_default(), request.status),
    });
    measurement.events.extend(events);
    measurement.events.sort_by(|a, b| a.at.total_cmp(&b.at));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_set_takes_about_a_minute() {
        let steps = Wishes::default().steps(&Protocol::ALL);
        let takes = LIMITS + steps.iter().map(|step| step.takes(2)).sum::<Duration>();
        assert!((45..65).contains(&takes.as_secs()), "{takes:?}");
    }

    #[test]
    fn a_duration_is_what_each_target_is_measured_for() {
        let wishes = Wishes {
            duration: Some(Duration::from_secs(12)),
            shape: Shape::Rate(100.0),
            ..Wishes::default()
        };
        let steps = wishes.steps(&[Protocol::Rest]);
        let [step] = steps.as_slice() else { panic!("{steps:?}") };
        assert_eq!(step.duration * step.rounds as u32, Duration::from_secs(12));
    }
}
