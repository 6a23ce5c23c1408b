//! An exchange's record: kept while its answer streams, closed with one access line when the last frame leaves.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, StatusCode, Version};
use http_body::{Body as _, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Connection;
use super::error::Error;
use super::reply::{Dialect, GRPC_STATUS, grpc_status};
use crate::access::{Caller, Pass};
use crate::allowance::Held;
use crate::body::{self, Body};
use crate::io::{Io, Replayed};
use crate::message::Headers;
use crate::metrics::{Origin, Protocol, Shard, Unauthorized};
use crate::reason::Reason;
use crate::scope::Scope;
use crate::upstream::AnswerBody;

/// What is known of one request and its answer.
pub(super) struct Exchange {
    pub(super) shard: Arc<Shard>,
    pub(super) connection: Rc<Connection>,
    pub(super) log: AccessLog,
    pub(super) started: Instant,
    pub(super) protocol: Protocol,
    pub(super) dialect: Dialect,
    /// `None` when the request could not be read.
    pub(super) method: Option<Method>,
    pub(super) path: Option<PathAndQuery>,
    pub(super) scope: Option<Scope>,
    /// Who makes it, where that is known.
    pub(super) caller: Option<Arc<Caller>>,
    /// Its place in the caller's quota.
    pub(super) pass: Option<Pass>,
    /// Its place among all requests under way.
    pub(super) place: Option<Held>,
    /// The answer's; `None` while there is none.
    pub(super) status: Option<StatusCode>,
    pub(super) grpc_status: Option<u16>,
    pub(super) reason: Option<Reason>,
    /// The relay handed out a token.
    pub(super) relayed: bool,
    /// The sentence that the caller was told, for the log.
    pub(super) detail: Option<Box<str>>,
    pub(super) sent: u64,
    pub(super) generation: u64,
    pub(super) waited: Duration,
    /// How often it was sent upstream, once more after a refused token.
    pub(super) attempts: u8,
    /// Whether the last frame has left.
    pub(super) complete: bool,
}

/// Which exchanges get a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessLog {
    /// Every one.
    #[default]
    All,
    /// Those that the proxy answered itself, that broke, or that ended in a status of 500 and above.
    Errors,
    /// None.
    Off,
}

/// A connection's exchanges under way, and what its deadlines need to know of them.
#[derive(Debug, Default)]
pub struct OpenExchanges {
    count: Cell<usize>,
    last_ended: Cell<Option<Instant>>,
    over: Notify,
}

impl OpenExchanges {
    /// How many are under way.
    pub fn count(&self) -> usize {
        self.count.get()
    }

    /// When the last one ended; `None` before the first.
    pub fn last_ended(&self) -> Option<Instant> {
        self.last_ended.get()
    }

    /// Waits until none is under way: over HTTP/2 each has a task of its own.
    pub async fn over(&self) {
        while self.count() > 0 {
            self.over.notified().await;
        }
    }

    /// Another one begins; whoever calls this owes an [`OpenExchanges::end`].
    pub(super) fn begin(&self) {
        self.count.set(self.count.get() + 1);
    }

    /// One is over.
    pub(super) fn end(&self, now: Instant) {
        self.count.set(self.count.get() - 1);
        self.last_ended.set(Some(now));
        if self.count() == 0 {
            self.over.notify_one();
        }
    }
}

impl Exchange {
    /// What the proxy says by itself.
    pub(super) fn failed(&mut self, error: &Error) {
        self.reason = Some(error.reason);
        self.detail = Some(error.detail.as_ref().into());
    }

    /// Who answered.
    fn origin(&self) -> Origin {
        match (self.reason, self.status) {
            (Some(reason), _) => Origin::Proxy(reason),
            (None, Some(_)) if self.relayed => Origin::Relay,
            (None, Some(status)) => Origin::Upstream(status),
            (None, None) => Origin::Nobody,
        }
    }

    /// The upstream refused the token.
    pub(super) fn unauthorized(&self, action: Unauthorized) {
        if let Some(scope) = self.scope {
            self.shard.unauthorized(scope, action);
        }
    }

    fn note_grpc_status(&mut self, status: Option<&HeaderValue>) {
        if let Some(status) = status {
            self.grpc_status = status.to_str().ok().and_then(|status| status.parse().ok());
        }
    }

    fn wants_line(&self) -> bool {
        match self.log {
            AccessLog::All => true,
            AccessLog::Errors => {
                self.reason.is_some()
                    || !self.complete
                    || self.status.is_some_and(|status| status.as_u16() >= 500)
            }
            AccessLog::Off => false,
        }
    }

