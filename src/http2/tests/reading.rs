//! Answers: what comes of them, what their windows do, and how they end.

use http::HeaderName;

use super::super::frame::{GOAWAY, PADDED, RST_STREAM, WINDOW_UPDATE};
use super::*;

fn ended(talk: &mut Talk, stream: u32) -> Failure {
    match talk.answered(stream) {
        Poll::Ready(Err(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_comes_in_order_with_its_trailers() {
    let mut talk = Talk::with_request();
    // More of 103 than anybody keeps.
    for _ in 0..9 {
        talk.say(HEADERS, END_HEADERS, 1, &[0x08, 3, b'1', b'0', b'3']).unwrap();
    }
    talk.answer(1);
    for _ in 0..8 {
        assert!(matches!(talk.answered(1), Poll::Ready(Ok(interim)) if interim.status == 103));
    }
    assert!(matches!(talk.answered(1), Poll::Ready(Ok(answer)) if answer.status == 200));
    talk.data(1, b"one", false).unwrap();
    talk.say(DATA, PADDED, 1, b"\x02two\0\0").unwrap();
    talk.say(HEADERS, END_HEADERS | END_STREAM, 1, &[0, 1, b'a', 1, b'b']).unwrap();
    assert!(!talk.connection.is_drained(1));
    for expected in [&b"one"[..], b"two"] {
        let Poll::Ready(Some(Ok(frame))) = talk.read(1) else { panic!() };
        assert_eq!(frame.into_data().unwrap(), expected);
    }
    let Poll::Ready(Some(Ok(frame))) = talk.read(1) else { panic!() };
    assert_eq!(frame.into_trailers().unwrap(), trailers("a", "b"));
    assert!(talk.connection.is_drained(1));
    assert!(matches!(talk.read(1), Poll::Ready(None)));
}

#[test]
fn an_answer_that_is_a_head_alone_is_known_as_such() {
    let mut talk = Talk::with_request();
    talk.say(HEADERS, END_HEADERS | END_STREAM, 1, OK).unwrap();
    assert!(matches!(talk.answered(1), Poll::Ready(Ok(_))));
    assert!(talk.connection.is_drained(1));
}

#[test]
fn windows_open_as_answers_are_read_and_not_before() {
    let mut talk = Talk::with_request();
    talk.answer(1);
    let frame = vec![0; 15_000];
    for _ in 0..4 {
        talk.data(1, &frame, false).unwrap();
    }
    assert_eq!(names(&talk.written()), []);
    talk.data(1, &frame, false).unwrap();
    // The fifth does not fit into 64 KiB.
    assert_eq!(names(&talk.written()), [(RST_STREAM, 0, 1)]);

    let id = talk.get();
    talk.answer(id);
    for _ in 0..400 {
        talk.data(id, &frame, false).unwrap();
        assert_eq!(talk.read_data(id).len(), frame.len());
    }
    let opened: u32 = talk
        .written()
        .iter()
        .filter(|(head, _)| (head.kind, head.stream) == (WINDOW_UPDATE, id))
        .map(|(_, payload)| u32::from_be_bytes(payload[..].try_into().unwrap()))
        .sum();
    assert!((5_500_000..=7_100_000).contains(&opened), "{opened}");
    // Who has read so much may have half a mebibyte under way, and more.
    for _ in 0..34 {
        talk.data(id, &frame, false).unwrap();
    }
    assert_eq!(names(&talk.written()), []);
}

/// What nobody reads counts against its own stream alone, for as many streams as there can be.
#[test]
fn callers_that_do_not_read_leave_the_connections_window_open() {
    let mut talk = Talk::new(&[]);
    let frame = vec![0; 16_384];
    let mut opened = 0;
    for _ in 0..16 {
        let mut unread = || {
            let id = talk.get();
            talk.answer(id);
            (0..4).for_each(|_| talk.data(id, &frame, false).unwrap());
            id
        };
        let ids: Vec<u32> = (0..super::super::MAX_STREAMS).map(|_| unread()).collect();
        assert_eq!(names(&talk.written()), []);
        // And what is thrown away makes room.
        ids.into_iter().for_each(|id| talk.connection.abandon(id));
        opened += talk
            .written()
            .iter()
            .map(|(_, more)| u32::from_be_bytes(more[..].try_into().unwrap()))
            .sum::<u32>();
    }
    assert_eq!(opened as usize, super::super::MAX_STREAMS << 20);
}

#[test]
fn what_comes_late_for_a_cancelled_stream_is_ignored_for_ever() {
    let mut talk = Talk::with_request();
    talk.answer(1);
    talk.connection.release(1);
    assert_eq!(names(&talk.written()), [(RST_STREAM, 0, 1)]);
    let frame = vec![0; 16_000];
    let mut opened = 0;
    for _ in 0..20_000 {
        talk.data(1, &frame, false).unwrap();
        // A head too: it may change the table.
        talk.say(HEADERS, END_HEADERS, 1, &[0x88, 0x40, 1, b'a', 1, b'b']).unwrap();
        talk.say(RST_STREAM, 0, 1, &[0; 4]).unwrap();
        talk.say(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]).unwrap();
        opened += talk.written().len();
    }
    // Its data have their place in the connection's window, which opens again.
    assert!((4..10).contains(&opened), "{opened}");
    let id = talk.get();
    talk.say(HEADERS, END_HEADERS | END_STREAM, id, &[0x88, 0xbe]).unwrap();
    assert!(
        matches!(talk.answered(id), Poll::Ready(Ok(answer)) if answer.headers.contains(HeaderName::from_static("a")))
    );
}

#[test]
fn a_reset_comes_after_what_came_before_it() {
    let mut talk = Talk::with_request();
    talk.answer(1);
    talk.data(1, b"some", false).unwrap();
    talk.say(RST_STREAM, 0, 1, &11u32.to_be_bytes()).unwrap();
    assert!(matches!(talk.answered(1), Poll::Ready(Ok(_))));
    assert_eq!(
        talk.read(1).map(|read| read.unwrap().unwrap().into_data().unwrap()),
        Poll::Ready(Bytes::from("some"))
    );
    assert!(!talk.connection.is_drained(1));
    let Poll::Ready(Some(Err(failure))) = talk.read(1) else { panic!() };
    assert_eq!(code(&failure), Some(Reason::ENHANCE_YOUR_CALM));
    // Nothing is left to say about it.
    talk.connection.release(1);
    assert_eq!(names(&talk.written()), []);
}

#[test]
fn a_reset_after_a_whole_answer_only_stops_the_request() {
    let mut talk = Talk::new(&[]);
    let id = talk.post();
    talk.say(HEADERS, END_HEADERS | END_STREAM, id, OK).unwrap();
    talk.say(RST_STREAM, 0, id, &[0; 4]).unwrap();
    assert!(matches!(talk.answered(id), Poll::Ready(Ok(_))));
    assert!(talk.connection.is_drained(id));
    let mut cx = Context::from_waker(Waker::noop());
    assert_eq!(talk.connection.poll_sendable(id, &mut cx), Poll::Ready(false));
}

#[test]
fn only_what_was_not_looked_at_may_go_out_again() {
    for (reset, again) in [(7, true), (0, false), (2, false), (8, false)] {
        let mut talk = Talk::with_request();
        talk.say(RST_STREAM, 0, 1, &u32::to_be_bytes(reset)).unwrap();
        assert_eq!(ended(&mut talk, 1).is_unprocessed(), again, "{reset}");
    }
    let mut talk = Talk::with_request();
    talk.get();
    talk.get();
    talk.say(GOAWAY, 0, 0, &[0, 0, 0, 3, 0, 0, 0, 0]).unwrap();
    assert!(ended(&mut talk, 5).is_unprocessed());
    assert!(talk.answered(3).is_pending());
    assert!(talk.connection.open(&get(), true).unwrap_err().is_unprocessed());
    // It cannot take back what it has said; it may say less.
    talk.say(GOAWAY, 0, 0, &[0, 0, 0, 9, 0, 0, 0, 0]).unwrap();
    talk.say(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]).unwrap();
    assert!(ended(&mut talk, 3).is_unprocessed());
    talk.answer(1);
    assert!(matches!(talk.answered(1), Poll::Ready(Ok(_))));
    let lost = talk.connection.closed_by_peer();
    talk.connection.end(&lost);
    let Poll::Ready(Some(Err(failure))) = talk.read(1) else { panic!() };
    assert!(!failure.is_unprocessed());
}

#[test]
fn a_request_of_which_no_octet_went_out_may_go_out_again() {
    let mut talk = Talk::with_request();
    let sent = 1;
    let unsent = talk.connection.open(&get(), true).unwrap();
    let lost = talk.connection.closed_by_peer();
    talk.connection.end(&lost);
    assert!(!ended(&mut talk, sent).is_unprocessed());
    assert!(ended(&mut talk, unsent).is_unprocessed());
}
