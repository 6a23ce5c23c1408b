//! Any octets from a caller.

use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http::Response;

use super::super::connection::Connection;
use super::super::frame::{Head, PREFACE, SETTINGS};
use super::super::stream::Finish;
use super::written;

/// In the first octet, how many come at a time; then what a caller says after its SETTINGS to a server that answers
/// whatever it takes for a request, every second stream with a body.
///
/// The connection goes on or ends in good order, what it writes are frames, and nothing is left of a stream that nobody
/// holds.
pub(crate) fn requests(octets: &[u8]) {
    let Some((piece, octets)) = octets.split_first() else { return };
    let mut connection = Connection::server(100, 16 * 1024);
    let mut buffer = BytesMut::from(PREFACE);
    buffer.extend_from_slice(&Head { length: 0, kind: SETTINGS, flags: 0, stream: 0 }.octets());
    let mut open = Vec::new();
    for piece in octets.chunks(usize::from(*piece).max(1)) {
        buffer.extend_from_slice(piece);
        let received = connection.receive(&mut buffer);
        while let Some(opened) = connection.accept() {
            answer(&mut connection, opened.stream);
            open.push(opened.stream);
        }
        if let Err(fault) = received {
            connection.say_goodbye(fault.code);
            connection.end(&fault.into());
            break;
        }
        written(&mut connection, false);
    }
    for stream in open {
        read(&mut connection, stream);
        connection.release(stream);
    }
    written(&mut connection, false);
    assert!(!connection.has_streams());
}

fn answer(connection: &mut Connection, stream: u32) {
    let head = Response::new(()).into_parts().0;
    let alone = stream % 4 == 1;
    if connection.begin(stream) {
        connection.answer(stream, &head, alone, || http::HeaderValue::from_static("now"));
        if !alone {
            connection.send(stream, Bytes::from_static(b"answer"), Finish::End);
        }
    }
    read(connection, stream);
}

fn read(connection: &mut Connection, stream: u32) {
    let mut cx = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(Ok(_))) = connection.poll_frame(stream, &mut cx) {}
}
