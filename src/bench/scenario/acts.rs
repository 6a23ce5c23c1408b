//! What happens in each scenario, and what must hold.

use std::io;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Figures, Scenario, Stage};
use crate::bench::streams;
use crate::bench::table::{micros, thousands};
use crate::bench::work::{Load, Protocol, Work};
use crate::sandbox::Hosted;
use crate::sandbox::authorization_server::Fault;

/// How soon a proxy must have ended that was told to, with nothing but short requests under way.
const DRAIN: Duration = Duration::from_secs(8);

/// A byte of the token answer in each of these: the whole takes two seconds or three.
const SLOW: Duration = Duration::from_millis(1);

const HERD: usize = 1000;

/// Plays it.
pub(super) fn act(scenario: Scenario, stage: &mut Stage<'_>) -> io::Result<()> {
    match scenario {
        Scenario::ColdStart => cold_start(stage),
        Scenario::Steady => steady(stage),
        Scenario::Expiry => expiry(stage),
        Scenario::Outage => outage(stage),
        Scenario::Revoked => revoked(stage),
        Scenario::Reload => reload(stage),
        Scenario::Drain => drain(stage),
        Scenario::IdleStreams => idle_streams(stage),
        Scenario::Herd => herd(stage),
    }?;
    pace(stage)
}

fn cold_start(stage: &mut Stage<'_>) -> io::Result<()> {
    stage.camunda()?.tokens.fail_next(1, Fault::SlowBody(SLOW));
    let began = Instant::now();
    stage.start_proxy(false)?;
    stage.tell(format!("listens {} after its start", micros(began.elapsed().as_secs_f64() * 1e6)));
    let figures = stage.load("requests before the first token", |_| ())?;
    none_failed(stage, &figures);
    stage.tell(format!(
        "the longest that a request waited for the first token: {}",
        micros(figures.quantiles.max)
    ));
    Ok(())
}

fn steady(stage: &mut Stage<'_>) -> io::Result<()> {
    stage.start_proxy(true)?;
    let (before, asked) = (memory(stage), stage.camunda()?.tokens.request_count());
    let figures = stage.load("nothing happens", |_| ())?;
    none_failed(stage, &figures);
    let requests = stage.camunda()?.tokens.request_count() - asked;
    stage.expect(
        requests == 0,
        format!("{requests} token requests for {} requests", thousands(figures.ok as f64)),
    );
    let after = memory(stage);
    stage.tell(format!("memory: {:.1} MB before, {:.1} MB after", before, after));
    Ok(())
}

fn expiry(stage: &mut Stage<'_>) -> io::Result<()> {
    let life = stage.duration / 4;
    stage.camunda()?.tokens.set_token_life(life);
    // Not with all tokens: the first may have ended before the last is there.
    stage.start_proxy(false)?;
    let figures = stage.load("tokens end and are renewed", |_| ())?;
    none_failed(stage, &figures);
    let renewals = zeebe_requests(stage.camunda()?).saturating_sub(1);
    stage.expect(
        renewals >= 3,
        format!("{renewals} renewals of tokens that live for {:.1} s", life.as_secs_f64()),
    );
    Ok(())
}

fn outage(stage: &mut Stage<'_>) -> io::Result<()> {
    // The renewal is due after four fifths of the life. The outage ends early enough for the next try to come before the
    // token's end.
    stage.camunda()?.tokens.set_token_life(stage.duration.mul_f64(0.8));
    stage.start_proxy(true)?;
    let enough = if stage.duration < Duration::from_secs(40) { 1 } else { 2 };
    let figures = stage.load("the token endpoint is down", |scene| {
        let Some(camunda) = scene.camunda() else { return };
        camunda.tokens.set_fault(Some(Fault::ServerError));
        scene.mark("the token endpoint fails");
        for percent in 1..90 {
            scene.wait_for(f64::from(percent) / 100.0);
            if failures(camunda) >= enough {
                break;
            }
        }
        camunda.tokens.set_fault(None);
        scene.mark("the token endpoint is back");
    })?;
    none_failed(stage, &figures);
    let camunda = stage.camunda()?;
    let (failures, requests) = (failures(camunda), camunda.tokens.requests());
    let back = requests.last().is_some_and(|last| last.status < 500);
    stage.expect(
        back && (enough..=enough + 1).contains(&failures),
        format!("{failures} token requests met the outage, and a new token came after it"),
    );
    Ok(())
}

