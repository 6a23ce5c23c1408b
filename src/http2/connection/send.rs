//! Sending messages: as much as windows, frames and the socket allow, a frame of each stream in turn.

use std::task::{Context, Poll};

use bytes::Bytes;

use super::super::frame::{END_STREAM, HEADERS};
use super::super::stream::Finish;
use super::Connection;

/// The largest frame that every peer takes (RFC 9113 §6.5.2).
pub(super) const SMALLEST_FRAME: usize = 16 * 1024;
/// No larger ones are sent, whatever the peer takes, or one stream would keep the others waiting.
pub(super) const LARGEST_FRAME: usize = 64 * 1024;
/// Data wait in their streams while this much waits for the socket.
const ENOUGH: usize = 256 * 1024;

/// How far a stream came in its turn.
enum Turn {
    /// There is more, and it may go.
    More,
    /// The connection's window is shut.
    Blocked,
    /// Nothing is left, or the stream's own window is shut.
    Over,
}

impl Connection {
    /// Gives a stream something to send. What was given before must be gone, see [`Connection::poll_sendable`].
    pub(crate) fn send(&mut self, id: u32, data: Bytes, finish: Finish) {
        let Some(stream) = self.streams.get_mut(&id).filter(|stream| !stream.is_sent) else { return };
        debug_assert!(!stream.has_outgoing());
        stream.outgoing = data;
        stream.finish = finish;
        stream.forget_writer();
        // Mostly nobody else waits, and it all goes at once.
        let at_once = self.queue.is_empty() && self.outbox.len() < ENOUGH;
        if !at_once || !matches!(self.take_turn(id), Turn::Over) {
            self.enqueue(id);
            self.fill();
        }
        self.wake();
    }

    /// Ready when more can be given; false when nothing is wanted any more.
    pub(crate) fn poll_sendable(&mut self, id: u32, cx: &mut Context<'_>) -> Poll<bool> {
        match self.streams.get_mut(&id) {
            Some(stream) => stream.poll_sendable(cx),
            None => Poll::Ready(false),
        }
    }

    /// Turns what streams have to send into frames.
    pub(super) fn fill(&mut self) {
        let mut goes_on = !self.queue.is_empty();
        while goes_on {
            goes_on = false;
            for _ in 0..self.queue.len() {
                if self.outbox.len() >= ENOUGH {
                    return;
                }
                let Some(id) = self.queue.pop_front() else { return };
                match self.take_turn(id) {
                    Turn::More => goes_on = true,
                    Turn::Blocked => {}
                    Turn::Over => continue,
                }
                self.queue.push_back(id);
            }
        }
    }

    pub(super) fn enqueue(&mut self, id: u32) {
        if let Some(stream) = self.streams.get_mut(&id).filter(|stream| !stream.is_queued) {
            stream.is_queued = true;
            self.queue.push_back(id);
        }
    }

    fn take_turn(&mut self, id: u32) -> Turn {
        let Some(stream) = self.streams.get_mut(&id) else { return Turn::Over };
        let wanted = stream.outgoing.len();
        let window = stream.outflow.room().min(self.outflow.room());
        let now = wanted.min(window).min(self.peer.max_frame);
        if now == 0 && wanted > 0 && stream.outflow.room() > 0 {
            return Turn::Blocked;
        }
        let all = now == wanted;
        let end = all && matches!(stream.finish, Finish::End);
        if now > 0 || end {
            stream.outflow.take(now);
            self.outflow.take(now);
            self.outbox.data(id, stream.outgoing.split_to(now), end);
        }
        if !all && stream.outflow.room() > 0 {
            return Turn::More;
        }
        stream.is_queued = false;
        if !all {
            return Turn::Over;
        }
        match std::mem::replace(&mut stream.finish, Finish::More) {
            Finish::More => {}
            Finish::End => stream.is_sent = true,
            Finish::Trailers(trailers) => {
                stream.is_sent = true;
                let encoder = &mut self.encoder;
                let block = |out: &mut Vec<u8>| encoder.trailers(out, &trailers);
                self.outbox.block(HEADERS, END_STREAM, id, self.peer.max_frame, block);
            }
        }
        stream.write_on();
        Turn::Over
    }
}
