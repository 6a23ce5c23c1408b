//! The server's side: requests come and are answered, and who makes trouble is borne so long and no longer.

use http::HeaderValue;
use http::header::{CONTENT_TYPE, COOKIE, DATE};

use super::super::connection::Opened;
use super::super::frame::{
    CONTINUATION, GOAWAY, PADDED, PING, PRIORITY, PUSH_PROMISE, RST_STREAM, WINDOW_UPDATE, WITH_PRIORITY,
};
use super::super::stream::Finish;
use super::*;

const UP: u8 = END_HEADERS;
/// `GET /` and `POST /`, at `http://a`.
const GET: &[u8] = &[0x82, 0x86, 0x84, 0x01, 1, b'a'];
const POST: &[u8] = &[0x83, 0x86, 0x84, 0x01, 1, b'a'];

impl Talk {
    /// A server that a client has greeted.
    fn serving() -> Talk {
        let mut talk = Talk { connection: Connection::server(1000, 64 * 1024), buffer: PREFACE.into() };
        talk.settings(&[]).expect("settings");
        talk.written();
        talk
    }

    /// A request that is whole, or whose body is yet to come.
    fn ask(&mut self, id: u32, end: bool) -> Result<(), Fault> {
        let (flags, block) = if end { (UP | END_STREAM, GET) } else { (UP, POST) };
        self.say(HEADERS, flags, id, block)
    }

    fn accepted(&mut self) -> Opened {
        self.connection.accept().expect("a request")
    }

    fn answer_with(&mut self, id: u32, status: u16, end: bool) {
        let head = head(status);
        self.connection.answer(id, &head, end, || HeaderValue::from_static("now"));
    }

    /// Answers a request of which nothing else is wanted, and forgets it.
    fn be_done_with(&mut self, id: u32) {
        assert!(self.connection.begin(id), "nobody waits");
        self.answer_with(id, 200, true);
        self.connection.release(id);
    }

    /// The code with which a stream was reset since the last look, if it was all that was written.
    fn reset_code(&mut self, id: u32) -> Option<u32> {
        let frames = self.written();
        let [(Head { kind: RST_STREAM, stream, .. }, payload)] = &frames[..] else { return None };
        (*stream == id).then(|| u32::from_be_bytes(payload[..].try_into().expect("a code")))
    }
}

fn head(status: u16) -> response::Head {
    Response::builder().status(status).body(()).expect("a head").into()
}

/// Fields written out.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127);
            block.push(text.len() as u8);
            block.extend(text.as_bytes());
        }
    }
    block
}

#[test]
fn a_request_comes_and_is_answered() {
    let mut talk = Talk::serving();
    let fields = block(&[("te", "trailers"), ("cookie", "a=b"), ("cookie", "c=d"), ("content-length", "5")]);
    talk.say(HEADERS, UP, 1, &[POST, &fields].concat()).unwrap();
    let Opened { stream, head } = talk.accepted();
    let head = head.unwrap();
    assert_eq!((stream, head.method.as_str(), head.uri.to_string().as_str()), (1, "POST", "http://a/"));
    assert_eq!(head.headers.get_all(COOKIE).count(), 2);
    assert!(talk.connection.begin(1));
    assert_eq!(talk.connection.body_of(1), Some(Some(5)));
    talk.data(1, b"hello", true).unwrap();
    // Also what is here already is yet to be read.
    assert_eq!(talk.connection.body_of(1), Some(Some(5)));
    assert_eq!(talk.read_data(1), b"hello");
    assert!(talk.connection.is_drained(1));

    talk.answer_with(1, 200, false);
    talk.connection.send(1, Bytes::from_static(b"world"), Finish::More);
    talk.connection.send(1, Bytes::new(), Finish::Trailers(trailers("grpc-status", "0")));
    talk.connection.release(1);
    let expected = [(HEADERS, UP, 1), (DATA, 0, 1), (HEADERS, UP | END_STREAM, 1)];
    assert_eq!(names(&talk.written()), expected);
    assert!(!talk.connection.has_streams());
}

