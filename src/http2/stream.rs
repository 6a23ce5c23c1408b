//! One stream: what has come of the peer's message, and what of ours waits for a window.

use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, StatusCode, Version};
use http_body::Frame;

use super::failure::{Failure, Fault};
use super::flow::{Inflow, Outflow};
use super::hpack::Fields;
use super::inbox::Inbox;
use crate::message::{Headers, response};

/// So many answers before the answer are kept for who reads them; more are let go.
const MAX_INTERIMS: usize = 8;

#[derive(Debug)]
pub(super) struct Stream {
    phase: Phase,
    /// Answers before the answer.
    interims: Vec<response::Head>,
    answer: Option<response::Head>,
    inbox: Inbox,
    trailers: Option<HeaderMap>,
    /// Why there is no end; told after what came before it.
    failure: Option<Failure>,
    pub(super) inflow: Inflow,
    /// What still comes of a body whose length was told; for an answer to HEAD, nothing.
    left: Option<u64>,
    head_only: bool,
    /// The peer has said its last word, so that more of it is a fault, and not what was under way when we broke off.
    pub(super) is_told_over: bool,
    /// Nobody reads any more; the stream waits for its reset.
    abandoned: bool,
    reader: Option<Waker>,

    pub(super) outflow: Outflow,
    /// Data that wait for a window.
    pub(super) outgoing: Bytes,
    /// What follows them.
    pub(super) finish: Finish,
    /// The request's end is out, or nobody wants the rest.
    pub(super) is_sent: bool,
    /// Whether it stands in the queue of those that have something to send.
    pub(super) is_queued: bool,
    writer: Option<Waker>,
    /// Where in all that is written it began.
    pub(super) begins: u64,
    /// Whether somebody has begun to answer it.
    pub(super) is_begun: bool,
    /// Whether the peer waits for a word before it sends its body (RFC 9110 §10.1.1).
    pub(super) expects: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The answer's head has not come.
    Waiting,
    /// Data and trailers may come.
    Open,
    /// Nothing more comes.
    Ended,
}

/// What comes after data.
#[derive(Debug)]
pub(crate) enum Finish {
    /// More data.
    More,
    End,
    Trailers(HeaderMap),
}

impl Stream {
    pub(super) fn new(
        inflow: Inflow,
        outflow: Outflow,
        head_only: bool,
        is_sent: bool,
        begins: u64,
    ) -> Stream {
        Stream {
            phase: Phase::Waiting,
            interims: Vec::new(),
            answer: None,
            inbox: Inbox::default(),
            trailers: None,
            failure: None,
            inflow,
            left: None,
            head_only,
            is_told_over: false,
            abandoned: false,
            reader: None,
            outflow,
            outgoing: Bytes::new(),
            finish: Finish::More,
            is_sent,
            is_queued: false,
            writer: None,
            begins,
            is_begun: false,
            expects: false,
        }
    }

    /// A stream whose request's head has come, and all of it if this is its `end`.
    pub(super) fn opened(
        inflow: Inflow,
        outflow: Outflow,
        headers: &Headers,
        end: bool,
    ) -> Result<Stream, Fault> {
        let mut stream = Stream::new(inflow, outflow, false, false, 0);
        stream.left = content_length(headers)?;
        stream.phase = Phase::Open;
        if end {
            stream.end()?;
        }
        Ok(stream)
    }

    /// Both sides have said all, or one has broken off.
    pub(super) fn is_closed(&self) -> bool {
        self.phase == Phase::Ended && self.is_sent
    }

