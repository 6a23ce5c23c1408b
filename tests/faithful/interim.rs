//! Answers before the answer (1xx), and requests that wait for one.

use super::cell::{in_each, rest};
use super::http1::Framing;
use super::upstream::Asked;
use crate::common::frames::{END_STREAM, Frames, HEADERS};
use crate::common::peer::peer;
use crate::common::setup;

#[tokio::test]
async fn who_expects_100_continue_gets_it_and_the_body_arrives() {
    let script = async |mut asked: Asked| {
        // It is this hop's: the proxy answers it.
        assert!(!asked.fields.has("expect"));
        let whole = asked.whole().await;
        asked.answer_whole(200, &[], &whole.body).await;
    };
    in_each(rest(), script, async |to| {
        for framing in [Framing::Length(5), Framing::Unknown] {
            let mut call = to.post("x", &[("expect", "100-continue")], framing).await;
            if !to.cell.incoming.is_http2() {
                assert_eq!(call.interim().await, "HTTP/1.1 100 Continue");
            }
            call.out.data("hello").await;
            call.out.end().await;
            let mut answer = call.answer().await.expect("an answer");
            assert_eq!((answer.status, &answer.interim[..]), (200, &[][..]));
            assert_eq!(&answer.body.whole().await.body[..], b"hello");
        }
    })
    .await;
}

#[tokio::test]
async fn who_expects_100_continue_and_is_refused_by_the_proxy_is_told_at_once_and_not_to_go_on() {
    let script = async |_: Asked| panic!("it must not get here");
    let cells = rest().into_iter().filter(|cell| !cell.incoming.is_http2()).collect();
    in_each(cells, script, async |to| {
        let mut call = to.open("POST", "/nope", &[("expect", "100-continue")], Framing::Length(5)).await;
        let answer = call.answer().await.expect("an answer");
        assert_eq!((answer.status, &answer.interim[..]), (404, &[][..]));
    })
    .await;
}

#[tokio::test]
async fn answers_before_the_answer_are_not_taken_for_it() {
    let cells = rest().into_iter().filter(|cell| !cell.outgoing.is_http2()).collect();
    let script = async |mut asked: Asked| {
        asked.raw(b"HTTP/1.1 100 Continue\r\n\r\n").await;
        asked.raw(b"HTTP/1.1 102 Processing\r\n\r\n").await;
        asked.raw(b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\ncontent-length: 7\r\n\r\n").await;
        asked.answer_whole(200, &[], b"hello").await;
    };
    in_each(cells, script, async |to| {
        let (answer, whole) = to.ask("GET", "x", &[], b"").await;
        assert_eq!((answer.status, &whole.body[..]), (200, &b"hello"[..]));
        assert!(!answer.fields.has("link"));
        // As the README says: they are not passed on.
        assert!(answer.interim.is_empty());
    })
    .await;
}

#[tokio::test]
async fn answers_before_the_answer_over_http2_are_not_taken_for_it_either() {
    let upstream = peer(|stream| async move {
        let mut frames = Frames::accept(stream, &[]).await;
        while let Some(frame) = frames.read().await {
            if frame.kind == HEADERS {
                frames.head(frame.stream, 0, &[(":status", "103"), ("link", "</a.css>")]).await;
                frames.head(frame.stream, 0, &[(":status", "100")]).await;
                frames.head(frame.stream, END_STREAM, &[(":status", "200"), ("x-final", "1")]).await;
            }
        }
    })
    .await;
    let world = setup().zeebe_rest(upstream.at).with("scopes.zeebe.protocol", "http2").start().await;
    for mut caller in [world.http1().await, world.http2().await] {
        let answer = caller.get("/v2/x").await;
        assert_eq!((answer.status.as_u16(), answer.header("x-final"), answer.header("link")), (200, "1", ""));
        assert!(answer.head_alone);
    }
}