#[test]
fn an_answer_without_a_date_gets_one_and_what_repeats_is_a_number() {
    let mut talk = Talk::serving();
    let mut lengths = Vec::new();
    for (n, date) in [None, None, Some("then")].into_iter().enumerate() {
        let id = 2 * n as u32 + 1;
        talk.ask(id, true).unwrap();
        let mut head = head(200);
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        if let Some(date) = date {
            head.headers.insert(DATE, HeaderValue::from_static(date));
        }
        talk.connection.answer(id, &head, false, || HeaderValue::from_static("now"));
        talk.connection.send(id, Bytes::new(), Finish::Trailers(trailers("grpc-status", "0")));
        let frames = talk.written();
        let has = |text: &[u8]| frames[0].1.windows(text.len()).any(|window| window == text);
        assert_eq!((has(b"now"), has(b"then")), (date.is_none(), date.is_some()));
        lengths.push((frames[0].1.len(), frames[1].1.len()));
    }
    // The status, the content type as a number, the date with its name's number; the trailer as a number.
    assert_eq!(lengths[1], (1 + 1 + 3 + 3, 1));
}

#[test]
fn an_answer_that_needs_no_more_of_its_request_says_so() {
    let mut talk = Talk::serving();
    talk.ask(1, false).unwrap();
    talk.be_done_with(1);
    let frames = talk.written();
    assert_eq!(names(&frames), [(HEADERS, UP | END_STREAM, 1), (RST_STREAM, 0, 1)]);
    assert_eq!(frames[1].1, [0; 4], "no error");
    // What was on its way means nothing, and takes nothing of the windows.
    for _ in 0..1000 {
        talk.data(1, &[7; 16_000], false).unwrap();
    }
    talk.say(HEADERS, UP | END_STREAM, 1, &block(&[("x", "y")])).unwrap();
    assert!(talk.written().iter().all(|(head, _)| (head.kind, head.stream) == (WINDOW_UPDATE, 0)));
    // Nobody answered: that is no good end.
    talk.ask(3, true).unwrap();
    talk.connection.release(3);
    assert_eq!(talk.reset_code(3), Some(Reason::INTERNAL_ERROR.into()));
}

#[test]
fn who_waits_for_a_word_before_the_body_gets_it_when_the_body_is_wanted() {
    let mut talk = Talk::serving();
    let fields = block(&[("expect", "100-continue")]);
    talk.say(HEADERS, UP, 1, &[POST, &fields].concat()).unwrap();
    assert!(talk.written().is_empty());
    for _ in 0..2 {
        assert!(talk.read(1).is_pending());
    }
    let frames = talk.written();
    assert_eq!(names(&frames), [(HEADERS, UP, 1)]);
    assert_eq!(frames[0].1, b"\x08\x03100");
    // Not after the answer.
    talk.say(HEADERS, UP, 3, &[POST, &fields].concat()).unwrap();
    talk.answer_with(3, 200, false);
    talk.written();
    assert!(talk.read(3).is_pending());
    assert!(talk.written().is_empty());
}

#[test]
fn a_request_that_is_none_is_reset() {
    for (what, fields) in [
        ("no method", &[(":scheme", "http"), (":path", "/")][..]),
        ("an empty path", &[(":method", "GET"), (":scheme", "http"), (":path", "")]),
        ("a path without a slash", &[(":method", "GET"), (":scheme", "http"), (":path", "x")]),
        ("a status", &[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":status", "200")]),
        ("a CONNECT with a path", &[(":method", "CONNECT"), (":path", "/"), (":authority", "a")]),
        ("an extended CONNECT", &[(":method", "CONNECT"), (":protocol", "x"), (":authority", "a")]),
        ("te", &[(":method", "GET"), (":scheme", "http"), (":path", "/"), ("te", "gzip")]),
        ("upgrade", &[(":method", "GET"), (":scheme", "http"), (":path", "/"), ("upgrade", "x")]),
        ("a length", &[(":method", "GET"), (":scheme", "http"), (":path", "/"), ("content-length", "x")]),
    ] {
        let mut talk = Talk::serving();
        talk.say(HEADERS, UP | END_STREAM, 1, &block(fields)).expect(what);
        assert_eq!(talk.reset_code(1), Some(Reason::PROTOCOL_ERROR.into()), "{what}");
        assert!(talk.connection.accept().is_none(), "{what}");
        talk.ask(3, true).expect(what);
        assert_eq!(talk.accepted().stream, 3, "{what}");
    }
}

