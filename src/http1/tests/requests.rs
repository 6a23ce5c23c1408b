//! Requests as callers send them.

use std::future::poll_fn;
use std::rc::Rc;

use bytes::BytesMut;
use http::Version;
use http::header::HOST;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::super::request::{Head, take_request};
use super::super::*;
use crate::io::Io;

const MAX: usize = 1024;

fn head(octets: &str) -> Result<Option<Head>, Unreadable> {
    take_request(&mut BytesMut::from(octets), MAX)
}

#[test]
fn a_head_says_what_follows_it_and_whether_another_may() {
    for (octets, framing, keeps, expects) in [
        ("GET / HTTP/1.1\r\n\r\n", Framing::None, true, false),
        ("\r\n\nGET / HTTP/1.1\n\n", Framing::None, true, false),
        ("GET / HTTP/1.1\r\nconnection: x, Close\r\n\r\n", Framing::None, false, false),
        (
            "GET / HTTP/1.1\r\nconnection: keep-alive\r\nconnection: close\r\n\r\n",
            Framing::None,
            false,
            false,
        ),
        ("GET / HTTP/1.0\r\n\r\n", Framing::None, false, false),
        ("GET / HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\n", Framing::None, true, false),
        (
            "GET / HTTP/1.0\r\nconnection: keep-alive\r\nconnection: close\r\n\r\n",
            Framing::None,
            false,
            false,
        ),
        ("POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n", Framing::Length(0), true, false),
        ("POST / HTTP/1.1\r\ncontent-length:\t07 \r\n\r\n", Framing::Length(7), true, false),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: CHUNKED\r\n\r\n", Framing::Chunked, true, false),
        (
            "POST / HTTP/1.1\r\ncontent-length: 1\r\nexpect: 100-Continue\r\n\r\n",
            Framing::Length(1),
            true,
            true,
        ),
        ("POST / HTTP/1.1\r\ncontent-length: 1\r\nexpect: else\r\n\r\n", Framing::Length(1), true, false),
        (
            "POST / HTTP/1.0\r\ncontent-length: 1\r\nexpect: 100-continue\r\n\r\n",
            Framing::Length(1),
            false,
            false,
        ),
    ] {
        let head = head(octets).expect("a head").expect("a whole head");
        let read = (head.framing, head.keeps_connection, head.expects);
        assert_eq!(read, (framing, keeps, expects), "{octets:?}");
    }
}

#[test]
fn a_head_is_not_larger_than_it_may_be() {
    let large = |length: usize| {
        let rest = length - "GET / HTTP/1.1\r\nx: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(rest))
    };
    assert!(matches!(head(&large(MAX)), Ok(Some(_))));
    assert!(matches!(head(&large(MAX + 1)), Err(Unreadable::TooLarge)));
    assert!(matches!(head(&large(2 * MAX)[..MAX]), Ok(None)));
    assert!(matches!(head(&large(2 * MAX)[..=MAX]), Err(Unreadable::TooLarge)));
    assert!(matches!(
        head(&format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(101))),
        Err(Unreadable::TooLarge)
    ));
    // What stands behind a head is not part of it.
    assert!(matches!(head(&format!("GET / HTTP/1.1\r\n\r\n{}", "y".repeat(2 * MAX))), Ok(Some(_))));
    let target = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(70_000));
    assert!(matches!(take_request(&mut BytesMut::from(&*target), 100_000), Err(Unreadable::TooLarge)));
}

/// A caller's end of a connection, and ours.
fn connected() -> (UnixStream, Rc<Inbound>) {
    let (caller, ours) = UnixStream::pair().expect("sockets");
    (caller, Rc::new(Inbound::new(Io::Unix(ours), BytesMut::new())))
}

async fn next(inbound: &Rc<Inbound>) -> Option<(Head, Option<Reader>)> {
    let request = poll_fn(|cx| inbound.poll_request(MAX, cx)).await;
    request.expect("what can be read").map(|Incoming { head, body }| (head, body))
}

async fn body_of(reader: &mut Reader) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(frame) = poll_fn(|cx| reader.poll_frame(cx)).await {
        body.extend(frame?.into_data().expect("data"));
    }
    Ok(body)
}

