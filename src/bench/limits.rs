//! What the generator itself can do, against a server that does nothing: no target can be seen to do better.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::cpus::Cpus;
use super::generator::Block;
use super::meter;
use super::null_server;
use super::result::Generator;
use super::sample::Sample;
use super::target::Target;
use super::work::{Load, Protocol, Work};

/// Long enough for some ten thousand requests, short enough for nobody to wait.
const DURATION: Duration = Duration::from_millis(600);
const WARM_UP: Duration = Duration::from_millis(150);

/// A rate that every machine keeps up with: whoever is late then is late by itself.
const EASY: f64 = 1000.0;

/// Measures the generator on one of `load`, with the server on `measured`.
///
/// # Errors
/// When the system has no thread or port to give.
pub fn limits(measured: &Cpus, load: &Cpus) -> io::Result<Generator> {
    let server = null_server::start(null_server::anywhere(), measured.clone(), || Duration::ZERO)?;
    let address = format!("http://{server}").parse().map_err(|error| io::Error::other(format!("{error}")))?;
    let target = Arc::new(Target::new("null", address, None).map_err(io::Error::other)?);
    let rest = Work { protocol: Protocol::Rest, connections: 16, streams: 1, body: 0 };
    let grpc = Work { protocol: Protocol::Grpc, connections: 4, streams: 32, body: 0 };
    let one = |work, mode| load_once(&target, work, mode, load);
    let lateness = one(rest, Load::Rate(EASY))?.0.lateness;
    let late = |quantile| lateness.quantile(quantile).as_secs_f64() * 1e6;
    let speed = |(sample, cpu): (Sample, Duration)| sample.answered as f64 / cpu.as_secs_f64().max(1e-6);
    Ok(Generator {
        rest: speed(one(rest, Load::Saturate)?),
        grpc: speed(one(grpc, Load::Saturate)?),
        late_p50: late(0.5),
        late_p99: late(0.99),
    })
}

/// One thread's load, and the CPU time that it took.
fn load_once(target: &Arc<Target>, work: Work, mode: Load, cpus: &Cpus) -> io::Result<(Sample, Duration)> {
    let block = Block {
        target: Arc::clone(target),
        feed: None,
        work,
        load: mode,
        warm_up: WARM_UP,
        duration: DURATION,
        slice: DURATION,
        threads: 1,
        cpus: cpus.clone(),
    };
    let loading = block.start()?;
    let sleep_until = |at: tokio::time::Instant| {
        std::thread::sleep(at.saturating_duration_since(tokio::time::Instant::now()))
    };
    sleep_until(loading.from);
    let before = meter::cpu_of(&loading.ids);
    sleep_until(loading.until);
    let spent = meter::cpu_of(&loading.ids).saturating_sub(before);
    Ok((loading.end(), spent))
}
