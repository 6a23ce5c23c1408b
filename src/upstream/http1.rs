//! HTTP/1.1 upstream connections: a stack of idle ones, the one used last on top.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use http::header::{HeaderValue, TRANSFER_ENCODING};
use http::{Method, Request, Response};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::{Error, MAX_AGE, Payload, Refused};
use crate::body::Body;
use crate::io::Io;

/// Read and write buffers grow to this, so that slow readers cost little.
const MAX_BUFFER: usize = 128 * 1024;

/// The idle connections of one origin.
#[derive(Default)]
pub(super) struct Idle {
    stack: RefCell<Vec<Resting>>,
}

/// An idle connection.
struct Resting {
    since: Instant,
    opened: Instant,
    sender: SendRequest<Body>,
}

/// A connection in use; it returns to the stack when its answer has been read to the end.
pub(super) struct Lease {
    idle: Rc<Idle>,
    sender: SendRequest<Body>,
    opened: Instant,
    /// Whether it has carried a request before: only such a connection can have been closed unnoticed.
    pub(super) reused: bool,
}

impl Idle {
    /// The idle connection that was used last, if it is still alive and not older than `max_idle`.
    pub(super) fn take(self: &Rc<Idle>, max_idle: Duration) -> Option<Lease> {
        let mut stack = self.stack.borrow_mut();
        // From the top; one that still finishes its last exchange is left where it is.
        let mut at = stack.len();
        while at > 0 {
            at -= 1;
            let resting = &stack[at];
            if resting.sender.is_closed() || resting.since.elapsed() > max_idle {
                stack.remove(at);
            } else if resting.sender.is_ready() {
                let Resting { sender, opened, .. } = stack.remove(at);
                return Some(Lease { idle: Rc::clone(self), sender, opened, reused: true });
            }
        }
        None
    }

    /// Closes what has been idle for too long.
    pub(super) fn sweep(&self, max_idle: Duration) {
        self.stack
            .borrow_mut()
            .retain(|resting| !resting.sender.is_closed() && resting.since.elapsed() <= max_idle);
    }

    /// Speaks HTTP/1.1 on a new connection.
    pub(super) async fn open(self: &Rc<Idle>, io: Io) -> Result<Lease, Error> {
        let (sender, connection) = Builder::new()
            .max_buf_size(MAX_BUFFER)
            .handshake(TokioIo::new(io))
            .await
            .map_err(|error| Error::reset(error.to_string()))?;
        // Ends when its last handle is dropped or the upstream closes; errors reach the exchange that is on it.
        tokio::task::spawn_local(connection.with_upgrades());
        Ok(Lease { idle: Rc::clone(self), sender, opened: Instant::now(), reused: false })
    }
}

impl Lease {
    /// Sends one request. `repeatable` is a request without a body whose method may be repeated.
    ///
    /// # Errors
    /// With the body, when the request may go out once more: it was not written at all, or it is `repeatable` and met a
    /// connection that had just been closed.
    pub(super) async fn exchange(
        mut self,
        mut request: Request<Body>,
        repeatable: bool,
    ) -> Result<Response<(Incoming, Lease)>, Refused> {
        say_chunked(&mut request);
        match self.sender.try_send_request(request).await {
            Ok(response) => Ok(response.map(|body| (body, self))),
            Err(mut failed) => {
                let unsent = failed.take_message().map(|request| Payload::from(request.into_body()));
                let error = failed.into_error();
                // RFC 9110 §9.2.2: without a sign of processing, only what is idempotent is repeated.
                let closed = self.reused && (error.is_incomplete_message() || is_broken(&error));
                let again = unsent.or_else(|| (closed && repeatable).then_some(Payload::Empty));
                Err(Refused { again, error: Error::reset(describe(&error)) })
            }
        }
    }

    /// Puts the connection back on the stack, unless it is too old.
    pub(super) fn give_back(self) {
        let since = Instant::now();
        if !self.sender.is_closed() && since.duration_since(self.opened) <= MAX_AGE {
            let resting = Resting { since, opened: self.opened, sender: self.sender };
            self.idle.stack.borrow_mut().push(resting);
        }
    }
}

/// With these methods hyper sends a body of unknown length only when a field says that there is one.
fn say_chunked(request: &mut Request<Body>) {
    let silent = matches!(*request.method(), Method::GET | Method::HEAD);
    if silent && !request.body().is_end_stream() && request.body().size_hint().exact().is_none() {
        request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

fn is_broken(error: &hyper::Error) -> bool {
    // The last one is TLS's word for a connection that was closed without goodbye.
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    let io = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    error.is_canceled()
        || io.is_some_and(|io| {
            matches!(
                io.kind(),
                BrokenPipe | ConnectionReset | ConnectionAborted | NotConnected | UnexpectedEof
            )
        })
}

fn describe(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
