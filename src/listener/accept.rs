//! Accepting: connections go to the worker that has the fewest.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};

use super::bind::{Bound, Socket};
use super::handover::{Acceptor, Entrance, Peer, hand_over};
use super::places::Places;
use crate::io::Io;
use crate::shutdown::{Phase, Shutdown};
use crate::trouble::Trouble;

/// After an error that is the system's and not one connection's, such as EMFILE: who is connected goes on, and the
/// rest wait in the kernel's queue.
const PAUSE: Duration = Duration::from_millis(100);

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
            Socketed::Tcp(listener) => ready!(listener.poll_accept(cx))
                .and_then(|(stream, from)| Ok(Peer::Tcp(stream.into_std()?, from))),
            Socketed::Unix(listener) => ready!(listener.poll_accept(cx)).and_then(|(stream, _)| {
                let uid = stream.peer_cred().ok().map(|peer| peer.uid());
                Ok(Peer::Unix(stream.into_std()?, uid))
            }),
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
    places: Arc<Places>,
    shutdown: Shutdown,
) -> io::Result<()> {
    let listening = Listening::new(bound)?;
    let listener = &*entrance.door.name;
    let trouble = Trouble::default();
    let seen = |why: &dyn fmt::Display| {
        if trouble.begins() {
            tracing::warn!(target: "listener", listener, %why, "cannot accept more connections for now: they wait");
        }
    };
    loop {
        if places.are_taken() {
            seen(&"as many are open as may be");
        }
        let Some(permit) = places.free().await else { return Ok(()) };
        let accepted = tokio::select! {
            biased;
            accepted = poll_fn(|cx| listening.poll_accept(cx)) => accepted,
            // The arm above was asked first: nobody is waiting any more.
            () = shutdown.reached(Phase::Draining) => return Ok(()),
        };
        match accepted {
            Ok(socket) => {
                if trouble.is_over() {
                    tracing::info!(target: "listener", listener, "accepts every connection again");
                }
                if let Some(place) = places.seat(&socket, permit) {
                    hand_over(socket, &entrance, &workers, place);
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                seen(&error);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
