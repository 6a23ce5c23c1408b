//! The connection against the rules of RFC 9113, octet by octet.

use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use h2::Reason;
use http::{HeaderMap, Request, Response};

use super::connection::Connection;
use super::failure::{Failure, Fault};
use super::frame::{ACK, DATA, END_HEADERS, END_STREAM, HEADERS, Head, PREFACE, SETTINGS};
use crate::message::{request, response};

mod garbage;
mod oracle;
mod reading;
mod rules;
pub(crate) mod script;
mod sending;
mod serving;

/// `:status: 200`, as HPACK has it.
const OK: &[u8] = &[0x88];

/// The connection with a peer whose every octet the test says.
struct Talk {
    connection: Connection,
    /// What is yet to be read.
    buffer: BytesMut,
}

impl Talk {
    /// With the peer's SETTINGS.
    fn new(settings: &[(u16, u32)]) -> Talk {
        let mut talk = Talk { connection: Connection::client(), buffer: BytesMut::new() };
        talk.settings(settings).expect("settings");
        talk.written();
        talk
    }

    /// With one stream, its request sent.
    fn with_request() -> Talk {
        let mut talk = Talk::new(&[]);
        talk.get();
        talk
    }

    fn get(&mut self) -> u32 {
        let id = self.connection.open(&get(), true).expect("a stream");
        self.written();
        id
    }

    fn post(&mut self) -> u32 {
        let head = Request::post("http://a/b").body(()).expect("a head").into();
        self.connection.open(&head, false).expect("a stream")
    }

    fn settings(&mut self, settings: &[(u16, u32)]) -> Result<(), Fault> {
        let mut payload = Vec::new();
        for (name, value) in settings {
            payload.extend(name.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        self.say(SETTINGS, 0, 0, &payload)
    }

    fn say(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<(), Fault> {
        self.buffer.extend_from_slice(&Head { length: payload.len(), kind, flags, stream }.octets());
        self.buffer.extend_from_slice(payload);
        self.connection.receive(&mut self.buffer)
    }

    fn answer(&mut self, stream: u32) {
        self.say(HEADERS, END_HEADERS, stream, OK).expect("a head");
    }

    fn data(&mut self, stream: u32, data: &[u8], end: bool) -> Result<(), Fault> {
        self.say(DATA, if end { END_STREAM } else { 0 }, stream, data)
    }

    /// The frames that we have written since the last time.
    fn written(&mut self) -> Vec<(Head, Vec<u8>)> {
        let mut sink = Sink(Vec::new());
        let polled = self.connection.poll_write(&mut sink, &mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Ok(()))));
        let mut rest = sink.0.strip_prefix(PREFACE).unwrap_or(&sink.0);
        let mut frames = Vec::new();
        while let Some(head) = Head::read(rest) {
            frames.push((head, rest[Head::LENGTH..Head::LENGTH + head.length].to_vec()));
            rest = &rest[Head::LENGTH + head.length..];
        }
        frames
    }

    fn answered(&mut self, stream: u32) -> Poll<Result<response::Head, Failure>> {
        self.connection.poll_answer(stream, &mut Context::from_waker(Waker::noop()))
    }

    fn read(&mut self, stream: u32) -> Poll<Option<Result<http_body::Frame<Bytes>, Failure>>> {
        self.connection.poll_frame(stream, &mut Context::from_waker(Waker::noop()))
    }

    /// All data that can be read now.
    fn read_data(&mut self, stream: u32) -> Vec<u8> {
        let mut all = Vec::new();
        while let Poll::Ready(Some(Ok(frame))) = self.read(stream) {
            all.extend(frame.into_data().expect("data"));
        }
        all
    }
}

fn get() -> request::Head {
    Request::get("http://a/b").body(()).expect("a head").into()
}

/// Kind, flags and stream of each, without acknowledged settings.
fn names(frames: &[(Head, Vec<u8>)]) -> Vec<(u8, u8, u32)> {
    let all = frames.iter().map(|(head, _)| (head.kind, head.flags, head.stream));
    all.filter(|(kind, flags, _)| (*kind, *flags) != (SETTINGS, ACK)).collect()
}

/// A socket that takes everything.
struct Sink(Vec<u8>);

impl tokio::io::AsyncWrite for Sink {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.0.extend_from_slice(octets);
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn trailers(name: &'static str, value: &'static str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert(name, http::HeaderValue::from_static(value));
    trailers
}

fn code(failure: &Failure) -> Option<Reason> {
    failure.code()
}
