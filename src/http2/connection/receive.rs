//! Frames as they come, and what those that belong to a message do. Whatever breaks the rules ends its stream, or the
//! connection where that is shared.

use bytes::{Buf, Bytes, BytesMut};

use super::super::failure::Fault;
use super::super::frame::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, Head, PADDED, PING, PRIORITY,
    PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, WITH_PRIORITY, number,
};
use super::super::hpack::{Fields, Of};
use super::{Connection, LAST_STREAM};

/// The largest header block as it comes, beside the fields that it may hold: codes may make one up to four times as long
/// as it is.
const MAX_BLOCK: usize = 4;
/// Frames of one header block.
const MAX_PARTS: usize = 64;
/// Data frames with nothing in them, one after another.
const MAX_EMPTY: u32 = 10_000;
/// Data up to this length are copied out of the buffer, which lives as long as what is cut out of it.
const COPIED: usize = 2 * 1024;

/// What is known between frames.
#[derive(Default)]
pub(super) struct Progress {
    /// A header block that goes on in the next frame.
    block: Option<Block>,
    /// Octets of replies since all of them were written.
    pub(super) replies: usize,
    /// Empty data frames in a row.
    empty: u32,
}

struct Block {
    head: Head,
    /// Its stream is said to depend on itself (RFC 7540 §5.3.1).
    circular: bool,
    parts: usize,
    octets: Vec<u8>,
}

impl Connection {
    /// Reads the whole frames at the front of `buffer` and leaves the rest.
    ///
    /// # Errors
    /// When the connection cannot go on.
    pub(crate) fn receive(&mut self, buffer: &mut BytesMut) -> Result<(), Fault> {
        if !self.greet(buffer)? {
            return Ok(());
        }
        while let Some(head) = Head::read(buffer) {
            if !self.peer.settled && (head.kind != SETTINGS || head.has(ACK)) {
                return Err(Fault::protocol("the first words are not HTTP/2 settings"));
            }
            if head.length > self.bounds.max_frame as usize {
                return Err(Fault::size("a frame is too long"));
            }
            if buffer.len() < Head::LENGTH + head.length {
                // One read more, and not several, until it is whole.
                buffer.reserve(Head::LENGTH + head.length - buffer.len());
                break;
            }
            if self.receiving.block.is_some() != (head.kind == CONTINUATION) {
                return Err(Fault::protocol("a header block is broken off, or goes on and never began"));
            }
            if head.kind == DATA {
                buffer.advance(Head::LENGTH);
                self.receive_data(head, buffer)?;
            } else {
                self.receive_frame(head, &buffer[Head::LENGTH..Head::LENGTH + head.length])?;
                buffer.advance(Head::LENGTH + head.length);
            }
        }
        Ok(())
    }

    fn receive_frame(&mut self, head: Head, payload: &[u8]) -> Result<(), Fault> {
        match head.kind {
            HEADERS => self.receive_head(head, payload),
            CONTINUATION => self.receive_more(head, payload),
            RST_STREAM => self.receive_reset(head, payload),
            SETTINGS => self.receive_settings(head, payload),
            PING => self.receive_ping(head, payload),
            GOAWAY => self.receive_goodbye(head, payload),
            WINDOW_UPDATE => self.receive_window(head, payload),
            PUSH_PROMISE => Err(Fault::protocol("something is pushed, which nobody wants")),
            PRIORITY if head.stream == 0 => Err(Fault::protocol("a priority has no stream")),
            PRIORITY if payload.len() != 5 => Err(Fault::size("a priority has a wrong length")),
            PRIORITY if depends_on(payload) == Some(head.stream) => {
                Err(Fault::protocol("a stream depends on itself"))
            }
            // RFC 9113 §5.3.2, §5.5: priorities and what nobody knows.
            _ => Ok(()),
        }
    }

    /// Only streams that were opened have frames. Those that are over by now stay known for ever, by their number:
    /// frames that were under way when a stream was cancelled are not the peer's fault, however many and late.
    pub(super) fn check_opened(&self, stream: u32) -> Result<(), Fault> {
        match stream % 2 == 1 && stream < self.next {
            true => Ok(()),
            false => Err(Fault::protocol("a frame is for a stream that nobody opened")),
        }
    }

