//! Answers before the request is whole, and requests that end long before the answer does.

use super::cell::{all, in_each};
use super::http1::Framing;
use super::upstream::Asked;
use crate::common::in_time;

#[tokio::test]
async fn an_answer_before_the_request_is_whole_is_there_at_once() {
    let script = async |asked: Asked| {
        let (mut body, mut out) = asked.answer(413, &[], Framing::Length(3)).await;
        out.data("big").await;
        out.end().await;
        // Closed upon unread octets, the connection would be reset, and the answer could be lost on this hop.
        body.whole().await;
    };
    in_each(all(), script, async |to| {
        for framing in [Framing::Length(1 << 20), Framing::Unknown] {
            let mut call = to.post("x", &[], framing).await;
            call.out.data("some").await;
            let mut answer = call.answer().await.expect("an answer");
            assert_eq!(answer.status, 413);
            assert_eq!(in_time("its body", answer.body.octets(3)).await, "big");
        }
    })
    .await;
}

#[tokio::test]
async fn an_upload_goes_on_after_the_answer_has_begun() {
    let script = async |asked: Asked| {
        let (mut body, mut out) = asked.answer(200, &[], Framing::Unknown).await;
        out.data("begun").await;
        let seen = body.whole().await;
        out.data(seen.body.len().to_string()).await;
        out.end().await;
    };
    in_each(all(), script, async |to| {
        let mut call = to.post("x", &[], Framing::Unknown).await;
        let mut answer = call.answer().await.expect("an answer");
        answer.body.octets(5).await;
        for _ in 0..20 {
            assert!(call.out.data(vec![7; 50_000]).await);
        }
        call.out.end().await;
        assert_eq!(in_time("the end", answer.body.whole()).await.body, "1000000");
    })
    .await;
}

#[tokio::test]
async fn an_answer_goes_on_after_the_request_has_ended() {
    let script = async |mut asked: Asked| {
        asked.whole().await;
        let (_body, mut out) = asked.answer(200, &[], Framing::Unknown).await;
        for _ in 0..20 {
            out.data(vec![7; 5_000]).await;
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        out.end().await;
    };
    in_each(all(), script, async |to| {
        let mut call = to.post("x", &[], Framing::Unknown).await;
        call.out.data("all").await;
        call.out.end().await;
        let whole = call.answer().await.expect("an answer").body.whole().await;
        assert_eq!((whole.body.len(), whole.broken), (100_000, None));
    })
    .await;
}
