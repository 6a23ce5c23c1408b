//! A message on its way into a connection: head and body, as the body comes and the connection takes them.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http_body::{Body, Frame};

use super::head::write_fields;
use super::wire::Wire;
use super::{Framing, Malformed};
use crate::turn::Turn;

/// After a chunk, and after the last one.
const CHUNK_END: &[u8] = b"\r\n";
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
/// Parts of a body that come in smaller pieces than this go out together, as far as they are there.
const TOGETHER: usize = 4096;

/// The message.
pub(crate) struct Outgoing<B: Body> {
    // What goes out next, in this order.
    front: BytesMut,
    data: Bytes,
    back: &'static [u8],
    body: Option<B>,
    framing: Framing,
    /// The connection has taken some of it.
    begun: bool,
    /// Some of the body has been asked for and has come.
    touched: bool,
    /// Nothing more comes of the body.
    ended: bool,
    /// It broke off behind what has not gone yet.
    failed: Option<Stopped<B::Error>>,
}

/// Why it went no further.
pub(crate) enum Stopped<E> {
    /// The connection took no more.
    Wire(io::Error),
    /// The body broke off.
    Body(E),
}

/// What a message carries that has not begun to go out.
pub(crate) enum Unsent<B> {
    /// Octets that were there from its start.
    Whole(Bytes),
    /// A body of which nothing has come.
    Untouched(B),
    /// One of which something has.
    Touched(B),
}

impl<B> Outgoing<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: From<Malformed>,
{
    /// A message whose body is here.
    pub(crate) fn whole(head: BytesMut, framing: Framing, data: Bytes) -> Outgoing<B> {
        Outgoing {
            front: head,
            data,
            back: b"",
            body: None,
            framing,
            begun: false,
            touched: false,
            ended: true,
            failed: None,
        }
    }

    /// A message whose body comes as it goes out.
    pub(crate) fn streaming(head: BytesMut, framing: Framing, body: B) -> Outgoing<B> {
        Outgoing {
            front: head,
            data: Bytes::new(),
            back: b"",
            body: Some(body),
            framing,
            begun: false,
            touched: false,
            ended: false,
            failed: None,
        }
    }

    /// A message without a body, whatever comes of this one, which is kept until the message has gone.
    pub(crate) fn bare(head: BytesMut, body: B) -> Outgoing<B> {
        Outgoing { ended: true, ..Outgoing::streaming(head, Framing::None, body) }
    }

    /// Whether the connection has taken anything of it.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// What it carries, of a message that has not begun.
    pub(crate) fn into_unsent(self) -> Unsent<B> {
        match self.body {
            None => Unsent::Whole(self.data),
            Some(body) if self.touched => Unsent::Touched(body),
            Some(body) => Unsent::Untouched(body),
        }
    }

    /// Takes what is there of the body.
    ///
    /// # Errors
    /// When the body broke off, or is not as long as was said. What came of it before goes out before this is told.
    pub(super) fn gather(&mut self, cx: &mut Context<'_>) -> Result<(), Stopped<B::Error>> {
        while !self.ended && self.failed.is_none() && (self.data.is_empty() || self.is_small()) {
            match self.poll_body(cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(stopped)) if self.has_waiting() => self.failed = Some(stopped),
                Poll::Ready(Err(stopped)) => return Err(stopped),
            }
        }
        Ok(())
    }

    /// Takes what comes of the body until the worker's next turn: it goes out with the head, in one write, and of a body that
    /// is wrong from its start nothing does.
    ///
    /// # Errors
    /// As [`Self::gather`].
    pub(crate) async fn gather_for_a_turn(&mut self) -> Result<(), Stopped<B::Error>> {
        let mut turn = Turn::default();
        let gathered = poll_fn(|cx| {
            self.gather(cx)?;
            turn.poll(cx).map(Ok)
        });
        gathered.await
    }

    /// Whether what comes next goes out with what is there.
    fn is_small(&self) -> bool {
        self.front.len() + self.data.len() <= TOGETHER
    }

    /// Whether some of the body waits, or more of a message that has begun.
    fn has_waiting(&self) -> bool {
        !self.data.is_empty() || !self.back.is_empty() || self.begun && !self.front.is_empty()
    }

    /// Ready when all of it has gone.
    ///
    /// # Errors
    /// When the connection is lost; when the body broke off, or is not as long as was said.
    pub(crate) fn poll(&mut self, wire: &Wire, cx: &mut Context<'_>) -> Poll<Result<(), Stopped<B::Error>>> {
        loop {
            if self.data.is_empty() && self.back.is_empty() {
                self.gather(cx)?;
            }
            let octets = [IoSlice::new(&self.front), IoSlice::new(&self.data), IoSlice::new(self.back)];
            if octets.iter().all(|octets| octets.is_empty()) {
                ready!(wire.poll_flush(cx)).map_err(Stopped::Wire)?;
                return match self.failed.take() {
                    Some(stopped) => Poll::Ready(Err(stopped)),
                    None if self.ended => Poll::Ready(Ok(())),
                    None => Poll::Pending,
                };
            }
            let mut written = ready!(wire.poll_write(&octets, cx)).map_err(Stopped::Wire)?;
            self.begun = true;
            advance(&mut self.front, &mut written);
            advance(&mut self.data, &mut written);
            advance(&mut self.back, &mut written);
        }
    }

    /// Puts the next frame behind what is there.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stopped<B::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(self.end()) };
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        self.touched = true;
        let over = body.is_end_stream();
        let frame = frame.transpose().map_err(Stopped::Body)?.map(Frame::into_data);
        Poll::Ready(match frame {
            // An empty chunk would be the last one.
            Some(Ok(data)) if data.is_empty() => Ok(()),
            Some(Ok(data)) => self.add(data, over),
            Some(Err(frame)) if self.framing == Framing::Chunked => {
                self.fold();
                self.front.extend_from_slice(b"0\r\n");
                write_fields(&mut self.front, &frame.into_trailers().unwrap_or_default());
                self.front.extend_from_slice(b"\r\n");
                self.ended = true;
                Ok(())
            }
            // With a length there is no place for trailers.
            Some(Err(_)) | None => self.end(),
        })
    }

    fn add(&mut self, data: Bytes, over: bool) -> Result<(), Stopped<B::Error>> {
        self.fold();
        match &mut self.framing {
            Framing::Length(left) => {
                let more = left.checked_sub(data.len() as u64);
                *left = more.ok_or_else(|| stopped("the body is longer than its length"))?;
            }
            Framing::Chunked => {
                self.front.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
                self.back = CHUNK_END;
            }
            Framing::None | Framing::Close => {}
        }
        self.data = data;
        if over && matches!(self.framing, Framing::Length(_)) {
            self.end()?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Stopped<B::Error>> {
        self.ended = true;
        match self.framing {
            Framing::Chunked => {
                self.fold();
                self.back = LAST_CHUNK;
            }
            Framing::Length(1..) => return Err(stopped("the body is shorter than its length")),
            Framing::Length(0) | Framing::None | Framing::Close => {}
        }
        Ok(())
    }

    /// Makes room for what comes next.
    fn fold(&mut self) {
        if !self.data.is_empty() {
            self.front.extend_from_slice(&std::mem::take(&mut self.data));
        }
        self.front.extend_from_slice(std::mem::take(&mut self.back));
    }
}

fn stopped<E: From<Malformed>>(why: &'static str) -> Stopped<E> {
    Stopped::Body(Malformed(why).into())
}

fn advance(octets: &mut impl Buf, written: &mut usize) {
    let gone = octets.remaining().min(*written);
    octets.advance(gone);
    *written -= gone;
}