    fn receive_data(&mut self, head: Head, buffer: &mut BytesMut) -> Result<(), Fault> {
        self.check_opened(head.stream)?;
        let padding = match (head.has(PADDED), buffer.first()) {
            (false, _) => 0,
            (true, Some(padding)) if usize::from(*padding) < head.length => 1 + usize::from(*padding),
            (true, _) => return Err(Fault::protocol("a frame is nothing but padding, and too short for it")),
        };
        if !self.inflow.charge(head.length) {
            return Err(Fault::flow("more data come than the connection's window allows"));
        }
        let (length, end) = (head.length - padding, head.has(END_STREAM));
        self.receiving.empty = if length == 0 && !end { self.receiving.empty + 1 } else { 0 };
        if self.receiving.empty > MAX_EMPTY {
            return Err(Fault::calm("empty data frames come without end"));
        }
        let known = self.streams.get_mut(&head.stream);
        let over = known.as_ref().is_none_or(|stream| stream.is_closed() && stream.is_told_over);
        let stream = known.filter(|stream| !stream.is_closed());
        let charged = stream.map(|stream| (stream.inflow.charge(head.length), stream));
        let read = match charged {
            Some((true, stream)) => {
                buffer.advance(padding.min(1));
                let data = take(buffer, length);
                buffer.advance(padding.saturating_sub(1));
                stream.receive_data(data, end)
            }
            uncharged => {
                buffer.advance(head.length);
                let fault = Fault::flow("more data come than the stream's window allows");
                if uncharged.is_some() { Err(fault) } else { Ok(false) }
            }
        };
        // What nobody will read, padding and all else, makes room for the other streams at once.
        self.consumed(if read == Ok(true) { padding } else { head.length });
        match read {
            Ok(true) if padding > 0 => self.read_from(head.stream, padding),
            Ok(_) if over => return self.receive_late_data(head.stream),
            Ok(_) => {}
            Err(fault) => return self.break_off(head.stream, Some(fault)),
        }
        Ok(())
    }

    fn receive_head(&mut self, head: Head, mut payload: &[u8]) -> Result<(), Fault> {
        if self.server.is_none() || head.stream.is_multiple_of(2) {
            self.check_opened(head.stream)?;
        }
        let mut padding = 0;
        if head.has(PADDED) {
            let (first, rest) =
                payload.split_first().ok_or(Fault::size("a head has no room for its padding"))?;
            (padding, payload) = (usize::from(*first), rest);
        }
        let mut circular = false;
        if head.has(WITH_PRIORITY) {
            circular = depends_on(payload) == Some(head.stream);
            payload = payload.get(5..).ok_or(Fault::size("a head has no room for its priority"))?;
        }
        let length = payload.len().checked_sub(padding).ok_or(Fault::protocol("a head is all padding"))?;
        let block = &payload[..length];
        if head.has(END_HEADERS) {
            return self.receive_block(head, circular, block);
        }
        self.receiving.block = Some(Block { head, circular, parts: 1, octets: block.to_vec() });
        Ok(())
    }

    fn receive_more(&mut self, head: Head, payload: &[u8]) -> Result<(), Fault> {
        let Some(block) = self.receiving.block.as_mut().filter(|block| block.head.stream == head.stream)
        else {
            return Err(Fault::protocol("a header block goes on in another stream"));
        };
        block.octets.extend_from_slice(payload);
        block.parts += 1;
        if block.octets.len() > MAX_BLOCK * self.bounds.max_fields || block.parts > MAX_PARTS {
            return Err(Fault::calm("a header block goes on without end"));
        }
        if head.has(END_HEADERS)
            && let Some(Block { head, circular, octets, .. }) = self.receiving.block.take()
        {
            return self.receive_block(head, circular, &octets);
        }
        Ok(())
    }

    fn receive_block(&mut self, head: Head, circular: bool, block: &[u8]) -> Result<(), Fault> {
        let (id, end) = (head.stream, head.has(END_STREAM));
        let of = if self.server.is_some() { Of::Request } else { Of::Answer };
        let mut fields = Fields::up_to(self.bounds.max_fields, of);
        self.decoder.decode(block, &mut fields)?;
        if fields.is_excessive() && self.server.is_some() {
            return Err(Fault::calm("a header block stands for far too much"));
        }
        if let Some(what) = fields.malformed.filter(|_| fields.is_garbage && self.server.is_some()) {
            return Err(Fault::protocol(what));
        }
        if self.server.is_some() && id >= self.next {
            return self.receive_request(id, end, circular, fields);
        }
        let Some(stream) = self.streams.get_mut(&id) else { return self.receive_late_fields(id) };
        if stream.is_closed() {
            return if stream.is_told_over { self.receive_late_fields(id) } else { Ok(()) };
        }
        let fault = stream.receive_fields(fields, end).err();
        self.break_off(id, fault)
    }

    /// Ends the one stream on which a rule was broken.
    pub(super) fn break_off(&mut self, id: u32, fault: Option<Fault>) -> Result<(), Fault> {
        let Some(fault) = fault else { return Ok(()) };
        self.reset(id, fault.into());
        self.blame()
    }
}

/// The stream that a priority begins with (RFC 7540 §5.3.1).
fn depends_on(priority: &[u8]) -> Option<u32> {
    number(priority).map(|on| on & LAST_STREAM)
}

/// Cuts data off the front of the buffer.
fn take(buffer: &mut BytesMut, length: usize) -> Bytes {
    if length > COPIED {
        return buffer.split_to(length).freeze();
    }
    let data = Bytes::copy_from_slice(&buffer[..length]);
    buffer.advance(length);
    data
}
