//! What only a server does: requests come, are answered, and their sender may make so much trouble and no more.

use std::collections::VecDeque;

use bytes::{Buf, BytesMut};
use h2::Reason;
use http::HeaderValue;
use http::header::EXPECT;

use super::super::failure::Fault;
use super::super::flow::{Inflow, Outflow};
use super::super::frame::{END_STREAM, HEADERS, PING, PREFACE, RST_STREAM};
use super::super::hpack::Fields;
use super::super::request::request_of;
use super::super::stream::Stream;
use super::{Connection, LAST_STREAM};
use crate::message::{request, response};

/// Requests that were taken back before anybody looked at them, beyond those that were answered. Workers cancel in
/// bursts, but what they cancel has been waiting (CVE-2023-44487).
const MAX_HASTY: u32 = 256;
/// Streams that had to be reset through the caller's fault, beyond those that went well (CVE-2025-8671).
const MAX_FAULTS: u32 = 1024;
/// Streams that we broke off last, of which more may be on its way.
const MAX_LET_GO: usize = 256;
/// Replies for a caller who asks and does not read, and all that waits for it: nothing more is read of it before they
/// are gone. Much more than data alone may be, or somebody who reads slowly could not even say so.
const MANY_REPLIES: usize = 32 * 1024;
const MUCH: usize = 512 * 1024;
/// The ping whose answer shows that the caller has heard that we are leaving.
const FAREWELL: [u8; 8] = *b"goodbye?";

pub(super) struct Server {
    /// How many may be open at a time.
    max_streams: usize,
    /// The client's preface has come.
    greeted: bool,
    /// Requests that nobody has taken yet.
    opened: VecDeque<Opened>,
    hasty: u32,
    faults: u32,
    let_go: VecDeque<u32>,
    /// Numbers that were left out last: the first, and the one after the last.
    skipped: (u32, u32),
    leaving: Leaving,
}

/// A request on a stream that was opened just now.
pub(crate) struct Opened {
    pub(crate) stream: u32,
    /// `None` when it is too large.
    pub(crate) head: Option<request::Head>,
}

/// How far a graceful end has come (RFC 9113 §6.8).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaving {
    No,
    /// The caller was told to open no more streams; some may be on their way.
    Told,
    /// It has heard that: what comes on new streams now is not looked at.
    Heard,
}

impl Server {
    pub(super) fn new(max_streams: u32) -> Server {
        Server {
            max_streams: max_streams as usize,
            greeted: false,
            opened: VecDeque::new(),
            hasty: 0,
            faults: 0,
            let_go: VecDeque::new(),
            skipped: (0, 0),
            leaving: Leaving::No,
        }
    }

    /// Frames of this stream may still come, and mean nothing.
    pub(super) fn let_go(&mut self, id: u32) {
        if self.let_go.len() == MAX_LET_GO {
            self.let_go.pop_front();
        }
        self.let_go.push_back(id);
    }

    /// A stream was cancelled before anybody looked at its request.
    pub(super) fn cancelled_unbegun(&mut self) -> Result<(), Fault> {
        self.hasty += 1;
        match self.hasty > MAX_HASTY {
            true => Err(Fault::calm("streams are opened and reset at once, too many of them")),
            false => Ok(()),
        }
    }
}

impl Connection {
    /// The next request that has come.
    pub(crate) fn accept(&mut self) -> Option<Opened> {
        self.server.as_mut()?.opened.pop_front()
    }

    /// Somebody begins to answer; false when nobody waits for it any more.
    pub(crate) fn begin(&mut self, id: u32) -> bool {
        let Some(stream) = self.streams.get_mut(&id) else { return false };
        stream.is_begun = true;
        !stream.is_sent
    }

    /// How much of a request's body is to be read, where it was told; `None` when all of it is here and was nothing.
    pub(crate) fn body_of(&self, id: u32) -> Option<Option<u64>> {
        self.streams.get(&id).filter(|stream| !stream.is_drained()).map(Stream::unread)
    }

    /// Sends the head of an answer; `end` when nothing follows. One without a date gets `date`.
    pub(crate) fn answer(
        &mut self,
        id: u32,
        head: &response::Head,
        end: bool,
        date: impl FnOnce() -> HeaderValue,
    ) {
        let Some(stream) = self.streams.get_mut(&id).filter(|stream| !stream.is_sent) else { return };
        stream.is_sent = end;
        stream.expects = false;
        let (flags, encoder) = (if end { END_STREAM } else { 0 }, &mut self.encoder);
        let block = |out: &mut Vec<u8>| encoder.answer(out, head, date);
        self.outbox.block(HEADERS, flags, id, self.peer.max_frame, block);
        if let Some(server) = &mut self.server {
            server.hasty = server.hasty.saturating_sub(1);
            server.faults = server.faults.saturating_sub(1);
        }
        self.wake();
    }

    /// Sends the head of an answer before the answer. What a caller does not read is let go.
    pub(crate) fn interim(&mut self, id: u32, head: &response::Head) {
        if self.streams.get(&id).is_none_or(|stream| stream.is_sent) || self.outbox.len() > MANY_REPLIES {
            return;
        }
        let encoder = &mut self.encoder;
        self.outbox.block(HEADERS, 0, id, self.peer.max_frame, |out| encoder.interim(out, head));
        self.wake();
    }

