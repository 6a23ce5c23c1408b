//! What goes out.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::Frame;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

use super::super::*;
use crate::io::Io;
use crate::message::response;

/// A body of frames that are there, until there is an empty one, which is there the next time.
struct Frames(VecDeque<Frame<Bytes>>);

impl Frames {
    fn of(data: &[&'static str], trailers: Option<HeaderMap>) -> Frames {
        let data = data.iter().map(|data| Frame::data(Bytes::from_static(data.as_bytes())));
        Frames(data.chain(trailers.map(Frame::trailers)).collect())
    }
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Malformed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Malformed>>> {
        let frame = self.0.pop_front();
        if frame.as_ref().and_then(|frame| frame.data_ref()).is_some_and(|data| data == "...") {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(frame.map(Ok))
    }
}

/// All that goes out, and whether it came to its end.
async fn sent(mut outgoing: Outgoing<Frames>) -> (String, bool) {
    let (ours, mut peer) = UnixStream::pair().expect("sockets");
    let wire = Wire::new(Io::Unix(ours));
    let whole = poll_fn(|cx| outgoing.poll(&wire, cx)).await.is_ok();
    drop(wire);
    let mut octets = String::new();
    peer.read_to_string(&mut octets).await.expect("text");
    (octets, whole)
}

fn streaming(framing: Framing, data: &[&'static str], trailers: Option<HeaderMap>) -> Outgoing<Frames> {
    Outgoing::streaming(BytesMut::from("head|"), framing, Frames::of(data, trailers))
}

#[tokio::test]
async fn a_body_is_framed_as_its_head_says() {
    let sum =
        || Some(HeaderMap::from_iter([("x-sum".parse().expect("a name"), HeaderValue::from_static("1"))]));
    for (outgoing, octets, whole) in [
        (streaming(Framing::Length(5), &["he", "...", "llo"], None), "head|hello", true),
        (streaming(Framing::Length(5), &["he", "llo"], sum()), "head|hello", true),
        (streaming(Framing::Length(0), &[], None), "head|", true),
        (streaming(Framing::Length(5), &["...", "hell"], None), "head|hell", false),
        (streaming(Framing::Length(5), &["hello", "...", "!"], None), "head|hello", false),
        (
            streaming(Framing::Chunked, &["he", "", "llo"], None),
            "head|2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
            true,
        ),
        (
            streaming(Framing::Chunked, &["...", "hello, world", "..."], sum()),
            "head|c\r\nhello, world\r\n0\r\nx-sum: 1\r\n\r\n",
            true,
        ),
        (streaming(Framing::Chunked, &[], None), "head|0\r\n\r\n", true),
        (streaming(Framing::Close, &["he", "...", "llo"], None), "head|hello", true),
        (Outgoing::bare(BytesMut::from("head|"), Frames::of(&["never"], None)), "head|", true),
        (
            Outgoing::whole(BytesMut::from("head|"), Framing::Length(5), Bytes::from_static(b"hello")),
            "head|hello",
            true,
        ),
    ] {
        assert_eq!(sent(outgoing).await, (octets.to_owned(), whole));
    }
}

#[tokio::test]
async fn small_parts_go_out_together_and_large_ones_as_they_are() {
    let large = &*"x".repeat(5000).leak();
    let mut outgoing = streaming(Framing::Chunked, &["a", "b", large, "c", "..."], None);
    let gathered = poll_fn(|cx| Poll::Ready(outgoing.gather(cx).is_ok())).await;
    assert!(gathered && !outgoing.has_begun());
    let (octets, whole) = sent(outgoing).await;
    assert!(whole && octets == format!("head|1\r\na\r\n1\r\nb\r\n1388\r\n{large}\r\n1\r\nc\r\n0\r\n\r\n"));
}

#[test]
fn what_has_not_begun_can_be_told_from_what_was_touched() {
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut outgoing = streaming(Framing::Chunked, &["...", "a"], None);
    assert!(outgoing.gather(&mut cx).is_ok());
    assert!(matches!(outgoing.into_unsent(), Unsent::Untouched(_)));
    let mut outgoing = streaming(Framing::Chunked, &["a", "...", "b"], None);
    assert!(outgoing.gather(&mut cx).is_ok());
    assert!(matches!(outgoing.into_unsent(), Unsent::Touched(_)));
}

#[test]
fn an_answer_tells_its_length_once_and_its_date() {
    let date = || HeaderValue::from_static("now");
    let head = |status: u16, fields: &[(&'static str, &'static str)]| {
        let fields = fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let status = StatusCode::from_u16(status).expect("a status");
        response::Head { status, headers: fields.collect(), ..response::Head::default() }
    };
    let length = ("content-length", "5");
    for (head, framing, connection, rest) in [
        (head(200, &[length]), Framing::Length(5), None, "200 OK\r\ncontent-length: 5\r\ndate: now\r\n\r\n"),
        (head(200, &[]), Framing::Length(5), None, "200 OK\r\ncontent-length: 5\r\ndate: now\r\n\r\n"),
        (
            head(200, &[length, length, ("date", "then")]),
            Framing::Length(5),
            None,
            "200 OK\r\ncontent-length: 5\r\ndate: then\r\n\r\n",
        ),
        (
            head(200, &[("content-length", "5, 5"), ("date", "then")]),
            Framing::Length(5),
            None,
            "200 OK\r\ncontent-length: 5\r\ndate: then\r\n\r\n",
        ),
        (
            head(200, &[length]),
            Framing::Chunked,
            None,
            "200 OK\r\ntransfer-encoding: chunked\r\ndate: now\r\n\r\n",
        ),
        (
            head(200, &[length, ("connection", "close")]),
            Framing::Close,
            Some("close"),
            "200 OK\r\nconnection: close\r\ndate: now\r\n\r\n",
        ),
        (
            head(304, &[length]),
            Framing::None,
            None,
            "304 Not Modified\r\ncontent-length: 5\r\ndate: now\r\n\r\n",
        ),
        (head(204, &[length]), Framing::None, None, "204 No Content\r\ndate: now\r\n\r\n"),
        (
            head(299, &[]),
            Framing::None,
            Some("keep-alive"),
            "299 \r\nconnection: keep-alive\r\ndate: now\r\n\r\n",
        ),
    ] {
        assert_eq!(write_answer(&head, framing, connection, date), format!("HTTP/1.1 {rest}"));
    }
}
