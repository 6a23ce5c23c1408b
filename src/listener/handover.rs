//! What goes from the thread that accepts to the workers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rustls::ServerConfig;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::UnboundedSender;

use crate::io::Io;
use crate::proxy::Door;

/// What connections of one listener have in common.
pub struct Entrance {
    /// The listener, for the requests.
    pub door: Arc<Door>,
    /// TLS, if the listener speaks it.
    pub tls: Option<Arc<ServerConfig>>,
}

/// Where a worker takes its connections from.
#[derive(Clone)]
pub struct Acceptor {
    pub(super) hand: UnboundedSender<Accepted>,
    pub(super) load: Arc<AtomicUsize>,
}

/// A connection on its way to a worker.
pub(super) struct Accepted {
    pub(super) socket: Peer,
    pub(super) entrance: Arc<Entrance>,
    pub(super) place: Place,
}

#[derive(Debug)]
pub(super) enum Peer {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Peer {
    /// The connection in the current runtime, with our end's address.
    pub(super) fn open(self) -> io::Result<(Io, Option<SocketAddr>)> {
        match self {
            Peer::Tcp(socket) => {
                // Small messages must not wait for each other's acknowledgements.
                socket.set_nodelay(true)?;
                let local = socket.local_addr().ok();
                Ok((Io::Tcp(TcpStream::from_std(socket)?), local))
            }
            Peer::Unix(socket) => Ok((Io::Unix(UnixStream::from_std(socket)?), None)),
        }
    }
}

/// A connection's place in the limits; free again when dropped.
pub(super) struct Place {
    load: Arc<AtomicUsize>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.load.fetch_sub(1, Relaxed);
    }
}

/// Gives a connection to the worker that has the fewest.
pub(super) fn hand_over(
    socket: Peer,
    entrance: &Arc<Entrance>,
    workers: &[Acceptor],
    permit: OwnedSemaphorePermit,
) {
    let Some(worker) = workers.iter().min_by_key(|worker| worker.load.load(Relaxed)) else { return };
    worker.load.fetch_add(1, Relaxed);
    let place = Place { load: Arc::clone(&worker.load), _permit: permit };
    // A worker that is gone takes nothing; the connection is closed with the message.
    let _ = worker.hand.send(Accepted { socket, entrance: Arc::clone(entrance), place });
}
