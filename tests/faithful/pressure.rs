//! Who does not read holds up whoever sends, and nothing piles up in between.

use std::cell::Cell as Count;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::spawn_local;

use super::cell::{Cell, all, in_each};
use super::http1::Framing;
use super::upstream::Asked;
use crate::common::in_time;

const PIECE: u64 = 64 * 1024;

/// What the windows of HTTP/2 allow on both hops together; sockets of HTTP/1.1 are the kernel's, which likes to hold megabytes.
fn most(cell: Cell) -> u64 {
    if cell.is_http2() { 4 << 20 } else { 32 << 20 }
}

/// Waits until a count has stood still, and says where.
async fn standstill(count: &Count<u64>) -> u64 {
    loop {
        let before = count.get();
        tokio::time::sleep(Duration::from_millis(150)).await;
        if before > 0 && count.get() == before {
            return before;
        }
    }
}

#[tokio::test]
async fn an_answer_that_nobody_reads_stops_at_its_source_and_goes_on_with_its_reader() {
    let script = async |mut asked: Asked| {
        asked.whole().await;
        let count = Rc::clone(&asked.talk.count);
        count.set(0);
        let (_body, mut out) = asked.answer(200, &[], Framing::Unknown).await;
        while out.data(vec![7; PIECE as usize]).await {
            count.set(count.get() + PIECE);
        }
    };
    in_each(all(), script, async |to| {
        let mut call = to.post("x", &[], Framing::Unknown).await;
        call.out.end().await;
        let mut answer = call.answer().await.expect("an answer");
        let stood = standstill(&to.talk().count).await;
        assert!(stood < most(to.cell), "{stood} octets were taken for a caller that reads nothing");
        let mut read = 0;
        while read < stood + (4 << 20) {
            read += in_time("more", answer.body.data()).await.expect("more").expect("more").len() as u64;
        }
    })
    .await;
}

#[tokio::test]
async fn an_upload_that_nobody_reads_stops_at_its_source_and_goes_on_with_its_reader() {
    const ALL: u64 = 40 << 20;
    let script = async |mut asked: Asked| {
        asked.talk.go.notified().await;
        let mut read = 0;
        while let Some(Ok(piece)) = asked.body.data().await {
            read += piece.len();
        }
        asked.answer(200, &[("x-read", &read.to_string())], Framing::Length(0)).await.1.end().await;
    };
    in_each(all(), script, async |to| {
        let mut call = to.post("x", &[], Framing::Unknown).await;
        let sent = Rc::new(Count::new(0));
        let count = Rc::clone(&sent);
        let sending = spawn_local(async move {
            while count.get() < ALL {
                assert!(call.out.data(vec![7; PIECE as usize]).await);
                count.set(count.get() + PIECE);
            }
            call.out.end().await;
            call
        });
        let stood = standstill(&sent).await;
        assert!(stood < most(to.cell), "{stood} octets were taken for an upstream that reads nothing");
        to.talk().go.notify_one();
        let mut call = sending.await.expect("sent");
        let answer = call.answer().await.expect("an answer");
        assert_eq!(answer.fields.one("x-read"), ALL.to_string());
    })
    .await;
}
