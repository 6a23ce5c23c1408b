//! An answer's body as it comes. At its end the connection is free for the next request.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::task::AbortHandle;

use super::Lease;
use crate::http1::{Decoder, Piece};
use crate::io::{Io, Replayed};

/// The receiving half. Dropping it before its end closes the connection.
pub(in crate::upstream) struct Receiving {
    /// `None` once the last of the answer is here.
    lease: Option<Lease>,
    decoder: Decoder,
    /// Whether the connection may be used again.
    reusable: bool,
    /// The request, of which something still goes out.
    sending: Option<AbortHandle>,
}

impl Receiving {
    pub(super) fn new(
        lease: Lease,
        decoder: Decoder,
        reusable: bool,
        sending: Option<AbortHandle>,
    ) -> Receiving {
        let over = decoder.is_over();
        let mut receiving = Receiving { lease: Some(lease), decoder, reusable, sending };
        if over {
            receiving.end();
        }
        receiving
    }

    /// After `101 Switching Protocols`, which has no body.
    pub(super) fn switched(lease: Lease) -> Receiving {
        Receiving { lease: Some(lease), decoder: Decoder::Close, reusable: false, sending: None }
    }

    /// The connection itself, for what follows an answer of 101.
    pub(in crate::upstream) fn take_io(&mut self) -> Option<Replayed<Io>> {
        self.lease.take()?.into_io()
    }

    pub(in crate::upstream) fn is_end_stream(&self) -> bool {
        self.lease.is_none()
    }

    pub(in crate::upstream) fn size_hint(&self) -> SizeHint {
        self.decoder.left().map_or_else(SizeHint::default, SizeHint::with_exact)
    }

    /// The next data, then trailers, `None` at their end. What is not asked for stays in the socket: this is the
    /// back-pressure.
    pub(in crate::upstream) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let frame = ready!(self.poll_next(cx));
        if frame.is_err() {
            // Whatever else came would be taken for what it is not.
            self.lose();
        }
        Poll::Ready(frame.transpose())
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Frame<Bytes>>>> {
        loop {
            let Some(lease) = &self.lease else { return Poll::Ready(Ok(None)) };
            match lease.wire.with_read(|read| self.decoder.take(read))? {
                Piece::Data(data) => {
                    if self.decoder.is_over() {
                        self.end();
                    }
                    return Poll::Ready(Ok(Some(Frame::data(data))));
                }
                Piece::Trailers(trailers) => {
                    self.end();
                    return Poll::Ready(Ok(Some(Frame::trailers(trailers))));
                }
                Piece::End => self.end(),
                Piece::Partial => {
                    if ready!(lease.wire.poll_fill(cx))? == 0 {
                        if !self.decoder.ends_with_connection() {
                            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                        }
                        self.end();
                    }
                }
            }
        }
    }

    fn end(&mut self) {
        if let Some(lease) = self.lease.take().filter(|_| self.reusable) {
            lease.give_back();
        }
    }

    /// Closes the connection, also if some of the request is still on its way.
    fn lose(&mut self) {
        if self.lease.take().is_some()
            && let Some(sending) = &self.sending
        {
            sending.abort();
        }
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.lose();
    }
}
