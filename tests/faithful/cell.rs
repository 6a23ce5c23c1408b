//! The matrix: ways in, ways out, and what runs a test in each cell.

use std::fmt;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::error::Elapsed;

use super::authority;
use super::call::To;
use super::upstream::{Asked, Upstream};
use crate::common::{Setup, World, setup};

/// How a caller speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    Http1,
    Http1Tls,
    Http2,
    Http2Tls,
    Grpc,
    GrpcTls,
}

/// How the upstream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outgoing {
    Http1,
    Http1Tls,
    Http2,
    Http2Tls,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) incoming: Incoming,
    pub(super) outgoing: Outgoing,
}

impl Incoming {
    pub(super) fn is_http2(self) -> bool {
        !matches!(self, Incoming::Http1 | Incoming::Http1Tls)
    }

    pub(super) fn is_grpc(self) -> bool {
        matches!(self, Incoming::Grpc | Incoming::GrpcTls)
    }

    pub(super) fn is_tls(self) -> bool {
        matches!(self, Incoming::Http1Tls | Incoming::Http2Tls | Incoming::GrpcTls)
    }
}

impl Outgoing {
    pub(super) const ALL: [Outgoing; 4] =
        [Outgoing::Http1, Outgoing::Http1Tls, Outgoing::Http2, Outgoing::Http2Tls];

    pub(super) fn is_http2(self) -> bool {
        matches!(self, Outgoing::Http2 | Outgoing::Http2Tls)
    }

    pub(super) fn is_tls(self) -> bool {
        matches!(self, Outgoing::Http1Tls | Outgoing::Http2Tls)
    }
}

impl Cell {
    /// Where HTTP/2 carries it all the way.
    pub(super) fn is_http2(self) -> bool {
        self.incoming.is_http2() && self.outgoing.is_http2()
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} in, {:?} out", self.incoming, self.outgoing)
    }
}

/// Every combination that can be.
pub(super) fn all() -> Vec<Cell> {
    [rest(), grpc()].concat()
}

/// Those that are not gRPC.
pub(super) fn rest() -> Vec<Cell> {
    let ways = [Incoming::Http1, Incoming::Http1Tls, Incoming::Http2, Incoming::Http2Tls];
    product(&ways, &Outgoing::ALL)
}

/// Those that are gRPC: only HTTP/2 carries it.
pub(super) fn grpc() -> Vec<Cell> {
    product(&[Incoming::Grpc, Incoming::GrpcTls], &[Outgoing::Http2, Outgoing::Http2Tls])
}

/// Those that cannot be.
pub(super) fn grpc_over_http1() -> Vec<Cell> {
    product(&[Incoming::Grpc, Incoming::GrpcTls], &[Outgoing::Http1, Outgoing::Http1Tls])
}

fn product(ways_in: &[Incoming], ways_out: &[Outgoing]) -> Vec<Cell> {
    let with = |outgoing: &Outgoing| {
        let outgoing = *outgoing;
        ways_in.iter().map(move |incoming| Cell { incoming: *incoming, outgoing })
    };
    ways_out.iter().flat_map(with).collect()
}

/// Runs `judge` in each cell, one after another for a way out, before an upstream that does `script` with each request.
pub(super) async fn in_each(
    cells: Vec<Cell>,
    script: impl AsyncFn(Asked) + 'static,
    judge: impl AsyncFn(To) + 'static,
) {
    Run::usual().in_each(cells, script, judge).await;
}

/// How cells are run.
pub(super) struct Run {
    /// What is configured besides.
    pub(super) more: fn(Setup) -> Setup,
    /// A cell may take so long, unless it hangs.
    pub(super) patience: Duration,
    /// The cells of a way out are run side by side.
    pub(super) at_once: bool,
}

impl Run {
    pub(super) fn usual() -> Run {
        Run { more: |setup| setup, patience: Duration::from_secs(30), at_once: false }
    }

