//! One caller's connection: TLS and protocol under a deadline, then HTTP until it ends.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio_rustls::TlsAcceptor;

use super::Limits;
use super::detect::{Protocol, detect};
use super::handover::{Entrance, Peer};
use super::heard::Heard;
use super::http2;
use super::places::Place;
use super::watch::{Order, PARTING, Watch, Watched};
use crate::access::PeerProof;
use crate::body::Arriving;
use crate::certificate;
use crate::io::{Io, Replayed, poll_some_bytes};
use crate::proxy::relay::Guess;
use crate::proxy::{Connection, OpenExchanges, Proxy};
use crate::tls::ALPN_HTTP2;

/// Buffers of an HTTP/1.1 connection grow to this; more would only serve slow readers.
const MAX_BUFFER: usize = 128 * 1024;
/// So much, and for so long, is read of what a caller sends that was told that it is not understood.
pub(super) const LINGERING: u64 = 256 * 1024;
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// What a worker's connections have in common.
pub(super) struct Shared {
    pub(super) proxy: Rc<Proxy>,
    pub(super) watch: Watch,
    pub(super) limits: Limits,
    /// What HTTP/2 connections read into, each in its turn.
    pub(super) spare: Cell<BytesMut>,
}

/// Serves a connection until it ends, whoever ends it.
pub(super) async fn serve(worker: &Shared, entrance: Arc<Entrance>, peer: Peer, place: &mut Place) {
    let in_time = if place.is_told() { PARTING } else { worker.limits.head_timeout };
    // Boxed, as is what follows: a connection that rests takes only the memory that it needs for that.
    let opening = tokio::time::timeout(in_time, Box::pin(open(&entrance, peer))).await;
    let Opened { io, protocol, local, proof } = match opening {
        Ok(Ok(opened)) => opened,
        // Scanners and probes connect and leave; that is no event.
        Ok(Err(_)) | Err(_) => return,
    };
    let door = Arc::clone(&entrance.door);
    let caller = proof.and_then(|proof| worker.proxy.caller_of(&proof));
    let has_place = caller.as_ref().is_none_or(|caller| place.is_of(caller.name()));
    let turned_away = !has_place || place.is_told();
    let (open, guess) = (OpenExchanges::default(), Guess::default());
    let connection = Rc::new(Connection { door, local, caller, turned_away, open, guess });
    let watched = worker.watch.add(Rc::clone(&connection), protocol == Protocol::Http2);
    match protocol {
        Protocol::Http1 => serve_http1(worker, &connection, &watched, io).await,
        Protocol::Http2 => Box::pin(http2::serve(worker, &connection, &watched, io)).await,
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

/// HTTP/1.1, as long as there is something to say; between requests, nothing but the socket.
async fn serve_http1(
    worker: &Shared,
    connection: &Rc<Connection>,
    watched: &Rc<Watched>,
    mut io: Replayed<Io>,
) {
    loop {
        watched.set_can_rest(true);
        let Some(resting) = Box::pin(speak_http1(worker, connection, watched, io)).await else { return };
        watched.set_can_rest(false);
        connection.open.reads().forget();
        let Some(woken) = rest(resting, watched).await else { return };
        io = woken;
    }
}

/// Waits for the next request. `None` when none comes.
async fn rest(mut io: Replayed<Io>, watched: &Watched) -> Option<Replayed<Io>> {
    let bytes = poll_fn(|cx| match watched.poll_order(cx) {
        Some(Order::Cut | Order::Finish) => Poll::Ready(Ok(Bytes::new())),
        // Neither is for who rests.
        Some(Order::Rest | Order::Ask) | None => poll_some_bytes(&mut io, cx),
    });
    let bytes = bytes.await.ok()?;
    if bytes.is_empty() {
        // TLS says goodbye.
        let _ = tokio::time::timeout(LINGER, io.shutdown()).await;
        return None;
    }
    Some(io.with(bytes))
}

/// Serves requests until the connection is over, or rests.
async fn speak_http1(
    worker: &Shared,
    connection: &Rc<Connection>,
    watched: &Rc<Watched>,
    io: Replayed<Io>,
) -> Option<Replayed<Io>> {
    let service = service_fn(|request| {
        // Boxed: hyper moves this future some times before it first runs, and a pointer moves faster.
        let request = request.map(Arriving::http1);
        let answer = Box::pin(Rc::clone(&worker.proxy).serve(Rc::clone(connection), request));
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let io = Heard::new(io, connection.open.reads().clone(), connection.open.writes().clone());
    // Never `pipeline_flush`, although it saves writes: with it hyper no longer bounds what it buffers for a caller
    // that does not read.
    let mut serving = http1::Builder::new()
        .max_buf_size(MAX_BUFFER)
        .max_header_size(worker.limits.head_size)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    let may_rest = || connection.open.is_idle();
    let over = until_over(watched, may_rest, |finish, cx| {
        let mut serving = Pin::new(&mut serving);
        if finish {
            serving.as_mut().graceful_shutdown();
        }
        serving.poll(cx)
    })
    .await;
    let parts = serving.into_parts()?;
    let (io, held) = parts.io.into_inner().into_parts();
    match over {
        Over::Resting => return Some(io.with(parts.read_buf)),
        Over::Ended(Err(error)) if !held.is_empty() => {
            let answer = worker.proxy.unreadable(connection, error.is_parse_too_large(), &error);
            let _ = tokio::time::timeout(worker.limits.head_timeout, part(io, &answer)).await;
        }
        Over::Ended(_) | Over::Cut => {}
    }
    None
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

/// How the serving of a connection ends.
enum Over<T> {
    Ended(T),
    Cut,
    /// There is nothing to do for now.
    Resting,
}

/// Drives a connection, and passes on the orders that it gets meanwhile. It rests when told to, if it may.
async fn until_over<T>(
    watched: &Watched,
    may_rest: impl Fn() -> bool,
    mut drive: impl FnMut(bool, &mut Context<'_>) -> Poll<T>,
) -> Over<T> {
    poll_fn(|cx| {
        let mut order = watched.poll_order(cx);
        loop {
            if order == Some(Order::Cut) {
                return Poll::Ready(Over::Cut);
            }
            if let Poll::Ready(ended) = drive(order == Some(Order::Finish), cx) {
                return Poll::Ready(Over::Ended(ended));
            }
            // A request may have come with the order, or the answer before it may not have gone yet.
            if order == Some(Order::Rest) && may_rest() {
                return Poll::Ready(Over::Resting);
            }
            if order.is_none() {
                return Poll::Pending;
            }
            // Registers for the order after this one.
            order = watched.poll_order(cx);
        }
    })
    .await
}
