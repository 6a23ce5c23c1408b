//! One caller's connection: TLS and protocol under a deadline, then hyper until it ends.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio_rustls::TlsAcceptor;

use super::Limits;
use super::detect::{Protocol, detect};
use super::handover::{Entrance, Peer};
use super::watch::{Heard, Order, Watch, Watched};
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

/// What a worker's connections have in common.
pub(super) struct Shared {
    pub(super) proxy: Rc<Proxy>,
    pub(super) watch: Watch,
    pub(super) limits: Limits,
}

/// Serves a connection until it ends, whoever ends it.
pub(super) async fn serve(worker: &Shared, entrance: Arc<Entrance>, peer: Peer) {
    let opening = tokio::time::timeout(worker.limits.head_timeout, open(&entrance, peer)).await;
    let (io, protocol, local) = match opening {
        Ok(Ok(opened)) => opened,
        // Scanners and probes connect and leave; that is no event.
        Ok(Err(_)) | Err(_) => return,
    };
    let door = Arc::clone(&entrance.door);
    let connection = Rc::new(Connection { door, local, open: OpenExchanges::default() });
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

type Opened = (Replayed<Io>, Protocol, Option<std::net::SocketAddr>);

/// From a socket to the first bytes of a protocol.
async fn open(entrance: &Entrance, peer: Peer) -> io::Result<Opened> {
    let (mut io, local) = peer.open()?;
    let mut negotiated = None;
    if let Some(config) = &entrance.tls {
        let stream = TlsAcceptor::from(Arc::clone(config)).accept(Box::new(io)).await?;
        negotiated = stream.get_ref().1.alpn_protocol().map(|name| name == ALPN_HTTP2);
        io = Io::TlsServer(Box::new(stream));
    }
    let (seen, bytes) = detect(&mut io).await?;
    let protocol = match negotiated {
        Some(true) => Protocol::Http2,
        Some(false) => Protocol::Http1,
        None => seen,
    };
    Ok((Replayed::new(bytes, io), protocol, local))
}

async fn serve_http1(worker: &Shared, connection: &Rc<Connection>, watched: &Rc<Watched>, io: Replayed<Io>) {
    let service = service_fn(|request| {
        // Boxed: hyper moves this future some times before it first runs, and a pointer moves faster.
        let answer = Box::pin(Rc::clone(&worker.proxy).serve(Rc::clone(connection), request));
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let io = Heard { inner: io, reads: connection.open.reads() };
    // Never `pipeline_flush`, although it saves writes: with it hyper no longer bounds what it buffers for a caller
    // that does not read.
    let serving = http1::Builder::new()
        .max_buf_size(MAX_BUFFER)
        .max_header_size(MAX_HEAD)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    let mut serving = std::pin::pin!(serving);
    until_over(watched, |finish, cx| {
        if finish {
            serving.as_mut().graceful_shutdown();
        }
        serving.as_mut().poll(cx).map(drop)
    })
    .await;
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
        serving.as_mut().poll(cx).map(drop)
    })
    .await;
}

/// Drives a connection, and passes on the orders that it gets meanwhile.
async fn until_over(watched: &Watched, mut drive: impl FnMut(bool, &mut Context<'_>) -> Poll<()>) {
    poll_fn(|cx| match watched.poll_order(cx) {
        Some(Order::Cut) => Poll::Ready(()),
        Some(Order::Finish) => {
            let over = drive(true, cx);
            // Registers for the order after this one.
            if watched.poll_order(cx) == Some(Order::Cut) { Poll::Ready(()) } else { over }
        }
        None => drive(false, cx),
    })
    .await;
}

/// Runs what hyper spawns on the worker's own thread.
#[derive(Clone, Copy)]
struct OnThisThread;

impl<F: Future<Output = ()> + 'static> Executor<F> for OnThisThread {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
