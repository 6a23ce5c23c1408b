//! WebSocket, and whatever else an HTTP/1.1 connection is switched to: octets both ways, and each direction ends by itself.

use super::call::To;
use super::cell::{Cell, Incoming, LONGER, Outgoing, Run, in_each, short_deadlines};
use super::http1::{self, Framing, Reader, Writer};
use super::upstream::Asked;
use crate::common::in_time;

const UPGRADE: [(&str, &str); 4] = [
    ("connection", "keep-alive, Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("sec-websocket-version", "13"),
];

/// An upgrade needs HTTP/1.1 on both hops; an upstream that speaks both over TLS is asked for it.
fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for incoming in [Incoming::Http1, Incoming::Http1Tls] {
        for outgoing in [Outgoing::Http1, Outgoing::Http1Tls, Outgoing::Http2Tls] {
            cells.push(Cell { incoming, outgoing });
        }
    }
    cells
}

async fn switch(to: &To) -> (Reader, Writer) {
    let (mut reader, mut writer) = http1::split(to.connect().await);
    let mut fields = vec![("host", "localhost")];
    fields.extend(UPGRADE);
    writer.head("GET /v2/x HTTP/1.1", &fields, Framing::Empty).await;
    let (first, fields) = in_time("a head", reader.head()).await.expect("a head");
    assert_eq!(first, "HTTP/1.1 101 Switching Protocols");
    assert_eq!(fields.one("connection").to_ascii_lowercase(), "upgrade");
    assert_eq!(
        (fields.one("upgrade"), fields.one("sec-websocket-accept")),
        ("websocket", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    (reader, writer)
}

/// So many octets.
async fn read(reader: &mut Reader, n: usize) -> Vec<u8> {
    let mut octets = Vec::new();
    while octets.len() < n {
        let piece = in_time("more", reader.piece((n - octets.len()) as u64)).await;
        octets.extend(piece.expect("more"));
    }
    octets
}

/// Greets in one breath with the head, echoes, and has a last word after the other side's.
async fn echo(mut asked: Asked) {
    assert_eq!(asked.fields.one("upgrade"), "websocket");
    assert_eq!(asked.fields.one("connection"), "upgrade");
    assert_eq!(asked.fields.one("sec-websocket-key"), UPGRADE[2].1);
    assert!(asked.fields.one("authorization").starts_with("Bearer "));
    let head = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nhello";
    asked.raw(head.as_bytes()).await;
    let (mut reader, mut writer) = asked.tunnel();
    while let Some(piece) = reader.piece(u64::MAX).await {
        writer.raw(&piece).await;
    }
    writer.raw(b"goodbye").await;
    writer.shut().await;
}

#[tokio::test]
async fn octets_pass_both_ways_and_each_direction_ends_by_itself() {
    in_each(cells(), echo, async |to| {
        let (mut reader, mut writer) = switch(&to).await;
        assert_eq!(read(&mut reader, 5).await, b"hello");
        for n in 0..50u8 {
            writer.raw(&[n; 100]).await;
            assert_eq!(read(&mut reader, 100).await, [n; 100]);
        }
        let large: Vec<u8> = (0..3_000_000u32).map(|at| (at % 251) as u8).collect();
        let (_, echoed) = tokio::join!(writer.raw(&large), read(&mut reader, large.len()));
        assert!(echoed == large);
        writer.shut().await;
        assert_eq!(read(&mut reader, 7).await, b"goodbye");
        assert_eq!(in_time("the end", reader.piece(1)).await, None);
    })
    .await;
}

#[tokio::test]
async fn a_tunnel_that_is_silent_for_longer_than_every_deadline_goes_on() {
    let judge = async |to: To| {
        let (mut reader, mut writer) = switch(&to).await;
        assert_eq!(read(&mut reader, 5).await, b"hello");
        tokio::time::sleep(LONGER).await;
        writer.raw(b"still").await;
        assert_eq!(read(&mut reader, 5).await, b"still");
    };
    Run { more: short_deadlines, at_once: true, ..Run::usual() }.in_each(cells(), echo, judge).await;
}

#[tokio::test]
async fn a_caller_that_vanishes_ends_the_tunnel_and_an_upstream_that_does_too() {
    let script = async |mut asked: Asked| {
        let talk = asked.talk.clone();
        let head = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        asked.raw(head.as_bytes()).await;
        let (mut reader, _writer) = asked.tunnel();
        while let Some(piece) = reader.piece(u64::MAX).await {
            if &piece[..] == b"leave" {
                return;
            }
        }
        talk.say("gone");
    };
    in_each(cells(), script, async |to| {
        drop(switch(&to).await);
        assert_eq!(to.talk().heard().await, "gone");
        let (mut reader, mut writer) = switch(&to).await;
        writer.raw(b"leave").await;
        assert_eq!(in_time("the end", reader.piece(1)).await, None);
    })
    .await;
}

#[tokio::test]
async fn an_upgrade_that_the_upstream_ignores_is_an_ordinary_request() {
    let script = async |asked: Asked| asked.answer_whole(200, &[], b"ignored").await;
    in_each(cells(), script, async |to| {
        let (answer, whole) = to.ask("GET", "x", &UPGRADE, b"").await;
        assert_eq!((answer.status, &whole.body[..]), (200, &b"ignored"[..]));
        assert!(!answer.fields.has("upgrade") && !answer.fields.has("connection"));
    })
    .await;
}

#[tokio::test]
async fn an_upgrade_to_an_upstream_that_speaks_only_http2_is_a_502() {
    let script = async |_: Asked| panic!("it must not get here");
    let cells =
        [Incoming::Http1, Incoming::Http1Tls].map(|incoming| Cell { incoming, outgoing: Outgoing::Http2 });
    in_each(cells.to_vec(), script, async |to| {
        let (answer, whole) = to.ask("GET", "x", &UPGRADE, b"").await;
        assert_eq!(answer.status, 502);
        assert!(String::from_utf8_lossy(&whole.body).contains(r#""reason":"upstream_"#), "{:?}", whole.body);
    })
    .await;
}
