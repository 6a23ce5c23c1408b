//! A connection as octets, for what writes a request and what reads its answer: both may go on side by side.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::Instant;

use crate::io::{Io, Replayed};

/// The first that comes of an answer is read on the stack, so that who waits for one holds no memory for it,
const FIRST: usize = 4096;
/// and more as long as each read is filled. Not for slow readers, whose answer waits in it.
const MORE: usize = 16 * 1024;
const MOST: usize = 128 * 1024;

/// The connection.
pub(super) struct Wire {
    io: RefCell<Io>,
    /// What was read and not taken yet.
    read: RefCell<BytesMut>,
    /// How much the next read may take.
    appetite: Cell<usize>,
    /// Who waits for something to read.
    reader: RefCell<Option<Waker>>,
    broken: Cell<bool>,
    opened: Instant,
}

impl Wire {
    /// From now on.
    pub(super) fn new(io: Io) -> Wire {
        Wire {
            io: RefCell::new(io),
            read: RefCell::default(),
            appetite: Cell::new(FIRST),
            reader: RefCell::default(),
            broken: Cell::new(false),
            opened: Instant::now(),
        }
    }

    /// When it was made.
    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    /// Does something with what was read and not taken yet.
    pub(super) fn with_read<T>(&self, take: impl FnOnce(&mut BytesMut) -> T) -> T {
        take(&mut self.read.borrow_mut())
    }

    /// Reads some more; 0 at the end.
    pub(super) fn poll_fill(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
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
            self.appetite.set((2 * appetite).clamp(MORE, MOST));
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
    pub(super) fn poll_write(&self, octets: &[IoSlice<'_>], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match ready!(Pin::new(&mut *self.io.borrow_mut()).poll_write_vectored(cx, octets)) {
            Ok(0) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            written => Poll::Ready(written),
        }
    }

    /// Until all that was written is on its way.
    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io.borrow_mut()).poll_flush(cx)
    }

    /// The request broke off in its middle: nothing that comes answers it.
    pub(super) fn break_off(&self) {
        self.broken.set(true);
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Whether the peer is silent, as it has to be between an answer and the next request; the end is no silence either.
    pub(super) fn is_silent(&self) -> bool {
        let mut space = [0; 1];
        let mut space = ReadBuf::new(&mut space);
        let mut nobody = Context::from_waker(Waker::noop());
        self.read.borrow().is_empty()
            && Pin::new(&mut *self.io.borrow_mut()).poll_read(&mut nobody, &mut space).is_pending()
    }

    /// An answer has been read: gives back what reading it took.
    pub(super) fn rest(&self) {
        self.appetite.set(FIRST);
        self.reader.take();
        if self.read.borrow().is_empty() {
            self.read.take();
        }
    }

    /// The connection itself, once nobody else has it.
    pub(super) fn into_io(self: Rc<Wire>) -> Option<Replayed<Io>> {
        let Wire { io, read, .. } = Rc::into_inner(self)?;
        Some(Replayed::new(read.into_inner().freeze(), io.into_inner()))
    }

    /// Says goodbye, where TLS has a word for it.
    pub(super) async fn part(self: Rc<Wire>) {
        if let Some(mut io) = self.into_io() {
            let _ = io.shutdown().await;
        }
    }
}
