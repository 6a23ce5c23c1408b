//! One caller's connection: TLS and protocol under a deadline, then hyper until it ends.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio_rustls::TlsAcceptor;

use super::Limits;
use super::detect::{Protocol, detect};
use super::handover::{Entrance, Peer};
use super::heard::Heard;
use super::watch::{Order, Watch, Watched};
use crate::access::PeerProof;
use crate::certificate;
use crate::io::{Io, Replayed};
use crate::proxy::{Connection, OpenExchanges, Proxy};
use crate::tls::ALPN_HTTP2;

/// Buffers of an HTTP/1.1 connection grow to this; more would only serve slow readers.
const MAX_BUFFER: usize = 128 * 1024;
/// A request's head may have this many bytes, in either protocol.
const MAX_HEAD: usize = 64 * 1024;
/// Long polls and job streams stay open, and one gRPC client has one connection for all of them.
const MAX_STREAMS: u32 = 1000;
/// What one upload may have under way, and all uploads of a connection: one that nobody reads must not stop the others.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 64 << 20;
/// Workers cancel in bursts; the default of 20 would end their connections.
const CANCELLED_BEFORE_ACCEPTED: usize = 256;
const PING_INTERVAL: Duration = Duration::from_secs(60);
/// So much, and for so long, is read of what a caller sends that was told that it is not understood.
const LINGERING: u64 = 256 * 1024;
const LINGER: Duration = Duration::from_secs(1);

/// What a worker's connections have in common.
pub(super) struct Shared {
    pub(super) proxy: Rc<Proxy>,
    pub(super) watch: Watch,
    pub(super) limits: Limits,
}

/// Serves a connection until it ends, whoever ends it.
pub(super) async fn serve(worker: &Shared, entrance: Arc<Entrance>, peer: Peer) {
    let opening = tokio::time::timeout(worker.limits.head_timeout, open(&entrance, peer)).await;
    let Opened { io, protocol, local, proof } = match opening {
        Ok(Ok(opened)) => opened,
        // Scanners and probes connect and leave; that is no event.
        Ok(Err(_)) | Err(_) => return,
    };
    let door = Arc::clone(&entrance.door);
    let caller = proof.and_then(|proof| worker.proxy.caller_of(&proof));
    let connection = Rc::new(Connection { door, local, caller, open: OpenExchanges::default() });
    let watched = worker.watch.add(Rc::clone(&connection), protocol == Protocol::Http2);
    match protocol {
        Protocol::Http1 => serve_http1(worker, &connection, &watched, io).await,
        Protocol::Http2 => serve_http2(worker, &connection, &watched, io).await,
        Protocol::Tls => tracing::info!(
            target: "listener",
            listener = connection.door.name,
            "a caller speaks TLS, and this listener does not: use http:// or grpc:// there, or give the listener a certificate"
        ),
    }
    // Tunnels outlive the HTTP that made them.
    connection.open.over().await;
}

struct Opened {
    io: Replayed<Io>,
    protocol: Protocol,
    local: Option<std::net::SocketAddr>,
    /// What the connection proves of its caller.
    proof: Option<PeerProof>,
}

/// From a socket to the first bytes of a protocol.
async fn open(entrance: &Entrance, peer: Peer) -> io::Result<Opened> {
    let (mut io, local) = peer.open()?;
    let mut negotiated = None;
    let mut proof = match &io {
        Io::Unix(socket) => unix_proof(socket),
        _ => None,
    };
    if let Some(config) = &entrance.tls {
        let stream = TlsAcceptor::from(Arc::clone(config)).accept(Box::new(io)).await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        proof = shown.map(|shown| PeerProof::Certificate(certificate::names(shown))).or(proof);
        negotiated = stream.get_ref().1.alpn_protocol().map(|name| name == ALPN_HTTP2);
        io = Io::TlsServer(Box::new(stream));
    }
    let (seen, bytes) = detect(&mut io).await?;
    let protocol = match negotiated {
        Some(true) => Protocol::Http2,
        Some(false) => Protocol::Http1,
        None => seen,
    };
    Ok(Opened { io: Replayed::new(bytes, io), protocol, local, proof })
}

