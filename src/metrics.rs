//! Counters: each worker has its own, and a scrape adds them up.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::reason::Reason;
use crate::scope::Scope;

/// The prefix of all metrics.
pub const PREFIX: &str = "camunda_proxy";

/// Upper bounds of the duration histogram's buckets in seconds, as OpenTelemetry has them for HTTP.
pub const BUCKETS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// A request's protocol, as callers speak it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0 and HTTP/1.1.
    Http1,
    /// HTTP/2, but for gRPC.
    Http2,
    /// gRPC.
    Grpc,
}

impl Protocol {
    /// All protocols.
    pub const ALL: [Protocol; 3] = [Protocol::Http1, Protocol::Http2, Protocol::Grpc];

    /// The protocol's name in logs and labels.
    pub const fn name(self) -> &'static str {
        match self {
            Protocol::Http1 => "http1",
            Protocol::Http2 => "h2",
            Protocol::Grpc => "grpc",
        }
    }
}

/// Who answered a request.
#[derive(Clone, Copy, Debug)]
pub enum Origin {
    /// The upstream, with this status.
    Upstream(StatusCode),
    /// The proxy, for this reason.
    Proxy(Reason),
    /// The relay, with a token.
    Relay,
    /// Nobody: the caller left before.
    Nobody,
}

impl Origin {
    /// The origin's name in logs and labels.
    pub const fn name(self) -> &'static str {
        match self {
            Origin::Upstream(_) => "upstream",
            Origin::Proxy(_) | Origin::Relay => "proxy",
            Origin::Nobody => "none",
        }
    }
}

/// What came of an upstream's refusal of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unauthorized {
    /// The request was sent once more with another token.
    Replayed,
    /// The token is renewed, or was in vain, and the refusal was passed on.
    RenewedOnly,
    /// It was passed on, because renewing has not helped and pauses.
    BreakerOpen,
    /// It was passed on: the last renewal is too recent, or the refusal may be about something else.
    Passed,
}

impl Unauthorized {
    const NAMES: [&str; 4] = ["replayed", "renewed_only", "breaker_open", "passed"];
}

const SCOPES: usize = Scope::ALL.len() + 1;
const PROTOCOLS: usize = Protocol::ALL.len();
/// 1xx to 5xx and anything else.
const CLASSES: usize = 6;
const RELAYED: usize = CLASSES + Reason::ALL.len();
const UNANSWERED: usize = RELAYED + 1;
const OUTCOMES: usize = UNANSWERED + 1;

/// One worker's counters. Only that worker writes them, so nothing is contended.
pub struct Shard {
    requests: Box<[AtomicU64]>,
    durations: Box<[Durations]>,
    unauthorized: [[AtomicU64; Unauthorized::NAMES.len()]; Scope::ALL.len()],
    /// For each scope, requests without an `authorization` of their own, and those that had one.
    authorizations: [[AtomicU64; 2]; Scope::ALL.len()],
    active: AtomicU64,
    connections: AtomicU64,
    heartbeat: AtomicU64,
}

#[derive(Default)]
struct Durations {
    buckets: [AtomicU64; BUCKETS.len() + 1],
    sum_micros: AtomicU64,
}

impl Default for Shard {
    fn default() -> Shard {
        Shard {
            requests: (0..SCOPES * PROTOCOLS * OUTCOMES).map(|_| AtomicU64::new(0)).collect(),
            durations: (0..SCOPES * PROTOCOLS).map(|_| Durations::default()).collect(),
            unauthorized: Default::default(),
            authorizations: Default::default(),
            active: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            heartbeat: AtomicU64::new(0),
        }
    }
}

impl Shard {
    /// A request has arrived.
    pub fn request_began(&self) {
        add(&self.active, 1);
    }

    /// The last frame of its answer has left, `total` after its head arrived.
    pub fn request_ended(&self, scope: Option<Scope>, protocol: Protocol, origin: Origin, total: Duration) {
        add(&self.active, u64::MAX);
        let series = scope.map_or(0, |scope| scope as usize + 1) * PROTOCOLS + protocol as usize;
        let outcome = match origin {
            Origin::Upstream(status) => usize::from(status.as_u16() / 100).clamp(1, CLASSES) - 1,
            Origin::Proxy(reason) => CLASSES + reason as usize,
            Origin::Relay => RELAYED,
            Origin::Nobody => UNANSWERED,
        };
        add(&self.requests[series * OUTCOMES + outcome], 1);
        let durations = &self.durations[series];
        let seconds = total.as_secs_f64();
        let bucket = BUCKETS.iter().position(|&bound| seconds <= bound).unwrap_or(BUCKETS.len());
        add(&durations.buckets[bucket], 1);
        add(&durations.sum_micros, total.as_micros() as u64);
    }

