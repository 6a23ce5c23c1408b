//! Bodies: how long they are, what they say, and that they come whole.

use std::time::Duration;

use bytes::Bytes;

use super::call::{In, Out, To};
use super::cell::{Cell, Incoming, Outgoing, Run, all, in_each, rest};
use super::http1::Framing;
use super::upstream::Asked;
use crate::common::in_time;

/// Around the sizes of buffers, frames and windows on the way.
const LENGTHS: [usize; 8] = [1, 5, 16_384, 16_385, 65_535, 65_537, 300_000, 2_000_000];

fn octets(n: usize) -> Bytes {
    (0..n).map(|at| (at % 251) as u8).collect()
}

#[tokio::test]
async fn a_body_of_known_length_keeps_it_in_both_directions() {
    let script = async |mut asked: Asked| {
        let told = asked.fields.one("content-length").to_owned();
        let whole = asked.whole().await;
        assert_eq!((told, whole.broken), (whole.body.len().to_string(), None));
        assert!(!asked.fields.has("transfer-encoding"));
        asked.answer_whole(200, &[], &whole.body).await;
    };
    in_each(rest(), script, async |to| {
        for length in LENGTHS {
            let sent = octets(length);
            let (answer, whole) = in_time("an echo", to.ask("POST", "x", &[], &sent)).await;
            assert_eq!(answer.fields.one("content-length"), length.to_string());
            assert!(whole.body == sent && whole.broken.is_none(), "{length}: {}", whole.body.len());
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_of_unknown_length_comes_piece_by_piece_while_the_other_goes() {
    let script = async |asked: Asked| {
        assert!(!asked.fields.has("content-length"));
        assert_eq!(asked.fields.all("transfer-encoding").len(), usize::from(!asked.outgoing.is_http2()));
        // The answer begins before the request has said anything.
        let (mut body, mut out) = asked.answer(200, &[], Framing::Unknown).await;
        while let Some(Ok(piece)) = body.data().await {
            out.data(piece).await;
        }
        out.end().await;
    };
    in_each(all(), script, async |to| {
        let mut call = to.post("x", &[], Framing::Unknown).await;
        let mut answer = call.answer().await.expect("an answer");
        assert!(!answer.fields.has("content-length"));
        for length in [1, 9, 16_384, 50_000] {
            let piece = octets(length);
            call.out.data(piece.clone()).await;
            assert!(answer.body.octets(length).await == piece);
        }
        call.out.end().await;
        let rest = in_time("the end", answer.body.whole()).await;
        assert!(rest.body.is_empty() && rest.broken.is_none(), "{rest:?}");
    })
    .await;
}

#[tokio::test]
async fn a_request_without_a_body_is_a_head_alone() {
    let script = async |mut asked: Asked| {
        assert_eq!(asked.fields.one("content-length"), if asked.wish() == "zero" { "0" } else { "" });
        assert!(!asked.fields.has("transfer-encoding"));
        let whole = asked.whole().await;
        assert!(whole.head_alone && whole.body.is_empty(), "{whole:?}");
        asked.answer(204, &[], Framing::Empty).await;
    };
    in_each(rest(), script, async |to| {
        for (method, wish, framing) in [
            ("GET", "none", Framing::Empty),
            ("DELETE", "none", Framing::Empty),
            ("HEAD", "none", Framing::Empty),
        ] {
            let mut call = to.open(method, &to.path(wish), &[], framing).await;
            assert_eq!(call.answer().await.expect("an answer").status, 204, "{method}");
        }
        let mut call = to.open("POST", &to.path("zero"), &[("content-length", "0")], Framing::Empty).await;
        assert_eq!(call.answer().await.expect("an answer").status, 204);
    })
    .await;
}

#[tokio::test]
async fn an_answer_without_a_body_is_a_head_alone() {
    let script = async |mut asked: Asked| {
        asked.whole().await;
        let etag = ("etag", "\"7\"");
        match asked.wish() {
            "head" => asked.answer(200, &[("content-length", "1234"), etag], Framing::Empty).await,
            "204" => asked.answer(204, &[etag], Framing::Empty).await,
            "205" => asked.answer(205, &[("content-length", "0")], Framing::Empty).await,
            "304" => asked.answer(304, &[etag], Framing::Empty).await,
            "304-length" => asked.answer(304, &[("content-length", "1234"), etag], Framing::Empty).await,
            _ => asked.answer(200, &[("content-length", "0")], Framing::Empty).await,
        };
    };
    in_each(rest(), script, async |to| {
        for (method, wish, status, length) in [
            ("HEAD", "head", 200, "1234"),
            ("GET", "204", 204, ""),
            ("GET", "205", 205, "0"),
            ("GET", "304", 304, ""),
            ("GET", "304-length", 304, "1234"),
            ("GET", "empty", 200, "0"),
            ("POST", "empty", 200, "0"),
        ] {
            let (answer, whole) = to.ask(method, wish, &[], b"").await;
            assert_eq!(answer.status, status, "{wish}");
            assert_eq!(answer.fields.one("content-length"), length, "{method} {wish}");
            assert!(!answer.fields.has("transfer-encoding"), "{wish}");
            assert!(whole.head_alone && whole.body.is_empty() && whole.broken.is_none(), "{wish}: {whole:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_is_whole() {
    let cells = rest().into_iter().filter(|cell| !cell.outgoing.is_http2()).collect();
    let script = async |mut asked: Asked| {
        asked.whole().await;
        let (_body, mut out) = asked.answer(200, &[], Framing::UntilClose).await;
        out.data(octets(300_000)).await;
        out.end().await;
    };
    in_each(cells, script, async |to| {
        let (answer, whole) = to.ask("GET", "x", &[], b"").await;
        assert!(!answer.fields.has("content-length"));
        assert!(whole.body == octets(300_000) && whole.broken.is_none(), "{}", whole.body.len());
    })
    .await;
}

#[tokio::test]
async fn a_compressed_body_is_not_touched() {
    const GZIP: &[u8] =
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\x4b\x4c\x4a\x06\x00\xc2\x41\x24\x35\x03\x00\x00\x00";
    let script = async |mut asked: Asked| {
        assert_eq!(asked.fields.one("accept-encoding"), "gzip");
        assert_eq!(asked.fields.one("content-encoding"), "gzip");
        assert_eq!(&asked.whole().await.body[..], GZIP);
        asked.answer_whole(200, &[("content-encoding", "gzip"), ("vary", "accept-encoding")], GZIP).await;
    };
    in_each(rest(), script, async |to| {
        let fields = [("accept-encoding", "gzip"), ("content-encoding", "gzip")];
        let (answer, whole) = to.ask("POST", "x", &fields, GZIP).await;
        assert_eq!(answer.fields.one("content-encoding"), "gzip");
        assert_eq!(answer.fields.one("vary"), "accept-encoding");
        assert_eq!(&whole.body[..], GZIP);
    })
    .await;
}

/// Where each way in and each way out is met once.
fn each_way_once() -> Vec<Cell> {
    let cell = |incoming, outgoing| Cell { incoming, outgoing };
    vec![
        cell(Incoming::Http1, Outgoing::Http2Tls),
        cell(Incoming::Http1Tls, Outgoing::Http1),
        cell(Incoming::Http2, Outgoing::Http1Tls),
        cell(Incoming::Http2Tls, Outgoing::Http2),
        cell(Incoming::Grpc, Outgoing::Http2),
    ]
}

const PIECE: usize = 64 * 1024;

/// Sends so many octets that tell where they are.
async fn pour(out: &mut Out, n: u64) {
    let pattern = octets(251 * 300);
    let mut at = 0;
    while at < n {
        let from = (at % 251) as usize;
        let length = PIECE.min((n - at) as usize);
        assert!(out.data(pattern.slice(from..from + length)).await, "it broke at {at}");
        at += length as u64;
    }
    out.end().await;
}

/// Counts them, and looks whether they are where they should be.
async fn measure(body: &mut In) -> u64 {
    let pattern = octets(251 * 300);
    let mut at = 0;
    while let Some(data) = body.data().await {
        let data = data.unwrap_or_else(|broken| panic!("{broken:?} at {at}"));
        for piece in data.chunks(PIECE) {
            let from = (at % 251) as usize;
            assert!(piece == &pattern[from..from + piece.len()], "the octets after {at} are others");
            at += piece.len() as u64;
        }
    }
    at
}

async fn large(n: u64, patience: Duration) {
    let script = async move |mut asked: Asked| match asked.wish() {
        "up" => {
            let seen = measure(&mut asked.body).await.to_string();
            asked.answer(200, &[("x-seen", &seen)], Framing::Length(0)).await.1.end().await;
        }
        _ => {
            asked.whole().await;
            let (_body, mut out) = asked.answer(200, &[], Framing::Unknown).await;
            pour(&mut out, n).await;
        }
    };
    let judge = async move |to: To| {
        let mut call = to.post("up", &[], Framing::Unknown).await;
        let sending = async {
            pour(&mut call.out, n).await;
            call.answer().await.expect("an answer")
        };
        let answer = tokio::time::timeout(patience, sending).await.expect("in time");
        assert_eq!(answer.fields.one("x-seen"), n.to_string());
        let mut call = to.post("down", &[], Framing::Unknown).await;
        call.out.end().await;
        let mut answer = call.answer().await.expect("an answer");
        let seen = tokio::time::timeout(patience, measure(&mut answer.body)).await.expect("in time");
        assert_eq!(seen, n);
    };
    Run { patience: patience * 2, ..Run::usual() }.in_each(each_way_once(), script, judge).await;
}

#[tokio::test]
async fn sixty_four_mebibytes_arrive_whole_in_both_directions() {
    large(64 << 20, Duration::from_secs(60)).await;
}

#[tokio::test]
#[ignore = "takes minutes: cargo test --test faithful -- --ignored"]
async fn a_gibibyte_arrives_whole_in_both_directions() {
    large(1 << 30, Duration::from_secs(900)).await;
}