/// Token requests for the audience that the load uses.
fn zeebe_requests(camunda: &Hosted) -> usize {
    let asked = camunda.tokens.requests();
    asked.iter().filter(|request| request.audience.as_deref() == Some("zeebe.camunda.io")).count()
}

/// Token requests that met a fault.
fn failures(camunda: &Hosted) -> usize {
    camunda.tokens.requests().iter().filter(|request| request.status >= 500).count()
}

fn revoked(stage: &mut Stage<'_>) -> io::Result<()> {
    stage.start_proxy(true)?;
    let asked = stage.camunda()?.tokens.request_count();
    let figures = stage.load("every token becomes worthless", |scene| {
        let Some(camunda) = scene.camunda() else { return };
        scene.wait_for(1.0 / 3.0);
        camunda.tokens.revoke_all();
        scene.mark("all tokens revoked");
    })?;
    none_failed(stage, &figures);
    let mut bad = figures.moments.iter().filter(|moment| moment.failed > 0.0).map(|moment| moment.at);
    if let Some(first) = bad.next() {
        let last = bad.next_back().unwrap_or(first);
        stage.tell(format!("requests failed for {:.1} s", last - first + 0.1));
    }
    let renewals = stage.camunda()?.tokens.request_count() - asked;
    stage.expect(
        (1..=4).contains(&renewals),
        format!("{renewals} token requests: one for each token that was used"),
    );
    Ok(())
}

fn reload(stage: &mut Stage<'_>) -> io::Result<()> {
    stage.start_proxy(true)?;
    let path = stage.camunda()?.files.credentials();
    let mut text = std::fs::read_to_string(&path)?;
    let figures = stage.load("the credentials file changes", |scene| {
        for part in [0.2, 0.4, 0.6, 0.8] {
            scene.wait_for(part);
            text.push_str("# changed\n");
            // A file that cannot be written shows as a scene without its mark.
            if std::fs::write(&path, &text).is_ok() {
                scene.mark("the credentials file changed, and SIGHUP");
            }
            if let Some(proxy) = scene.proxy() {
                proxy.program.signal(Signal::HUP);
            }
        }
    })?;
    none_failed(stage, &figures);
    Ok(())
}

