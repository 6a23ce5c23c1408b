//! HTTP/1.1 upstream connections: a stack of idle ones, the one used last on top.
//!
//! No task drives a connection: who asks writes the request and reads the answer. That saves the way to such a task and
//! back, which costs as much as reading and writing the heads do.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::StatusCode;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::{Error, Heads, MAX_AGE, Payload, Refused};
use crate::body;
use crate::http1::{Answer, Decoder, RequestHead, Stopped, Wire, is_interim, take_answer};
use crate::io::{Io, Replayed};
use crate::message::Response;

mod receiving;
mod sending;
#[cfg(test)]
mod tests;

pub(super) use receiving::Receiving;
use sending::{Sending, sending, unsent};

/// A goodbye takes no longer than this.
const GOODBYE_WAIT: Duration = Duration::from_secs(1);

/// The idle connections of one origin.
pub(super) struct Idle {
    stack: RefCell<Vec<Resting>>,
    /// When the last sweep was, for all that is measured here: reading the clock takes a large part of what finding and giving
    /// back a connection takes, and ages and idle times are many sweeps long.
    swept: Cell<Instant>,
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
    /// Whether it has carried a request before.
    reused: bool,
}

impl Idle {
    /// None yet.
    pub(super) fn new() -> Idle {
        Idle { stack: RefCell::default(), swept: Cell::new(Instant::now()) }
    }

    /// The idle connection that was used last, if it is still alive and not older than `max_idle`.
    pub(super) fn take(self: &Rc<Idle>, max_idle: Duration) -> Option<Lease> {
        while let Some(resting) = self.stack.borrow_mut().pop() {
            if resting.is_good(self.swept.get(), max_idle) {
                return Some(Lease { idle: Rc::clone(self), wire: resting.wire, reused: true });
            }
            resting.part();
        }
        None
    }

    /// Closes what has been idle for too long. Called every second.
    pub(super) fn sweep(&self, max_idle: Duration) {
        let now = Instant::now();
        self.swept.set(now);
        let is_bad = |resting: &mut Resting| !resting.is_good(now, max_idle);
        self.stack.borrow_mut().extract_if(.., is_bad).for_each(Resting::part);
    }

    /// Speaks HTTP/1.1 on a new connection.
    pub(super) fn open(self: &Rc<Idle>, io: Io) -> Lease {
        Lease { idle: Rc::clone(self), wire: Rc::new(Wire::new(io)), reused: false }
    }
}

impl Resting {
    fn is_good(&self, now: Instant, max_idle: Duration) -> bool {
        now.duration_since(self.since) <= max_idle && self.wire.is_silent()
    }

    fn part(self) {
        tokio::task::spawn_local(async move { tokio::time::timeout(GOODBYE_WAIT, self.wire.part()).await });
    }
}

impl Lease {
    /// One request, which goes out as its answer is asked for. `repeatable` is one without a body whose method may be
    /// repeated.
    pub(super) fn call(self, head: RequestHead, payload: Payload, repeatable: bool) -> Call {
        let is_head = head.is_head();
        // Only a connection that has carried a request before can have been closed unnoticed.
        let repeatable = repeatable && self.reused;
        let sending = Some(sending(head, payload));
        Call { lease: Some(self), is_head, repeatable, sending, unwritten: None, heard: false }
    }

    /// Puts the connection back on the stack, unless it is too old.
    pub(super) fn give_back(self) {
        let since = self.idle.swept.get();
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
pub(super) struct Call {
    /// `None` once the answer has begun.
    lease: Option<Lease>,
    is_head: bool,
    repeatable: bool,
    /// `None` once all of it has gone, or as much as the connection took.
    sending: Option<Sending>,
    /// Why the connection took no more.
    unwritten: Option<io::Error>,
    /// Whether anything came back.
    heard: bool,
}

impl Call {
    /// Sends the request, and waits for the head of its answer. Once.
    ///
    /// # Errors
    /// With the body, when the request may go out once more: it was not written at all, or it is repeatable and met a
    /// connection that had just been closed.
    // Not `self`: taken as it is, it would lie twice in the future of each request, for as long as the upstream takes.
    pub(super) async fn answer(&mut self, heads: &impl Heads) -> Result<Response<Receiving>, Refused> {
        if let Some(sending) = &mut self.sending
            && let Err(stopped) = sending.gather_for_a_turn().await
        {
            return Err(Refused { again: None, error: Error::reset(describe(io::Error::from(stopped))) });
        }
        match poll_fn(|cx| self.poll(heads, cx)).await {
            Ok(answer) => self.begin(answer),
            Err(cause) => Err(self.refused(cause)),
        }
    }

    fn poll(&mut self, heads: &impl Heads, cx: &mut Context<'_>) -> Poll<io::Result<Answer>> {
        let Some(lease) = &self.lease else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        if let Some(sending) = &mut self.sending {
            match sending.poll(&lease.wire, cx) {
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
            match lease.wire.with_read(take_answer)? {
                Some(answer) if is_interim(answer.head.status) => {
                    heads.interim(answer.head);
                    continue;
                }
                Some(answer) => return Poll::Ready(Ok(answer)),
                None => {}
            }
            let filled = match ready!(lease.wire.poll_fill(cx)) {
                Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                filled => filled,
            };
            match filled {
                Ok(_) => self.heard = true,
                Err(cause) => return Poll::Ready(Err(self.unwritten.take().unwrap_or(cause))),
            }
        }
    }

    /// The answer has begun; the rest of the request goes on beside it.
    fn begin(&mut self, answer: Answer) -> Result<Response<Receiving>, Refused> {
        let Some(lease) = self.lease.take() else { return Err(Refused { again: None, error: Error::Stale }) };
        if answer.head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Response { head: answer.head, body: Receiving::switched(lease) });
        }
        let decoder = Decoder::of_answer(&answer, self.is_head)
            .map_err(|cause| Refused { again: None, error: Error::reset(cause.to_string()) })?;
        let ends_here = self.unwritten.is_some() || decoder.ends_with_connection();
        let reusable = !ends_here && answer.keeps_connection();
        let sending = self.sending.take().map(|sending| go_on(sending, Rc::clone(&lease.wire)));
        Ok(Response { head: answer.head, body: Receiving::new(lease, decoder, reusable, sending) })
    }

    fn refused(&mut self, cause: io::Error) -> Refused {
        let unsent = self.sending.take().filter(|sending| !sending.has_begun()).and_then(unsent);
        // RFC 9110 §9.2.2: without a sign of processing, only what is idempotent is repeated.
        let closed = !self.heard && is_lost(&cause);
        let again = unsent.or_else(|| (closed && self.repeatable).then_some(Payload::Empty));
        Refused { again, error: Error::reset(describe(cause)) }
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
