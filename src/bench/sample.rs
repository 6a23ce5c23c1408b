//! What a block of load has shown, as seen by who sent it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::latencies::Latencies;
use super::outcome::{Errors, Outcome};

use tokio::time::Instant;

/// The answers to one block of load.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// From when a request should have started to the end of its answer: of those that succeeded, and the time that
    /// unanswered ones had waited.
    pub latencies: Latencies,
    /// Requests that succeeded.
    pub ok: u64,
    /// Requests that did not, by reason.
    pub errors: Errors,
    /// Answers that came in the measured time, whenever their requests began; for rates and CPU per request.
    pub answered: u64,
    /// By how much the generator itself was late for requests that had a free slot.
    pub lateness: Latencies,
    /// The course of it.
    pub slices: Vec<Slice>,
}

impl Sample {
    /// How many requests did not succeed.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Adds what another thread has seen of the same block.
    pub(super) fn add(&mut self, other: Sample) {
        self.latencies.add(&other.latencies);
        self.lateness.add(&other.lateness);
        self.ok += other.ok;
        self.answered += other.answered;
        for (word, count) in other.errors {
            *self.errors.entry(word).or_default() += count;
        }
        let missing = other.slices.len().saturating_sub(self.slices.len());
        self.slices.extend(std::iter::repeat_with(Slice::default).take(missing));
        for (mine, theirs) in self.slices.iter_mut().zip(other.slices) {
            mine.add(theirs);
        }
    }
}

/// A short stretch of a block, by when requests should have started.
#[derive(Clone, Debug)]
pub struct Slice {
    /// Latencies in it.
    pub latencies: Latencies,
    /// Requests that did not succeed.
    pub failed: u64,
}

impl Default for Slice {
    fn default() -> Slice {
        // Two digits: there are many slices, and they are looked at in a plot.
        Slice { latencies: Latencies::with_digits(2), failed: 0 }
    }
}

impl Slice {
    fn add(&mut self, other: Slice) {
        self.latencies.add(&other.latencies);
        self.failed += other.failed;
    }
}

/// A slice as results and plots have it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Moment {
    /// Seconds since the load began.
    pub at: f64,
    /// Requests a second that succeeded.
    pub rate: f64,
    /// Requests a second that did not.
    pub failed: f64,
    /// Microseconds.
    pub p50: f64,
    /// Microseconds.
    pub p99: f64,
    /// Microseconds.
    pub max: f64,
}

/// Writes down what happens to requests.
pub(super) struct Recorder {
    began: Instant,
    /// What should have started before is warm-up and forgotten.
    from: Instant,
    until: Instant,
    slice: Duration,
    /// What was written down so far.
    pub(super) sample: Sample,
}

impl Recorder {
    pub(super) fn new(began: Instant, from: Instant, until: Instant, slice: Duration) -> Recorder {
        Recorder { began, from, until, slice, sample: Sample::default() }
    }

    /// By how much a request started late although a slot had been free.
    pub(super) fn late(&mut self, intended: Instant, by: Duration) {
        if intended >= self.from {
            self.sample.lateness.record(by);
        }
    }

    /// A request is over.
    pub(super) fn over(&mut self, intended: Instant, outcome: &Outcome) {
        let now = Instant::now();
        if now >= self.from && now < self.until && outcome.is_answer() {
            self.sample.answered += 1;
        }
        if intended < self.from {
            return;
        }
        let latency = now.saturating_duration_since(intended);
        let counts = matches!(outcome, Outcome::Ok | Outcome::Timeout | Outcome::Unanswered);
        let at = (intended.saturating_duration_since(self.began).as_nanos() / self.slice.as_nanos().max(1))
            as usize;
        while self.sample.slices.len() <= at {
            self.sample.slices.push(Slice::default());
        }
        let slice = &mut self.sample.slices[at];
        if counts {
            self.sample.latencies.record(latency);
            slice.latencies.record(latency);
        }
        match outcome.word() {
            None => self.sample.ok += 1,
            Some(word) => {
                slice.failed += 1;
                *self.sample.errors.entry(word).or_default() += 1;
            }
        }
    }
}

/// The course of a block, slice by slice.
pub(super) fn moments(slices: &[Slice], slice: Duration) -> Vec<Moment> {
    let seconds = slice.as_secs_f64();
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let moment = |(at, one): (usize, &Slice)| Moment {
        at: at as f64 * seconds,
        rate: (one.latencies.count() as f64) / seconds,
        failed: one.failed as f64 / seconds,
        p50: micros(one.latencies.quantile(0.5)),
        p99: micros(one.latencies.quantile(0.99)),
        max: micros(one.latencies.max()),
    };
    slices.iter().enumerate().map(moment).collect()
}
