//! What a peer must not do: who does it loses the connection, or the stream where nobody else is concerned.

use super::super::frame::{
    CONTINUATION, GOAWAY, PADDED, PING, PRIORITY, PUSH_PROMISE, RST_STREAM, WINDOW_UPDATE, WITH_PRIORITY,
    setting,
};
use super::*;

const UP: u8 = END_HEADERS;

/// What is wrong with a frame; its kind, flags, stream and payload; the code that it ends with.
type Case<'a> = (&'a str, u8, u8, u32, &'a [u8], Reason);

/// After the peer's SETTINGS, with streams 1 (answered with a head) and 3 (not answered).
fn begun() -> Talk {
    let mut talk = Talk::with_request();
    talk.answer(1);
    talk.get();
    talk
}

#[test]
fn what_concerns_everybody_ends_the_connection() {
    let max_window = (u32::MAX >> 1).to_be_bytes();
    let settings = |name: u16, value: u32| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat();
    let window = settings(setting::INITIAL_WINDOW_SIZE, 1 << 31);
    let frames = [settings(setting::MAX_FRAME_SIZE, 16_383), settings(setting::MAX_FRAME_SIZE, 1 << 24)];
    let push = settings(setting::ENABLE_PUSH, 1);
    let cases: &[Case] = &[
        ("data without a stream", DATA, 0, 0, b"x", Reason::PROTOCOL_ERROR),
        ("data of a stream that nobody opened", DATA, 0, 5, b"x", Reason::PROTOCOL_ERROR),
        ("data of a stream of the peer's", DATA, 0, 2, b"x", Reason::PROTOCOL_ERROR),
        ("data with nothing but a wrong padding", DATA, PADDED, 1, &[1], Reason::PROTOCOL_ERROR),
        ("data with too much padding", DATA, PADDED, 1, &[4, b'a', 0, 0], Reason::PROTOCOL_ERROR),
        ("data padded without a length", DATA, PADDED, 1, &[], Reason::PROTOCOL_ERROR),
        ("a head without a stream", HEADERS, UP, 0, OK, Reason::PROTOCOL_ERROR),
        ("a head of a stream that nobody opened", HEADERS, UP, 5, OK, Reason::PROTOCOL_ERROR),
        ("a head with too much padding", HEADERS, UP | PADDED, 3, &[9, 0x88], Reason::PROTOCOL_ERROR),
        ("a head padded without a length", HEADERS, UP | PADDED, 3, &[], Reason::FRAME_SIZE_ERROR),
        ("a head cut in its priority", HEADERS, UP | WITH_PRIORITY, 3, &[0; 4], Reason::FRAME_SIZE_ERROR),
        ("a head that cannot be decoded", HEADERS, UP, 3, &[0x80], Reason::COMPRESSION_ERROR),
        ("a late head that cannot be decoded", HEADERS, UP, 1, &[0xff, 0xff], Reason::COMPRESSION_ERROR),
        ("more of a head that never began", CONTINUATION, UP, 3, OK, Reason::PROTOCOL_ERROR),
        ("a promise", PUSH_PROMISE, UP, 1, &[0, 0, 0, 2, 0x82], Reason::PROTOCOL_ERROR),
        ("a reset without a stream", RST_STREAM, 0, 0, &[0; 4], Reason::PROTOCOL_ERROR),
        ("a reset of a stream that nobody opened", RST_STREAM, 0, 5, &[0; 4], Reason::PROTOCOL_ERROR),
        ("a short reset", RST_STREAM, 0, 1, &[0; 3], Reason::FRAME_SIZE_ERROR),
        ("a long reset", RST_STREAM, 0, 1, &[0; 5], Reason::FRAME_SIZE_ERROR),
        ("a priority without a stream", PRIORITY, 0, 0, &[0; 5], Reason::PROTOCOL_ERROR),
        ("a short priority", PRIORITY, 0, 1, &[0; 4], Reason::FRAME_SIZE_ERROR),
        ("a priority of itself before itself", PRIORITY, 0, 1, &[0, 0, 0, 1, 7], Reason::PROTOCOL_ERROR),
        ("settings of a stream", SETTINGS, 0, 1, &[], Reason::PROTOCOL_ERROR),
        ("settings that are cut", SETTINGS, 0, 0, &[0; 5], Reason::FRAME_SIZE_ERROR),
        ("an acknowledgement that sets", SETTINGS, ACK, 0, &[0; 6], Reason::FRAME_SIZE_ERROR),
        ("a window beyond the largest", SETTINGS, 0, 0, &window, Reason::FLOW_CONTROL_ERROR),
        ("frames that are too small", SETTINGS, 0, 0, &frames[0], Reason::PROTOCOL_ERROR),
        ("frames that are too large", SETTINGS, 0, 0, &frames[1], Reason::PROTOCOL_ERROR),
        ("a server that wants pushes", SETTINGS, 0, 0, &push, Reason::PROTOCOL_ERROR),
        ("a ping of a stream", PING, 0, 1, &[0; 8], Reason::PROTOCOL_ERROR),
        ("a short ping", PING, 0, 0, &[0; 7], Reason::FRAME_SIZE_ERROR),
        ("a goodbye of a stream", GOAWAY, 0, 1, &[0; 8], Reason::PROTOCOL_ERROR),
        ("a short goodbye", GOAWAY, 0, 0, &[0; 7], Reason::FRAME_SIZE_ERROR),
        ("a short window", WINDOW_UPDATE, 0, 0, &[0; 3], Reason::FRAME_SIZE_ERROR),
        ("a window that opens by nothing", WINDOW_UPDATE, 0, 0, &[0; 4], Reason::PROTOCOL_ERROR),
        ("a window that grows too large", WINDOW_UPDATE, 0, 0, &max_window, Reason::FLOW_CONTROL_ERROR),
        (
            "a window of a stream that nobody opened",
            WINDOW_UPDATE,
            0,
            5,
            &[0, 0, 0, 1],
            Reason::PROTOCOL_ERROR,
        ),
    ];
    for (what, kind, flags, stream, payload, expected) in cases {
        let fault = begun().say(*kind, *flags, *stream, payload).expect_err(what);
        assert_eq!(fault.code, *expected, "{what}: {}", fault.what);
    }
}

