//! One series: the same load on every target in turn, forward and back, so that what the machine does meanwhile meets all alike.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::generator::Block;
use super::machine;
use super::meter;
use super::progress::Progress;
use super::result::{Difference, Figures, Quantiles, Series};
use super::sample::{Moment, Sample, moments};
use super::statistics::{self, Interval};
use super::work::{Load, Work};
use super::world::{Entry, World};

/// The course is told in stretches of this length, or longer ones when it takes long.
const SLICE: Duration = Duration::from_millis(100);
const SLICES: u32 = 300;

/// From here on a thread or a CPU counts as having had no room left.
const FULL: f64 = 0.9;

/// What a series will be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// What requests are.
    pub work: Work,
    /// When they start.
    pub load: Load,
    /// How often each target has its turn.
    pub rounds: usize,
    /// What starts in this time of a turn is not counted.
    pub warm_up: Duration,
    /// How long a turn is, without the warm-up.
    pub duration: Duration,
    /// The first target has its turn twice, which shows the machine's noise.
    pub again: bool,
}

impl Step {
    /// How long it takes with so many targets.
    pub(super) fn takes(&self, targets: usize) -> Duration {
        let turns = (targets + usize::from(self.again)) * self.rounds;
        (self.warm_up + self.duration + Duration::from_millis(30)) * turns as u32
    }
}

/// Does a step.
///
/// # Errors
/// When the load cannot be started.
pub(super) fn measure(world: &World, step: &Step, progress: &mut Progress) -> io::Result<Series> {
    let mut turns: Vec<Turn<'_>> = world.entries.iter().map(|entry| Turn::new(entry, false)).collect();
    if step.again
        && let Some(first) = world.entries.first()
    {
        turns.push(Turn::new(first, true));
    }
    let (spent_before, began) = (machine::busy(), std::time::Instant::now());
    let mut own = Duration::ZERO;
    for round in 0..step.rounds {
        let count = turns.len();
        for at in 0..count {
            let turn = &mut turns[if round % 2 == 0 { at } else { count - 1 - at }];
            progress.step(&format!("{} {}", step.work.protocol, turn.name()));
            let part = one(world, step, turn.entry, progress, |_| ())?;
            own += part.generator + part.camunda + part.cpu.unwrap_or_default();
            turn.parts.push(part);
        }
    }
    let all = began.elapsed().mul_f64(machine::cpus() as f64);
    let others = machine::busy().saturating_sub(spent_before).saturating_sub(own);
    let differences = differences(&turns);
    Ok(Series {
        work: step.work,
        load: step.load,
        rounds: step.rounds,
        seconds: step.duration.as_secs_f64(),
        targets: turns.iter().map(|turn| turn.figures(world, step)).collect(),
        differences,
        foreign: (others.as_secs_f64() / all.as_secs_f64().max(0.001)).min(1.0),
    })
}

/// Does a step with the first target alone, while something happens from the beginning of its measured time.
///
/// # Errors
/// When the load cannot be started.
pub(super) fn alone(
    world: &World,
    step: &Step,
    progress: &Progress,
    meanwhile: impl FnOnce(Instant),
) -> io::Result<Series> {
    let entry = world.entries.first().ok_or_else(|| io::Error::other("there is nobody to put load on"))?;
    let mut turn = Turn::new(entry, false);
    turn.parts.push(one(world, step, entry, progress, meanwhile)?);
    Ok(Series {
        work: step.work,
        load: step.load,
        rounds: 1,
        seconds: step.duration.as_secs_f64(),
        targets: vec![turn.figures(world, step)],
        differences: Vec::new(),
        foreign: 0.0,
    })
}

/// A target and what it has shown, round by round.
struct Turn<'a> {
    entry: &'a Entry,
    again: bool,
    parts: Vec<Part>,
}

/// One turn of one target.
struct Part {
    at: f64,
    sample: Sample,
    seconds: f64,
    cpu: Option<Duration>,
    memory: Option<u64>,
    generator: Duration,
    camunda: Duration,
    threads: usize,
}

/// Puts the load on one target once.
fn one(
    world: &World,
    step: &Step,
    entry: &Entry,
    progress: &Progress,
    meanwhile: impl FnOnce(Instant),
) -> io::Result<Part> {
    let threads = match step.load {
        Load::Saturate => world.load.count().div_ceil(2),
        Load::Rate(rate) => (rate / 20_000.0).ceil().clamp(1.0, world.load.count() as f64) as usize,
    };
    let block = Block {
        target: Arc::clone(&entry.target),
        feed: world.feed.clone(),
        work: step.work,
        load: step.load,
        warm_up: step.warm_up,
        duration: step.duration,
        slice: SLICE.max(step.duration / SLICES),
        threads,
        cpus: world.load.clone(),
    };
    let loading = block.start()?;
    let at = loading.began.saturating_duration_since(world.began).as_secs_f64();
    let camunda: Vec<u32> = world.camunda.iter().map(|camunda| camunda.thread).collect();
    let look = || (entry.processes.cpu(), meter::cpu_of(&loading.ids), meter::cpu_of(&camunda));
    progress.sleep_until(loading.from);
    let before = look();
    meanwhile(loading.from);
    progress.sleep_until(loading.until);
    let after = look();
    // What has ended cannot be asked any more.
    let memory = Some(entry.processes.memory()).filter(|memory| *memory > 0);
    Ok(Part {
        at,
        seconds: step.duration.as_secs_f64(),
        cpu: memory.and_then(|_| after.0.checked_sub(before.0)),
        memory,
        generator: after.1.saturating_sub(before.1),
        camunda: after.2.saturating_sub(before.2),
        threads: loading.ids.len(),
        sample: loading.end(),
    })
}

