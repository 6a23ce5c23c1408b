//! Requests' bodies: within every window, in turn, to their end.

use super::super::frame::{RST_STREAM, WINDOW_UPDATE, setting};
use super::super::stream::Finish;
use super::*;

const MEBIBYTE: u32 = 1 << 20;

/// Octets of data by stream, and which of them have ended.
fn data(frames: &[(Head, Vec<u8>)], stream: u32) -> (usize, bool) {
    let of = frames.iter().filter(|(head, _)| (head.kind, head.stream) == (DATA, stream));
    of.fold((0, false), |(octets, ended), (head, payload)| {
        (octets + payload.len(), ended || head.has(END_STREAM))
    })
}

fn sendable(talk: &mut Talk, stream: u32) -> Poll<bool> {
    talk.connection.poll_sendable(stream, &mut Context::from_waker(Waker::noop()))
}

fn open_window(talk: &mut Talk, stream: u32, by: u32) {
    talk.say(WINDOW_UPDATE, 0, stream, &by.to_be_bytes()).unwrap();
}

#[test]
fn a_body_stays_within_the_streams_window_and_the_connections() {
    let mut talk = Talk::new(&[(setting::INITIAL_WINDOW_SIZE, 10_000)]);
    let id = talk.post();
    talk.connection.send(id, vec![7; 200_000].into(), Finish::End);
    assert_eq!(data(&talk.written(), id), (10_000, false));
    assert!(sendable(&mut talk, id).is_pending());
    open_window(&mut talk, id, 1_000_000);
    // The connection's: 65 535 in all.
    assert_eq!(data(&talk.written(), id), (55_535, false));
    open_window(&mut talk, 0, 100_000);
    assert_eq!(data(&talk.written(), id), (100_000, false));
    open_window(&mut talk, 0, MEBIBYTE);
    assert_eq!(data(&talk.written(), id), (34_465, true));
    assert_eq!(sendable(&mut talk, id), Poll::Ready(false));
}

#[test]
fn settings_change_the_windows_of_streams_that_are_open() {
    let mut talk = Talk::new(&[(setting::INITIAL_WINDOW_SIZE, 10_000)]);
    let id = talk.post();
    talk.connection.send(id, vec![7; 30_000].into(), Finish::End);
    assert_eq!(data(&talk.written(), id).0, 10_000);
    // Less than nothing is left now.
    talk.settings(&[(setting::INITIAL_WINDOW_SIZE, 4_000)]).unwrap();
    open_window(&mut talk, id, 6_000);
    assert_eq!(data(&talk.written(), id).0, 0);
    open_window(&mut talk, id, 1);
    assert_eq!(data(&talk.written(), id).0, 1);
    talk.settings(&[(setting::INITIAL_WINDOW_SIZE, 100_000)]).unwrap();
    assert_eq!(data(&talk.written(), id), (19_999, true));
}

#[test]
fn frames_are_no_longer_than_the_peer_takes() {
    for (size, longest) in [(16_384, 16_384), (20_000, 20_000), (1 << 20, 65_536)] {
        let mut talk =
            Talk::new(&[(setting::MAX_FRAME_SIZE, size), (setting::INITIAL_WINDOW_SIZE, MEBIBYTE)]);
        open_window(&mut talk, 0, MEBIBYTE);
        let id = talk.post();
        talk.connection.send(id, vec![7; 150_000].into(), Finish::End);
        let frames = talk.written();
        assert_eq!(frames.iter().map(|(head, _)| head.length).max(), Some(longest));
        assert_eq!(data(&frames, id), (150_000, true));
    }
}

#[test]
fn streams_send_in_turn() {
    let mut talk = Talk::new(&[(setting::INITIAL_WINDOW_SIZE, MEBIBYTE)]);
    open_window(&mut talk, 0, 2 * MEBIBYTE);
    let large = talk.post();
    talk.written();
    talk.connection.send(large, vec![7; 900_000].into(), Finish::End);
    let small = talk.post();
    talk.connection.send(small, vec![7; 100].into(), Finish::End);
    let frames = talk.written();
    let ended =
        |stream| frames.iter().position(|(head, _)| head.stream == stream && head.has(END_STREAM)).unwrap();
    assert!(ended(small) < ended(large), "{:?}", names(&frames));
    assert_eq!(data(&frames, large), (900_000, true));
}