#[test]
fn trailers_end_a_request_and_are_fields_alone() {
    for (fields, flags, good) in [
        (&[("x", "y")][..], END_STREAM, true),
        (&[(":path", "/")], END_STREAM, false),
        (&[("x", "y")], 0, false),
    ] {
        let mut talk = Talk::serving();
        talk.ask(1, false).unwrap();
        talk.say(HEADERS, UP | flags, 1, &block(fields)).unwrap();
        let read = talk.read(1);
        match good {
            true => assert!(matches!(read, Poll::Ready(Some(Ok(frame))) if frame.is_trailers())),
            false => assert_eq!(talk.reset_code(1), Some(Reason::PROTOCOL_ERROR.into()), "{fields:?}"),
        }
    }
}

#[test]
fn a_head_that_is_too_large_is_told_from_one_that_is_meant_to_hurt() {
    let mut talk = Talk::serving();
    // A field of 3 000 octets, once written out and then named by one octet each.
    let known = [&[0x40, 1, b'x', 0x7f, 0xb9, 0x16][..], &[b'y'; 3000]].concat();
    talk.say(HEADERS, UP | END_STREAM, 1, &[GET, &known, &[0xbe; 30]].concat()).unwrap();
    assert!(talk.accepted().head.is_none());
    let fault = talk.say(HEADERS, UP | END_STREAM, 3, &[GET, &[0xbe; 100]].concat()).unwrap_err();
    assert_eq!(fault.code, Reason::ENHANCE_YOUR_CALM);
}

#[test]
fn streams_that_have_ended_take_nothing_more() {
    // Of a request that is whole, while it is answered.
    let mut talk = Talk::serving();
    talk.ask(1, true).unwrap();
    talk.data(1, b"x", false).unwrap();
    assert_eq!(talk.reset_code(1), Some(Reason::STREAM_CLOSED.into()));
    // Of one that was taken back, or answered, while somebody still holds it.
    for taken_back in [true, false] {
        let serving = || {
            let mut talk = Talk::serving();
            talk.ask(1, !taken_back).unwrap();
            match taken_back {
                true => talk.say(RST_STREAM, 0, 1, &[0, 0, 0, 8]).unwrap(),
                false => talk.answer_with(1, 200, true),
            }
            talk.written();
            talk
        };
        let mut talk = serving();
        talk.data(1, b"x", false).unwrap();
        assert_eq!(talk.reset_code(1), Some(Reason::STREAM_CLOSED.into()));
        assert_eq!(serving().ask(1, true).unwrap_err().code, Reason::STREAM_CLOSED);
    }
    let mut talk = Talk::serving();
    talk.ask(1, true).unwrap();
    talk.ask(1, true).unwrap();
    assert_eq!(talk.reset_code(1), Some(Reason::STREAM_CLOSED.into()));
    // Of one that is forgotten.
    let mut talk = Talk::serving();
    talk.ask(1, true).unwrap();
    talk.be_done_with(1);
    talk.written();
    talk.data(1, b"x", false).unwrap();
    assert_eq!(talk.reset_code(1), Some(Reason::STREAM_CLOSED.into()));
    talk.ask(3, true).unwrap();
    talk.be_done_with(3);
    assert_eq!(talk.ask(3, true).unwrap_err().code, Reason::STREAM_CLOSED);
    // Of one that was left out.
    let mut talk = Talk::serving();
    talk.ask(5, true).unwrap();
    assert_eq!(talk.ask(3, true).unwrap_err().code, Reason::PROTOCOL_ERROR);
    // Of one that was never opened, or that no client may open.
    for (kind, stream, payload) in [
        (DATA, 1, &b"x"[..]),
        (RST_STREAM, 1, &[0; 4]),
        (WINDOW_UPDATE, 1, &[0, 0, 0, 1]),
        (HEADERS, 2, GET),
        (HEADERS, 0, GET),
    ] {
        let mut talk = Talk::serving();
        let fault = talk.say(kind, UP, stream, payload).unwrap_err();
        assert_eq!(fault.code, Reason::PROTOCOL_ERROR, "{kind} {stream}");
    }
}

