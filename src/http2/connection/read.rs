//! Reading messages: what they say, and the windows that open as they are read.

use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;

use super::super::failure::Failure;
use super::super::frame::WINDOW_UPDATE;
use super::super::stream::Stream;
use super::Connection;
use crate::message::response;

impl Connection {
    /// The heads of a stream's answers before the answer (1xx), and then the answer's.
    pub(crate) fn poll_answer(
        &mut self,
        id: u32,
        cx: &mut Context<'_>,
    ) -> Poll<Result<response::Head, Failure>> {
        match self.streams.get_mut(&id) {
            Some(stream) => stream.poll_answer(cx),
            None => Poll::Ready(Err(Failure::cancelled())),
        }
    }

    /// What comes of a stream's body. The windows open as it is read: this is the back-pressure.
    pub(crate) fn poll_frame(
        &mut self,
        id: u32,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let Some(stream) = self.streams.get_mut(&id) else { return Poll::Ready(None) };
        let frame = stream.poll_frame(cx);
        if frame.is_pending() && std::mem::take(&mut stream.expects) {
            self.say_continue(id);
        }
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(data) = frame.data_ref()
        {
            let length = data.len();
            self.read_from(id, length);
            self.consumed(length);
        }
        frame
    }

    /// So much of a stream's window is free again.
    pub(super) fn read_from(&mut self, id: u32, octets: usize) {
        let stream = self.streams.get_mut(&id).filter(|stream| !stream.is_whole());
        let more = stream.and_then(|stream| stream.inflow.consume(octets));
        self.open_window(id, more);
    }

    /// Whether all of a stream's message has been read.
    pub(crate) fn is_drained(&self, id: u32) -> bool {
        self.streams.get(&id).is_none_or(Stream::is_drained)
    }

    /// Looks at what waits to be read, now and then, so that it takes no more memory than it has to.
    pub(crate) fn settle(&mut self) {
        self.streams.values_mut().for_each(Stream::settle);
    }

    /// Nobody reads a stream's body any more.
    pub(crate) fn abandon(&mut self, id: u32) {
        let unread = self.streams.get_mut(&id).map_or(0, Stream::abandon);
        self.consumed(unread);
    }

    /// So much of the connection's window is free again.
    pub(super) fn consumed(&mut self, octets: usize) {
        let more = self.inflow.consume(octets);
        self.open_window(0, more);
    }

    fn open_window(&mut self, stream: u32, more: Option<u32>) {
        if let Some(more) = more {
            self.outbox.frame(WINDOW_UPDATE, 0, stream, &more.to_be_bytes());
            self.wake();
        }
    }
}
