//! A stream as those have it who answer its request: a place on its connection, free when nobody holds it any more.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderValue;
use http_body::Frame;

use super::{Connection, Failure, Finish};
use crate::message::response;

/// What a connection's task and its streams share.
pub(crate) type Shared = Rc<RefCell<Connection>>;

/// A stream's place.
pub(crate) struct Place {
    connection: Shared,
    stream: u32,
}

impl Place {
    pub(crate) fn new(connection: Shared, stream: u32) -> Rc<Place> {
        Rc::new(Place { connection, stream })
    }

    /// The request's body, as it comes.
    pub(crate) fn reader(self: &Rc<Place>) -> Reader {
        match self.connection.borrow().body_of(self.stream) {
            Some(left) => Reader { place: Some(Rc::clone(self)), left },
            None => Reader { place: None, left: Some(0) },
        }
    }

    /// Somebody begins to answer; false when nobody waits for it any more.
    pub(crate) fn begin(&self) -> bool {
        self.connection.borrow_mut().begin(self.stream)
    }

    /// Sends the head of an answer before the answer, unless much waits already.
    pub(crate) fn interim(&self, head: &response::Head) {
        self.connection.borrow_mut().interim(self.stream, head);
    }

    /// Sends the head of the answer; `end` when nothing follows.
    pub(crate) fn answer(&self, head: &response::Head, end: bool, date: impl FnOnce() -> HeaderValue) {
        self.connection.borrow_mut().answer(self.stream, head, end, date);
    }

    /// Sends some of the answer's body. Everything that was sent before must have gone, see [`Place::poll_sendable`].
    pub(crate) fn send(&self, data: Bytes, finish: Finish) {
        self.connection.borrow_mut().send(self.stream, data, finish);
    }

    /// Ready when everything that was sent has gone; false when nothing more is wanted.
    pub(crate) fn poll_sendable(&self, cx: &mut Context<'_>) -> Poll<bool> {
        self.connection.borrow_mut().poll_sendable(self.stream, cx)
    }

    /// Breaks the answer off.
    pub(crate) fn reset(&self, failure: Failure) {
        self.connection.borrow_mut().reset(self.stream, failure);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connection.borrow_mut().release(self.stream);
    }
}

/// A request's body. Whoever drops it before its end wants no more of it.
pub(crate) struct Reader {
    /// `None` after the last frame.
    place: Option<Rc<Place>>,
    /// How much still comes, where that is known.
    left: Option<u64>,
}

impl Reader {
    /// The next data, then trailers, `None` at their end. The window reopens as they are read: this is the
    /// back-pressure.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let Some(place) = &self.place else { return Poll::Ready(None) };
        let frame = ready!(place.connection.borrow_mut().poll_frame(place.stream, cx));
        match frame.as_ref().map(|frame| frame.as_ref().map(Frame::data_ref)) {
            Some(Ok(Some(data))) => {
                let read = data.len() as u64;
                self.left = self.left.map(|left| left.saturating_sub(read));
            }
            _ => self.place = None,
        }
        Poll::Ready(frame)
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.place.as_ref().is_none_or(|place| place.connection.borrow().is_drained(place.stream))
    }

    pub(crate) fn left(&self) -> Option<u64> {
        self.left
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            place.connection.borrow_mut().abandon(place.stream);
        }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("left", &self.left).finish_non_exhaustive()
    }
}