fn unix_proof(socket: &UnixStream) -> Option<PeerProof> {
    let peer = socket.peer_cred().ok()?;
    Some(PeerProof::Unix { uid: peer.uid(), gid: peer.gid() })
}

async fn serve_http1(worker: &Shared, connection: &Rc<Connection>, watched: &Rc<Watched>, io: Replayed<Io>) {
    let service = service_fn(|request| {
        // Boxed: hyper moves this future some times before it first runs, and a pointer moves faster.
        let answer = Box::pin(Rc::clone(&worker.proxy).serve(Rc::clone(connection), request));
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let io = Heard::new(io, connection.open.reads().clone());
    // Never `pipeline_flush`, although it saves writes: with it hyper no longer bounds what it buffers for a caller
    // that does not read.
    let mut serving = http1::Builder::new()
        .max_buf_size(MAX_BUFFER)
        .max_header_size(MAX_HEAD)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    let result = until_over(watched, |finish, cx| {
        let mut serving = Pin::new(&mut serving);
        if finish {
            serving.as_mut().graceful_shutdown();
        }
        serving.poll(cx)
    })
    .await;
    if let (Some(Err(error)), Some(parts)) = (result, serving.into_parts()) {
        let (io, held) = parts.io.into_inner().into_parts();
        if !held.is_empty() {
            let answer = worker.proxy.unreadable(connection, error.is_parse_too_large(), &error);
            let _ = tokio::time::timeout(worker.limits.head_timeout, part(io, &answer)).await;
        }
    }
}

/// The last answer of a connection. What the caller still sends is read for a while: closed upon unread bytes, the
/// connection would be reset, and the answer could be lost on its way.
async fn part(mut io: Replayed<Io>, answer: &[u8]) -> io::Result<()> {
    io.write_all(answer).await?;
    io.shutdown().await?;
    let (mut unread, mut nowhere) = (io.take(LINGERING), tokio::io::sink());
    let reading = tokio::io::copy(&mut unread, &mut nowhere);
    let _ = tokio::time::timeout(LINGER, reading).await;
    Ok(())
}

async fn serve_http2(worker: &Shared, connection: &Rc<Connection>, watched: &Rc<Watched>, io: Replayed<Io>) {
    let service = service_fn(|request| {
        // Boxed: hyper moves this future some times before it first runs, and a pointer moves faster.
        let answer = Box::pin(Rc::clone(&worker.proxy).serve(Rc::clone(connection), request));
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let serving = http2::Builder::new(OnThisThread)
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MAX_HEAD as u32)
        .max_pending_accept_reset_streams(CANCELLED_BEFORE_ACCEPTED)
        .keep_alive_interval(PING_INTERVAL)
        .serve_connection(TokioIo::new(io), service);
    let mut serving = std::pin::pin!(serving);
    until_over(watched, |finish, cx| {
        if finish {
            serving.as_mut().graceful_shutdown();
        }
        serving.as_mut().poll(cx)
    })
    .await;
}

/// Drives a connection, and passes on the orders that it gets meanwhile. `None` when it was cut.
async fn until_over<T>(
    watched: &Watched,
    mut drive: impl FnMut(bool, &mut Context<'_>) -> Poll<T>,
) -> Option<T> {
    poll_fn(|cx| match watched.poll_order(cx) {
        Some(Order::Cut) => Poll::Ready(None),
        Some(Order::Finish) => {
            let over = drive(true, cx);
            // Registers for the order after this one.
            if watched.poll_order(cx) == Some(Order::Cut) { Poll::Ready(None) } else { over.map(Some) }
        }
        None => drive(false, cx).map(Some),
    })
    .await
}

/// Runs what hyper spawns on the worker's own thread.
#[derive(Clone, Copy)]
struct OnThisThread;

impl<F: Future<Output = ()> + 'static> Executor<F> for OnThisThread {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