#[tokio::test]
async fn a_request_begins_where_the_one_before_it_has_ended() {
    let (mut caller, inbound) = connected();
    caller
        .write_all(
            b"POST /1 HTTP/1.1\r\ncontent-length: 3\r\n\r\noneGET /2 HTTP/1.1\r\n\r\n\
              POST /3 HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nt\r\n4\r\nhree\r\n0\r\n\r\nGET /4 HT",
        )
        .await
        .expect("written");
    for expected in [Some("one"), None, Some("three")] {
        let (_, reader) = next(&inbound).await.expect("a request");
        assert_eq!(reader.is_some(), expected.is_some());
        if let (Some(mut reader), Some(expected)) = (reader, expected) {
            assert_eq!(body_of(&mut reader).await.expect("a body"), expected.as_bytes());
        }
        assert!(inbound.is_over());
    }
    drop(caller);
    assert!(next(&inbound).await.is_none(), "half a head is for nobody");
}

#[tokio::test]
async fn a_head_may_come_in_pieces_of_an_octet() {
    for octets in ["GET /x HTTP/1.1\r\nhost: h\r\n\r\n", "\n\nGET /x HTTP/1.1\nhost: h\n\n"] {
        let (mut caller, inbound) = connected();
        let write = async {
            for octet in octets.as_bytes() {
                caller.write_all(&[*octet]).await.expect("written");
                tokio::task::yield_now().await;
            }
        };
        let ((), request) = tokio::join!(write, next(&inbound));
        let (head, reader) = request.expect("a request");
        assert_eq!(head.request.uri, "/x");
        assert_eq!(head.request.headers.get(HOST).unwrap(), "h");
        assert!(reader.is_none() && head.request.version == Version::HTTP_11 && !inbound.has_begun());
    }
}

#[tokio::test]
async fn a_caller_is_told_to_go_on_once_its_body_is_asked_for() {
    let (mut caller, inbound) = connected();
    caller
        .write_all(b"POST /1 HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n")
        .await
        .expect("written");
    let (_, reader) = next(&inbound).await.expect("a request");
    let mut reader = reader.expect("a body");
    assert!(inbound.expects() && !inbound.take_wanted());
    let asked = poll_fn(|cx| std::task::Poll::Ready(reader.poll_frame(cx).is_pending())).await;
    assert!(asked && inbound.take_wanted() && !inbound.take_wanted() && !inbound.expects());
    caller.write_all(b"one").await.expect("written");
    assert_eq!(body_of(&mut reader).await.expect("a body"), b"one");
}

#[tokio::test]
async fn who_lets_go_of_a_body_leaves_the_rest_to_be_read_within_bounds() {
    for (bound, drained) in [(3, true), (2, false)] {
        let (mut caller, inbound) = connected();
        caller.write_all(b"POST /1 HTTP/1.1\r\ncontent-length: 3\r\n\r\none").await.expect("written");
        let (_, reader) = next(&inbound).await.expect("a request");
        let let_go = async {
            tokio::task::yield_now().await;
            drop(reader);
        };
        tokio::join!(let_go, poll_fn(|cx| inbound.poll_let_go(cx)));
        let mut left = bound;
        assert_eq!(poll_fn(|cx| inbound.poll_drain(&mut left, cx)).await, drained);
    }
}

#[tokio::test]
async fn a_caller_that_leaves_is_seen_while_it_is_answered() {
    let (mut caller, inbound) = connected();
    caller.write_all(b"GET /1 HTTP/1.1\r\n\r\n").await.expect("written");
    next(&inbound).await.expect("a request");
    assert!(poll_fn(|cx| std::task::Poll::Ready(inbound.poll_left(cx).is_pending())).await);
    drop(caller);
    poll_fn(|cx| inbound.poll_left(cx)).await;
}

#[tokio::test]
async fn a_body_that_is_cut_short_is_no_body() {
    let (mut caller, inbound) = connected();
    caller.write_all(b"POST /1 HTTP/1.1\r\ncontent-length: 5\r\n\r\none").await.expect("written");
    drop(caller);
    let (_, reader) = next(&inbound).await.expect("a request");
    assert!(body_of(&mut reader.expect("a body")).await.is_err());
}
