//! Frames about streams and the connection as a whole: resets, settings, pings, goodbyes, windows.

use super::super::failure::{Failure, Fault};
use super::super::flow;
use super::super::frame::{ACK, Head, PING, SETTINGS, number, setting, settings};
use super::send::{LARGEST_FRAME, SMALLEST_FRAME};
use super::{Connection, LAST_STREAM};

/// Answers to pings and settings that may wait for a peer which asks and does not read.
const MAX_REPLIES: usize = 128 * 1024;

impl Connection {
    pub(super) fn receive_reset(&mut self, head: Head, payload: &[u8]) -> Result<(), Fault> {
        self.check_opened(head.stream)?;
        let code = number(payload)
            .filter(|_| payload.len() == 4)
            .ok_or(Fault::size("a reset has a wrong length"))?;
        let Some(stream) = self.streams.get_mut(&head.stream) else { return Ok(()) };
        let hasty = !stream.is_begun && !stream.is_closed();
        stream.is_told_over = true;
        stream.fail(Failure::reset(code.into()));
        match &mut self.server {
            Some(server) if hasty => server.cancelled_unbegun(),
            _ => Ok(()),
        }
    }

    pub(super) fn receive_settings(&mut self, head: Head, payload: &[u8]) -> Result<(), Fault> {
        if head.stream != 0 {
            return Err(Fault::protocol("settings are for a stream"));
        }
        if !payload.len().is_multiple_of(6) || head.has(ACK) && !payload.is_empty() {
            return Err(Fault::size("settings have a wrong length"));
        }
        if head.has(ACK) {
            // Nothing waits for it: whatever we announced only gives the peer more room.
            return Ok(());
        }
        if !self.peer.settled {
            self.peer.max_streams = usize::MAX;
            self.peer.settled = true;
        }
        for (name, value) in settings(payload) {
            self.set(name, value)?;
        }
        self.reply(SETTINGS, &[])
    }

    fn set(&mut self, name: u16, value: u32) -> Result<(), Fault> {
        match name {
            setting::HEADER_TABLE_SIZE => self.encoder.set_limit(value as usize),
            // RFC 9113 §6.5.2: a flag, and only a client's.
            setting::ENABLE_PUSH if value > u32::from(self.server.is_some()) => {
                return Err(Fault::protocol("the setting of pushes makes no sense"));
            }
            setting::MAX_CONCURRENT_STREAMS => self.peer.max_streams = value as usize,
            setting::INITIAL_WINDOW_SIZE if value > flow::MAX => {
                return Err(Fault::flow("a window is too large"));
            }
            setting::INITIAL_WINDOW_SIZE => return self.resize_windows(value),
            setting::MAX_FRAME_SIZE if !(1 << 14..1 << 24).contains(&value) => {
                return Err(Fault::protocol("the size of frames is out of range"));
            }
            setting::MAX_FRAME_SIZE => {
                self.peer.max_frame = (value as usize).clamp(SMALLEST_FRAME, LARGEST_FRAME);
            }
            _ => {}
        }
        Ok(())
    }

    /// RFC 9113 §6.9.2: of all streams, by the difference.
    fn resize_windows(&mut self, size: u32) -> Result<(), Fault> {
        let by = i64::from(size) - i64::from(self.peer.window);
        if by == 0 {
            return Ok(());
        }
        if !self.streams.is_empty() {
            // It costs a look at every stream.
            self.blame()?;
        }
        self.peer.window = size;
        let mut opened = Vec::new();
        for (id, stream) in &mut self.streams {
            if !stream.outflow.change(by) {
                return Err(Fault::flow("a stream's window is too large"));
            }
            if stream.has_outgoing() && by > 0 {
                opened.push(*id);
            }
        }
        // In the order in which they were opened.
        opened.sort_unstable();
        opened.into_iter().for_each(|id| self.enqueue(id));
        Ok(())
    }

    pub(super) fn receive_ping(&mut self, head: Head, payload: &[u8]) -> Result<(), Fault> {
        if head.stream != 0 {
            return Err(Fault::protocol("a ping is for a stream"));
        }
        if payload.len() != 8 {
            return Err(Fault::size("a ping has a wrong length"));
        }
        if head.has(ACK) {
            self.ping.take_if(|asked| *asked == payload);
            self.go_on_leaving(payload);
            return Ok(());
        }
        self.reply(PING, payload)
    }

    /// Acknowledges a frame, for a peer that reads what it asks for.
    fn reply(&mut self, kind: u8, payload: &[u8]) -> Result<(), Fault> {
        // No more of them can wait than there waits in all.
        self.receiving.replies = self.receiving.replies.min(self.outbox.len()) + Head::LENGTH + payload.len();
        if self.receiving.replies > MAX_REPLIES {
            return Err(Fault::calm("replies are asked for and not read"));
        }
        self.outbox.frame(kind, ACK, 0, payload);
        Ok(())
    }

    pub(super) fn receive_goodbye(&mut self, head: Head, payload: &[u8]) -> Result<(), Fault> {
        if head.stream != 0 {
            return Err(Fault::protocol("a goodbye is for a stream"));
        }
        let (Some(last), Some(code)) = (number(payload), payload.get(4..).and_then(number)) else {
            return Err(Fault::size("a goodbye is too short"));
        };
        if self.server.is_some() {
            // Of streams that a server opens, and there are none. What was asked is answered.
            return Ok(());
        }
        let last = last & LAST_STREAM;
        // RFC 9113 §6.8: it may say less later, not more.
        let last = self.going_away.map_or(last, |(before, _)| before.min(last));
        self.going_away = Some((last, code.into()));
        for (_, stream) in self.streams.iter_mut().filter(|(id, _)| **id > last) {
            stream.fail(Failure::unseen(code.into()));
        }
        Ok(())
    }

    pub(super) fn receive_window(&mut self, head: Head, payload: &[u8]) -> Result<(), Fault> {
        let more = number(payload)
            .filter(|_| payload.len() == 4)
            .ok_or(Fault::size("a window's update has a wrong length"))?;
        let more = i64::from(more & flow::MAX);
        if head.stream == 0 {
            return match self.outflow.change(more) {
                true if more > 0 => Ok(()),
                true => Err(Fault::protocol("the connection's window is opened by nothing")),
                false => Err(Fault::flow("the connection's window is too large")),
            };
        }
        self.check_opened(head.stream)?;
        let Some(stream) = self.streams.get_mut(&head.stream).filter(|stream| !stream.is_sent) else {
            return Ok(());
        };
        let fault = match stream.outflow.change(more) {
            true if more > 0 => None,
            true => Some(Fault::protocol("a stream's window is opened by nothing")),
            false => Some(Fault::flow("a stream's window is too large")),
        };
        if stream.has_outgoing() {
            self.enqueue(head.stream);
        }
        self.break_off(head.stream, fault)
    }
}
