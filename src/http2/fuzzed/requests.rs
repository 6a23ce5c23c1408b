//! What a caller says.

use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use http::header::{CONNECTION, CONTENT_LENGTH, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderName, HeaderValue, Method};

use super::super::connection::{Connection, Opened};
use super::super::frame::{DATA, Head, PREFACE, SETTINGS};
use super::super::stream::Finish;
use super::all_written;
use crate::message::{request, response};

/// So many streams may be open at a time.
const STREAMS: u32 = 3;
/// So much is answered at most, more than a window takes at first.
const ANSWER: usize = 70_000;

/// In the first octet, how many come at a time; then what a caller says after its preface and SETTINGS. Each request is
/// answered, and its body read bit by bit.
///
/// Requests are sound, there are no more of them than may be, a body is as long as was told, what is written are frames,
/// the connection goes on or ends in good order, and nothing is left of a stream that nobody holds.
pub(crate) fn requests(octets: &[u8]) {
    let Some((piece, octets)) = octets.split_first() else { return };
    let mut connection = Connection::server(STREAMS, 4096);
    let mut buffer = BytesMut::from(PREFACE);
    buffer.extend_from_slice(&Head { length: 0, kind: SETTINGS, flags: 0, stream: 0 }.octets());
    connection.receive(&mut buffer).expect("settings");
    let mut held: Vec<Held> = Vec::new();
    for (n, piece) in octets.chunks(usize::from(*piece).max(1)).enumerate() {
        buffer.extend_from_slice(piece);
        let received = connection.receive(&mut buffer);
        while let Some(opened) = connection.accept() {
            held.push(Held::begin(&mut connection, opened));
        }
        let open = held.iter().filter(|one| !connection.is_closed(one.stream)).count();
        assert!(open <= STREAMS as usize);
        if let Err(fault) = received {
            connection.say_goodbye(fault.code);
            connection.end(&fault.into());
            break;
        }
        written(&mut connection);
        if !held.is_empty() {
            let at = n % held.len();
            if held[at].read_on(&mut connection) {
                connection.release(held.swap_remove(at).stream);
            }
        }
    }
    for mut one in held {
        while !one.read_on(&mut connection) {}
        connection.release(one.stream);
    }
    written(&mut connection);
    assert!(!connection.has_streams());
}

/// A request that somebody answers.
struct Held {
    stream: u32,
    /// How much of its body is to be read, where that was told.
    left: Option<u64>,
}

impl Held {
    fn begin(connection: &mut Connection, opened: Opened) -> Held {
        let Opened { stream, head } = opened;
        head.iter().for_each(judge);
        let left = connection.body_of(stream).unwrap_or(Some(0));
        if connection.begin(stream) {
            let end = stream % 4 == 1;
            connection.answer(stream, &response::Head::default(), end, || HeaderValue::from_static("now"));
            if !end {
                connection.send(stream, vec![7; ANSWER].into(), Finish::End);
            }
        }
        Held { stream, left }
    }

    /// True when nothing more comes for now.
    fn read_on(&mut self, connection: &mut Connection) -> bool {
        match connection.poll_frame(self.stream, &mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(Ok(frame))) => {
                if let (Some(left), Some(data)) = (&mut self.left, frame.data_ref()) {
                    *left = left.checked_sub(data.len() as u64).expect("no more than was told");
                }
                return false;
            }
            Poll::Ready(None) => assert!(self.left.is_none_or(|left| left == 0), "less than was told"),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        true
    }
}

fn judge(head: &request::Head) {
    let path = head.uri.path_and_query().map(|path| path.as_str());
    match path {
        Some(path) => assert!(path.starts_with('/') || path == "*"),
        None => assert_eq!(head.method, Method::CONNECT),
    }
    let others = ["keep-alive", "proxy-connection"].map(HeaderName::from_static);
    for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE].into_iter().chain(others) {
        assert!(!head.headers.contains(&name), "{name}");
    }
    assert!(head.headers.get(TE).is_none_or(|te| te == "trailers"));
    assert!(head.headers.get_all(CONTENT_LENGTH).count() < 2);
}

fn written(connection: &mut Connection) {
    let octets = all_written(connection);
    let mut rest = &octets[..];
    while !rest.is_empty() {
        let head = Head::read(rest).expect("a whole head");
        assert!(head.kind < 10 && head.kind != 5 && (head.kind != DATA || head.length <= ANSWER), "{head:?}");
        rest = rest.get(Head::LENGTH + head.length..).expect("a whole frame");
    }
}