#[test]
fn a_client_begins_with_its_preface_in_however_many_pieces() {
    let mut talk = Talk { connection: Connection::server(1000, 64 * 1024), buffer: BytesMut::new() };
    for octet in PREFACE {
        talk.buffer.extend_from_slice(&[*octet]);
        talk.connection.receive(&mut talk.buffer).unwrap();
    }
    talk.settings(&[]).unwrap();
    talk.ask(1, true).unwrap();
    assert_eq!(talk.accepted().stream, 1);
    for words in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nXX", b"\0\0\0\x04\0\0\0\0\0"] {
        assert!(Connection::server(1000, 64 * 1024).receive(&mut words.into()).is_err(), "{words:?}");
    }
}

#[test]
fn more_streams_than_are_allowed_are_refused_and_those_that_ended_make_room() {
    let mut talk = Talk::serving();
    let ids: Vec<u32> = (1..).step_by(2).take(1000).collect();
    for id in &ids {
        talk.ask(*id, true).unwrap();
    }
    talk.ask(2001, true).unwrap();
    assert_eq!(talk.reset_code(2001), Some(Reason::REFUSED_STREAM.into()));
    // Reset, answered, or both while somebody still holds it: it is no stream any more.
    while talk.connection.accept().is_some() {}
    assert!(talk.connection.begin(1));
    talk.say(RST_STREAM, 0, 1, &[0, 0, 0, 8]).unwrap();
    talk.ask(2003, true).unwrap();
    talk.answer_with(3, 200, true);
    talk.ask(2005, true).unwrap();
    assert_eq!(talk.accepted().stream, 2003);
    assert_eq!(talk.accepted().stream, 2005);
}

#[test]
fn trouble_is_borne_so_long_and_no_longer() {
    type Trouble = fn(&mut Talk, u32) -> Result<(), Fault>;
    let troubles: &[(&str, Trouble)] = &[
        ("opened and reset", |talk, id| {
            talk.ask(id, true)?;
            talk.say(RST_STREAM, 0, id, &[0, 0, 0, 8])
        }),
        ("made to be reset by a window", |talk, id| {
            talk.ask(id, false)?;
            talk.say(WINDOW_UPDATE, 0, id, &[0x7f, 0xff, 0xff, 0xff])
        }),
        ("made to be reset by data after the end", |talk, id| {
            talk.ask(id, true)?;
            talk.data(id, b"x", false)
        }),
        ("made to be reset by its fields", |talk, id| {
            talk.say(HEADERS, UP | END_STREAM, id, &[GET, &block(&[("connection", "x")])].concat())
        }),
        ("made to be reset by itself", |talk, id| {
            let priority = [&id.to_be_bytes()[..], &[7]].concat();
            talk.say(HEADERS, UP | END_STREAM | WITH_PRIORITY, id, &[&priority, GET].concat())
        }),
        ("opened beyond the limit", |talk, id| talk.ask(id, false)),
        ("windows that change", |talk, id| {
            if id == 1 {
                talk.ask(1, false)?;
            }
            talk.settings(&[(4, 70_000 + id)])
        }),
    ];
    for (what, trouble) in troubles {
        let mut talk = Talk::serving();
        let ended = (1..5000).step_by(2).find_map(|id| {
            let troubled = trouble(&mut talk, id);
            talk.written();
            troubled.err()
        });
        assert_eq!(ended.map(|fault| fault.code), Some(Reason::ENHANCE_YOUR_CALM), "{what}");
        // Among requests that go well, it may go on for ever.
        if *what == "opened beyond the limit" || *what == "windows that change" {
            continue;
        }
        let mut talk = Talk::serving();
        for id in (1..20_000).step_by(4) {
            trouble(&mut talk, id).unwrap();
            talk.connection.release(id);
            talk.ask(id + 2, true).unwrap();
            talk.be_done_with(id + 2);
            talk.written();
        }
    }
    // What had been waiting may be cancelled in any number.
    let mut talk = Talk::serving();
    for id in (1..10_000).step_by(2) {
        talk.ask(id, true).unwrap();
        assert!(talk.connection.begin(id));
        talk.say(RST_STREAM, 0, id, &[0, 0, 0, 8]).unwrap();
        talk.connection.release(id);
    }
    assert_eq!(names(&talk.written()), []);
}

