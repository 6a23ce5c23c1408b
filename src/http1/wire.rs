//! A connection as octets, for what writes a request and what reads its answer: both may go on side by side.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::io::{Io, Replayed};

/// The first that comes of a message is read on the stack, so that who waits for one holds no memory for it,
const FIRST: usize = 16 * 1024;
/// and more as long as each read is filled. Not for slow readers, whose message waits in it.
const MOST: usize = 128 * 1024;
/// Pieces of no more than this together are written as one: the kernel takes longer to take several than copying them does.
const SMALL: usize = 8 * 1024;

/// The connection.
pub(crate) struct Wire {
    io: RefCell<Io>,
    /// What was read and not taken yet.
    read: RefCell<BytesMut>,
    /// How much the next read may take.
    appetite: Cell<usize>,
    /// Who waits for something to read.
    reader: RefCell<Option<Waker>>,
    broken: Cell<bool>,
    opened: Instant,
    /// Since when the peer has taken nothing of what waits for it.
    blocked_since: Cell<Option<Instant>>,
}

impl Wire {
    /// From now on.
    pub(crate) fn new(io: Io) -> Wire {
        Wire::with(io, BytesMut::new())
    }

    /// One of which something was read before.
    pub(crate) fn with(io: Io, read: BytesMut) -> Wire {
        Wire {
            io: RefCell::new(io),
            read: RefCell::new(read),
            appetite: Cell::new(FIRST),
            reader: RefCell::default(),
            broken: Cell::new(false),
            opened: Instant::now(),
            blocked_since: Cell::new(None),
        }
    }

    /// When it was made.
    pub(crate) fn opened(&self) -> Instant {
        self.opened
    }

    /// Does something with what was read and not taken yet.
    pub(crate) fn with_read<T>(&self, take: impl FnOnce(&mut BytesMut) -> T) -> T {
        take(&mut self.read.borrow_mut())
    }

    /// Reads some more; 0 at the end.
    pub(crate) fn poll_fill(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.broken.get() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let (mut io, mut read) = (self.io.borrow_mut(), self.read.borrow_mut());
        let appetite = self.appetite.get();
        let filled = if appetite == FIRST {
            let mut space = [const { MaybeUninit::uninit() }; FIRST];
            let mut space = ReadBuf::uninit(&mut space);
            match Pin::new(&mut *io).poll_read(cx, &mut space) {
                Poll::Pending => return self.wait(cx),
                Poll::Ready(result) => result?,
            }
            read.extend_from_slice(space.filled());
            space.filled().len()
        } else {
            // Never less than this at a time, and nothing is copied for more.
            if read.capacity() - read.len() < appetite / 4 {
                read.reserve(appetite);
            }
            match pin!(io.read_buf(&mut *read)).poll(cx) {
                Poll::Pending => return self.wait(cx),
                Poll::Ready(result) => result?,
            }
        };
        if filled >= appetite {
            self.appetite.set((2 * appetite).min(MOST));
        }
        Poll::Ready(Ok(filled))
    }

    fn wait<T>(&self, cx: &Context<'_>) -> Poll<T> {
        let mut reader = self.reader.borrow_mut();
        if !reader.as_ref().is_some_and(|reader| reader.will_wake(cx.waker())) {
            *reader = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Writes some of this; says how much.
    pub(crate) fn poll_write(&self, octets: &[IoSlice<'_>], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut io = self.io.borrow_mut();
        let io = Pin::new(&mut *io);
        let mut pieces = octets.iter().filter(|piece| !piece.is_empty());
        let written = match (pieces.next(), pieces.next()) {
            (Some(one), None) => io.poll_write(cx, one),
            _ if octets.iter().map(|piece| piece.len()).sum::<usize>() <= SMALL => {
                let mut space = [const { MaybeUninit::uninit() }; SMALL];
                let mut joined = ReadBuf::uninit(&mut space);
                octets.iter().for_each(|piece| joined.put_slice(piece));
                io.poll_write(cx, joined.filled())
            }
            _ => io.poll_write_vectored(cx, octets),
        };
        self.note(written.is_pending());
        match ready!(written) {
            Ok(0) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            written => Poll::Ready(written),
        }
    }

    /// Until all that was written is on its way.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut *self.io.borrow_mut()).poll_flush(cx);
        self.note(flushed.is_pending());
        flushed
    }

    fn note(&self, blocked: bool) {
        if blocked != self.blocked_since.get().is_some() {
            self.blocked_since.set(blocked.then(Instant::now));
        }
    }

    /// Since when the peer has taken nothing, although there is something for it; `None` when it takes all.
    pub(crate) fn blocked_since(&self) -> Option<Instant> {
        self.blocked_since.get()
    }

    /// Nothing that comes from now on means anything: whoever waits for it is told.
    pub(crate) fn break_off(&self) {
        self.broken.set(true);
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Whether the peer is silent, as it has to be between an answer and the next request; the end is no silence either.
    pub(crate) fn is_silent(&self) -> bool {
        self.read.borrow().is_empty() && self.io.borrow_mut().is_silent()
    }

    /// A message has been read: gives back what reading it took.
    pub(crate) fn rest(&self) {
        self.appetite.set(FIRST);
        self.reader.take();
        if self.read.borrow().is_empty() {
            self.read.take();
        }
    }

    /// The connection itself, with what was read and not taken.
    pub(crate) fn into_io(self) -> Replayed<Io> {
        Replayed::new(self.read.into_inner().freeze(), self.io.into_inner())
    }

    /// Says that nothing more is written.
    ///
    /// # Errors
    /// When the connection is lost.
    pub(crate) async fn part(&self) -> io::Result<()> {
        poll_fn(|cx| Pin::new(&mut *self.io.borrow_mut()).poll_shutdown(cx)).await
    }

    /// The same, and what still comes is read, up to so many octets: closed upon unread ones, the connection would be reset,
    /// and the last words could be lost on their way.
    pub(crate) async fn linger(&self, mut octets: usize) {
        if self.part().await.is_ok() {
            poll_fn(|cx| {
                loop {
                    let mut space = [const { MaybeUninit::uninit() }; FIRST];
                    let mut space = ReadBuf::uninit(&mut space);
                    let read = ready!(Pin::new(&mut *self.io.borrow_mut()).poll_read(cx, &mut space));
                    match octets.checked_sub(space.filled().len()) {
                        Some(left) if read.is_ok() && left < octets => octets = left,
                        _ => return Poll::Ready(()),
                    }
                }
            })
            .await;
        }
    }
}