#[test]
fn what_concerns_one_stream_ends_it_alone() {
    let max_window = (u32::MAX >> 1).to_be_bytes();
    let connection = [&[0x88, 0x40, 10][..], b"connection", &[1, b'x']].concat();
    let length = |text: &str| [&[0x88, 0x0f, 13, text.len() as u8][..], text.as_bytes()].concat();
    let (two, sign) = ([length("1"), length("1")[1..].to_vec()].concat(), length("+5"));
    let large = [&[0x88, 0x00, 1, b'a', 0x7f, 0x81, 0xff, 0x03][..], &vec![b'x'; 127 + 0xff81]].concat();
    // The answer to stream 3 has not begun; the one to stream 1 has.
    let cases: &[Case] = &[
        ("data before a head", DATA, 0, 3, b"x", Reason::PROTOCOL_ERROR),
        ("trailers that do not end", HEADERS, UP, 1, &[0, 1, b'a', 1, b'b'], Reason::PROTOCOL_ERROR),
        ("a second head", HEADERS, UP | END_STREAM, 1, OK, Reason::PROTOCOL_ERROR),
        ("a head without a status", HEADERS, UP, 3, &[0, 1, b'a', 1, b'b'], Reason::PROTOCOL_ERROR),
        ("a head that is empty", HEADERS, UP, 3, &[], Reason::PROTOCOL_ERROR),
        ("a status of two digits", HEADERS, UP, 3, &[0x08, 2, b'2', b'0'], Reason::PROTOCOL_ERROR),
        ("a request's field", HEADERS, UP, 3, &[0x88, 0x82], Reason::PROTOCOL_ERROR),
        (
            "a status after another field",
            HEADERS,
            UP,
            3,
            &[0, 1, b'a', 1, b'b', 0x88],
            Reason::PROTOCOL_ERROR,
        ),
        ("a field about the connection", HEADERS, UP, 3, &connection, Reason::PROTOCOL_ERROR),
        ("a capital letter", HEADERS, UP, 3, &[0x88, 0, 1, b'A', 1, b'b'], Reason::PROTOCOL_ERROR),
        ("two lengths", HEADERS, UP, 3, &two, Reason::PROTOCOL_ERROR),
        ("a length with a sign", HEADERS, UP, 3, &sign, Reason::PROTOCOL_ERROR),
        ("an end before its length", HEADERS, UP | END_STREAM, 3, &length("5"), Reason::PROTOCOL_ERROR),
        (
            "an interim answer that ends",
            HEADERS,
            UP | END_STREAM,
            3,
            &[0x08, 3, b'1', b'0', b'3'],
            Reason::PROTOCOL_ERROR,
        ),
        ("a switch of protocols", HEADERS, UP, 3, &[0x08, 3, b'1', b'0', b'1'], Reason::PROTOCOL_ERROR),
        ("fields beyond the limit", HEADERS, UP, 3, &large[..16_000], Reason::PROTOCOL_ERROR),
    ];
    for (what, kind, flags, stream, payload, expected) in cases {
        let mut talk = begun();
        if *what == "fields beyond the limit" {
            talk.say(HEADERS, 0, 3, &large[..16_000]).expect(what);
            large[16_000..].chunks(16_000).for_each(|part| talk.say(CONTINUATION, 0, 3, part).expect(what));
            talk.say(CONTINUATION, UP, 3, &[]).expect(what);
        } else {
            talk.say(*kind, *flags, *stream, payload).expect(what);
        }
        let frames = talk.written();
        assert_eq!(names(&frames), [(RST_STREAM, 0, *stream)], "{what}");
        assert_eq!(frames[0].1, u32::from(*expected).to_be_bytes(), "{what}");
        let failure = match stream {
            1 => match talk.answered(1) {
                Poll::Ready(Ok(_)) => talk.read(1).map(|read| read.and_then(Result::err)),
                other => panic!("{what}: {other:?}"),
            },
            _ => talk.answered(3).map(Result::err),
        };
        let Poll::Ready(Some(failure)) = failure else { panic!("{what}: {failure:?}") };
        assert_eq!((code(&failure), failure.is_unprocessed()), (Some(*expected), false), "{what}");
        // The other one goes on.
        let other = 4 - stream;
        talk.say(HEADERS, UP | END_STREAM, other, if other == 1 { &[] } else { OK }).expect(what);
        assert!(matches!(talk.answered(other), Poll::Ready(Ok(_))), "{what}");
    }
    // A window that overflows, of a stream whose request is under way.
    let mut talk = Talk::new(&[]);
    let id = talk.post();
    talk.written();
    for payload in [&max_window[..], &[0; 4]] {
        talk.say(WINDOW_UPDATE, 0, id, payload).unwrap();
    }
    assert_eq!(names(&talk.written()), [(RST_STREAM, 0, id)]);
}