    /// An upstream of this scope refused a token.
    pub fn unauthorized(&self, scope: Scope, action: Unauthorized) {
        add(&self.unauthorized[scope as usize][action as usize], 1);
    }

    /// A request of this scope got its token; the caller had sent an `authorization`, or none.
    pub fn authorized(&self, scope: Scope, replaced: bool) {
        add(&self.authorizations[scope as usize][usize::from(replaced)], 1);
    }

    /// The worker is alive; called about once a second.
    pub fn beat(&self) {
        add(&self.heartbeat, 1);
    }

    /// How often [`Shard::beat`] was called. Who sees it stand still sees a worker that is stuck.
    pub fn beats(&self) -> u64 {
        self.heartbeat.load(Relaxed)
    }

    /// A caller's connection was opened.
    pub fn connection_opened(&self) {
        add(&self.connections, 1);
    }

    /// A caller's connection was closed.
    pub fn connection_closed(&self) {
        add(&self.connections, u64::MAX);
    }

    /// How many callers' connections are open; the acceptor gives new ones to the least loaded worker.
    pub fn connections(&self) -> u64 {
        self.connections.load(Relaxed)
    }
}

/// A histogram that any thread may write to, for what does not happen with every request.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    buckets: Box<[AtomicU64]>,
    sum_micros: AtomicU64,
}

/// A histogram's counts at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Counts {
    /// Each bucket's upper bound in seconds, and how many fell into it and no lower one.
    pub buckets: Vec<(f64, u64)>,
    /// The sum of all in seconds.
    pub sum: f64,
}

impl Histogram {
    /// An empty histogram with these upper bounds in seconds, in rising order.
    pub fn new(bounds: &'static [f64]) -> Histogram {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram { bounds, buckets, sum_micros: AtomicU64::new(0) }
    }

    /// Counts one.
    pub fn observe(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let bucket = self.bounds.iter().position(|&bound| seconds <= bound).unwrap_or(self.bounds.len());
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum_micros.fetch_add(time.as_micros() as u64, Relaxed);
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let buckets = bounds.zip(&self.buckets).map(|(bound, count)| (bound, count.load(Relaxed))).collect();
        Counts { buckets, sum: self.sum_micros.load(Relaxed) as f64 / 1e6 }
    }
}

impl Counts {
    /// How many there are.
    pub fn total(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }
}

/// Panics since the process started. Whoever prints panics counts them too.
static PANICS: AtomicU64 = AtomicU64::new(0);

/// A task panicked, which ended what it served and nothing else.
pub fn panicked() {
    PANICS.fetch_add(1, Relaxed);
}

/// Connections of callers that had as many as they may.
static REFUSED_CONNECTIONS: AtomicU64 = AtomicU64::new(0);

/// A connection was refused: its caller has as many as it may.
pub fn connection_refused() {
    REFUSED_CONNECTIONS.fetch_add(1, Relaxed);
}

/// Cheaper than a read-modify-write, and right because there is one writer. Subtracts by wrapping round.
fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(n), Relaxed);
}

/// All workers' counters as one source of metrics.
pub struct Requests(pub Vec<Arc<Shard>>);

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Requests").field(&self.0.len()).finish()
    }
}

impl Requests {
    fn sum(&self, counter: impl Fn(&Shard) -> &AtomicU64) -> u64 {
        self.0.iter().map(|shard| counter(shard).load(Relaxed)).fold(0, u64::wrapping_add)
    }

