//! A connection's task: moves octets between the socket and the connection's state, and asks now and then whether the
//! other side is still there.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use h2::Reason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};

use super::Shared;
use crate::http2::{Connection, Failure, Fault};
use crate::io::Io;

/// The peer's SETTINGS should be here after one round trip; a peer that is slower is used with the defaults.
const SETTINGS_WAIT: Duration = Duration::from_millis(250);
/// A ping unanswered for this long means that the connection is dead.
const PONG_WAIT: Duration = Duration::from_secs(20);
/// What is said at the end is written within this time, or not at all.
const GOODBYE_WAIT: Duration = Duration::from_secs(1);
/// Room for what is read at a time: the largest frame with its head, so that data which wait for a slow reader hold on to no
/// other's; and how little of it may be left.
const READ: usize = 9 + 16 * 1024;
const READ_LEAST: usize = 4 * 1024;

/// Drives the connection until it ends. `ready` is told when the peer has introduced itself, `freed` of the end.
pub(super) async fn drive(
    connection: Shared,
    mut io: Io,
    freed: Rc<Notify>,
    ping_interval: Duration,
    ready: oneshot::Sender<()>,
) {
    let mut buffer = BytesMut::new();
    let end = tokio::select! {
        // In this order: what the watch waits for is read by the first, and both are polled whenever the task is.
        biased;
        end = poll_fn(|cx| poll(&mut connection.borrow_mut(), &mut io, &mut buffer, cx)) => end,
        () = watch(&connection, ping_interval, ready) => End::Lost(Failure::lost("no answer to a ping")),
    };
    let (code, failure) = match end {
        End::Wanted => (Some(Reason::NO_ERROR), Failure::lost("the connection is closed")),
        End::Lost(failure) => (None, failure),
        End::Fault(fault) => (Some(fault.code), fault.into()),
    };
    let streams = connection.borrow().has_streams();
    connection.borrow_mut().end(&failure);
    freed.notify_waiters();
    if streams {
        tracing::debug!(target: "upstream", cause = %failure, "an HTTP/2 connection ended");
    }
    if let Some(code) = code {
        connection.borrow_mut().say_goodbye(code);
        let _ = tokio::time::timeout(GOODBYE_WAIT, async {
            let _ = poll_fn(|cx| connection.borrow_mut().poll_write(&mut io, cx)).await;
            let _ = io.shutdown().await;
        })
        .await;
    }
}

enum End {
    /// Nobody needs the connection any more.
    Wanted,
    Lost(Failure),
    Fault(Fault),
}

fn poll(connection: &mut Connection, io: &mut Io, buffer: &mut BytesMut, cx: &mut Context<'_>) -> Poll<End> {
    connection.watch(cx);
    loop {
        if let Poll::Ready(Err(error)) = connection.poll_write(io, cx) {
            return Poll::Ready(End::Lost(Failure::lost(error.to_string())));
        }
        if connection.is_over() {
            return Poll::Ready(End::Wanted);
        }
        if buffer.capacity() - buffer.len() < READ_LEAST {
            buffer.reserve(READ);
        }
        match pin!(io.read_buf(buffer)).poll(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(0)) => return Poll::Ready(End::Lost(connection.closed_by_peer())),
            Poll::Ready(Ok(_)) => {
                if let Err(fault) = connection.receive(buffer) {
                    return Poll::Ready(End::Fault(fault));
                }
            }
            Poll::Ready(Err(error)) => return Poll::Ready(End::Lost(Failure::lost(error.to_string()))),
        }
    }
}

/// Ends when the peer does not answer.
async fn watch(connection: &Shared, interval: Duration, ready: oneshot::Sender<()>) {
    let settled = until(connection, Connection::is_settled);
    let _ = tokio::time::timeout(SETTINGS_WAIT, settled).await;
    let _ = ready.send(());
    loop {
        tokio::time::sleep(interval).await;
        // Without a call under way a ping could only annoy: gRPC servers count those.
        if !connection.borrow().has_streams() {
            continue;
        }
        connection.borrow_mut().ping();
        let answered = until(connection, Connection::is_ponged);
        if tokio::time::timeout(PONG_WAIT, answered).await.is_err() {
            return;
        }
    }
}

/// Waits in the task that reads, which is polled whenever something has come.
async fn until(connection: &Shared, so: fn(&Connection) -> bool) {
    poll_fn(|_| if so(&connection.borrow()) { Poll::Ready(()) } else { Poll::Pending }).await;
}