#[test]
fn a_shut_window_of_one_stream_does_not_stop_the_others() {
    let mut talk = Talk::new(&[(setting::INITIAL_WINDOW_SIZE, 0)]);
    let (shut, open) = (talk.post(), talk.post());
    talk.connection.send(shut, vec![7; 100].into(), Finish::End);
    talk.connection.send(open, vec![7; 100].into(), Finish::End);
    open_window(&mut talk, open, 100);
    let frames = talk.written();
    assert_eq!((data(&frames, shut), data(&frames, open)), ((0, false), (100, true)));
    // Neither does the connection's: what has no data needs no window.
    let mut talk = Talk::new(&[(setting::INITIAL_WINDOW_SIZE, MEBIBYTE)]);
    let (large, empty) = (talk.post(), talk.post());
    talk.connection.send(large, vec![7; 100_000].into(), Finish::End);
    talk.connection.send(empty, Bytes::new(), Finish::End);
    let frames = talk.written();
    assert_eq!((data(&frames, large), data(&frames, empty)), ((65_535, false), (0, true)));
}

#[test]
fn trailers_end_a_request() {
    let mut talk = Talk::new(&[]);
    let id = talk.post();
    talk.connection.send(id, Bytes::from_static(b"hello"), Finish::More);
    assert_eq!(sendable(&mut talk, id), Poll::Ready(true));
    talk.connection.send(id, Bytes::new(), Finish::Trailers(trailers("a", "b")));
    let frames = names(&talk.written());
    assert_eq!(frames, [(HEADERS, END_HEADERS, id), (DATA, 0, id), (HEADERS, END_HEADERS | END_STREAM, id)]);
    assert_eq!(sendable(&mut talk, id), Poll::Ready(false));
}

/// Nothing else may be given before it has gone, or it would be lost.
#[test]
fn an_end_that_waits_for_its_turn_is_not_forgotten() {
    for finish in [Finish::End, Finish::Trailers(trailers("a", "b"))] {
        let mut talk = Talk::new(&[(setting::INITIAL_WINDOW_SIZE, u32::MAX >> 1)]);
        open_window(&mut talk, 0, 1 << 30);
        let (large, small) = (talk.post(), talk.post());
        talk.connection.send(large, vec![7; 1_000_000].into(), Finish::End);
        talk.connection.send(small, Bytes::new(), finish);
        assert!(sendable(&mut talk, small).is_pending());
        let frames = talk.written();
        assert!(frames.iter().any(|(head, _)| head.stream == small && head.has(END_STREAM)));
        assert_eq!(sendable(&mut talk, small), Poll::Ready(false));
    }
}

#[test]
fn a_broken_off_request_never_ends() {
    let mut talk = Talk::new(&[]);
    let id = talk.post();
    talk.connection.send(id, vec![7; 100_000].into(), Finish::End);
    assert_eq!(data(&talk.written(), id), (65_535, false));
    talk.connection.reset(id, Failure::cancelled());
    open_window(&mut talk, 0, MEBIBYTE);
    open_window(&mut talk, id, MEBIBYTE);
    talk.connection.send(id, vec![7; 100].into(), Finish::End);
    assert_eq!(names(&talk.written()), [(RST_STREAM, 0, id)]);
}

#[test]
fn what_waits_for_the_socket_is_bounded() {
    let mut talk = Talk::new(&[(setting::INITIAL_WINDOW_SIZE, u32::MAX >> 1)]);
    open_window(&mut talk, 0, 1 << 30);
    let id = talk.post();
    let mut given = 0;
    while sendable(&mut talk, id) == Poll::Ready(true) {
        talk.connection.send(id, vec![7; 50_000].into(), Finish::More);
        given += 1;
    }
    assert!(given < 10, "{given} chunks are held for a socket that takes nothing");
    assert_eq!(data(&talk.written(), id).0, given * 50_000);
    assert_eq!(sendable(&mut talk, id), Poll::Ready(true));
}
