//! HTTP/2 upstream connections: a set that grows before the peer's stream limit is reached.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Connection, ResponseFuture, SendRequest};
use h2::{Ping, PingPong, SendStream};
use http::Request;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::Error;
use crate::io::Io;

/// What one answer may have under way towards a caller that does not read.
const STREAM_WINDOW: u32 = 1 << 20;
/// What all answers of a connection may; large, so that slow readers do not stop the others.
const CONNECTION_WINDOW: u32 = 64 << 20;
/// Our own limit of streams on a connection, whatever the peer allows: what a lost connection takes with it.
const MAX_STREAMS: usize = 128;
/// The peer's SETTINGS should be here after one round trip; a peer that is slower is used with h2's defaults.
const SETTINGS_WAIT: Duration = Duration::from_millis(250);
/// A ping unanswered for this long means that the connection is dead.
const PONG_WAIT: Duration = Duration::from_secs(20);
/// Cancellations that may follow each other at once on a connection, and the pace of more. Peers count resets
/// and end the whole connection, with everybody's streams, when there are too many (CVE-2023-44487).
const RESET_BURST: u32 = 16;
const RESET_INTERVAL: Duration = Duration::from_millis(10);

/// One connection.
pub(super) struct Conn {
    sender: RefCell<SendRequest<Bytes>>,
    in_flight: Cell<usize>,
    /// How many fit, as of the last lease.
    limit: Cell<usize>,
    /// No new streams: it failed, was told to go away, or is too old.
    retired: Cell<bool>,
    opened: Instant,
    used: Cell<Instant>,
    /// When the next cancellation may go out, counted as if none came in a burst.
    next_reset: Cell<Instant>,
    /// Wakes who waits for a free stream.
    freed: Rc<Notify>,
}

impl Conn {
    /// Speaks HTTP/2 on `io` and waits for the peer's SETTINGS.
    pub(super) async fn open(io: Io, freed: Rc<Notify>, ping_interval: Duration) -> Result<Rc<Conn>, Error> {
        let (sender, connection) = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(64 * 1024)
            .max_header_list_size(64 * 1024)
            .enable_push(false)
            // Late frames for streams that we cancelled are remembered and ignored: by default 1024 of them in a
            // connection's life end it.
            .max_concurrent_reset_streams(4096)
            .reset_stream_duration(Duration::from_secs(30))
            .max_local_error_reset_streams(None)
            // The upstream is trusted with small frames; the windows bound what they can hold.
            .data_frame_budget(usize::MAX)
            .handshake::<_, Bytes>(io)
            .await
            .map_err(|error| Error::reset(format!("HTTP/2: {error}")))?;
        let now = Instant::now();
        let conn = Rc::new(Conn {
            sender: RefCell::new(sender),
            in_flight: Cell::new(0),
            limit: Cell::new(MAX_STREAMS),
            retired: Cell::new(false),
            opened: now,
            used: Cell::new(now),
            next_reset: Cell::new(now),
            freed,
        });
        let (ready, settled) = oneshot::channel();
        tokio::task::spawn_local(drive(Rc::clone(&conn), connection, ping_interval, ready));
        let _ = settled.await;
        match conn.retired.get() {
            false => Ok(conn),
            true => Err(Error::reset("HTTP/2: the connection was closed at once".to_owned())),
        }
    }

    /// A stream's place, if there is one.
    pub(super) fn lease(self: &Rc<Conn>) -> Option<Lease> {
        if self.retired.get() {
            return None;
        }
        let mut sender = self.sender.borrow_mut();
        self.limit.set(sender.current_max_send_streams().min(MAX_STREAMS));
        if self.in_flight.get() >= self.limit.get() {
            return None;
        }
        // Nobody waits here: a connection that still has to open an earlier stream counts as full.
        match sender.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) => {
                self.retired.set(true);
                return None;
            }
            Poll::Pending => return None,
        }
        self.in_flight.set(self.in_flight.get() + 1);
        self.used.set(Instant::now());
        Some(Lease { conn: Rc::clone(self) })
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.get()
    }

    /// Whether four fifths of its streams are in use.
    pub(super) fn is_crowded(&self) -> bool {
        self.in_flight.get() * 5 >= self.limit.get() * 4
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.get()
    }

    /// Takes no more streams; ends when the last one does.
    pub(super) fn retire(&self) {
        self.retired.set(true);
    }

    pub(super) fn is_older_than(&self, age: Duration) -> bool {
        self.opened.elapsed() > age
    }

    pub(super) fn is_unused_for(&self, time: Duration) -> bool {
        self.in_flight.get() == 0 && self.used.get().elapsed() > time
    }

    /// When the next cancellation may be sent; `None` at once.
    fn reset_at(&self) -> Option<Instant> {
        let now = Instant::now();
        let slot = self.next_reset.get().max(now);
        self.next_reset.set(slot + RESET_INTERVAL);
        let due = slot.checked_sub(RESET_INTERVAL * RESET_BURST)?;
        (due > now).then_some(due)
    }
}

/// Drives the connection until it ends, and asks now and then whether the other side is still there.
async fn drive(
    conn: Rc<Conn>,
    mut connection: Connection<Io, Bytes>,
    ping_interval: Duration,
    ready: oneshot::Sender<()>,
) {
    let pings = connection.ping_pong();
    let watch = async {
        let Some(mut pings) = pings else { return std::future::pending().await };
        // A peer's SETTINGS come before its answer to a ping, so that its stream limit is known then.
        let _ = tokio::time::timeout(SETTINGS_WAIT, pings.ping(Ping::opaque())).await;
        let _ = ready.send(());
        while is_alive(&conn, &mut pings, ping_interval).await {}
    };
    let cause = tokio::select! {
        biased;
        result = &mut connection => result.err().map(|error| error.to_string()),
        () = watch => Some("no answer to a ping".to_owned()),
    };
    conn.retire();
    conn.freed.notify_waiters();
    if let Some(cause) = cause {
        tracing::debug!(target: "upstream", cause, streams = conn.in_flight(), "an HTTP/2 connection ended");
    }
}

async fn is_alive(conn: &Conn, pings: &mut PingPong, interval: Duration) -> bool {
    tokio::time::sleep(interval).await;
    // Without a call under way a ping could only annoy: gRPC servers count those.
    if conn.in_flight() == 0 {
        return true;
    }
    matches!(tokio::time::timeout(PONG_WAIT, pings.ping(Ping::opaque())).await, Ok(Ok(_)))
}

/// A stream's place on a connection, free again when dropped.
pub(super) struct Lease {
    conn: Rc<Conn>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.conn.in_flight.set(self.conn.in_flight.get() - 1);
        self.conn.freed.notify_waiters();
    }
}

impl Lease {
    /// Opens the stream. Without a place on its connection after all, that connection takes no more streams.
    pub(super) fn open(
        &self,
        head: Request<()>,
        end: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        let opened = self.conn.sender.borrow_mut().send_request(head, end);
        if opened.is_err() {
            self.conn.retire();
        }
        opened
    }

    /// The connection was told to go away: it takes no more streams.
    pub(super) fn retire_connection(&self) {
        self.conn.retire();
    }

    /// When this stream may be cancelled; `None` at once.
    pub(super) fn reset_at(&self) -> Option<Instant> {
        self.conn.reset_at()
    }
}
