//! One side of an HTTP/2 connection (RFC 9113), without the socket: octets in, octets out, streams between.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use h2::Reason;
use http::Method;
use tokio::io::AsyncWrite;

use super::failure::Failure;
use super::flow::{self, Inflow, Outflow};
use super::frame::{
    END_STREAM, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS, WINDOW_UPDATE, setting,
};
use super::hpack::{Decoder, Encoder};
use super::outbox::Outbox;
use super::stream::Stream;
use super::streams::Streams;
use crate::message::request;

mod control;
mod read;
mod receive;
mod send;
mod serve;

pub(crate) use serve::Opened;
use serve::Server;

/// What the peer is allowed.
struct Bounds {
    /// What it may have under way on one stream towards somebody who does not read, and towards one who has read much.
    first_window: u32,
    stream_window: u32,
    /// On all streams together.
    connection_window: u32,
    /// The largest frame.
    max_frame: u32,
    /// The largest head or trailers, counted as RFC 9113 §6.5.2 does.
    max_fields: usize,
}

/// For upstreams. The connection's window is as large as those of all streams together, so that however many callers
/// do not read, the others' answers come.
const OF_SERVERS: Bounds = Bounds {
    first_window: 64 * 1024,
    stream_window: 1 << 20,
    connection_window: (1 << 20) * super::MAX_STREAMS as u32,
    max_frame: 16 * 1024,
    max_fields: 64 * 1024,
};
/// Streams on a peer that has not said how many it takes.
const UNTOLD_STREAMS: usize = 100;
/// The largest number of a stream.
const LAST_STREAM: u32 = u32::MAX >> 1;

/// The state of a connection.
pub(crate) struct Connection {
    bounds: Bounds,
    /// What only a server needs; `None` at a client.
    server: Option<Server>,
    streams: Streams,
    /// The number of the next stream, whoever opens it.
    next: u32,
    outbox: Outbox,
    encoder: Encoder,
    decoder: Decoder,
    inflow: Inflow,
    outflow: Outflow,
    peer: Peer,
    /// Streams that have something to send and a window for it, next in front.
    queue: VecDeque<u32>,
    receiving: receive::Progress,
    /// The last stream that the peer will look at, and why no later one.
    going_away: Option<(u32, Reason)>,
    /// A ping whose answer has not come.
    ping: Option<[u8; 8]>,
    /// No more streams will be opened.
    deserted: bool,
    ended: bool,
    /// Who reads and writes the socket.
    task: Option<Waker>,
}

/// What the peer has said about itself.
struct Peer {
    settled: bool,
    max_streams: usize,
    /// Of a new stream.
    window: u32,
    max_frame: usize,
}

impl Connection {
    /// A client's side, about to send its preface.
    pub(crate) fn client() -> Connection {
        let mut outbox = Outbox::default();
        outbox.raw(PREFACE);
        Connection::new(OF_SERVERS, None, outbox, (setting::ENABLE_PUSH, 0))
    }

    /// A server's side, about to send its SETTINGS. The client may open so many streams at a time, with heads and
    /// trailers of so many octets, counted as RFC 9113 §6.5.2 does.
    pub(crate) fn server(max_streams: u32, max_fields: usize) -> Connection {
        // One upload that nobody reads must not stop the others.
        let bounds = Bounds {
            first_window: 256 * 1024,
            stream_window: 256 * 1024,
            connection_window: 64 << 20,
            max_frame: 16 * 1024,
            max_fields,
        };
        let streams = (setting::MAX_CONCURRENT_STREAMS, max_streams);
        Connection::new(bounds, Some(Server::new(max_streams)), Outbox::default(), streams)
    }