#[test]
fn who_leaves_says_so_twice_and_loses_nothing() {
    let mut talk = Talk::serving();
    talk.ask(1, true).unwrap();
    talk.connection.finish();
    let frames = talk.written();
    assert_eq!(names(&frames), [(GOAWAY, 0, 0), (PING, 0, 0)]);
    assert_eq!(frames[0].1, [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    // It was on its way.
    talk.ask(3, true).unwrap();
    talk.say(PING, ACK, 0, &frames[1].1).unwrap();
    let frames = talk.written();
    assert_eq!((names(&frames), &frames[0].1[..]), (vec![(GOAWAY, 0, 0)], &[0, 0, 0, 3, 0, 0, 0, 0][..]));
    talk.ask(5, false).unwrap();
    talk.data(5, b"x", true).unwrap();
    assert_eq!(names(&talk.written()), []);
    for id in [1, 3] {
        assert_eq!(talk.accepted().stream, id);
        assert!(!talk.connection.is_over());
        talk.be_done_with(id);
    }
    assert!(talk.connection.is_over() && talk.connection.accept().is_none());
    // Once is enough.
    talk.written();
    talk.connection.finish();
    assert_eq!(names(&talk.written()), []);
}

#[test]
fn a_caller_that_says_goodbye_still_wants_its_answers() {
    let mut talk = Talk::serving();
    talk.ask(1, false).unwrap();
    talk.say(GOAWAY, 0, 0, &[0; 8]).unwrap();
    talk.data(1, b"x", true).unwrap();
    assert_eq!(talk.read_data(1), b"x");
    talk.be_done_with(1);
    assert_eq!(names(&talk.written()), [(HEADERS, UP | END_STREAM, 1)]);
}

#[test]
fn who_asks_and_does_not_read_is_not_listened_to_meanwhile() {
    let mut talk = Talk::serving();
    for n in 0..2000 {
        assert_eq!(talk.connection.is_overrun(), n > 1927);
        talk.say(PING, 0, 0, &[1; 8]).unwrap();
    }
    assert!(talk.connection.is_overrun());
    talk.written();
    assert!(!talk.connection.is_overrun());
    // Heads need no window.
    let asked = (1..100_000).step_by(2).take_while(|id| {
        talk.ask(*id, true).unwrap();
        talk.be_done_with(*id);
        !talk.connection.is_overrun()
    });
    assert!(asked.count() < 50_000);
    talk.written();
    assert!(!talk.connection.is_overrun());
}

#[test]
fn frames_of_a_server_end_the_connection_at_a_server() {
    for (kind, flags, payload) in [
        (PUSH_PROMISE, UP, &[0, 0, 0, 2][..]),
        (CONTINUATION, UP, &[]),
        (HEADERS, UP | PADDED, &[9, 0]),
        (PRIORITY, 0, &[0; 4]),
        (0x04, 0, &[0; 6]),
    ] {
        assert!(Talk::serving().say(kind, flags, 1, payload).is_err(), "{kind}");
    }
    let mut talk = Talk::serving();
    talk.settings(&[(2, 1)]).unwrap();
    assert!(talk.settings(&[(2, 2)]).is_err());
}
