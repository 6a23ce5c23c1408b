//! What a caller sends: one request after the other, each body read by whoever wants it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http_body::Frame;

use super::request::{Head, Unreadable, take_request};
use super::wire::Wire;
use super::{Decoder, Piece};
use crate::io::{Io, Replayed};

/// A connection whose peer sends requests. Shared by who serves it and by who reads the body of the request that came last.
pub(crate) struct Inbound {
    wire: Wire,
    /// How much of an incomplete head was looked at: one that comes in pieces is not read anew with each.
    looked: Cell<usize>,
    body: RefCell<Decoder>,
    /// Nobody reads the rest of the body.
    let_go: Cell<bool>,
    expects: Cell<Expects>,
    /// Who waits for the end of the body.
    waiting: Cell<Option<Waker>>,
}

/// A request that has come.
pub(crate) struct Incoming {
    pub(crate) head: Head,
    pub(crate) body: Option<Reader>,
}

/// Whether the peer waits to be told to go on (RFC 9110 §10.1.1).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expects {
    No,
    Yes,
    /// It does, and its body is wanted.
    Now,
}

impl Inbound {
    /// A connection of which something may have been read.
    pub(crate) fn new(io: Io, read: BytesMut) -> Inbound {
        Inbound {
            wire: Wire::with(io, read),
            looked: Cell::new(0),
            body: RefCell::new(Decoder::Length(0)),
            let_go: Cell::new(false),
            expects: Cell::new(Expects::No),
            waiting: Cell::new(None),
        }
    }

    /// Where answers go.
    pub(crate) fn wire(&self) -> &Wire {
        &self.wire
    }

    /// The next request's head of at most so many octets, with its body if it has one; `None` when the peer sends no more.
    ///
    /// # Errors
    /// When that cannot be read; nothing after it can either.
    pub(crate) fn poll_request(
        self: &Rc<Inbound>,
        max: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Incoming>, Unreadable>> {
        loop {
            if let Some(head) = self.take_head(max)? {
                return Poll::Ready(Ok(Some(self.begin(head))));
            }
            if !self.has_begun() {
                self.wire.rest();
            }
            // A head that is cut short was not meant for anybody.
            match ready!(self.wire.poll_fill(cx)) {
                Ok(0) | Err(_) => return Poll::Ready(Ok(None)),
                Ok(_) => {}
            }
        }
    }

    fn take_head(&self, max: usize) -> Result<Option<Head>, Unreadable> {
        self.wire.with_read(|read| {
            let looked = self.looked.get();
            // From its second piece on a head is read when its last line may be here.
            if looked > 0 && read.len() <= max && !has_empty_line(&read[looked.saturating_sub(3)..]) {
                self.looked.set(read.len());
                return Ok(None);
            }
            let head = take_request(read, max)?;
            self.looked.set(if head.is_some() { 0 } else { read.len() });
            Ok(head)
        })
    }

    fn begin(self: &Rc<Inbound>, head: Head) -> Incoming {
        let body = Decoder::of_request(head.framing);
        if body.is_over() {
            return Incoming { head, body: None };
        }
        self.body.replace(body);
        self.let_go.set(false);
        self.expects.set(if head.expects { Expects::Yes } else { Expects::No });
        Incoming { head, body: Some(Reader { inbound: Rc::clone(self), over: false }) }
    }

    /// The connection itself.
    pub(crate) fn into_io(self) -> Replayed<Io> {
        self.wire.into_io()
    }

    /// Whether a head has begun and is not all here.
    pub(crate) fn has_begun(&self) -> bool {
        self.wire.with_read(|read| !read.is_empty())
    }

    /// Whether the body has been read to its end.
    pub(crate) fn is_over(&self) -> bool {
        self.body.borrow().is_over()
    }

    /// Whether the peer waits for `100 Continue`, and has not been told.
    pub(crate) fn expects(&self) -> bool {
        self.expects.get() != Expects::No
    }

    /// Whether it is to be told now. Says so once.
    pub(crate) fn take_wanted(&self) -> bool {
        let wanted = self.expects.get() == Expects::Now;
        if wanted {
            self.expects.set(Expects::No);
        }
        wanted
    }

    /// From now on nobody is told to go on: an answer has begun.
    pub(crate) fn stop_expecting(&self) {
        self.expects.set(Expects::No);
    }

    /// Ready when the peer has left, while nothing of it is awaited. What it sends ahead stays where it is.
    pub(crate) fn poll_left(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_over() || self.has_begun() {
            return Poll::Pending;
        }
        match ready!(self.wire.poll_fill(cx)) {
            Ok(0) | Err(_) => Poll::Ready(()),
            Ok(_) => Poll::Pending,
        }
    }

    /// Ready when nobody reads the body any more, be it over or not.
    pub(crate) fn poll_let_go(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_over() || self.let_go.get() {
            return Poll::Ready(());
        }
        self.waiting.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    /// Reads and forgets what is left of the body; ready with true at its end, with false when it is longer than `left`.
    pub(crate) fn poll_drain(&self, left: &mut usize, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            match self.poll_piece(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(Piece::Data(data))) => match left.checked_sub(data.len()) {
                    Some(rest) => *left = rest,
                    None => return Poll::Ready(false),
                },
                Poll::Ready(Ok(_)) => return Poll::Ready(true),
                Poll::Ready(Err(_)) => return Poll::Ready(false),
            }
        }
    }

    fn poll_piece(&self, cx: &mut Context<'_>) -> Poll<io::Result<Piece>> {
        loop {
            match self.wire.with_read(|read| self.body.borrow_mut().take(read))? {
                Piece::Partial => {}
                piece => return Poll::Ready(Ok(piece)),
            }
            if ready!(self.wire.poll_fill(cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    fn stop_reading(&self, over: bool) {
        self.let_go.set(!over);
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }
}

/// A request's body as it comes. Dropping it before its end tells that nobody wants the rest.
pub(crate) struct Reader {
    inbound: Rc<Inbound>,
    over: bool,
}

impl Reader {
    pub(crate) fn is_end_stream(&self) -> bool {
        self.over
    }

    /// The octets that are still to come, where that is known.
    pub(crate) fn left(&self) -> Option<u64> {
        if self.over { Some(0) } else { self.inbound.body.borrow().left() }
    }

    /// The next data, then trailers, `None` at their end. What is not asked for stays in the socket: this is the
    /// back-pressure.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.over {
            return Poll::Ready(None);
        }
        let inbound = &self.inbound;
        if inbound.expects.get() == Expects::Yes {
            inbound.expects.set(Expects::Now);
        }
        let piece = match ready!(inbound.poll_piece(cx)) {
            Ok(piece) => piece,
            Err(cause) => return Poll::Ready(Some(Err(cause))),
        };
        self.over = inbound.is_over();
        if self.over {
            inbound.stop_reading(true);
        }
        Poll::Ready(match piece {
            Piece::Data(data) => Some(Ok(Frame::data(data))),
            Piece::Trailers(trailers) => Some(Ok(Frame::trailers(trailers))),
            Piece::End | Piece::Partial => None,
        })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if !self.over {
            self.inbound.stop_reading(false);
        }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("over", &self.over).finish_non_exhaustive()
    }
}

fn has_empty_line(octets: &[u8]) -> bool {
    // Lines may end without their CR (RFC 9112 §2.2).
    octets.windows(2).any(|two| two == b"\n\n") || octets.windows(3).any(|three| three == b"\n\r\n")
}