    pub(super) async fn in_each(
        self,
        cells: Vec<Cell>,
        script: impl AsyncFn(Asked) + 'static,
        judge: impl AsyncFn(To) + 'static,
    ) {
        let (script, judge, this) = (Rc::new(script), Rc::new(judge), Rc::new(self));
        let local = LocalSet::new();
        let failed = local.run_until(async {
            let mut running = Vec::new();
            for outgoing in Outgoing::ALL {
                let cells: Vec<Cell> =
                    cells.iter().copied().filter(|cell| cell.outgoing == outgoing).collect();
                if !cells.is_empty() {
                    let place = Place::start(outgoing, Rc::clone(&script), this.more).await;
                    running.push(spawn_local(Rc::clone(&this).run(place, cells, Rc::clone(&judge))));
                }
            }
            let mut failed = Vec::new();
            for one in running {
                failed.extend(one.await.expect("run"));
            }
            failed
        });
        let failed = failed.await;
        assert!(failed.is_empty(), "{} cells:\n{}", failed.len(), failed.join("\n"));
    }

    /// What went wrong where.
    async fn run(
        self: Rc<Self>,
        place: Place,
        cells: Vec<Cell>,
        judge: Rc<impl AsyncFn(To) + 'static>,
    ) -> Vec<String> {
        let (mut failed, mut running) = (Vec::new(), Vec::new());
        for cell in cells {
            let (judge, to) = (Rc::clone(&judge), place.to(cell));
            let judging = tokio::time::timeout(self.patience, async move { judge(to).await });
            running.push((cell, spawn_local(judging)));
            if !self.at_once {
                failed.extend(ended(&mut running).await);
            }
        }
        failed.extend(ended(&mut running).await);
        failed
    }
}

/// The clock of the workers cannot be paused, so whatever could end a silent stream does so after a second or two.
pub(super) fn short_deadlines(setup: Setup) -> Setup {
    setup
        .with("limits.idle_timeout", "1s")
        .with("limits.head_timeout", "2s")
        .with("limits.body_timeout", "1s")
        .with("upstream.idle_timeout", "100ms")
        .with("upstream.response_timeout", "2s")
        .with("upstream.ping_interval", "500ms")
}

/// Than every one of them.
pub(super) const LONGER: Duration = Duration::from_secs(6);

async fn ended(running: &mut Vec<(Cell, JoinHandle<Result<(), Elapsed>>)>) -> Vec<String> {
    let mut failed = Vec::new();
    for (cell, judging) in running.drain(..) {
        match judging.await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => failed.push(format!("{cell}: it hangs")),
            Err(panicked) => failed.push(format!("{cell}: {}", said(panicked))),
        }
    }
    failed
}

fn said(panicked: tokio::task::JoinError) -> String {
    let what = panicked.into_panic();
    match (what.downcast_ref::<String>(), what.downcast_ref::<&str>()) {
        (Some(text), _) => text.clone(),
        (_, Some(text)) => (*text).to_owned(),
        _ => resume_unwind(what),
    }
}

/// A proxy before an upstream.
pub(super) struct Place {
    world: World,
    upstream: Rc<Upstream>,
}

impl Place {
    /// The proxy has a listener in plaintext and one with TLS, and its token.
    pub(super) async fn start(
        outgoing: Outgoing,
        script: Rc<impl AsyncFn(Asked) + 'static>,
        more: fn(Setup) -> Setup,
    ) -> Place {
        let upstream = Upstream::start(outgoing, script).await;
        let files = TempDir::new().expect("a folder");
        authority::write(files.path());
        let folder = files.path().display();
        let scheme = |plain: &'static str, tls| if outgoing.is_tls() { tls } else { plain };
        let at = upstream.at;
        let mut setup = setup()
            .trusting(authority::ca_pem())
            // Alone, so that no other scope's token requests are in the way.
            .credentials(|line| !["OPERATE", "TASKLIST", "OPTIMIZE"].iter().any(|name| line.contains(name)))
            .with("scopes.zeebe.address", format!("{}://{at}/base", scheme("http", "https")))
            .with("scopes.zeebe.grpc_address", format!("{}://{at}", scheme("grpc", "grpcs")))
            .toml(format!(
                "[[listener]]\naddress = \"127.0.0.1:0\"\ntls = {{ cert_file = \"{folder}/cert.pem\", key_file = \"{folder}/key.pem\" }}\n"
            ));
        // Over TLS it is what ALPN says.
        if outgoing == Outgoing::Http2 {
            setup = setup.with("scopes.zeebe.protocol", "http2");
        }
        Place { world: more(setup).start().await, upstream }
    }

    pub(super) fn to(&self, cell: Cell) -> To {
        let (plain, tls) = (self.world.proxy, crate::common::tcp(&self.world.listener(1)));
        To { cell, at: if cell.incoming.is_tls() { tls } else { plain }, upstream: Rc::clone(&self.upstream) }
    }
}
