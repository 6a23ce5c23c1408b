//! Accepting: connections go to the worker that has the fewest.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::bind::{Bound, Socket};
use super::connection::Entrance;
use crate::shutdown::{Phase, Shutdown};

/// After an error that is the system's and not one connection's, such as EMFILE: who is connected goes on, and the
/// rest wait in the kernel's queue.
const PAUSE: Duration = Duration::from_millis(100);

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

enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listening {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Peer>> {
        // Handed over as plain sockets: each worker has its own event queue.
        Poll::Ready(match self {
            Listening::Tcp(listener) => {
                ready!(listener.poll_accept(cx)).and_then(|(stream, _)| stream.into_std().map(Peer::Tcp))
            }
            Listening::Unix(listener) => {
                ready!(listener.poll_accept(cx)).and_then(|(stream, _)| stream.into_std().map(Peer::Unix))
            }
        })
    }
}

/// Accepts until the process drains; then takes what has already connected, and closes the socket.
///
/// # Errors
/// When the socket cannot be watched at all.
pub async fn accept(
    bound: Bound,
    entrance: Arc<Entrance>,
    workers: Vec<Acceptor>,
    permits: Arc<Semaphore>,
    shutdown: Shutdown,
) -> io::Result<()> {
    let listening = match bound.socket {
        Socket::Tcp(listener) => Listening::Tcp(TcpListener::from_std(listener)?),
        Socket::Unix(listener) => Listening::Unix(UnixListener::from_std(listener)?),
    };
    let mut failing = false;
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return Ok(()) };
        let accepted = tokio::select! {
            biased;
            accepted = poll_fn(|cx| listening.poll_accept(cx)) => accepted,
            // The arm above was asked first: nobody is waiting any more.
            () = shutdown.reached(Phase::Draining) => return Ok(()),
        };
        match accepted {
            Ok(socket) => {
                failing = false;
                hand_over(socket, &entrance, &workers, permit);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if !failing {
                    let listener = &entrance.door.name;
                    tracing::warn!(target: "listener", listener, %error, "cannot accept connections; trying again");
                }
                failing = true;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn hand_over(socket: Peer, entrance: &Arc<Entrance>, workers: &[Acceptor], permit: OwnedSemaphorePermit) {
    let Some(worker) = workers.iter().min_by_key(|worker| worker.load.load(Relaxed)) else { return };
    worker.load.fetch_add(1, Relaxed);
    let place = Place { load: Arc::clone(&worker.load), _permit: permit };
    // A worker that is gone takes nothing; the connection is closed with the message.
    let _ = worker.hand.send(Accepted { socket, entrance: Arc::clone(entrance), place });
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