    fn new(bounds: Bounds, server: Option<Server>, mut outbox: Outbox, own: (u16, u32)) -> Connection {
        let settings = [
            own,
            (setting::INITIAL_WINDOW_SIZE, bounds.first_window),
            (setting::MAX_FRAME_SIZE, bounds.max_frame),
            (setting::MAX_HEADER_LIST_SIZE, bounds.max_fields as u32),
        ];
        let mut payload = Vec::new();
        for (name, value) in settings {
            payload.extend(name.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        outbox.frame(SETTINGS, 0, 0, &payload);
        outbox.frame(WINDOW_UPDATE, 0, 0, &(bounds.connection_window - flow::DEFAULT).to_be_bytes());
        Connection {
            inflow: Inflow::new(bounds.connection_window),
            bounds,
            server,
            streams: Streams::default(),
            next: 1,
            outbox,
            encoder: Encoder::new(),
            decoder: Decoder::new(),
            outflow: Outflow::new(flow::DEFAULT),
            peer: Peer {
                settled: false,
                max_streams: UNTOLD_STREAMS,
                window: flow::DEFAULT,
                max_frame: send::SMALLEST_FRAME,
            },
            queue: VecDeque::new(),
            receiving: receive::Progress::default(),
            going_away: None,
            ping: None,
            deserted: false,
            ended: false,
            task: None,
        }
    }

    /// Whether another stream may be opened, as far as its number goes.
    pub(crate) fn takes_streams(&self) -> bool {
        !self.ended && self.going_away.is_none() && self.next <= LAST_STREAM
    }

    /// How many streams the peer takes at a time.
    pub(crate) fn max_streams(&self) -> usize {
        self.peer.max_streams
    }

    /// Whether the peer has introduced itself, or will not any more.
    pub(crate) fn is_settled(&self) -> bool {
        self.peer.settled || self.ended
    }

    /// Opens a stream with a request's head; `end` when there is nothing else.
    ///
    /// # Errors
    /// When the connection takes no more streams; nothing was sent.
    pub(crate) fn open(&mut self, head: &request::Head, end: bool) -> Result<u32, Failure> {
        if !self.takes_streams() {
            return Err(Failure::unsent());
        }
        let id = self.next;
        self.next += 2;
        let begins = self.outbox.position();
        let flags = if end { END_STREAM } else { 0 };
        let encoder = &mut self.encoder;
        self.outbox.block(HEADERS, flags, id, self.peer.max_frame, |out| encoder.request(out, head));
        let inflow = Inflow::growing(self.bounds.first_window, self.bounds.stream_window);
        let outflow = Outflow::new(self.peer.window);
        let stream = Stream::new(inflow, outflow, head.method == Method::HEAD, end, begins);
        self.streams.insert(id, stream);
        self.wake();
        Ok(id)
    }

    /// Whether both sides are through with a stream.
    pub(crate) fn is_closed(&self, id: u32) -> bool {
        self.streams.get(&id).is_none_or(Stream::is_closed)
    }

    /// Breaks a stream off, unless both sides are through with it.
    pub(crate) fn reset(&mut self, id: u32, failure: Failure) {
        let Some(stream) = self.streams.get_mut(&id).filter(|stream| !stream.is_closed()) else { return };
        let code = u32::from(failure.code().unwrap_or(Reason::CANCEL));
        if let Some(server) = &mut self.server
            && !stream.is_whole()
        {
            server.let_go(id);
        }
        stream.fail(failure);
        self.outbox.frame(RST_STREAM, 0, id, &code.to_be_bytes());
        self.wake();
    }

    /// Forgets a stream that nobody holds any more.
    pub(crate) fn release(&mut self, id: u32) {
        self.abandon(id);
        let failure = match (&self.server, self.streams.get(&id)) {
            // RFC 9113 §8.1: an answer that needs no more of its request says so in this way.
            (Some(_), Some(stream)) if stream.is_sent => Failure::answered(),
            (Some(_), _) => Failure::unanswered(),
            (None, _) => Failure::cancelled(),
        };
        self.reset(id, failure);
        self.streams.remove(&id);
        if self.deserted {
            self.wake();
        }
    }

    /// Asks whether the peer is still there.
    pub(crate) fn ping(&mut self) {
        let payload = *b"camunda?";
        self.ping = Some(payload);
        self.outbox.frame(PING, 0, 0, &payload);
        self.wake();
    }

    pub(crate) fn is_ponged(&self) -> bool {
        self.ping.is_none()
    }

    pub(crate) fn has_streams(&self) -> bool {
        !self.streams.is_empty()
    }

    /// No more streams will be opened; the connection ends with the last one.
    pub(crate) fn desert(&mut self) {
        self.deserted = true;
        self.wake();
    }

    /// Whether it is of no more use.
    pub(crate) fn is_over(&self) -> bool {
        self.deserted && self.streams.is_empty()
    }

    /// Tells the peer why the connection ends.
    pub(crate) fn say_goodbye(&mut self, code: Reason) {
        // At a client the peer has opened none.
        let last = if self.server.is_some() { self.next.saturating_sub(2) } else { 0 };
        self.goodbye(last, code);
    }

    fn goodbye(&mut self, last: u32, code: Reason) {
        let mut payload = [0; 8];
        payload[..4].copy_from_slice(&last.to_be_bytes());
        payload[4..].copy_from_slice(&u32::from(code).to_be_bytes());
        self.outbox.frame(GOAWAY, 0, 0, &payload);
        self.wake();
    }

    /// What it means that the peer closes the connection.
    pub(crate) fn closed_by_peer(&self) -> Failure {
        match self.going_away {
            Some((_, code)) if code != Reason::NO_ERROR => Failure::closed(code),
            _ => Failure::lost("the other side closed the connection"),
        }
    }

    /// The connection is lost, and every stream with it.
    pub(crate) fn end(&mut self, failure: &Failure) {
        self.ended = true;
        for stream in self.streams.values_mut() {
            // Not one octet of it went out: it can go elsewhere.
            let unsent = !self.outbox.has_reached(stream.begins);
            stream.fail(if unsent { failure.of_unsent() } else { failure.clone() });
        }
    }

    /// Writes what there is; ready when nothing is left.
    pub(crate) fn poll_write<T: AsyncWrite + Unpin>(
        &mut self,
        io: &mut T,
        cx: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        loop {
            self.fill();
            if self.outbox.is_flushed() {
                return Poll::Ready(Ok(()));
            }
            std::task::ready!(self.outbox.poll_write(io, cx))?;
        }
    }

    /// Whoever polls the connection wants to be told when there is something to write.
    pub(crate) fn watch(&mut self, cx: &Context<'_>) {
        if self.task.is_none() {
            self.task = Some(cx.waker().clone());
        }
    }

    /// Once for each time that the connection is polled.
    fn wake(&mut self) {
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }
}
