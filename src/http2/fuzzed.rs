//! Any octets from an upstream and from a caller, and any call between this client and the server of the `h2` crate.

use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use http::Request;

use super::connection::Connection;
use super::frame::{DATA, Head, PREFACE, SETTINGS};
use super::stream::Finish;

mod calls;
mod requests;

pub(crate) use super::hpack::fuzzed::hpack;
pub(crate) use calls::calls;
pub(crate) use requests::requests;

/// In the first octet, how many come at a time; then what an upstream says after its SETTINGS to a connection with three
/// streams, the last of which sends a body.
///
/// The connection goes on or ends in good order, what it writes are frames, and nothing is left of a stream that
/// nobody holds.
pub(crate) fn frames(octets: &[u8]) {
    let Some((piece, octets)) = octets.split_first() else { return };
    let mut connection = Connection::client();
    let mut buffer = BytesMut::new();
    buffer.extend_from_slice(&Head { length: 0, kind: SETTINGS, flags: 0, stream: 0 }.octets());
    connection.receive(&mut buffer).expect("settings");
    let head =
        |method: &str| Request::builder().method(method).uri("http://a/b").body(()).expect("a head").into();
    let streams = ["GET", "HEAD", "POST"].map(|method| connection.open(&head(method), method != "POST"));
    let streams = streams.map(|stream| stream.expect("a stream"));
    connection.send(streams[2], vec![7; BODY].into(), Finish::End);
    let mut sent = written(&mut connection, true);
    for piece in octets.chunks(usize::from(*piece).max(1)) {
        buffer.extend_from_slice(piece);
        if let Err(fault) = connection.receive(&mut buffer) {
            connection.say_goodbye(fault.code);
            connection.end(&fault.into());
            break;
        }
        sent += written(&mut connection, false);
        assert!(sent <= BODY);
        // Slowly, so that also windows which are not opened are tried.
        read(&mut connection, streams[piece.len() % 3], 1);
    }
    for stream in streams {
        read(&mut connection, stream, usize::MAX);
        connection.release(stream);
    }
    written(&mut connection, false);
    assert!(!connection.has_streams());
}

const BODY: usize = 100_000;

fn read(connection: &mut Connection, stream: u32, frames: usize) {
    let mut cx = Context::from_waker(Waker::noop());
    let _ = connection.poll_answer(stream, &mut cx);
    for _ in 0..frames {
        let Poll::Ready(Some(Ok(_))) = connection.poll_frame(stream, &mut cx) else { return };
    }
}

/// How much data there is among the frames that are written.
fn written(connection: &mut Connection, preface: bool) -> usize {
    let octets = all_written(connection);
    let mut rest = if preface { octets.strip_prefix(PREFACE).expect("the preface") } else { &octets };
    let mut data = 0;
    while !rest.is_empty() {
        let head = Head::read(rest).expect("a whole head");
        assert!(head.kind < 10 && head.kind != 5, "{head:?}");
        rest = rest.get(Head::LENGTH + head.length..).expect("a whole frame");
        data += if head.kind == DATA { head.length } else { 0 };
    }
    data
}

fn all_written(connection: &mut Connection) -> Vec<u8> {
    let mut octets = std::io::Cursor::new(Vec::new());
    let polled = connection.poll_write(&mut octets, &mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Ok(()))));
    octets.into_inner()
}