    fn write_line(&self, total: Duration) {
        tracing::info!(
            target: "access",
            listener = &*self.connection.door.name,
            caller = self.caller.as_ref().map(|caller| caller.name()),
            protocol = self.protocol.name(),
            scope = self.scope.map(Scope::name),
            method = self.method.as_ref().map(Method::as_str),
            // Never the query: it belongs to the caller.
            path = self.path.as_ref().map(PathAndQuery::path),
            status = self.status.as_ref().map(StatusCode::as_u16),
            grpc_status = self.grpc_status,
            origin = self.origin().name(),
            reason = self.reason.map(Reason::name),
            detail = self.detail.as_deref(),
            aborted = (!self.complete).then_some(true),
            bytes_out = self.sent,
            token_generation = (self.generation > 0).then_some(self.generation),
            token_wait_ms = (!self.waited.is_zero()).then_some(self.waited.as_millis() as u64),
            attempts = (self.attempts > 1).then_some(self.attempts),
            total_ms = total.as_secs_f64() * 1000.0,
            "request"
        );
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let now = Instant::now();
        let total = now - self.started;
        self.shard.request_ended(self.scope, self.protocol, self.origin(), total);
        self.connection.open.end(now);
        if self.wants_line() {
            self.write_line(total);
        }
    }
}

/// The body of an answer with its exchange's record.
pub struct Tracked {
    kind: Kind,
    // Boxed: an answer is handed on more than once on its way.
    exchange: Box<Exchange>,
}

enum Kind {
    Own(Body),
    Upstream(AnswerBody),
    Over,
}

impl Tracked {
    pub(super) fn own(body: Body, exchange: Box<Exchange>) -> Tracked {
        Tracked { kind: Kind::Own(body), exchange }
    }

    pub(super) fn upstream(body: AnswerBody, headers: &Headers, mut exchange: Box<Exchange>) -> Tracked {
        if exchange.dialect == Dialect::Grpc {
            exchange.note_grpc_status(headers.get(GRPC_STATUS));
        }
        Tracked { kind: Kind::Upstream(body), exchange }
    }

    /// The upstream's connection, where it has agreed to switch protocols.
    pub fn take_io(&mut self) -> Option<Replayed<Io>> {
        match &mut self.kind {
            Kind::Upstream(body) => body.take_io(),
            Kind::Own(_) | Kind::Over => None,
        }
    }

    /// A gRPC stream whose upstream is lost ends in a status, so that the caller need not guess. A stream that the
    /// upstream itself reset is reset with the same code.
    fn broken(&mut self, error: body::Error) -> Option<Result<Frame<Bytes>, body::Error>> {
        if self.exchange.dialect == Dialect::Rest || error.is_reset_by_peer() {
            return Some(Err(error));
        }
        let told = Error::new(
            Reason::UpstreamReset,
            "the connection to the upstream was lost in the middle of the answer",
        );
        self.exchange.failed(&told);
        self.exchange.complete = true;
        self.kind = Kind::Over;
        Some(Ok(Frame::trailers(grpc_status(&told).into())))
    }
}

impl http_body::Body for Tracked {
    type Data = Bytes;
    type Error = body::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, body::Error>>> {
        let frame = match &mut self.kind {
            Kind::Own(body) => ready!(Pin::new(body).poll_frame(cx)),
            Kind::Upstream(body) => ready!(Pin::new(body).poll_frame(cx)),
            Kind::Over => None,
        };
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.exchange.sent += data.len() as u64;
                } else if let Some(trailers) = frame.trailers_ref() {
                    if self.exchange.dialect == Dialect::Grpc {
                        self.exchange.note_grpc_status(trailers.get(GRPC_STATUS));
                    }
                    self.exchange.complete = true;
                }
            }
            None => self.exchange.complete = true,
            Some(Err(_)) => {}
        }
        Poll::Ready(match frame {
            Some(Err(error)) => self.broken(error),
            other => other,
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Own(body) => body.is_end_stream(),
            Kind::Upstream(body) => body.is_end_stream(),
            Kind::Over => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Own(body) => body.size_hint(),
            Kind::Upstream(body) => body.size_hint(),
            Kind::Over => SizeHint::with_exact(0),
        }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.exchange.complete |= self.is_end_stream();
    }
}

/// The protocol as callers know it.
pub(super) fn protocol(version: Version, dialect: Dialect) -> Protocol {
    match (dialect, version) {
        (Dialect::Grpc, _) => Protocol::Grpc,
        (Dialect::Rest, Version::HTTP_2) => Protocol::Http2,
        (Dialect::Rest, _) => Protocol::Http1,
    }
}
