//! HTTP/1.1 upstream connections: a stack of idle ones, the one used last on top.
//!
//! No task drives a connection: who asks writes the request and reads the answer. That saves the way to such a task and
//! back, which costs as much as reading and writing the heads do.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Response, StatusCode};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::{Error, Heads, MAX_AGE, Payload, Refused};
use crate::body;
use crate::http1::{Answer, Decoder, RequestHead, Stopped, Wire, is_interim, take_answer};
use crate::io::{Io, Replayed};
use crate::turn::Turn;

mod receiving;
mod sending;
#[cfg(test)]
mod tests;

pub(super) use receiving::Receiving;
use sending::{Sending, sending, unsent};

/// A goodbye takes no longer than this.
const GOODBYE_WAIT: Duration = Duration::from_secs(1);

/// The idle connections of one origin.
#[derive(Default)]
pub(super) struct Idle {
    stack: RefCell<Vec<Resting>>,
}

/// An idle connection.
struct Resting {
    since: Instant,
    wire: Rc<Wire>,
}

/// A connection in use; it returns to the stack when its answer has been read to the end.
pub(super) struct Lease {
    idle: Rc<Idle>,
    wire: Rc<Wire>,
    /// Whether it has carried a request before: only such a connection can have been closed unnoticed.
    reused: bool,
}

impl Idle {
    /// The idle connection that was used last, if it is still alive and not older than `max_idle`.
    pub(super) fn take(self: &Rc<Idle>, max_idle: Duration) -> Option<Lease> {
        while let Some(resting) = self.stack.borrow_mut().pop() {
            if resting.is_good(max_idle) {
                return Some(Lease { idle: Rc::clone(self), wire: resting.wire, reused: true });
            }
            resting.part();
        }
        None
    }

    /// Closes what has been idle for too long.
    pub(super) fn sweep(&self, max_idle: Duration) {
        self.stack.borrow_mut().extract_if(.., |resting| !resting.is_good(max_idle)).for_each(Resting::part);
    }

    /// Speaks HTTP/1.1 on a new connection.
    pub(super) fn open(self: &Rc<Idle>, io: Io) -> Lease {
        Lease { idle: Rc::clone(self), wire: Rc::new(Wire::new(io)), reused: false }
    }
}

impl Resting {
    fn is_good(&self, max_idle: Duration) -> bool {
        self.since.elapsed() <= max_idle && self.wire.is_silent()
    }

    fn part(self) {
        tokio::task::spawn_local(async move { tokio::time::timeout(GOODBYE_WAIT, self.wire.part()).await });
    }
}

impl Lease {
    /// Sends one request. `repeatable` is a request without a body whose method may be repeated.
    ///
    /// # Errors
    /// With the body, when the request may go out once more: it was not written at all, or it is `repeatable` and met a
    /// connection that had just been closed.
    pub(super) async fn exchange(
        self,
        head: RequestHead,
        payload: Payload,
        repeatable: bool,
        heads: &impl Heads,
    ) -> Result<Response<Receiving>, Refused> {
        let is_head = head.is_head();
        let mut sending = sending(head, payload);
        // What has come of the body by the next turn goes out with the head, in one write; and of a body that is wrong from
        // its start, nothing does.
        let mut turn = Turn::default();
        let gathered = poll_fn(|cx| {
            sending.gather(cx)?;
            turn.poll(cx).map(Ok::<_, Stopped<body::Error>>)
        });
        if let Err(stopped) = gathered.await {
            return Err(Refused { again: None, error: Error::reset(describe(io::Error::from(stopped))) });
        }
        let mut calling = Calling { wire: &self.wire, sending: Some(sending), unwritten: None, heard: false };
        let result = poll_fn(|cx| calling.poll(heads, cx)).await;
        let Calling { sending, unwritten, heard, .. } = calling;
        let answer = match result {
            Ok(answer) => answer,
            Err(cause) => {
                let unsent = sending.filter(|sending| !sending.has_begun()).and_then(unsent);
                // RFC 9110 §9.2.2: without a sign of processing, only what is idempotent is repeated.
                let closed = self.reused && !heard && is_lost(&cause);
                let again = unsent.or_else(|| (closed && repeatable).then_some(Payload::Empty));
                return Err(Refused { again, error: Error::reset(describe(cause)) });
            }
        };
        if answer.response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(answer.response.map(|()| Receiving::switched(self)));
        }
        let decoder = Decoder::of_answer(&answer, is_head);
        let decoder =
            decoder.map_err(|cause| Refused { again: None, error: Error::reset(cause.to_string()) })?;
        let ends_here = unwritten.is_some() || decoder.ends_with_connection();
        let reusable = !ends_here && answer.keeps_connection();
        let sending = sending.map(|sending| go_on(sending, Rc::clone(&self.wire)));
        Ok(answer.response.map(|()| Receiving::new(self, decoder, reusable, sending)))
    }

    /// Puts the connection back on the stack, unless it is too old.
    pub(super) fn give_back(self) {
        let since = Instant::now();
        let unshared = Rc::strong_count(&self.wire) == 1;
        if unshared && since.duration_since(self.wire.opened()) <= MAX_AGE {
            self.wire.rest();
            self.idle.stack.borrow_mut().push(Resting { since, wire: self.wire });
        }
    }

    fn into_io(self) -> Option<Replayed<Io>> {
        Rc::into_inner(self.wire).map(Wire::into_io)
    }
}

