//! What goes from the thread that accepts to the workers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rustls::ServerConfig;
use socket2::SockRef;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc::UnboundedSender;

use super::places::Place;
use crate::io::Io;
use crate::proxy::Door;

/// How much the kernel keeps for a caller besides what is on its way to it.
const UNSENT: u32 = 128 * 1024;

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
    pub(super) burden: Burden,
}

#[derive(Debug)]
pub(super) enum Peer {
    /// With the address at its other end.
    Tcp(std::net::TcpStream, SocketAddr),
    /// With the user of the process at its other end.
    Unix(std::os::unix::net::UnixStream, Option<u32>),
}

impl Peer {
    /// The connection in the current runtime, with our end's address.
    pub(super) fn open(self) -> io::Result<(Io, Option<SocketAddr>)> {
        match self {
            Peer::Tcp(socket, _) => {
                // Small messages must not wait for each other's acknowledgements.
                socket.set_nodelay(true)?;
                // Where the kernel does not know it, it takes megabytes for a caller that does not read.
                let _ = SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT);
                let local = socket.local_addr().ok();
                Ok((Io::Tcp(TcpStream::from_std(socket)?), local))
            }
            Peer::Unix(socket, _) => Ok((Io::Unix(UnixStream::from_std(socket)?), None)),
        }
    }
}

/// One of a worker's connections, for as long as it lives.
pub(super) struct Burden(Arc<AtomicUsize>);

impl Drop for Burden {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Gives a connection to the worker that has the fewest.
pub(super) fn hand_over(socket: Peer, entrance: &Arc<Entrance>, workers: &[Acceptor], place: Place) {
    let Some(worker) = workers.iter().min_by_key(|worker| worker.load.load(Relaxed)) else { return };
    worker.load.fetch_add(1, Relaxed);
    let burden = Burden(Arc::clone(&worker.load));
    // A worker that is gone takes nothing; the connection is closed with the message.
    let _ = worker.hand.send(Accepted { socket, entrance: Arc::clone(entrance), place, burden });
}
