//! Answers before the answer (1xx), and requests that wait for one.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use http::Request;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::cell::{in_each, rest};
use super::http1::Framing;
use super::upstream::Asked;
use crate::common::frames::{END_STREAM, Frames, HEADERS};
use crate::common::peer::{Talk, peer};
use crate::common::{in_time, setup};

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
            assert_eq!(answer.status, 200);
            // Over HTTP/2 only if it is not on its way already.
            assert!(answer.interim.iter().all(|(status, _)| *status == 100), "{:?}", answer.interim);
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

/// What an upstream says first, but for 100, which is this hop's.
fn hints() -> Vec<(u16, String)> {
    vec![(102, String::new()), (103, "</a.css>".to_owned())]
}

#[tokio::test]
async fn answers_before_the_answer_pass_and_are_not_taken_for_it() {
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
        assert_eq!(answer.interim, hints());
    })
    .await;
}

#[tokio::test]
async fn answers_before_the_answer_over_http2_pass_too() {
    let upstream = peer(|stream| async move {
        let mut frames = Frames::accept(stream, &[]).await;
        while let Some(frame) = frames.read().await {
            if frame.kind == HEADERS {
                frames.head(frame.stream, 0, &[(":status", "100")]).await;
                frames.head(frame.stream, 0, &[(":status", "102")]).await;
                frames.head(frame.stream, 0, &[(":status", "103"), ("link", "</a.css>")]).await;
                frames.head(frame.stream, END_STREAM, &[(":status", "200"), ("x-final", "1")]).await;
            }
        }
    })
    .await;
    let world = setup().zeebe_rest(upstream.at).with("scopes.zeebe.protocol", "http2").start().await;
    let mut caller = Talk::new(TcpStream::connect(world.proxy).await.expect("connected"));
    caller.say("GET /v2/x HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    for (status, field) in [(102, ""), (103, "link: </a.css>"), (200, "x-final: 1")] {
        let head = in_time("a head", caller.head()).await.expect("a head");
        assert!(head[8..].starts_with(&format!(" {status} ")) && head.contains(field), "{head}");
    }
    let stream = TcpStream::connect(world.proxy).await.expect("connected");
    let (sender, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    let mut sender = sender.ready().await.expect("a connection");
    let request = Request::get("http://localhost/v2/x").body(()).expect("a request");
    let (mut answer, _) = sender.send_request(request, true).expect("a stream");
    let mut before = Vec::new();
    let head = in_time(
        "an answer",
        poll_fn(|cx| {
            while let Poll::Ready(Some(Ok(head))) = answer.poll_informational(cx) {
                before.push((head.status().as_u16(), head.headers().contains_key("link")));
            }
            Pin::new(&mut answer).poll(cx)
        }),
    );
    let head = head.await.expect("an answer");
    assert_eq!((head.status().as_u16(), head.headers()["x-final"].as_bytes()), (200, &b"1"[..]));
    assert_eq!(before, [(102, false), (103, true)]);
    assert!(head.body().is_end_stream());
}

#[tokio::test]
async fn an_answer_before_the_answer_comes_at_once_and_not_to_http10() {
    let heard = Arc::new(Notify::new());
    let answer = Arc::clone(&heard);
    let upstream = peer(move |stream| {
        let answer = Arc::clone(&answer);
        async move {
            let mut talk = Talk::new(stream);
            while talk.head().await.is_some() {
                talk.say("HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n").await;
                answer.notified().await;
                talk.say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            }
        }
    })
    .await;
    let world = setup().zeebe_rest(upstream.at).start().await;
    let mut caller = Talk::new(TcpStream::connect(world.proxy).await.expect("connected"));
    for (version, first) in [("1.1", " 103 "), ("1.0", " 200 ")] {
        if version == "1.0" {
            heard.notify_one();
        }
        caller.say(format!("GET /v2/x HTTP/{version}\r\nhost: localhost\r\n\r\n")).await;
        let head = in_time("a head", caller.head()).await.expect("a head");
        assert!(head[8..].starts_with(first), "{version}: {head}");
        if version == "1.1" {
            heard.notify_one();
            assert!(caller.head().await.expect("a head")[8..].starts_with(" 200 "));
        }
    }
}