/// A request whose answer has not begun.
struct Calling<'a> {
    wire: &'a Wire,
    /// `None` once all of it has gone, or as much as the connection took.
    sending: Option<Sending>,
    /// Why the connection took no more.
    unwritten: Option<io::Error>,
    /// Whether anything came back.
    heard: bool,
}

impl Calling<'_> {
    fn poll(&mut self, heads: &impl Heads, cx: &mut Context<'_>) -> Poll<io::Result<Answer>> {
        if let Some(sending) = &mut self.sending {
            match sending.poll(self.wire, cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => self.sending = None,
                // Never again: what is left of such a body looks like a whole one.
                Poll::Ready(Err(Stopped::Body(cause))) => {
                    self.sending = None;
                    return Poll::Ready(Err(Stopped::Body(cause).into()));
                }
                Poll::Ready(Err(Stopped::Wire(cause))) if !sending.has_begun() => {
                    return Poll::Ready(Err(cause));
                }
                // Who refuses a request before its end may have said why.
                Poll::Ready(Err(Stopped::Wire(cause))) => {
                    self.sending = None;
                    self.unwritten = Some(cause);
                }
            }
        }
        loop {
            match self.wire.with_read(take_answer)? {
                Some(answer) if is_interim(answer.response.status()) => {
                    heads.interim(answer.response);
                    continue;
                }
                Some(answer) => return Poll::Ready(Ok(answer)),
                None => {}
            }
            let filled = match ready!(self.wire.poll_fill(cx)) {
                Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                filled => filled,
            };
            match filled {
                Ok(_) => self.heard = true,
                Err(cause) => return Poll::Ready(Err(self.unwritten.take().unwrap_or(cause))),
            }
        }
    }
}

/// Sends the rest of a request whose answer has begun.
fn go_on(mut sending: Sending, wire: Rc<Wire>) -> AbortHandle {
    let rest = async move {
        // What the connection does not take is not wanted any more; the answer tells why.
        if let Err(Stopped::Body(_)) = poll_fn(|cx| sending.poll(&wire, cx)).await {
            wire.break_off();
        }
    };
    tokio::task::spawn_local(rest).abort_handle()
}

/// Whether this is how a connection looks that the peer has closed.
fn is_lost(cause: &io::Error) -> bool {
    // The last one is TLS's word for it, too.
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    matches!(cause.kind(), BrokenPipe | ConnectionReset | ConnectionAborted | NotConnected | UnexpectedEof)
}

fn describe(cause: io::Error) -> String {
    match cause.get_ref().and_then(|inner| inner.downcast_ref::<body::Error>()) {
        Some(cause) => match std::error::Error::source(cause) {
            Some(source) => format!("the request's body broke off: {source}"),
            None => "the request's body broke off".to_owned(),
        },
        None if cause.kind() == io::ErrorKind::UnexpectedEof => {
            "the upstream closed the connection before it had answered".to_owned()
        }
        None => cause.to_string(),
    }
}