    fn encode_requests(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Requests by who answered them and why";
        let mut metric = encoder.encode_descriptor("requests", help, None, MetricType::Counter)?;
        for (series, scope, protocol) in series() {
            for outcome in 0..OUTCOMES {
                let count = self.sum(|shard| &shard.requests[series * OUTCOMES + outcome]);
                if count == 0 {
                    continue;
                }
                let (class, origin, reason) = match CLASS_NAMES.get(outcome) {
                    Some(class) => (*class, "upstream", ""),
                    None if outcome == RELAYED => ("2xx", "proxy", ""),
                    None if outcome == UNANSWERED => ("", "none", ""),
                    None => ("", "proxy", Reason::ALL[outcome - CLASSES].name()),
                };
                let labels = [
                    ("scope", scope),
                    ("protocol", protocol),
                    ("code_class", class),
                    ("origin", origin),
                    ("reason", reason),
                ];
                metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
            }
        }
        Ok(())
    }

    fn encode_unauthorized(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Tokens that an upstream refused, by what came of it";
        let counters = |shard: &Shard, scope, at: usize| shard.unauthorized[scope as usize][at].load(Relaxed);
        self.encode_actions(encoder, "upstream_unauthorized", help, &Unauthorized::NAMES, counters)
    }

    fn encode_authorizations(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Requests by what became of the caller's own authorization";
        let counters =
            |shard: &Shard, scope, at: usize| shard.authorizations[scope as usize][at].load(Relaxed);
        self.encode_actions(encoder, "client_authorization", help, &["added", "replaced"], counters)
    }

    /// A counter by scope and by what was done.
    fn encode_actions(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        actions: &[&str],
        counter: impl Fn(&Shard, Scope, usize) -> u64,
    ) -> fmt::Result {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for scope in Scope::ALL {
            for (at, action) in actions.iter().enumerate() {
                let count: u64 = self.0.iter().map(|shard| counter(shard, scope, at)).sum();
                if count > 0 {
                    let labels = [("scope", scope.name()), ("action", *action)];
                    metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
                }
            }
        }
        Ok(())
    }

    fn encode_durations(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "From a request's head to the last frame of its answer";
        let mut metric = encoder.encode_descriptor(
            "request_duration",
            help,
            Some(&Unit::Seconds),
            MetricType::Histogram,
        )?;
        for (series, scope, protocol) in series() {
            let count = |at: usize| self.sum(|shard| &shard.durations[series].buckets[at]);
            let bounds = BUCKETS.iter().copied().chain([f64::INFINITY]).enumerate();
            let buckets: Vec<(f64, u64)> = bounds.map(|(at, bound)| (bound, count(at))).collect();
            let total = buckets.iter().map(|(_, count)| count).sum();
            if total == 0 {
                continue;
            }
            let sum = self.sum(|shard| &shard.durations[series].sum_micros) as f64 / 1e6;
            metric
                .encode_family(&[("scope", scope), ("protocol", protocol)])?
                .encode_histogram::<NoLabelSet>(sum, total, &buckets, None)?;
        }
        Ok(())
    }
}

impl Collector for Requests {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_requests(&mut encoder)?;
        self.encode_authorizations(&mut encoder)?;
        self.encode_durations(&mut encoder)?;
        self.encode_unauthorized(&mut encoder)?;
        let gauges: [(&str, &str, u64); 2] = [
            ("active_requests", "Requests under way", self.sum(|shard| &shard.active)),
            ("open_connections", "Callers' open connections", self.sum(|shard| &shard.connections)),
        ];
        for (name, help, value) in gauges {
            encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)?;
        }
        for (name, help, counter) in [
            ("panics", "Connections ended by a panic", &PANICS),
            (
                "refused_connections",
                "Connections of callers that had as many as they may",
                &REFUSED_CONNECTIONS,
            ),
        ] {
            encoder
                .encode_descriptor(name, help, None, MetricType::Counter)?
                .encode_counter::<NoLabelSet, _, u64>(&counter.load(Relaxed), None)?;
        }
        Ok(())
    }
}

const CLASS_NAMES: [&str; CLASSES] = ["1xx", "2xx", "3xx", "4xx", "5xx", "other"];

fn series() -> impl Iterator<Item = (usize, &'static str, &'static str)> {
    let scopes = std::iter::once("").chain(Scope::ALL.into_iter().map(Scope::name));
    scopes.enumerate().flat_map(|(at, scope)| {
        Protocol::ALL
            .into_iter()
            .map(move |protocol| (at * PROTOCOLS + protocol as usize, scope, protocol.name()))
    })
}