    /// Whether all of the peer's message has come, or nothing more of it does.
    pub(super) fn is_whole(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// How much of a body whose length was told was not read: what still comes, and what has come.
    pub(super) fn unread(&self) -> Option<u64> {
        self.left.map(|left| left + self.inbox.len() as u64)
    }

    /// Whether all of the peer's message has come, and all of it was read.
    pub(super) fn is_drained(&self) -> bool {
        self.phase == Phase::Ended
            && self.failure.is_none()
            && self.answer.is_none()
            && self.inbox.is_empty()
            && self.trailers.is_none()
    }

    /// A head, informational or not, or trailers.
    pub(super) fn receive_fields(&mut self, fields: Fields, end: bool) -> Result<(), Fault> {
        if self.phase == Phase::Ended {
            return Err(Fault::closed("a head comes after the end"));
        }
        if let Some(what) = fields.malformed {
            return Err(Fault::protocol(what));
        }
        if self.phase != Phase::Waiting && fields.has_pseudo() {
            return Err(Fault::protocol("trailers have a pseudo-field"));
        }
        match (self.phase, fields.status) {
            (Phase::Waiting, Some(status)) if status.is_informational() => {
                // RFC 9113 §8.1: it does not end a stream; §8.6: protocols are not switched.
                if end || status == StatusCode::SWITCHING_PROTOCOLS {
                    return Err(Fault::protocol(
                        "an informational answer ends the stream or switches protocols",
                    ));
                }
                if self.interims.len() < MAX_INTERIMS && !self.abandoned {
                    self.interims.push(answer(status, fields.headers));
                    self.read_on();
                }
                Ok(())
            }
            (Phase::Waiting, Some(status)) => self.receive_head(status, fields.headers, end),
            (Phase::Waiting, None) => Err(Fault::protocol("an answer has no status")),
            (Phase::Open, None) if end => {
                if !self.abandoned {
                    self.trailers = Some(fields.headers.into());
                }
                self.end()
            }
            (Phase::Open | Phase::Ended, _) => Err(Fault::protocol("trailers do not end the stream")),
        }
    }

    fn receive_head(&mut self, status: StatusCode, headers: Headers, end: bool) -> Result<(), Fault> {
        let told = content_length(&headers)?;
        // RFC 9110 §8.6: these tell what the length would be.
        let none = self.head_only || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        self.left = if none { Some(0) } else { told };
        self.phase = Phase::Open;
        match end {
            true => self.end()?,
            false => self.read_on(),
        }
        self.answer = Some(answer(status, headers));
        Ok(())
    }

    /// Data, of which there may be none. False when nobody reads them.
    pub(super) fn receive_data(&mut self, data: Bytes, end: bool) -> Result<bool, Fault> {
        match self.phase {
            Phase::Waiting => return Err(Fault::protocol("data come before the head")),
            Phase::Open => {}
            Phase::Ended => return Err(Fault::closed("data come after the end")),
        }
        if let Some(left) = &mut self.left {
            *left = left
                .checked_sub(data.len() as u64)
                .ok_or(Fault::protocol("the body is longer than its content-length"))?;
        }
        if !data.is_empty() && !self.abandoned {
            self.inbox.push(data);
        }
        if end {
            self.end()?
        } else {
            self.read_on()
        }
        Ok(!self.abandoned)
    }

    fn end(&mut self) -> Result<(), Fault> {
        if self.left.is_some_and(|left| left > 0) {
            return Err(Fault::protocol("the body is shorter than its content-length"));
        }
        self.phase = Phase::Ended;
        self.is_told_over = true;
        self.read_on();
        Ok(())
    }

    fn read_on(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Nothing more is sent, and nothing comes. A message that has come in full stays one (RFC 9113 §8.1).
    pub(super) fn fail(&mut self, failure: Failure) {
        if self.phase != Phase::Ended {
            self.phase = Phase::Ended;
            self.failure = Some(failure);
        }
        self.stop_sending();
        self.read_on();
    }

    pub(super) fn stop_sending(&mut self) {
        self.is_sent = true;
        self.outgoing = Bytes::new();
        self.finish = Finish::More;
        self.write_on();
    }

    /// Nobody reads what comes from now on; says how much of it had come. Its window stays shut, so that not much can.
    pub(super) fn abandon(&mut self) -> usize {
        self.abandoned = true;
        self.interims = Vec::new();
        self.answer = None;
        self.trailers = None;
        self.reader = None;
        std::mem::take(&mut self.inbox).len()
    }

    /// The heads of answers before the answer, and then the answer's.
    pub(super) fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<response::Head, Failure>> {
        if !self.interims.is_empty() {
            return Poll::Ready(Ok(self.interims.remove(0)));
        }
        if let Some(answer) = self.answer.take() {
            return Poll::Ready(Ok(answer));
        }
        match self.failure.take() {
            Some(failure) => Poll::Ready(Err(failure)),
            None => self.wait_to_read(cx),
        }
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        if let Some(data) = self.inbox.pop() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if let Some(trailers) = self.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        match (self.failure.take(), self.phase) {
            (Some(failure), _) => Poll::Ready(Some(Err(failure))),
            (None, Phase::Ended) => Poll::Ready(None),
            (None, _) => self.wait_to_read(cx),
        }
    }

    /// Looks at what waits to be read.
    pub(super) fn settle(&mut self) {
        self.inbox.settle();
    }

    fn wait_to_read<T>(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        wait(&mut self.reader, cx);
        Poll::Pending
    }

    /// Ready when more can be sent; false when nothing is wanted any more.
    pub(super) fn poll_sendable(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.is_sent {
            return Poll::Ready(false);
        }
        // Kept also when there is room: whoever waits for more to send wants to know of the stream's end.
        wait(&mut self.writer, cx);
        if self.has_outgoing() { Poll::Pending } else { Poll::Ready(true) }
    }

    /// Something is sent, so that nobody waits to send.
    pub(super) fn forget_writer(&mut self) {
        self.writer = None;
    }

    /// Whether something waits for a window, or for its turn.
    pub(super) fn has_outgoing(&self) -> bool {
        let nothing = self.outgoing.is_empty() && matches!(self.finish, Finish::More);
        !(self.is_sent || nothing)
    }

    pub(super) fn write_on(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }
}

fn answer(status: StatusCode, headers: Headers) -> response::Head {
    response::Head { status, reason: None, version: Version::HTTP_2, headers }
}

fn wait(place: &mut Option<Waker>, cx: &Context<'_>) {
    match place {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *place = Some(cx.waker().clone()),
    }
}

fn content_length(headers: &Headers) -> Result<Option<u64>, Fault> {
    let mut told = headers.get_all(CONTENT_LENGTH);
    let Some(length) = told.next() else { return Ok(None) };
    let digits = length.as_bytes();
    let number = digits.iter().all(u8::is_ascii_digit).then(|| length.to_str().ok()?.parse().ok()).flatten();
    match (number, told.next()) {
        (Some(number), None) => Ok(Some(number)),
        _ => Err(Fault::protocol("a content-length is no number, or not the only one")),
    }
}
