//! What a run of `bench` leaves behind: plain values, written as JSON and read again for reports and comparisons.

use serde::{Deserialize, Serialize};

use super::latencies::Latencies;
use super::outcome::Errors;
use super::sample::Moment;
use super::statistics::{Interval, QUANTILES};
use super::work::{Load, Work};

/// Everything of one run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Measurement {
    /// The form of this file.
    pub format: u32,
    /// How, where and when it was measured.
    pub setup: Setup,
    /// What the generator can do at most.
    pub generator: Option<Generator>,
    /// A stretch of load each, on every target in turn.
    pub series: Vec<Series>,
    /// What happened meanwhile, on the same clock.
    pub events: Vec<Event>,
    /// Token requests that the embedded Camunda saw; none where that is somebody else's.
    pub token_requests: Option<u64>,
    /// What a scenario has shown.
    pub findings: Vec<Finding>,
}

/// The form of the file that this version writes.
pub const FORMAT: u32 = 1;

/// How, where and when something was measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Setup {
    /// The version of this program.
    pub version: String,
    /// The command line that repeats it.
    pub command: String,
    /// When it began.
    pub at: String,
    /// How many seconds it took.
    pub seconds: f64,
    /// The kind of processor.
    pub processor: String,
    /// The system's kernel.
    pub kernel: String,
    /// How many CPUs could be used.
    pub cpus: usize,
    /// Where what is measured ran.
    pub measured_on: String,
    /// Where the generator and the embedded Camunda ran.
    pub load_on: String,
    /// Whether the proxy wrote a line for each request, and other settings of its.
    pub settings: Vec<String>,
    /// The scenario, when it is one.
    pub scenario: Option<String>,
    /// Built without optimisation: the figures say nothing.
    pub debug_build: bool,
}

/// The generator's own limits, against a server that does nothing.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Generator {
    /// HTTP/1.1 requests per CPU second.
    pub rest: f64,
    /// gRPC calls per CPU second.
    pub grpc: f64,
    /// How late it starts a request for which everything is free, in microseconds: half of them.
    pub late_p50: f64,
    /// The same, for all but one of a hundred.
    pub late_p99: f64,
}

/// The same load on every target in turn.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Series {
    /// What requests were.
    pub work: Work,
    /// When they started.
    pub load: Load,
    /// How often each target had its turn.
    pub rounds: usize,
    /// How long a turn was, in seconds, without its warm-up.
    pub seconds: f64,
    /// The targets; the first is the one that others are compared with.
    pub targets: Vec<Figures>,
    /// Each other target against the first.
    pub differences: Vec<Difference>,
    /// How much of the machine's CPU time went to others meanwhile, from 0 to 1.
    pub foreign: f64,
}

/// How one target did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figures {
    /// What it is called.
    pub name: String,
    /// Requests that succeeded.
    pub ok: u64,
    /// Requests that did not, by reason.
    pub errors: Errors,
    /// Answers a second.
    pub rate: f64,
    /// Latencies in microseconds at each of the usual quantiles, and the largest.
    pub quantiles: Quantiles,
    /// CPU time of its processes for each answer, in microseconds.
    pub cpu_per_request: Option<Interval>,
    /// CPU time of the generator for each answer, in microseconds: how fast the machine was meanwhile.
    pub generator_per_request: f64,
    /// Its memory in bytes, when it was largest.
    pub memory: Option<u64>,
    /// How busy its CPUs were with it, from 0 to 1.
    pub busy: Option<f64>,
    /// What held the load back, when that was not the target.
    pub bottleneck: Option<String>,
    /// Latencies of each round.
    pub latencies: Vec<Latencies>,
    /// The course of it.
    pub moments: Vec<Moment>,
}

/// Latencies in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Quantiles {
    /// Half of the requests took no longer.
    pub p50: f64,
    /// Nine of ten.
    pub p90: f64,
    /// All but one of a hundred.
    pub p99: f64,
    /// All but one of a thousand.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

impl Quantiles {
    /// Of some latencies.
    pub fn of(latencies: &Latencies) -> Quantiles {
        let [p50, p90, p99, p999] = QUANTILES.map(|q| latencies.quantile(q).as_secs_f64() * 1e6);
        Quantiles { p50, p90, p99, p999, max: latencies.max().as_secs_f64() * 1e6 }
    }

    /// In ascending order, without the longest.
    pub fn all(&self) -> [f64; 4] {
        [self.p50, self.p90, self.p99, self.p999]
    }
}

/// By how much one target is slower than the first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Difference {
    /// Which.
    pub target: String,
    /// Whether it is the first target a second time: what differs then is the machine's noise.
    pub noise: bool,
    /// Microseconds at p50, p90, p99 and p99.9. With 95 % all four are within their bounds.
    pub added: [Interval; 4],
}

/// Something that happened while it was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Seconds since the run began.
    pub at: f64,
    /// What it was.
    pub what: String,
}

/// What a scenario has shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// Whether it is as it should be; none where there is nothing to expect.
    pub holds: Option<bool>,
    /// In words.
    pub what: String,
}
