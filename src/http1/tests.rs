mod oracle;
mod outgoing;
mod requests;

use bytes::BytesMut;
use http::header::CONTENT_LENGTH;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, Method, StatusCode};

use super::*;
use crate::message::response;

/// An answer to GET or HEAD that is all here.
fn read(method: &str, octets: &str) -> Result<(response::Head, String, Option<HeaderMap>), Malformed> {
    let mut buffer = BytesMut::from(octets);
    let answer = take_answer(&mut buffer)?.expect("a whole head");
    let mut decoder = Decoder::of_answer(&answer, method == "HEAD")?;
    let (mut body, mut trailers) = (Vec::new(), None);
    loop {
        match decoder.take(&mut buffer)? {
            Piece::Data(data) => body.extend_from_slice(&data),
            Piece::Trailers(fields) => trailers = Some(fields),
            Piece::End => break,
            Piece::Partial if decoder.ends_with_connection() => break,
            Piece::Partial => body.extend_from_slice(b"<more>"),
        }
        if trailers.is_some() || body.ends_with(b"<more>") {
            break;
        }
    }
    Ok((answer.head, String::from_utf8(body).expect("text"), trailers))
}

fn body(method: &str, octets: &str) -> String {
    read(method, octets).unwrap_or_else(|malformed| panic!("{octets:?}: {malformed}")).1
}

#[test]
fn a_body_ends_where_its_head_says() {
    let long = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;{}\r\na\r\n0\r\n\r\n",
        "e".repeat(3000)
    );
    for (method, octets, ends) in [
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello, and more", "hello"),
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello", "hello<more>"),
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello...", "hello"),
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n\r\nhello...", "hello"),
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n...", ""),
        ("GET", "HTTP/1.1 200 OK\r\n\r\nall that comes", "all that comes"),
        ("GET", "HTTP/1.0 200 OK\r\n\r\nall that comes", "all that comes"),
        (
            "GET",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n1 \r\n!\r\n0\r\n\r\n...",
            "hello!",
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n00005;a=b;c=\"d\"\r\nhello\r\n0\r\n\r\n",
            "hello",
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\n",
            "0123456789<more>",
        ),
        ("GET", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab", "ab<more>"),
        // RFC 9112 §6.3: the coding counts.
        (
            "GET",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
            "ab",
        ),
        ("GET", &long, "a"),
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", ""),
        ("HEAD", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", ""),
        ("GET", "HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n", ""),
        ("GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", ""),
    ] {
        assert_eq!(body(method, octets), ends, "{octets}");
    }
}

#[test]
fn trailers_come_after_the_last_chunk() {
    let octets =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nx-sum: 1\r\nX-Sum: 2\r\n\r\n";
    let (_, body, trailers) = read("GET", octets).unwrap();
    let trailers = trailers.expect("trailers");
    assert_eq!((body.as_str(), trailers.get_all("x-sum").iter().count()), ("ab", 2));
}

#[test]
fn a_head_is_passed_on_with_every_octet() {
    let octets =
        "HTTP/1.1 418 Short and stout\r\nX-A: one\r\nx-b: t\u{e4}glich \r\nX-a:\t two \r\nempty:\r\n\r\n";
    let answer = take_answer(&mut BytesMut::from(octets)).unwrap().unwrap().head;
    assert_eq!(answer.status, StatusCode::IM_A_TEAPOT);
    assert_eq!(answer.reason.expect("a reason of its own").as_bytes(), b"Short and stout");
    let fields = answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let came: [(_, &[u8]); 4] =
        [("x-a", b"one"), ("x-b", "t\u{e4}glich".as_bytes()), ("x-a", b"two"), ("empty", b"")];
    assert!(fields.eq(came), "{:?}", answer.headers);
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let fields = "x: y\r\n".repeat(101);
    let head = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
    let line = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;{}", "e".repeat(5000));
    let trailers =
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: {}", "y".repeat(20_000));
    for octets in [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\ncontent-length: 5, 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: 0x5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length:\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n x: y\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n11111111111111111\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length : 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nx\0: y\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: y\0\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        &head,
        &line,
        &trailers,
    ] {
        assert!(read("GET", octets).is_err(), "{octets:?}: {:?}", read("GET", octets));
    }
    let endless = "HTTP/1.1 200 OK\r\nx: ".to_owned() + &"y".repeat(200_000);
    assert!(take_answer(&mut BytesMut::from(&*endless)).is_err());
}

#[test]
fn a_request_says_how_long_it_is_where_it_does_not_say_so_itself() {
    for (length, framing, end) in [
        (None, Framing::None, ""),
        (None, Framing::Length(7), "content-length: 7\r\n"),
        (None, Framing::Chunked, "transfer-encoding: chunked\r\n"),
        (Some(b"07"), Framing::Length(7), "content-length: 07\r\n"),
    ] {
        let mut head = RequestHead::new(&Method::POST, &PathAndQuery::from_static("/a?b"));
        for value in [b"1", b"2"] {
            head.add(&HeaderName::from_static("x"), value);
        }
        length.iter().for_each(|length| head.add(&CONTENT_LENGTH, *length));
        assert!(!head.is_head());
        assert_eq!(head.finish(framing), format!("POST /a?b HTTP/1.1\r\nx: 1\r\nx: 2\r\n{end}\r\n"));
    }
}
