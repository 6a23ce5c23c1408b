//! HTTP/2 as it must not be: pseudo-fields, fields and frames (RFC 9113 §4 to §8, RFC 7541).

use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;

use super::recorded;
use super::recorder::Recorder;
use crate::common::PATIENCE;
use crate::common::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, PING, PREFACE, PRIORITY,
    PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, block, frame,
};

/// What must happen to the first request of a connection.
#[derive(Clone, Copy, Debug)]
enum Must {
    /// Its stream is reset, and the connection goes on.
    Reset,
    /// The connection ends in an error that is named.
    Goaway,
    /// The proxy answers this status for this reason, and the connection goes on.
    Answer(u16, &'static str),
    /// It reaches the upstream with this body, and the connection goes on.
    Pass(&'static str),
}

use Must::{Answer, Goaway, Pass, Reset};

type Case = (&'static str, Vec<u8>, Must);
type Field<'a> = (&'a str, &'a str);

const METHOD: Field<'_> = (":method", "POST");
const SCHEME: Field<'_> = (":scheme", "http");
const PATH: Field<'_> = (":path", "/v2/x");
const AUTHORITY: Field<'_> = (":authority", "localhost");

/// A request that is only a head, on the first stream.
fn head(fields: &[Field<'_>]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(fields))
}

/// One with the usual pseudo-fields before these.
fn usual(fields: &[Field<'_>]) -> Vec<u8> {
    head(&[&[METHOD, SCHEME, PATH, AUTHORITY], fields].concat())
}

/// One with another path.
fn path(path: &str) -> Vec<u8> {
    head(&[METHOD, SCHEME, (":path", path), AUTHORITY])
}

fn authority(authority: &str) -> Vec<u8> {
    head(&[METHOD, SCHEME, PATH, (":authority", authority)])
}

/// One with a body in these frames.
fn with_body(fields: &[Field<'_>], frames: &[Vec<u8>]) -> Vec<u8> {
    let head = block(&[&[METHOD, SCHEME, PATH, AUTHORITY], fields].concat());
    [frame(HEADERS, END_HEADERS, 1, &head), frames.concat()].concat()
}

/// One with these fields, and so often once more.
fn in_parts(fields: &[Field<'_>], more: usize) -> Vec<u8> {
    let first = block(&[&[METHOD, SCHEME, PATH, AUTHORITY], fields].concat());
    let rest = (1..=more)
        .flat_map(|n| frame(CONTINUATION, if n == more { END_HEADERS } else { 0 }, 1, &block(fields)));
    frame(HEADERS, END_STREAM, 1, &first).into_iter().chain(rest).collect()
}

fn raw_block(more: &[u8]) -> Vec<u8> {
    let block = [&block(&[METHOD, SCHEME, PATH, AUTHORITY]), more].concat();
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)
}

async fn judge_all(cases: &[Case]) {
    let (world, upstream) = recorded().await;
    let mut wrong = Vec::new();
    for (name, bytes, must) in cases {
        let judging = tokio::time::timeout(PATIENCE, judge(world.proxy, &upstream, bytes, *must));
        let judged = judging.await.unwrap_or_else(|_| Err("nothing comes".to_owned()));
        if let Err(what) = judged.and_then(|()| upstream.is_content()) {
            wrong.push(format!("{name}: must {must:?}, but {what}"));
        }
        upstream.seen();
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

async fn judge(proxy: SocketAddr, upstream: &Recorder, bytes: &[u8], must: Must) -> Result<(), String> {
    let mut frames = Frames::connect(proxy).await;
    let _ = frames.0.write_all(bytes).await;
    let first = of(&mut frames, 1).await;
    let seen = upstream.seen();
    let good = match (must, &first) {
        (Goaway, End::Goaway(code)) => *code != 0 && seen.is_empty(),
        (Reset, End::Reset) => seen.is_empty(),
        (Answer(status, reason), End::Body(body)) => {
            let said = format!(r#""reason":"{reason}","status":{status}"#);
            body.contains(&said) && seen.is_empty()
        }
        (Pass(expected), End::Body(body)) => {
            body.contains(" /base/v2/x") && seen.len() == 1 && seen[0].body == expected.as_bytes()
        }
        _ => false,
    };
    if !good {
        return Err(format!("it ended in {first:?}, and the upstream saw {seen:?}"));
    }
    if let Goaway = must {
        return Ok(());
    }
    frames.head(101, END_STREAM, &[(":method", "GET"), SCHEME, (":path", "/v2/second"), AUTHORITY]).await;
    let second = of(&mut frames, 101).await;
    let seen = upstream.seen();
    match &second {
        End::Body(body) if body == "GET /base/v2/second" && seen.len() == 1 => Ok(()),
        _ => Err(format!("the second request ended in {second:?}, and the upstream saw {seen:?}")),
    }
}

/// How a stream ended.
#[derive(Debug)]
enum End {
    Body(String),
    Reset,
    Goaway(u32),
    Closed,
}

async fn of(frames: &mut Frames, stream: u32) -> End {
    let mut body = Vec::new();
    while let Some(frame) = frames.read().await {
        match frame.kind {
            GOAWAY => {
                return End::Goaway(u32::from_be_bytes(frame.payload[4..8].try_into().expect("a code")));
            }
            RST_STREAM if frame.stream == stream => return End::Reset,
            DATA if frame.stream == stream => body.extend(frame.payload),
            _ => {}
        }
        if frame.stream == stream && [DATA, HEADERS].contains(&frame.kind) && frame.flags & END_STREAM != 0 {
            return End::Body(String::from_utf8_lossy(&body).into_owned());
        }
    }
    End::Closed
}

#[tokio::test]
async fn pseudo_fields_are_each_there_once_and_first_and_good() {
    let foreign = Answer(421, "host_denied");
    let cases: &[Case] = &[
        ("as usual", usual(&[]), Pass("")),
        ("in another order", head(&[AUTHORITY, PATH, SCHEME, METHOD]), Pass("")),
        ("no method", head(&[SCHEME, PATH, AUTHORITY]), Reset),
        ("no scheme", head(&[METHOD, PATH, AUTHORITY]), Reset),
        ("no path", head(&[METHOD, SCHEME, AUTHORITY]), Reset),
        ("nothing", head(&[]), Reset),
        ("no authority", head(&[METHOD, SCHEME, PATH]), Answer(400, "malformed")),
        ("host in place of the authority", head(&[METHOD, SCHEME, PATH, ("host", "localhost")]), Pass("")),
        ("host beside the authority", usual(&[("host", "localhost")]), Pass("")),
        ("host against the authority", usual(&[("host", "evil.example")]), Answer(400, "malformed")),
        (
            "a foreign authority beside our host",
            head(&[METHOD, SCHEME, PATH, (":authority", "evil.example"), ("host", "localhost")]),
            Answer(400, "malformed"),
        ),
        ("two hosts", usual(&[("host", "localhost"), ("host", "localhost")]), Answer(400, "malformed")),
        ("two methods", head(&[METHOD, METHOD, SCHEME, PATH, AUTHORITY]), Reset),
        ("two schemes", head(&[METHOD, SCHEME, SCHEME, PATH, AUTHORITY]), Reset),
        ("two paths", head(&[METHOD, SCHEME, PATH, (":path", "/v2/y"), AUTHORITY]), Reset),
        ("two authorities", head(&[METHOD, SCHEME, PATH, AUTHORITY, AUTHORITY]), Reset),
        ("one behind a field", head(&[METHOD, SCHEME, AUTHORITY, ("x", "y"), PATH]), Reset),
        ("an unknown one", usual(&[(":x", "y")]), Goaway),
        ("one of answers", usual(&[(":status", "200")]), Reset),
        ("one in capitals", head(&[METHOD, SCHEME, (":Path", "/v2/x"), AUTHORITY]), Goaway),
        ("the protocol of an extended CONNECT", usual(&[(":protocol", "websocket")]), Reset),
        (
            "CONNECT",
            head(&[(":method", "CONNECT"), (":authority", "evil.example:443")]),
            Answer(405, "method_refused"),
        ),
        ("CONNECT with a path", head(&[(":method", "CONNECT"), SCHEME, PATH, AUTHORITY]), Reset),
        (
            "an extended CONNECT",
            head(&[(":method", "CONNECT"), (":protocol", "websocket"), SCHEME, PATH, AUTHORITY]),
            Reset,
        ),
        ("TRACE", head(&[(":method", "TRACE"), SCHEME, PATH, AUTHORITY]), Answer(405, "method_refused")),
        ("TRACK", head(&[(":method", "TRACK"), SCHEME, PATH, AUTHORITY]), Answer(405, "method_refused")),
        ("an empty method", head(&[(":method", ""), SCHEME, PATH, AUTHORITY]), Goaway),
        (
            "a method that is a request line",
            head(&[(":method", "GET /v2/y HTTP/1.1\r\nx:"), SCHEME, PATH, AUTHORITY]),
            Goaway,
        ),
        ("a method with a space", head(&[(":method", "GET x"), SCHEME, PATH, AUTHORITY]), Goaway),
        ("another scheme", head(&[METHOD, (":scheme", "ftp"), PATH, AUTHORITY]), Answer(400, "malformed")),
        (
            "a scheme that is a URL",
            head(&[METHOD, (":scheme", "http://evil.example/?"), PATH, AUTHORITY]),
            Reset,
        ),
        ("a scheme with a line end", head(&[METHOD, (":scheme", "http\r\nx: y"), PATH, AUTHORITY]), Reset),
        ("an empty path", path(""), Reset),
        ("an asterisk", path("*"), Answer(400, "malformed")),
        ("a path without a slash", path("v2/x"), Reset),
        ("a URL", path("http://evil.example/v2/x"), Reset),
        ("a path with a space", path("/v2/x y"), Reset),
        ("a path that is a request", path("/v2/x HTTP/1.1\r\nhost: evil.example\r\n\r\n"), Reset),
        ("a path with a line end", path("/v2/x\r\ny: z"), Reset),
        ("a path with a NUL", path("/v2/\0x"), Reset),
        ("a path with a fragment", path("/v2/x#y"), Pass("")),
        ("a path out of the base", path("/v2/../y"), Answer(400, "malformed")),
        ("a path out of the base by escapes", path("/v2/%252e%252e/y"), Answer(400, "malformed")),
        ("a path out of the base by parameters", path("/v2/..;/y"), Answer(400, "malformed")),
        ("a path with a backslash", path("/v2\\..\\y"), Answer(400, "malformed")),
        ("a path of two slashes", path("//evil.example/v2/x"), Answer(400, "malformed")),
        ("an encoded line end", path("/v2/x%0d%0ay"), Answer(400, "malformed")),
        ("a foreign authority", authority("evil.example"), foreign),
        ("an authority with a user", authority("localhost@evil.example"), Answer(400, "malformed")),
        ("an authority with our name as user", authority("evil@localhost"), Answer(400, "malformed")),
        ("an authority with two ports", authority("localhost:80:80"), Reset),
        ("an authority with a path", authority("localhost/x"), Reset),
        ("an authority with a zone", authority("[::1%25lo]"), Answer(400, "malformed")),
        ("an empty authority", authority(""), Reset),
        ("an authority in capitals with its last dot", authority("LOCALHOST."), Pass("")),
        ("an authority that only ends in ours", authority("evil.localhost"), foreign),
    ];
    judge_all(cases).await;
}

#[tokio::test]
async fn fields_of_http2_are_small_letters_without_controls_and_nothing_of_http1() {
    let ends = |bytes: &[u8]| frame(DATA, END_STREAM, 1, bytes);
    let cases: &[Case] = &[
        ("te: trailers", usual(&[("te", "trailers")]), Pass("")),
        ("te: gzip", usual(&[("te", "gzip")]), Reset),
        ("te: gzip, trailers", usual(&[("te", "gzip, trailers")]), Reset),
        ("connection", usual(&[("connection", "close")]), Reset),
        ("connection that names the token", usual(&[("connection", "authorization")]), Reset),
        ("keep-alive", usual(&[("keep-alive", "timeout=5")]), Reset),
        ("proxy-connection", usual(&[("proxy-connection", "close")]), Reset),
        ("transfer-encoding", usual(&[("transfer-encoding", "chunked")]), Reset),
        ("upgrade", usual(&[("upgrade", "websocket")]), Reset),
        ("a name in capitals", usual(&[("X-Y", "z")]), Goaway),
        ("an empty name", usual(&[("", "y")]), Goaway),
        ("a name with a space", usual(&[("x y", "z")]), Goaway),
        ("a name with a colon", usual(&[("x:y", "z")]), Goaway),
        ("a name with a line end", usual(&[("x\r\ny", "z")]), Goaway),
        ("a name with a NUL", usual(&[("x\0", "y")]), Goaway),
        ("a name that is not ASCII", usual(&[("x\u{e9}", "y")]), Goaway),
        ("a value with a NUL", usual(&[("x", "a\0b")]), Goaway),
        ("a value with a CR", usual(&[("x", "a\rb")]), Goaway),
        ("a value with an LF", usual(&[("x", "a\nb")]), Goaway),
        ("a value that is a request", usual(&[("x", "y\r\n\r\nGET /v2/smuggled HTTP/1.1\r\n\r\n")]), Goaway),
        ("a length that is right", with_body(&[("content-length", "5")], &[ends(b"hello")]), Pass("hello")),
        (
            "a length that is right, of pieces",
            with_body(&[("content-length", "5")], &[frame(DATA, 0, 1, b"he"), ends(b"llo")]),
            Pass("hello"),
        ),
        ("a body without a length", with_body(&[], &[ends(b"hello")]), Pass("hello")),
        (
            "a body in pieces",
            with_body(&[], &[frame(DATA, 0, 1, b"he"), frame(DATA, 0, 1, b""), ends(b"llo")]),
            Pass("hello"),
        ),
        (
            "a body in padded pieces",
            with_body(&[], &[frame(DATA, 8, 1, b"\x03hel\0\0\0"), ends(b"lo")]),
            Pass("hello"),
        ),
        ("a length of no number", with_body(&[("content-length", "x")], &[ends(b"hello")]), Reset),
        ("a negative length", with_body(&[("content-length", "-5")], &[ends(b"hello")]), Reset),
        ("a length with a plus", with_body(&[("content-length", "+5")], &[ends(b"hello")]), Reset),
        (
            "two lengths",
            with_body(&[("content-length", "5"), ("content-length", "6")], &[ends(b"hello")]),
            Reset,
        ),
        ("a length and no body", usual(&[("content-length", "5")]), Reset),
        ("more than the length", with_body(&[("content-length", "4")], &[ends(b"hello")]), Reset),
        ("less than the length", with_body(&[("content-length", "6")], &[ends(b"hello")]), Reset),
        (
            "a pseudo-field at the end",
            with_body(
                &[],
                &[
                    frame(DATA, 0, 1, b"hello"),
                    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&[(":path", "/v2/y")])),
                ],
            ),
            Reset,
        ),
        (
            "fields at the end that do not end it",
            with_body(
                &[],
                &[frame(DATA, 0, 1, b"hello"), frame(HEADERS, END_HEADERS, 1, &block(&[("x", "y")]))],
            ),
            Reset,
        ),
        ("300 fields", usual(&vec![("x", "y"); 300]), Pass("")),
        ("15 KiB of fields", usual(&[("x", &"y".repeat(15_000))]), Pass("")),
        ("75 KB of fields", in_parts(&[("x", &"y".repeat(15_000))], 4), Answer(431, "malformed")),
        ("an index of nothing", raw_block(&[0x80]), Goaway),
        ("an index past the table", raw_block(&[0xff, 0x80, 0x01]), Goaway),
        ("an index past 64 bits", raw_block(&[0xff; 16]), Goaway),
        ("a name past the block", raw_block(&[0, 0x7f, 0xff, 0x7f, b'x']), Goaway),
        ("a value past the block", raw_block(&[0, 1, b'x', 5, b'y']), Goaway),
        ("half a field", raw_block(&[0, 1, b'x']), Goaway),
        ("Huffman code that does not end", raw_block(&[0, 1, b'x', 0x81, 0x00]), Goaway),
        ("Huffman code with its end in it", raw_block(&[0, 1, b'x', 0x84, 0xff, 0xff, 0xff, 0xff]), Goaway),
        ("a table larger than was offered", raw_block(&[0x3f, 0xff, 0xff, 0xff, 0x0f]), Goaway),
        ("a table size behind a field", raw_block(&[0x20]), Goaway),
    ];
    judge_all(cases).await;
}

#[tokio::test]
async fn frames_that_may_not_be_end_the_connection_or_their_stream() {
    let good = usual(&[]);
    let open = |more: Vec<u8>| with_body(&[], &[more]);
    let half = block(&[METHOD, SCHEME, PATH, AUTHORITY]);
    let begun = frame(HEADERS, END_STREAM, 1, &half);
    let setting =
        |id: u16, value: u32| frame(SETTINGS, 0, 0, &[&id.to_be_bytes()[..], &value.to_be_bytes()].concat());
    let cases: &[Case] = &[
        ("an unknown frame", [frame(0x42, 0xff, 0, b"x"), good.clone()].concat(), Pass("")),
        ("an unknown setting", [setting(0x4242, 7), good.clone()].concat(), Pass("")),
        ("a PRIORITY", [frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 7]), good.clone()].concat(), Pass("")),
        (
            "a head in two frames",
            [begun.clone(), frame(CONTINUATION, END_HEADERS, 1, &block(&[("x", "y")]))].concat(),
            Pass(""),
        ),
        (
            "a head cut in the middle of a field",
            [frame(HEADERS, END_STREAM, 1, &half[..9]), frame(CONTINUATION, END_HEADERS, 1, &half[9..])]
                .concat(),
            Pass(""),
        ),
        ("another frame in a head", [begun.clone(), frame(PING, 0, 0, &[0; 8])].concat(), Goaway),
        ("an unknown frame in a head", [begun.clone(), frame(0x42, 0, 1, b"x")].concat(), Goaway),
        (
            "another stream in a head",
            [begun.clone(), frame(CONTINUATION, END_HEADERS, 3, &[])].concat(),
            Goaway,
        ),
        ("CONTINUATION of nothing", frame(CONTINUATION, END_HEADERS, 1, &half), Goaway),
        ("CONTINUATION on stream 0", frame(CONTINUATION, END_HEADERS, 0, &half), Goaway),
        ("HEADERS on stream 0", frame(HEADERS, END_HEADERS | END_STREAM, 0, &half), Goaway),
        ("HEADERS on an even stream", frame(HEADERS, END_HEADERS | END_STREAM, 2, &half), Goaway),
        (
            "HEADERS with more padding than frame",
            frame(HEADERS, END_HEADERS | END_STREAM | 8, 1, &[&[0xff], &half[..]].concat()),
            Goaway,
        ),
        (
            "HEADERS that depend on themselves",
            frame(HEADERS, END_HEADERS | END_STREAM | 0x20, 1, &[&[0, 0, 0, 1, 7], &half[..]].concat()),
            Reset,
        ),
        (
            "HEADERS too short for their priority",
            frame(HEADERS, END_HEADERS | END_STREAM | 0x20, 1, &[0, 0]),
            Goaway,
        ),
        (
            "a frame longer than may be",
            frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                1,
                &block(&[METHOD, SCHEME, PATH, AUTHORITY, ("x", &"y".repeat(17_000))]),
            ),
            Goaway,
        ),
        ("DATA on stream 0", frame(DATA, 0, 0, b"x"), Goaway),
        ("DATA on a stream that is not open", frame(DATA, 0, 1, b"x"), Goaway),
        ("DATA with more padding than frame", open(frame(DATA, 8, 1, b"\xffx")), Goaway),
        ("RST_STREAM on stream 0", frame(RST_STREAM, 0, 0, &[0; 4]), Goaway),
        ("RST_STREAM on a stream that is not open", frame(RST_STREAM, 0, 1, &[0; 4]), Goaway),
        ("RST_STREAM of another length", open(frame(RST_STREAM, 0, 1, &[0; 3])), Goaway),
        ("PRIORITY on stream 0", frame(PRIORITY, 0, 0, &[0; 5]), Goaway),
        ("SETTINGS on a stream", frame(SETTINGS, 0, 1, &[]), Goaway),
        ("SETTINGS of another length", frame(SETTINGS, 0, 0, &[0; 5]), Goaway),
        ("SETTINGS acknowledged with something", frame(SETTINGS, 1, 0, &[0; 6]), Goaway),
        ("a setting of push that is no flag", setting(2, 2), Goaway),
        ("a window past 31 bits", setting(4, 0x8000_0000), Goaway),
        ("a frame size below the least", setting(5, 16_383), Goaway),
        ("a frame size past the greatest", setting(5, 0x0100_0000), Goaway),
        ("PUSH_PROMISE from a client", frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]), Goaway),
        ("PING on a stream", frame(PING, 0, 1, &[0; 8]), Goaway),
        ("PING of another length", frame(PING, 0, 0, &[0; 7]), Goaway),
        ("GOAWAY on a stream", frame(GOAWAY, 0, 1, &[0; 8]), Goaway),
        ("GOAWAY too short", frame(GOAWAY, 0, 0, &[0; 7]), Goaway),
        ("WINDOW_UPDATE of nothing", frame(WINDOW_UPDATE, 0, 0, &[0; 4]), Goaway),
        ("WINDOW_UPDATE of another length", frame(WINDOW_UPDATE, 0, 0, &[0; 3]), Goaway),
        ("WINDOW_UPDATE past 31 bits", frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]), Goaway),
        ("WINDOW_UPDATE of nothing for a stream", open(frame(WINDOW_UPDATE, 0, 1, &[0; 4])), Reset),
        (
            "WINDOW_UPDATE past 31 bits for a stream",
            open(frame(WINDOW_UPDATE, 0, 1, &[0x7f, 0xff, 0xff, 0xff])),
            Reset,
        ),
        ("WINDOW_UPDATE on a stream that is not open", frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]), Goaway),
        ("the preface once more", PREFACE.to_vec(), Goaway),
        ("a request of HTTP/1.1", b"GET /v2/x HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec(), Goaway),
        ("noise", vec![0xfe; 4096], Goaway),
    ];
    judge_all(cases).await;
}