#[test]
fn a_body_that_is_not_as_long_as_its_head_says_is_no_answer() {
    for (sent, end) in [(6, false), (4, true)] {
        let mut talk = Talk::with_request();
        talk.say(HEADERS, UP, 1, &[0x88, 0x0f, 13, 1, b'5']).unwrap();
        talk.data(1, &vec![b'x'; sent], end).unwrap();
        assert_eq!(names(&talk.written()), [(RST_STREAM, 0, 1)]);
    }
    // The head of an answer to HEAD says what would come, and nothing does.
    let mut talk = Talk::new(&[]);
    let head = Request::head("http://a/b").body(()).unwrap().into();
    let id = talk.connection.open(&head, true).unwrap();
    talk.say(HEADERS, UP | END_STREAM, id, &[0x88, 0x0f, 13, 1, b'5']).unwrap();
    assert_eq!(talk.answered(id).map(Result::unwrap).map(|answer| answer.headers.len()), Poll::Ready(1));
    assert!(talk.connection.is_drained(id));
}

#[test]
fn a_header_block_stays_together_and_ends() {
    let mut talk = begun();
    talk.say(HEADERS, 0, 3, OK).unwrap();
    assert_eq!(talk.say(DATA, 0, 1, b"x").unwrap_err().code, Reason::PROTOCOL_ERROR);
    let mut talk = begun();
    talk.say(HEADERS, 0, 3, OK).unwrap();
    assert_eq!(talk.say(CONTINUATION, UP, 1, &[]).unwrap_err().code, Reason::PROTOCOL_ERROR);
    // However small the parts are, and however large.
    for part in [0, 16_384] {
        let mut talk = begun();
        talk.say(HEADERS, 0, 3, OK).unwrap();
        let ended = (0..200).find_map(|_| talk.say(CONTINUATION, 0, 3, &vec![0; part]).err());
        assert_eq!(ended.unwrap().code, Reason::ENHANCE_YOUR_CALM);
    }
    let mut talk = begun();
    talk.say(HEADERS, 0, 3, &[]).unwrap();
    talk.say(CONTINUATION, 0, 3, &[]).unwrap();
    talk.say(CONTINUATION, UP, 3, OK).unwrap();
    assert!(matches!(talk.answered(3), Poll::Ready(Ok(_))));
}

