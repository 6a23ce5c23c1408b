//! What only gRPC has: deadlines, streams that are silent for long, and what comes of it where it cannot be.

use std::time::Duration;

use tokio::time::Instant;

use super::call::To;
use super::cell::{LONGER, Run, all, grpc, grpc_over_http1, in_each, short_deadlines};
use super::http1::Framing;
use super::upstream::Asked;
use crate::common::{Setup, in_time, message};

#[tokio::test]
async fn a_deadline_is_passed_on_as_it_is_and_obeyed() {
    let script = async |mut asked: Asked| {
        let talk = asked.talk.clone();
        talk.say(asked.fields.one("grpc-timeout"));
        talk.say(format!("{:?}", asked.given_up().await));
    };
    in_each(grpc(), script, async |to| {
        for (timeout, least) in [("200m", 200), ("150000u", 150)] {
            let began = Instant::now();
            let (answer, whole) = to.ask("POST", "x", &[("grpc-timeout", timeout)], &message(&[])).await;
            assert_eq!((answer.status, answer.fields.one("grpc-status")), (200, "4"));
            assert!(whole.head_alone);
            assert!(began.elapsed() >= Duration::from_millis(least - 10), "{:?}", began.elapsed());
            assert_eq!(to.talk().heard().await, timeout);
            assert_eq!(to.talk().heard().await, "Some(8)");
        }
    })
    .await;
}

#[tokio::test]
async fn every_message_of_a_stream_comes_at_once_and_with_its_metadata() {
    let script = async |asked: Asked| {
        assert_eq!(asked.fields.all("x-trace-bin"), ["AAEC", "/wA="]);
        assert_eq!(asked.fields.one("grpc-encoding"), "gzip");
        assert_eq!(asked.fields.one("grpc-accept-encoding"), "identity,gzip");
        assert_eq!((asked.fields.one("te"), &*asked.method), ("trailers", "POST"));
        let head =
            [("content-type", "application/grpc+proto"), ("grpc-encoding", "gzip"), ("x-head-bin", "AAE=")];
        let (mut body, mut out) = asked.answer(200, &head, Framing::Unknown).await;
        while let Some(Ok(piece)) = body.data().await {
            out.data(piece).await;
        }
        out.trailers(&[
            ("grpc-status", "10"),
            ("grpc-message", "a%20%E2%82%AC"),
            ("grpc-status-details-bin", "CAo="),
        ])
        .await;
    };
    in_each(grpc(), script, async |to| {
        let fields = [
            ("x-trace-bin", "AAEC"),
            ("x-trace-bin", "/wA="),
            ("grpc-encoding", "gzip"),
            ("grpc-accept-encoding", "identity,gzip"),
        ];
        let mut call = to.post("x", &fields, Framing::Unknown).await;
        let mut answer = call.answer().await.expect("an answer");
        assert_eq!(answer.fields.one("content-type"), "application/grpc+proto");
        assert_eq!(answer.fields.one("x-head-bin"), "AAE=");
        for n in 0..20 {
            let sent = message(&vec![n; usize::from(n) * 100]);
            call.out.data(sent.clone()).await;
            assert_eq!(answer.body.octets(sent.len()).await, sent);
        }
        call.out.end().await;
        let trailers = in_time("the end", answer.body.whole()).await.trailers.expect("trailers");
        assert_eq!(trailers.one("grpc-status"), "10");
        assert_eq!(trailers.one("grpc-message"), "a%20%E2%82%AC");
        assert_eq!(trailers.one("grpc-status-details-bin"), "CAo=");
    })
    .await;
}

async fn silence(more: fn(Setup) -> Setup, patience: Duration, silence: Duration) {
    let script = async move |mut asked: Asked| {
        let uploads = asked.wish() == "up";
        if uploads {
            asked.body.octets(5).await;
        }
        let (mut body, mut out) = asked.answer(200, &[], Framing::Unknown).await;
        out.data("begun").await;
        if uploads {
            assert_eq!(body.data().await.expect("more").expect("more"), "end");
        } else {
            tokio::time::sleep(silence).await;
        }
        out.data("end").await;
        out.end().await;
    };
    let judge = async move |to: To| {
        let mut down = to.post("down", &[], Framing::Unknown).await;
        down.out.end().await;
        let mut calls = vec![down];
        // The body of a REST request may not be silent for so long.
        if to.cell.incoming.is_grpc() {
            let mut up = to.post("up", &[], Framing::Unknown).await;
            up.out.data("begun").await;
            calls.push(up);
        }
        let mut answers = Vec::new();
        for call in &mut calls {
            let mut answer = call.answer().await.expect("an answer");
            assert_eq!(answer.body.octets(5).await, "begun");
            answers.push(answer);
        }
        tokio::time::sleep(silence).await;
        for up in &mut calls[1..] {
            up.out.data("end").await;
            up.out.end().await;
        }
        for answer in &mut answers {
            let whole = in_time("the end", answer.body.whole()).await;
            assert_eq!((&whole.body[..], whole.broken), (&b"end"[..], None));
        }
    };
    Run { more, patience, at_once: true }.in_each(all(), script, judge).await;
}

#[tokio::test]
async fn a_stream_that_is_silent_for_longer_than_every_deadline_goes_on() {
    silence(short_deadlines, Duration::from_secs(30), LONGER).await;
}

#[tokio::test]
#[ignore = "takes a quarter of an hour: cargo test --test faithful -- --ignored"]
async fn a_stream_that_is_silent_for_fifteen_minutes_goes_on() {
    silence(|setup| setup, Duration::from_secs(1200), Duration::from_secs(910)).await;
}

#[tokio::test]
async fn grpc_to_an_upstream_that_speaks_only_http1_is_unavailable() {
    let script = async |_: Asked| panic!("it must not get here");
    in_each(grpc_over_http1(), script, async |to| {
        let (answer, whole) = to.ask("POST", "Topology", &[], &message(&[])).await;
        assert_eq!((answer.status, answer.fields.one("grpc-status")), (200, "14"), "{:?}", answer.fields);
        assert!(answer.fields.one("grpc-message").starts_with("upstream_"), "{:?}", answer.fields);
        assert!(whole.head_alone);
    })
    .await;
}
