//! A request on its way into a connection: head and body as the body comes and the connection takes them.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::Request;
use http_body::Frame;

use super::turn::Turn;
use super::wire::Wire;
use crate::body::{self, CallerBody};
use crate::http1::{self, Framing, Malformed};
use crate::upstream::Payload;

/// After a chunk, and after the last one.
const CHUNK_END: &[u8] = b"\r\n";
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The request.
pub(super) struct Sending {
    wire: Rc<Wire>,
    // What goes out next, in this order.
    front: BytesMut,
    data: Bytes,
    back: &'static [u8],
    body: Option<CallerBody>,
    framing: Framing,
    /// The connection has taken some of it.
    begun: bool,
    /// Nothing more comes of the body.
    ended: bool,
}

/// Why it went no further.
pub(super) enum Stopped {
    /// The connection took no more.
    Wire(io::Error),
    /// The body broke off.
    Body(body::Error),
}

impl From<Stopped> for io::Error {
    fn from(stopped: Stopped) -> io::Error {
        match stopped {
            Stopped::Wire(cause) => cause,
            Stopped::Body(cause) => io::Error::other(cause),
        }
    }
}

impl Sending {
    pub(super) fn new(wire: Rc<Wire>, request: &Request<()>, payload: Payload) -> Sending {
        let (framing, data, body) = match payload {
            Payload::Empty => (Framing::None, Bytes::new(), None),
            Payload::Whole(data) => (Framing::Length(data.len() as u64), data, None),
            Payload::Streaming(body) => {
                let known = body.size_hint().exact();
                (known.map_or(Framing::Chunked, Framing::Length), Bytes::new(), Some(body))
            }
        };
        let front = http1::write_request(request, framing);
        let ended = body.is_none();
        Sending { wire, front, data, back: b"", body, framing, begun: false, ended }
    }

    /// Whether the connection has taken anything of it.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// The body once more, of a request that has not begun.
    pub(super) fn into_payload(self) -> Option<Payload> {
        match self.body {
            None if self.framing == Framing::None => Some(Payload::Empty),
            None => Some(Payload::Whole(self.data)),
            Some(body) if self.data.is_empty() && !self.ended => Some(Payload::Streaming(body)),
            Some(body) => body.rewound().map(Payload::Streaming),
        }
    }

    /// Until the next turn. What has come of the body by then goes out with the head, in one write; and of a body that is
    /// wrong from its start, nothing does.
    pub(super) async fn gather(&mut self) -> Result<(), Stopped> {
        let mut turn = Turn::default();
        poll_fn(|cx| {
            if self.data.is_empty() && self.back.is_empty() {
                self.poll_body(cx)?;
            }
            turn.poll(cx).map(Ok)
        })
        .await
    }

    /// Until all of it has gone.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stopped>> {
        loop {
            if self.data.is_empty() && self.back.is_empty() {
                self.poll_body(cx)?;
            }
            let octets = [IoSlice::new(&self.front), IoSlice::new(&self.data), IoSlice::new(self.back)];
            if octets.iter().all(|octets| octets.is_empty()) {
                ready!(self.wire.poll_flush(cx)).map_err(Stopped::Wire)?;
                return if self.ended { Poll::Ready(Ok(())) } else { Poll::Pending };
            }
            let mut written = ready!(self.wire.poll_write(&octets, cx)).map_err(Stopped::Wire)?;
            self.begun = true;
            advance(&mut self.front, &mut written);
            advance(&mut self.data, &mut written);
            advance(&mut self.back, &mut written);
        }
    }

    /// Puts the next frame behind the front, if one has come.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Result<(), Stopped> {
        while let Some(body) = self.body.as_mut().filter(|_| !self.ended) {
            let Poll::Ready(frame) = body.poll_frame(cx) else { return Ok(()) };
            let over = body.is_end_stream();
            match frame.transpose().map_err(Stopped::Body)?.map(Frame::into_data) {
                // An empty chunk would be the last one.
                Some(Ok(data)) if data.is_empty() => {}
                Some(Ok(data)) => {
                    self.add(data, over)?;
                    return Ok(());
                }
                Some(Err(frame)) => {
                    if self.framing == Framing::Chunked {
                        self.front.extend_from_slice(b"0\r\n");
                        http1::write_fields(&mut self.front, &frame.into_trailers().unwrap_or_default());
                        self.front.extend_from_slice(b"\r\n");
                        self.ended = true;
                        return Ok(());
                    }
                    // With a length there is no place for trailers.
                    return self.end();
                }
                None => return self.end(),
            }
        }
        Ok(())
    }

    fn add(&mut self, data: Bytes, over: bool) -> Result<(), Stopped> {
        match &mut self.framing {
            Framing::Length(left) => {
                let more = left.checked_sub(data.len() as u64);
                *left = more.ok_or_else(|| stopped("the body is longer than its length"))?;
            }
            Framing::Chunked | Framing::None => {
                self.front.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
                self.back = CHUNK_END;
            }
        }
        self.data = data;
        if over && matches!(self.framing, Framing::Length(_)) {
            self.end()?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Stopped> {
        self.ended = true;
        match self.framing {
            Framing::Chunked => self.back = LAST_CHUNK,
            Framing::Length(1..) => return Err(stopped("the body is shorter than its length")),
            Framing::Length(0) | Framing::None => {}
        }
        Ok(())
    }
}

fn stopped(why: &'static str) -> Stopped {
    Stopped::Body(body::Error::Octets(Malformed(why).into()))
}

fn advance(octets: &mut impl Buf, written: &mut usize) {
    let gone = octets.remaining().min(*written);
    octets.advance(gone);
    *written -= gone;
}
