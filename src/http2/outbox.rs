//! What is to be written: frames one after another, large data not copied.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

use super::frame::{CONTINUATION, DATA, END_HEADERS, END_STREAM, Head};

/// Data up to this length are copied behind their frame's head: cheaper than one more piece to write.
const COPIED: usize = 4 * 1024;
/// Pieces of one write.
const PIECES: usize = 32;
/// A buffer that has grown beyond this is given back when it is empty.
const KEPT: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Before what is in `tail`.
    pieces: VecDeque<Bytes>,
    tail: Vec<u8>,
    /// How much of `tail` has been written.
    gone: usize,
    /// How much was ever put in, and written.
    put: u64,
    written: u64,
    /// The socket has what was written, and may hold it: TLS does when it cannot pass everything on.
    unflushed: bool,
}

impl Outbox {
    /// Octets that wait.
    pub(super) fn len(&self) -> usize {
        (self.put - self.written) as usize
    }

    pub(super) fn is_empty(&self) -> bool {
        self.put == self.written
    }

    /// Whether nothing waits, neither here nor in the socket.
    pub(super) fn is_flushed(&self) -> bool {
        self.is_empty() && !self.unflushed
    }

    /// Where in all that is ever written the next frame begins.
    pub(super) fn position(&self) -> u64 {
        self.put
    }

    /// Whether something at `position` or after has been written.
    pub(super) fn has_reached(&self, position: u64) -> bool {
        self.written > position
    }

    pub(super) fn raw(&mut self, octets: &[u8]) {
        self.tail.extend_from_slice(octets);
        self.put += octets.len() as u64;
    }

    pub(super) fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.raw(&Head { length: payload.len(), kind, flags, stream }.octets());
        self.raw(payload);
    }

    pub(super) fn data(&mut self, stream: u32, data: Bytes, end: bool) {
        let flags = if end { END_STREAM } else { 0 };
        self.raw(&Head { length: data.len(), kind: DATA, flags, stream }.octets());
        if data.len() <= COPIED {
            return self.raw(&data);
        }
        let mut tail = Bytes::from(std::mem::take(&mut self.tail));
        tail.advance(std::mem::take(&mut self.gone));
        self.put += data.len() as u64;
        self.pieces.extend([tail, data]);
    }

    /// A header block, in as many frames as the peer wants it (RFC 9113 §6.10).
    pub(super) fn block(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        max_frame: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        let begins = self.tail.len();
        self.tail.extend_from_slice(&[0; Head::LENGTH]);
        encode(&mut self.tail);
        let length = self.tail.len() - begins - Head::LENGTH;
        if length <= max_frame {
            let head = Head { length, kind, flags: flags | END_HEADERS, stream };
            self.tail[begins..begins + Head::LENGTH].copy_from_slice(&head.octets());
            self.put += (Head::LENGTH + length) as u64;
            return;
        }
        let block = self.tail.split_off(begins + Head::LENGTH);
        self.tail.truncate(begins);
        let last = block.len().div_ceil(max_frame) - 1;
        for (n, part) in block.chunks(max_frame).enumerate() {
            let kind = if n == 0 { kind } else { CONTINUATION };
            let flags = if n == 0 { flags } else { 0 } | if n == last { END_HEADERS } else { 0 };
            self.frame(kind, flags, stream, part);
        }
    }

    /// Writes what the socket takes; ready when nothing is left.
    pub(super) fn poll_write<T: AsyncWrite + Unpin>(
        &mut self,
        io: &mut T,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let n = if self.pieces.is_empty() {
                ready!(Pin::new(&mut *io).poll_write(cx, &self.tail[self.gone..]))?
            } else {
                let tail = [&self.tail[self.gone..]];
                let mut slices = [IoSlice::new(&[]); PIECES];
                let pieces = self.pieces.iter().map(|piece| &piece[..]).chain(tail);
                let filled = slices.iter_mut().zip(pieces).map(|(slice, piece)| *slice = IoSlice::new(piece));
                let count = filled.count();
                ready!(Pin::new(&mut *io).poll_write_vectored(cx, &slices[..count]))?
            };
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(n);
            self.unflushed = true;
        }
        ready!(Pin::new(io).poll_flush(cx))?;
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut n: usize) {
        self.written += n as u64;
        while let Some(piece) = self.pieces.front_mut() {
            if n < piece.len() {
                return piece.advance(n);
            }
            n -= piece.len();
            self.pieces.pop_front();
        }
        self.gone += n;
        if self.gone == self.tail.len() {
            self.gone = 0;
            self.tail.clear();
            self.tail.shrink_to(KEPT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::HEADERS;
    use super::*;

    async fn written(outbox: &mut Outbox, step: usize) -> Vec<u8> {
        let (mut io, mut peer) = tokio::io::duplex(step);
        let total = outbox.len();
        let read = async {
            let mut all = vec![0; total];
            tokio::io::AsyncReadExt::read_exact(&mut peer, &mut all).await.unwrap();
            all
        };
        let write = std::future::poll_fn(|cx| outbox.poll_write(&mut io, cx));
        let (written, all) = tokio::join!(write, read);
        written.unwrap();
        all
    }

    #[tokio::test]
    async fn frames_come_out_in_order_however_little_the_socket_takes() {
        for step in [1, 7, 5000, 100_000] {
            let mut outbox = Outbox::default();
            let mut expected = Vec::new();
            for (n, length) in [3, 5000, 0, 10_000, 20_000, 4096].into_iter().enumerate() {
                let data = Bytes::from(vec![n as u8; length]);
                expected.extend(Head { length, kind: DATA, flags: 0, stream: 1 }.octets());
                expected.extend(&data);
                outbox.data(1, data, false);
            }
            assert_eq!(outbox.len(), expected.len());
            assert!(!outbox.has_reached(0));
            assert_eq!(written(&mut outbox, step).await, expected);
            assert!(outbox.is_empty() && outbox.has_reached(0));
        }
    }

    /// Takes everything, and passes it on at the second try.
    struct Hesitant {
        flushes: usize,
    }

    impl AsyncWrite for Hesitant {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(octets.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.flushes += 1;
            if self.flushes == 1 { Poll::Pending } else { Poll::Ready(Ok(())) }
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn what_the_socket_holds_back_is_flushed_until_it_is_gone() {
        let (mut outbox, mut io) = (Outbox::default(), Hesitant { flushes: 0 });
        outbox.frame(HEADERS, 0, 1, b"x");
        let mut write = |outbox: &mut Outbox| {
            outbox.poll_write(&mut io, &mut Context::from_waker(std::task::Waker::noop()))
        };
        assert!(write(&mut outbox).is_pending());
        assert!(outbox.is_empty() && !outbox.is_flushed());
        assert!(write(&mut outbox).is_ready());
        assert!(outbox.is_flushed());
    }

    #[tokio::test]
    async fn a_block_that_is_too_long_for_a_frame_is_continued() {
        let mut outbox = Outbox::default();
        outbox.block(HEADERS, END_STREAM, 3, 10, |out| out.extend([7; 25]));
        let all = written(&mut outbox, 100).await;
        let mut heads = Vec::new();
        let mut rest = &all[..];
        while let Some(head) = Head::read(rest) {
            heads.push((head.kind, head.flags, head.length));
            rest = &rest[Head::LENGTH + head.length..];
        }
        assert_eq!(heads, [(HEADERS, END_STREAM, 10), (CONTINUATION, 0, 10), (CONTINUATION, END_HEADERS, 5)]);
    }
}