#[test]
fn the_first_words_are_settings() {
    for (kind, flags) in [(PING, 0), (SETTINGS, ACK), (HEADERS, UP), (0x2f, 0)] {
        let mut talk = Talk { connection: Connection::client(), buffer: BytesMut::new() };
        assert!(talk.say(kind, flags, 0, &[]).is_err());
    }
    let mut buffer = BytesMut::from(&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..]);
    assert!(Connection::client().receive(&mut buffer).is_err());
}

#[test]
fn what_nobody_knows_is_ignored() {
    let mut talk = begun();
    talk.say(0x2f, 0xff, 1, &[1; 100]).unwrap();
    talk.say(PRIORITY, 0, 77, &[1; 5]).unwrap();
    talk.settings(&[(0x99, 7)]).unwrap();
    talk.say(PING, ACK, 0, &[7; 8]).unwrap();
    assert_eq!(names(&talk.written()), []);
}

#[test]
fn floods_end_or_hold_nothing() {
    // Who reads the replies may ask as often as he likes.
    let mut talk = begun();
    for _ in 0..20_000 {
        talk.say(PING, 0, 0, &[1; 8]).unwrap();
        talk.settings(&[]).unwrap();
        assert_eq!(talk.written().len(), 2);
    }
    // Who does not, may not.
    for kind in [PING, SETTINGS] {
        let payload = if kind == PING { vec![0; 8] } else { Vec::new() };
        let ended = (0..20_000).find_map(|_| talk.say(kind, 0, 0, &payload).err());
        assert_eq!(ended.unwrap().code, Reason::ENHANCE_YOUR_CALM);
        talk = begun();
    }
    let ended = (0..20_000).find_map(|_| talk.data(1, b"", false).err());
    assert_eq!(ended.unwrap().code, Reason::ENHANCE_YOUR_CALM);
    // Small data are data.
    let mut talk = begun();
    for _ in 0..60_000 {
        talk.data(1, b"x", false).unwrap();
    }
    assert!(matches!(talk.answered(1), Poll::Ready(Ok(_))));
    assert_eq!(talk.read_data(1).len(), 60_000);
}