fn drain(stage: &mut Stage<'_>) -> io::Result<()> {
    stage.start_proxy(true)?;
    let mut told = None;
    let figures = stage.load("the proxy is told to end", |scene| {
        scene.wait_for(0.5);
        scene.mark("SIGTERM");
        told = Some(Instant::now());
        if let Some(proxy) = scene.proxy() {
            proxy.program.signal(Signal::TERM);
        }
    })?;
    let broken: u64 =
        ["reset", "timeout", "unanswered"].iter().filter_map(|word| figures.errors.get(*word)).sum();
    stage.expect(
        broken == 0,
        format!("{broken} requests were cut off; {} were answered", thousands(figures.ok as f64)),
    );
    let refused = figures.errors.get("connect").copied().unwrap_or_default();
    stage.tell(format!("{} came after its end and found nobody", thousands(refused as f64)));
    let status = loop {
        let ended = stage.proxy()?.program.ended();
        if ended.is_some() || told.is_none_or(|told| told.elapsed() > DRAIN) {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    stage.expect(
        status == Some(0),
        match status {
            Some(status) => format!("it ended with status {status}"),
            None => "it has not ended".to_owned(),
        },
    );
    Ok(())
}

fn idle_streams(stage: &mut Stage<'_>) -> io::Result<()> {
    stage.start_proxy(true)?;
    let (connections, streams) =
        (stage.wishes.connections.unwrap_or(10), stage.wishes.streams.unwrap_or(100));
    let wanted = (connections * streams) as u64;
    let before = memory(stage);
    let target = stage.world.entries.first().map(|entry| entry.target.clone());
    let target = target.ok_or_else(|| io::Error::other("there is no proxy on this stage"))?;
    let held = streams::hold(&target, connections, streams, &stage.world.load)?;
    let until = Instant::now() + Duration::from_secs(20);
    let cluster = stage.camunda()?.cluster.clone();
    while cluster.open_streams() < wanted && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    let open = cluster.open_streams();
    stage.expect(
        open == wanted,
        format!("{} of {} streams are open", thousands(open as f64), thousands(wanted as f64)),
    );
    let each = (memory(stage) - before) * 1000.0 / open.max(1) as f64;
    stage.tell(format!("each takes {each:.0} KB of the proxy's memory"));
    let cpu = |stage: &Stage<'_>| {
        stage.world.entries.first().map(|entry| entry.processes.cpu()).unwrap_or_default()
    };
    let (spent, pause) = (cpu(stage), Duration::from_secs(2));
    std::thread::sleep(pause);
    let idle = (cpu(stage) - spent).as_secs_f64() / pause.as_secs_f64() * 100.0;
    stage.tell(format!("all of them, silent, take {idle:.1} % of a CPU"));
    // These are what the streams stand beside of.
    let unary = Work { protocol: Protocol::Grpc, connections: 4, streams: 16, body: stage.wishes.body };
    let step = stage.step(unary, Load::Rate(500.0));
    let figures = stage.load_with("unary calls beside silent streams", &step, |_| ())?;
    none_failed(stage, &figures);
    let open = cluster.open_streams();
    stage.expect(open == wanted, format!("{} streams are still open", thousands(open as f64)));
    drop(held);
    Ok(())
}

fn herd(stage: &mut Stage<'_>) -> io::Result<()> {
    stage.camunda()?.tokens.fail_next(1, Fault::SlowBody(SLOW));
    stage.start_proxy(false)?;
    let connections = stage.wishes.connections.unwrap_or(HERD);
    let work = Work { protocol: Protocol::Rest, connections, streams: 1, body: stage.wishes.body };
    let step = stage.step(work, Load::Saturate);
    let figures = stage.load_with("a thousand at once", &step, |_| ())?;
    none_failed(stage, &figures);
    let zeebe = zeebe_requests(stage.camunda()?);
    stage.expect(zeebe == 1, format!("{zeebe} token request for the {connections} that waited"));
    stage.tell(format!("the last of them was answered after {}", micros(figures.quantiles.max)));
    Ok(())
}

fn none_failed(stage: &mut Stage<'_>, figures: &Figures) {
    let failed: u64 = figures.errors.values().sum();
    let words: Vec<String> = figures.errors.iter().map(|(word, count)| format!("{count} × {word}")).collect();
    let why = if words.is_empty() { String::new() } else { format!(": {}", words.join(", ")) };
    stage.expect(
        failed == 0,
        format!("{failed} of {} requests failed{why}", thousands((figures.ok + failed) as f64)),
    );
}

/// Whatever happens, the token endpoint is never asked more often than once a second.
fn pace(stage: &mut Stage<'_>) -> io::Result<()> {
    let asked = stage.camunda()?.tokens.requests();
    let closest = asked.windows(2).map(|pair| pair[1].at - pair[0].at).min();
    if let Some(closest) = closest {
        let holds = closest >= Duration::from_millis(950);
        stage.expect(
            holds,
            format!("token requests are at least {} apart", micros(closest.as_secs_f64() * 1e6)),
        );
    }
    Ok(())
}

/// Megabytes.
fn memory(stage: &Stage<'_>) -> f64 {
    stage.world.entries.first().map_or(0.0, |entry| entry.processes.memory() as f64 / 1e6)
}
