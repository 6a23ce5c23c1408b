//! Answers that are streamed or large, and one that tells what was sent: for tests of bodies.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;

use crate::sandbox::rest::Asked;
use crate::sandbox::rest::reply::Reply;

/// The most bytes that a caller may ask for.
const LARGEST_CONTENT: u64 = 256 << 20;

/// Events over time: `chunks` of them, one each `interval_ms`.
pub(super) fn stream(asked: &Asked) -> Reply {
    let chunks = asked.query("chunks").unwrap_or(10);
    let interval = Duration::from_millis(asked.query("interval_ms").unwrap_or(100));
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        for number in 0..chunks {
            if number > 0 && !interval.is_zero() {
                tokio::time::sleep(interval).await;
            }
            if sender.send(Ok(Bytes::from(format!("data: {number}\n\n")))).await.is_err() {
                return;
            }
        }
    });
    Reply::Stream(receiver)
}

/// What was sent: its size and its hash.
pub(super) fn echo(asked: &Asked) -> Reply {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &asked.body);
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Reply::Json(json!({ "documentId": hash, "contentHash": hash, "size": asked.body.len() }))
}

/// A body of `bytes` bytes, 1 MiB by default.
pub(super) fn large(asked: &Asked) -> Reply {
    let length = asked.query("bytes").unwrap_or(1 << 20).min(LARGEST_CONTENT);
    Reply::Bytes((0..length).map(|at| (at % 251) as u8).collect())
}