impl<'a> Turn<'a> {
    fn new(entry: &'a Entry, again: bool) -> Turn<'a> {
        Turn { entry, again, parts: Vec::new() }
    }

    fn name(&self) -> String {
        let name = &self.entry.target.name;
        if self.again { format!("{name} again") } else { name.clone() }
    }

    fn figures(&self, world: &World, step: &Step) -> Figures {
        let mut all = Sample::default();
        self.parts.iter().for_each(|part| all.add(part.sample.clone()));
        let seconds: f64 = self.parts.iter().map(|part| part.seconds).sum();
        let cpu: Duration = self.parts.iter().filter_map(|part| part.cpu).sum();
        let generator: Duration = self.parts.iter().map(|part| part.generator).sum();
        let measured = !self.entry.processes.is_empty();
        let busy = cpu.as_secs_f64() / seconds / world.measured.count() as f64;
        Figures {
            name: self.name(),
            ok: all.ok,
            rate: all.answered as f64 / seconds,
            quantiles: Quantiles::of(&all.latencies),
            cpu_per_request: self.cpu_per_request(),
            generator_per_request: generator.as_secs_f64() * 1e6 / all.answered.max(1) as f64,
            memory: self.parts.iter().filter_map(|part| part.memory).max(),
            busy: measured.then_some(busy),
            bottleneck: self.bottleneck(world, step, &all, busy),
            moments: self.moments(step),
            latencies: self.parts.iter().map(|part| part.sample.latencies.clone()).collect(),
            errors: all.errors,
        }
    }

    fn cpu_per_request(&self) -> Option<Interval> {
        let each = |part: &Part| {
            let micros = part.cpu?.as_secs_f64() * 1e6;
            (part.sample.answered > 0).then(|| micros / part.sample.answered as f64)
        };
        let values: Vec<f64> = self.parts.iter().filter_map(each).collect();
        match values.as_slice() {
            [] => None,
            [one] => Some(Interval { estimate: *one, low: *one, high: *one }),
            many => Interval::of_mean(many),
        }
    }

    /// What kept more requests from getting through, when it was not the target itself.
    fn bottleneck(&self, world: &World, step: &Step, all: &Sample, busy: f64) -> Option<String> {
        let seconds: f64 = self.parts.iter().map(|part| part.seconds).sum();
        let sum =
            |of: fn(&Part) -> Duration| self.parts.iter().map(of).sum::<Duration>().as_secs_f64() / seconds;
        let (generator, camunda) = (sum(|part| part.generator), sum(|part| part.camunda));
        let threads = self.parts.first().map_or(1, |part| part.threads) as f64;
        let rate_missed = match step.load {
            Load::Saturate => true,
            Load::Rate(rate) => (all.answered as f64) < 0.97 * rate * seconds,
        };
        if !rate_missed || busy > FULL {
            return None;
        }
        if generator / threads > FULL {
            return Some("the generator: its threads had no time left".to_owned());
        }
        if camunda > FULL {
            return Some("the embedded Camunda: its thread had no time left".to_owned());
        }
        let together = (generator + camunda) / world.load.count() as f64;
        (together > FULL && !world.load.0.is_empty())
            .then(|| format!("generator and embedded Camunda together: {} had no time left", world.load))
    }

    fn moments(&self, step: &Step) -> Vec<Moment> {
        let slice = SLICE.max(step.duration / SLICES);
        let of_part = |part: &Part| {
            let shift = part.at;
            let whole = moments(&part.sample.slices, slice).into_iter();
            // What is warm-up was not counted.
            whole
                .filter(move |moment| moment.at >= step.warm_up.as_secs_f64())
                .map(move |moment| Moment { at: moment.at + shift, ..moment })
                .collect::<Vec<_>>()
        };
        self.parts.iter().flat_map(of_part).collect()
    }
}

fn differences(turns: &[Turn<'_>]) -> Vec<Difference> {
    let Some((first, rest)) = turns.split_first() else { return Vec::new() };
    let latencies =
        |turn: &Turn<'_>| turn.parts.iter().map(|part| part.sample.latencies.clone()).collect::<Vec<_>>();
    let base = latencies(first);
    let to_base = |turn: &Turn<'_>| {
        let added = statistics::differences(&base, &latencies(turn))?;
        Some(Difference { target: turn.name(), noise: turn.again, added })
    };
    rest.iter().filter_map(to_base).collect()
}
