//! Scenarios: the same load while something happens to tokens, to the proxy or to the token endpoint, and what must hold then.

mod acts;

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use tokio::time::Instant;

use super::measure::{Step, alone};
use super::process::Proxy;
use super::progress::Progress;
use super::result::{Event, Figures, Finding, Measurement};
use super::run::{self, Shape, Wishes};
use super::work::{Load, Protocol};
use super::world::{Running, World};
use crate::sandbox::Hosted;

/// What happens meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Requests come before the first token.
    ColdStart,
    /// Nothing.
    Steady,
    /// Tokens live for seconds and are renewed all the time.
    Expiry,
    /// The token endpoint fails while a renewal is due.
    Outage,
    /// Every token is made worthless.
    Revoked,
    /// The credentials file changes.
    Reload,
    /// The proxy is told to end.
    Drain,
    /// Many gRPC streams are open and silent.
    IdleStreams,
    /// A thousand callers come at once and there is no token yet.
    Herd,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Scenario; 9] = [
        Scenario::ColdStart,
        Scenario::Steady,
        Scenario::Expiry,
        Scenario::Outage,
        Scenario::Revoked,
        Scenario::Reload,
        Scenario::Drain,
        Scenario::IdleStreams,
        Scenario::Herd,
    ];

    /// The word for it on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Scenario::ColdStart => "cold-start",
            Scenario::Steady => "steady",
            Scenario::Expiry => "expiry",
            Scenario::Outage => "outage",
            Scenario::Revoked => "revoked",
            Scenario::Reload => "reload",
            Scenario::Drain => "drain",
            Scenario::IdleStreams => "idle-streams",
            Scenario::Herd => "herd",
        }
    }

    /// How long the load goes on when nothing else is said.
    fn duration(self) -> Duration {
        Duration::from_secs(match self {
            Scenario::Outage => 45,
            Scenario::Expiry => 30,
            Scenario::Steady => 20,
            Scenario::Revoked | Scenario::Reload => 12,
            Scenario::ColdStart | Scenario::Drain | Scenario::IdleStreams => 8,
            Scenario::Herd => 1,
        })
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(text: &str) -> Result<Scenario, String> {
        let found = Scenario::ALL.into_iter().find(|scenario| scenario.name() == text);
        found.ok_or_else(|| format!("it is none of {}", Scenario::ALL.map(Scenario::name).join(", ")))
    }
}

/// Plays a scenario with an embedded Camunda and a proxy of its own. `command` is what repeats it.
///
/// # Errors
/// When Camunda, the proxy or the load cannot be started.
pub fn play(scenario: Scenario, wishes: &Wishes, command: &str) -> io::Result<Measurement> {
    let duration = wishes.duration.unwrap_or(scenario.duration());
    let mut progress = Progress::new(duration + Duration::from_secs(9));
    let world = World::empty().with_camunda()?;
    let mut measurement = run::begin(&world, command, &mut progress)?;
    measurement.setup.scenario = Some(scenario.to_string());
    let mut stage = Stage { world, wishes, duration, measurement, progress, findings: Vec::new() };
    // The direct way is not measured: what happens here happens to the proxy.
    stage.world.entries.clear();
    acts::act(scenario, &mut stage)?;
    let Stage { world, mut measurement, findings, .. } = stage;
    run::end(&world, &mut measurement, findings);
    Ok(measurement)
}

/// Where a scenario is played.
struct Stage<'a> {
    world: World,
    wishes: &'a Wishes,
    duration: Duration,
    measurement: Measurement,
    progress: Progress,
    findings: Vec<Finding>,
}

/// The stage while the load runs.
struct Scene<'a> {
    world: &'a World,
    progress: &'a Progress,
    from: Instant,
    duration: Duration,
    marks: RefCell<Vec<Event>>,
}

impl Stage<'_> {
    fn camunda(&self) -> io::Result<&Hosted> {
        self.world.camunda()
    }

    /// Starts the proxy; with tokens, waits until it has them all.
    fn start_proxy(&mut self, with_tokens: bool) -> io::Result<()> {
        self.progress.step("the proxy starts");
        let entry = self.world.proxy("proxied")?;
        self.world.entries.push(entry);
        if with_tokens { self.world.settle() } else { Ok(()) }
    }

    fn proxy(&mut self) -> io::Result<&mut Proxy> {
        match self.world.entries.first_mut().and_then(|entry| entry.running.as_mut()) {
            Some(Running::Proxy(proxy)) => Ok(proxy),
            _ => Err(io::Error::other("there is no proxy on this stage")),
        }
    }

    /// Puts the load on while `act` goes on, and returns what came of it.
    fn load(&mut self, what: &str, act: impl FnOnce(&Scene<'_>)) -> io::Result<Figures> {
        let protocol = self.wishes.protocols.first().copied().unwrap_or(Protocol::Rest);
        let load = match self.wishes.shape {
            Shape::Rate(rate) => Load::Rate(rate),
            Shape::Saturate => Load::Saturate,
            Shape::Standard | Shape::Ramp => Load::Rate(500.0),
        };
        let step = self.step(self.wishes.work(protocol), load);
        self.load_with(what, &step, act)
    }

    fn step(&self, work: super::work::Work, load: Load) -> Step {
        Step { work, load, rounds: 1, warm_up: Duration::ZERO, duration: self.duration, again: false }
    }

    fn load_with(&mut self, what: &str, step: &Step, act: impl FnOnce(&Scene<'_>)) -> io::Result<Figures> {
        self.progress.step(what);
        let mut marks = Vec::new();
        let meanwhile = |from| {
            let (world, progress) = (&self.world, &self.progress);
            let scene = Scene { world, progress, from, duration: step.duration, marks: RefCell::default() };
            act(&scene);
            marks = scene.marks.into_inner();
        };
        let series = alone(&self.world, step, &self.progress, meanwhile)?;
        self.measurement.events.extend(marks);
        let figures = series.targets.first().cloned();
        self.measurement.series.push(series);
        figures.ok_or_else(|| io::Error::other("there was nobody to put load on"))
    }

    /// Notes what was seen.
    fn tell(&mut self, what: String) {
        self.findings.push(Finding { holds: None, what });
    }

    /// Notes what must be so.
    fn expect(&mut self, holds: bool, what: String) {
        self.findings.push(Finding { holds: Some(holds), what });
    }
}

impl Scene<'_> {
    /// Waits until this part of the load has gone, from 0 to 1.
    fn wait_for(&self, part: f64) {
        self.progress.sleep_until(self.from + self.duration.mul_f64(part));
    }

    /// Marks the time axis.
    fn mark(&self, what: &str) {
        let at = self.world.began.elapsed().as_secs_f64();
        self.marks.borrow_mut().push(Event { at, what: what.to_owned() });
    }

    fn camunda(&self) -> Option<&Hosted> {
        self.world.camunda.as_ref()
    }

    fn proxy(&self) -> Option<&Proxy> {
        match self.world.entries.first()?.running.as_ref()? {
            Running::Proxy(proxy) => Some(proxy),
            Running::Program(_) => None,
        }
    }
}
