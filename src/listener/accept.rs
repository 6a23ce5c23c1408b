//! Accepting: connections go to the worker that has the fewest.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::bind::{Bound, Socket};
use super::handover::{Acceptor, Entrance, Peer, hand_over};
use crate::io::Io;
use crate::shutdown::{Phase, Shutdown};

/// After an error that is the system's and not one connection's, such as EMFILE: who is connected goes on, and the
/// rest wait in the kernel's queue.
const PAUSE: Duration = Duration::from_millis(100);

/// Trouble that did not come back for this long is over.
const CALM: Duration = Duration::from_secs(10);

/// A bound socket in a runtime.
pub struct Listening(Socketed);

enum Socketed {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listening {
    /// Watches the socket in the current runtime.
    ///
    /// # Errors
    /// When the runtime cannot watch it.
    pub fn new(bound: Bound) -> io::Result<Listening> {
        Ok(Listening(match bound.socket {
            Socket::Tcp(listener) => Socketed::Tcp(TcpListener::from_std(listener)?),
            Socket::Unix(listener) => Socketed::Unix(UnixListener::from_std(listener)?),
        }))
    }

    /// The next connection, for this runtime, with our end's address.
    ///
    /// # Errors
    /// When the system gives none.
    pub async fn accept(&self) -> io::Result<(Io, Option<SocketAddr>)> {
        poll_fn(|cx| self.poll_accept(cx)).await?.open()
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Peer>> {
        // Handed over as plain sockets: each worker has its own event queue.
        Poll::Ready(match &self.0 {
            Socketed::Tcp(listener) => {
                ready!(listener.poll_accept(cx)).and_then(|(stream, _)| stream.into_std().map(Peer::Tcp))
            }
            Socketed::Unix(listener) => {
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
    let listening = Listening::new(bound)?;
    let mut trouble = Trouble { listener: &entrance.door.name, last: None };
    loop {
        if permits.available_permits() == 0 {
            trouble.seen(&"as many are open as may be");
        }
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return Ok(()) };
        let accepted = tokio::select! {
            biased;
            accepted = poll_fn(|cx| listening.poll_accept(cx)) => accepted,
            // The arm above was asked first: nobody is waiting any more.
            () = shutdown.reached(Phase::Draining) => return Ok(()),
        };
        match accepted {
            Ok(socket) => {
                trouble.passed();
                hand_over(socket, &entrance, &workers, permit);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                trouble.seen(&error);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// No more connections are taken: told once, and not each time it comes and goes, because near a limit every
/// connection that ends lets one in and keeps the next one out.
struct Trouble<'a> {
    listener: &'a str,
    last: Option<Instant>,
}

impl Trouble<'_> {
    fn seen(&mut self, why: &dyn fmt::Display) {
        if self.last.replace(Instant::now()).is_none() {
            let listener = self.listener;
            tracing::warn!(target: "listener", listener, %why, "cannot accept more connections for now: they wait");
        }
    }

    fn passed(&mut self) {
        if self.last.is_some_and(|last| last.elapsed() > CALM) {
            self.last = None;
            let listener = self.listener;
            tracing::info!(target: "listener", listener, "accepts every connection again");
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
