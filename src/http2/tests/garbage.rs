//! Octets that make no sense: whatever comes, the connection ends in good order or goes on.

use proptest::prelude::*;

use super::*;

/// Where a fuzzer begins: any octets, in any pieces, from a peer that has said hello, on a connection with streams.
fn read_anything(octets: &[u8], piece: usize) {
    let mut talk = Talk::with_request();
    talk.answer(1);
    talk.get();
    let posted = talk.post();
    talk.connection.send(posted, vec![7; 100_000].into(), super::super::stream::Finish::End);
    for piece in octets.chunks(piece.max(1)) {
        talk.buffer.extend_from_slice(piece);
        if let Err(fault) = talk.connection.receive(&mut talk.buffer) {
            talk.connection.say_goodbye(fault.code);
            talk.connection.end(&fault.into());
            break;
        }
        talk.written();
    }
    for stream in [1, 3, posted] {
        let _ = talk.answered(stream);
        while matches!(talk.read(stream), Poll::Ready(Some(Ok(_)))) {}
        talk.connection.release(stream);
    }
    talk.written();
    assert!(!talk.connection.has_streams());
}

/// The same at a server that answers whatever it takes for a request.
fn serve_anything(octets: &[u8], piece: usize) {
    let mut talk = Talk { connection: Connection::server(1000, 64 * 1024), buffer: PREFACE.into() };
    talk.settings(&[]).expect("settings");
    let mut open = Vec::new();
    for piece in octets.chunks(piece.max(1)) {
        talk.buffer.extend_from_slice(piece);
        let received = talk.connection.receive(&mut talk.buffer);
        while let Some(opened) = talk.connection.accept() {
            if talk.connection.begin(opened.stream) {
                let (head, end) = (response::Head::default(), opened.stream % 4 == 1);
                talk.connection.answer(opened.stream, &head, end, || "now".parse().unwrap());
            }
            while matches!(talk.read(opened.stream), Poll::Ready(Some(Ok(_)))) {}
            open.push(opened.stream);
        }
        if let Err(fault) = received {
            talk.connection.say_goodbye(fault.code);
            talk.connection.end(&fault.into());
            break;
        }
        talk.written();
    }
    for stream in open {
        while matches!(talk.read(stream), Poll::Ready(Some(Ok(_)))) {}
        talk.connection.release(stream);
    }
    talk.written();
    assert!(!talk.connection.has_streams());
}

/// A conversation with a frame of every kind.
fn conversation() -> Vec<u8> {
    let mut octets = Vec::new();
    for (kind, flags, stream, payload) in [
        (SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0][..]),
        (8, 0, 0, &[0, 1, 0, 0]),
        (HEADERS, 0x28, 3, &[2, 0, 0, 0, 0, 9, 0x88, 0x40, 1, b'a', 0x83, 0x1c, 0x64, 0x5f, 0, 0]),
        (DATA, 8, 3, b"\x03hello\0\0\0"),
        (HEADERS, 0, 5, &[0x88, 0x5f, 0x8b, 0x1d, 0x75, 0xd0, 0x62, 0x0d, 0x26, 0x3d]),
        (9, 4, 5, &[0x4c, 0x4d, 0x65, 0x64]),
        (6, 0, 0, b"12345678"),
        (2, 0, 3, &[0, 0, 0, 0, 9]),
        (DATA, 0, 1, b"some more"),
        (HEADERS, 5, 1, &[0xbe, 0, 4, b'n', b'a', b'm', b'e', 5, b'v', b'a', b'l', b'u', b'e']),
        (3, 0, 3, &[0, 0, 0, 8]),
        (7, 0, 0, &[0, 0, 0, 5, 0, 0, 0, 0]),
        (0x2f, 0, 0, b"who knows"),
    ] {
        octets.extend(Head { length: payload.len(), kind, flags, stream }.octets());
        octets.extend(payload);
    }
    octets
}

/// One of a client.
fn asking() -> Vec<u8> {
    let mut octets = Vec::new();
    for (kind, flags, stream, payload) in [
        (SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0][..]),
        (8, 0, 0, &[0, 1, 0, 0]),
        (
            HEADERS,
            0x2c,
            1,
            &[2, 0, 0, 0, 0, 9, 0x83, 0x86, 0x84, 0x41, 1, b'a', 0x40, 1, b'b', 1, b'c', 0, 0],
        ),
        (DATA, 8, 1, b"\x03hello\0\0\0"),
        (HEADERS, 1, 3, &[0x82, 0x87, 0x04, 2, b'/']),
        (9, 4, 3, &[b'x', 0xbe, 0xbf]),
        (6, 0, 0, b"12345678"),
        (2, 0, 3, &[0, 0, 0, 0, 9]),
        (HEADERS, 5, 1, &[0xbe, 0, 4, b'n', b'a', b'm', b'e', 5, b'v', b'a', b'l', b'u', b'e']),
        (HEADERS, 4, 5, &[0x83, 0x86, 0x84, 0xbf, 0x0f, 13, 1, b'5']),
        (DATA, 1, 5, b"hello"),
        (HEADERS, 4, 7, &[0x83, 0x86, 0x84, 0xbf]),
        (3, 0, 7, &[0, 0, 0, 8]),
        (DATA, 0, 7, b"late"),
        (8, 0, 5, &[0, 1, 0, 0]),
        (7, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 0]),
        (0x2f, 0, 0, b"who knows"),
    ] {
        octets.extend(Head { length: payload.len(), kind, flags, stream }.octets());
        octets.extend(payload);
    }
    octets
}

#[test]
fn a_conversation_may_be_cut_and_changed_anywhere() {
    type Side = fn(&[u8], usize);
    for (whole, run) in [(conversation(), read_anything as Side), (asking(), serve_anything)] {
        for at in 0..whole.len() {
            run(&whole[..at], usize::MAX);
            for value in [0, 1, 0x7f, 0x80, 0xff, whole[at] ^ 1, whole[at] ^ 0x20] {
                let mut changed = whole.clone();
                changed[at] = value;
                run(&changed, 7);
            }
        }
    }
}

proptest! {
    #[test]
    fn octets_that_make_no_sense_are_no_panic(octets in prop::collection::vec(any::<u8>(), 0..600), piece in 1..100usize) {
        read_anything(&octets, piece);
        serve_anything(&octets, piece);
    }

    #[test]
    fn frames_that_make_no_sense_are_no_panic(
        frames in prop::collection::vec((0..11u8, any::<u8>(), 0..8u32, prop::collection::vec(any::<u8>(), 0..30)), 0..30),
        piece in 1..100usize,
    ) {
        let mut octets = Vec::new();
        for (kind, flags, stream, payload) in frames {
            octets.extend(Head { length: payload.len(), kind, flags, stream }.octets());
            octets.extend(payload);
        }
        read_anything(&octets, piece);
        serve_anything(&octets, piece);
    }

    #[test]
    fn conversations_with_many_changes_are_no_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        piece in 1..300usize,
    ) {
        let (mut read, mut served) = (conversation(), asking());
        for (at, value) in changes {
            for octets in [&mut read, &mut served] {
                let at = at.index(octets.len());
                octets[at] = value;
            }
        }
        read_anything(&read, piece);
        serve_anything(&served, piece);
    }
}
