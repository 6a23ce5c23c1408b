//! One caller's connection: TLS and protocol under a deadline, then HTTP until it ends.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::net::UnixStream;
use tokio_rustls::TlsAcceptor;

use super::Limits;
use super::detect::{Protocol, detect};
use super::handover::{Entrance, Peer};
use super::places::Place;
use super::watch::{PARTING, Watch};
use super::{http1, http2};
use crate::access::PeerProof;
use crate::certificate;
use crate::io::{Io, Replayed};
use crate::proxy::relay::Guess;
use crate::proxy::{Connection, OpenExchanges, Proxy};
use crate::tls::ALPN_HTTP2;

/// So much, and for so long, is read of what a caller sends that was told that it is not understood.
pub(super) const LINGERING: usize = 256 * 1024;
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
    let Opened { io, read, protocol, local, proof } = match opening {
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
        Protocol::Http1 => Box::pin(http1::serve(worker, &connection, &watched, io, read)).await,
        Protocol::Http2 => {
            Box::pin(http2::serve(worker, &connection, &watched, Replayed::new(read, io))).await;
        }
        Protocol::Tls => tracing::info!(
            target: "listener",
            listener = connection.door.name,
            "a caller speaks TLS, and this listener does not: use http:// or grpc:// there, or give the listener a certificate"
        ),
    }
    // Of a connection that has broken, too: its place is not free before they have noticed.
    connection.open.over().await;
}

struct Opened {
    io: Io,
    /// What was read to see the protocol.
    read: Bytes,
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
    let (seen, read) = detect(&mut io).await?;
    let protocol = match negotiated {
        Some(true) => Protocol::Http2,
        Some(false) => Protocol::Http1,
        None => seen,
    };
    Ok(Opened { io, read, protocol, local, proof })
}

fn unix_proof(socket: &UnixStream) -> Option<PeerProof> {
    let peer = socket.peer_cred().ok()?;
    Some(PeerProof::Unix { uid: peer.uid(), gid: peer.gid() })
}