    /// RFC 9110 §15.2.1: the caller may send its body.
    pub(super) fn say_continue(&mut self, id: u32) {
        // `:status`, written out.
        let block = |out: &mut Vec<u8>| out.extend_from_slice(b"\x08\x03100");
        self.outbox.block(HEADERS, 0, id, self.peer.max_frame, block);
        self.wake();
    }

    /// Begins to end: no new streams, and those that are open finish.
    pub(crate) fn finish(&mut self) {
        let Some(server) = self.server.as_mut().filter(|server| server.leaving == Leaving::No) else {
            return;
        };
        server.leaving = Leaving::Told;
        self.goodbye(LAST_STREAM, Reason::NO_ERROR);
        self.outbox.frame(PING, 0, 0, &FAREWELL);
    }

    /// The caller has heard that we are leaving, if this is what it answers.
    pub(super) fn go_on_leaving(&mut self, payload: &[u8]) {
        let Some(server) = self.server.as_mut().filter(|server| server.leaving == Leaving::Told) else {
            return;
        };
        if payload == FAREWELL {
            server.leaving = Leaving::Heard;
            self.say_goodbye(Reason::NO_ERROR);
            self.desert();
        }
    }

    /// Whether nothing is to be read of a caller before it has read something itself.
    pub(crate) fn is_overrun(&self) -> bool {
        let waiting = self.outbox.len();
        waiting > MUCH || self.receiving.replies.min(waiting) > MANY_REPLIES
    }

    /// Takes a client's preface off the front of the buffer; false while it is not all there.
    pub(super) fn greet(&mut self, buffer: &mut BytesMut) -> Result<bool, Fault> {
        let Some(server) = self.server.as_mut().filter(|server| !server.greeted) else { return Ok(true) };
        if !PREFACE.starts_with(&buffer[..buffer.len().min(PREFACE.len())]) {
            return Err(Fault::protocol("the first words are not HTTP/2's"));
        }
        server.greeted = buffer.len() >= PREFACE.len();
        if server.greeted {
            buffer.advance(PREFACE.len());
        }
        Ok(server.greeted)
    }

    /// The head of a new stream.
    pub(super) fn receive_request(
        &mut self,
        id: u32,
        end: bool,
        circular: bool,
        fields: Fields,
    ) -> Result<(), Fault> {
        let Some(server) = &mut self.server else { return Ok(()) };
        if id > self.next {
            server.skipped = (self.next, id);
        }
        self.next = id + 2;
        if server.leaving == Leaving::Heard {
            server.let_go(id);
            return Ok(());
        }
        if self.streams.len() >= server.max_streams
            && self.streams.values().filter(|stream| !stream.is_closed()).count() >= server.max_streams
        {
            return self.refuse(id, end, Fault::new(Reason::REFUSED_STREAM, "too many streams are open"));
        }
        if circular {
            return self.refuse(id, end, Fault::protocol("a stream depends on itself"));
        }
        let (inflow, outflow) = (Inflow::new(self.bounds.stream_window), Outflow::new(self.peer.window));
        let expects = !end && fields.headers.contains(EXPECT);
        let stream = Stream::opened(inflow, outflow, &fields.headers, end);
        let head = if fields.is_too_large() { Ok(None) } else { request_of(fields).map(Some) };
        match (head, stream) {
            (Ok(head), Ok(mut stream)) => {
                stream.expects = expects;
                self.streams.insert(id, stream);
                server.opened.push_back(Opened { stream: id, head });
                Ok(())
            }
            (Err(fault), _) | (_, Err(fault)) => self.refuse(id, end, fault),
        }
    }

    /// Resets a stream that was never opened.
    fn refuse(&mut self, id: u32, end: bool, fault: Fault) -> Result<(), Fault> {
        self.outbox.frame(RST_STREAM, 0, id, &u32::from(fault.code).to_be_bytes());
        if let Some(server) = self.server.as_mut().filter(|_| !end) {
            server.let_go(id);
        }
        self.blame()
    }

    /// Fields on a stream that is forgotten.
    pub(super) fn receive_late_fields(&mut self, id: u32) -> Result<(), Fault> {
        match &self.server {
            None => Ok(()),
            Some(server) if server.let_go.contains(&id) => Ok(()),
            Some(server) if (server.skipped.0..server.skipped.1).contains(&id) => {
                Err(Fault::protocol("a stream has a lower number than the one before it"))
            }
            Some(_) => Err(Fault::closed("a head comes on a stream that has ended")),
        }
    }

    /// Data on a stream that is forgotten.
    pub(super) fn receive_late_data(&mut self, id: u32) -> Result<(), Fault> {
        match &mut self.server {
            Some(server) if !server.let_go.contains(&id) => {
                server.let_go(id);
                self.outbox.frame(RST_STREAM, 0, id, &u32::from(Reason::STREAM_CLOSED).to_be_bytes());
                self.blame()
            }
            _ => Ok(()),
        }
    }

    /// The caller has caused trouble.
    pub(super) fn blame(&mut self) -> Result<(), Fault> {
        let Some(server) = &mut self.server else { return Ok(()) };
        server.faults += 1;
        match server.faults > MAX_FAULTS {
            true => Err(Fault::calm("too many streams had to be reset")),
            false => Ok(()),
        }
    }
}
