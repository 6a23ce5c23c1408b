//! HTTP/2 upstream connections, in a client of our own: a set that grows before the peer's stream limit is reached.
//!
//! Of our own, because the token goes out with every request: other clients write out all of it each time, since they
//! cannot know that nobody can try values for it, and both sides then spend more on it than on the rest of the call.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::{Error, MAX_AGE};
use crate::http2::{Connection, Failure, Finish, MAX_STREAMS};
use crate::io::Io;
use crate::message::{request, response};

mod drive;

/// Cancellations that may follow each other at once on a connection, and the pace of more. Peers count resets
/// and end the whole connection, with everybody's streams, when there are too many (CVE-2023-44487).
const RESET_BURST: u32 = 16;
const RESET_INTERVAL: Duration = Duration::from_millis(10);

/// What a connection's task and its streams share.
type Shared = Rc<RefCell<Connection>>;

/// One connection. It ends when nobody holds it any more.
pub(super) struct Conn {
    connection: Shared,
    in_flight: Cell<usize>,
    /// How many fit, as of the last lease.
    limit: Cell<usize>,
    /// No new streams: it failed, was told to go away, or is too old.
    retired: Cell<bool>,
    opened: Instant,
    /// Whether a place was taken since the last sweep: no call reads the clock for it.
    used: Cell<bool>,
    /// Since when it has not been in use, as of the last sweep.
    unused_since: Cell<Instant>,
    /// When the next cancellation may go out, counted as if none came in a burst.
    next_reset: Cell<Instant>,
    /// Wakes who waits for a free stream.
    freed: Rc<Notify>,
}

impl Conn {
    /// Speaks HTTP/2 on `io` and waits for the peer's SETTINGS.
    pub(super) async fn open(io: Io, freed: Rc<Notify>, ping_interval: Duration) -> Result<Rc<Conn>, Error> {
        let connection = Rc::new(RefCell::new(Connection::client()));
        let (ready, settled) = oneshot::channel();
        tokio::task::spawn_local(drive::drive(
            Rc::clone(&connection),
            io,
            Rc::clone(&freed),
            ping_interval,
            ready,
        ));
        let _ = settled.await;
        let now = Instant::now();
        let conn = Rc::new(Conn {
            connection,
            in_flight: Cell::new(0),
            limit: Cell::new(MAX_STREAMS),
            retired: Cell::new(false),
            opened: now,
            used: Cell::new(false),
            unused_since: Cell::new(now),
            next_reset: Cell::new(now),
            freed,
        });
        match conn.is_retired() {
            false => Ok(conn),
            true => Err(Error::reset("HTTP/2: the connection was closed at once".to_owned())),
        }
    }

    /// Looks after it, every second: at what waits for callers, and whether it has been `unused` for so long, or open for too
    /// long. Then it takes no more streams, and ends when the last one does.
    pub(super) fn sweep(&self, unused: Duration) {
        self.connection.borrow_mut().settle();
        let now = Instant::now();
        if self.used.take() || self.in_flight.get() > 0 {
            self.unused_since.set(now);
        }
        if now - self.unused_since.get() > unused || now - self.opened > MAX_AGE {
            self.retired.set(true);
        }
    }

    /// A stream's place, if there is one.
    pub(super) fn lease(self: &Rc<Conn>) -> Option<Lease> {
        if self.is_retired() {
            return None;
        }
        self.limit.set(self.connection.borrow().max_streams().min(MAX_STREAMS));
        if self.in_flight.get() >= self.limit.get() {
            return None;
        }
        self.in_flight.set(self.in_flight.get() + 1);
        self.used.set(true);
        Some(Lease { conn: Rc::clone(self), stream: Cell::new(0) })
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.get()
    }

    /// Whether four fifths of its streams are in use.
    pub(super) fn is_crowded(&self) -> bool {
        self.in_flight.get() * 5 >= self.limit.get() * 4
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.get() || !self.connection.borrow().takes_streams()
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

impl Drop for Conn {
    fn drop(&mut self) {
        self.connection.borrow_mut().desert();
    }
}

/// A stream's place on a connection, free again when dropped.
pub(super) struct Lease {
    conn: Rc<Conn>,
    /// 0 before it is opened.
    stream: Cell<u32>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.conn.connection.borrow_mut().release(self.stream.get());
        self.conn.in_flight.set(self.conn.in_flight.get() - 1);
        self.conn.freed.notify_waiters();
    }
}

impl Lease {
    /// Opens the stream; `end` when nothing follows the head.
    pub(super) fn open(&self, head: &request::Head, end: bool) -> Result<(), Failure> {
        let stream = self.conn.connection.borrow_mut().open(head, end)?;
        self.stream.set(stream);
        Ok(())
    }

    /// Whether its connection has carried a request before.
    pub(super) fn is_reused(&self) -> bool {
        self.stream.get() > 1
    }

    /// Sends some of the request's body. Everything that was sent before must have gone, see [`Lease::poll_sendable`].
    pub(super) fn send(&self, data: Bytes, finish: Finish) {
        self.conn.connection.borrow_mut().send(self.stream.get(), data, finish);
    }

    /// Ready when everything that was sent has gone; false when nothing more is wanted.
    pub(super) fn poll_sendable(&self, cx: &mut Context<'_>) -> Poll<bool> {
        self.conn.connection.borrow_mut().poll_sendable(self.stream.get(), cx)
    }

    /// The heads of answers before the answer (1xx), and then the answer's.
    pub(super) fn poll_answer(&self, cx: &mut Context<'_>) -> Poll<Result<response::Head, Failure>> {
        self.conn.connection.borrow_mut().poll_answer(self.stream.get(), cx)
    }

    /// The next of the answer's data, then its trailers.
    pub(super) fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        self.conn.connection.borrow_mut().poll_frame(self.stream.get(), cx)
    }

    /// Whether all of the answer has been read.
    pub(super) fn is_drained(&self) -> bool {
        self.conn.connection.borrow().is_drained(self.stream.get())
    }

    /// Nobody reads the answer any more.
    pub(super) fn abandon(&self) {
        self.conn.connection.borrow_mut().abandon(self.stream.get());
    }

    /// Tells the peer to forget the stream, unless both sides are through with it: at once, or after its turn when
    /// many are cancelled. The place is taken until then.
    pub(super) fn cancel(self: Rc<Lease>) {
        if self.conn.connection.borrow().is_closed(self.stream.get()) {
            return;
        }
        let Some(due) = self.conn.reset_at() else { return self.reset() };
        tokio::task::spawn_local(async move {
            tokio::time::sleep_until(due).await;
            self.reset();
        });
    }

    fn reset(&self) {
        self.conn.connection.borrow_mut().reset(self.stream.get(), Failure::cancelled());
    }
}

#[cfg(test)]
mod tests;
