//! A worker's connections to one origin.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use tokio::sync::Notify;

use super::answer::AnswerBody;
use super::connect::{self, connect};
use super::http1::{self, Idle};
use super::http2::{self, Conn};
use super::stream;
use super::{Config, Error, Heads, Origin, Payload, Refused, Wire};
use crate::message::Response;

/// An HTTP/2 connection that nobody has used for this long is closed; those that a burst wanted besides the first, sooner.
const UNUSED: Duration = Duration::from_secs(300);
const UNUSED_BESIDES: Duration = Duration::from_secs(15);
/// HTTP/2 connections of one worker to one origin and kind, whatever the peer's stream limit.
const MAX_CONNECTIONS: usize = 256;
/// A request that has lost the race for a place this often gives up.
const CROWD: usize = 1000;
/// A request may go out this often in all: after a try that provably changed nothing, or a first one whose connection was lost.
const TRIES: usize = 3;

/// The connections of one worker to one origin.
pub struct Pool {
    origin: Arc<Origin>,
    config: Config,
    idle: Rc<Idle>,
    /// Unary calls.
    calls: Rc<Set>,
    /// Streams that live long, kept apart so that a connection they end with takes no call with it.
    held: Rc<Set>,
    /// Whether TLS chose HTTP/2; not known before the first connection.
    negotiated: Cell<Option<bool>>,
}

/// HTTP/2 connections that are used alike.
struct Set {
    connections: RefCell<Vec<Rc<Conn>>>,
    dialing: RefCell<Option<Rc<Dialing>>>,
    freed: Rc<Notify>,
}

/// One attempt to connect, whoever waits for it.
#[derive(Default)]
struct Dialing {
    result: RefCell<Option<Result<Dialed, Error>>>,
    done: Notify,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialed {
    Http2,
    /// TLS chose HTTP/1.1: its connection is on the stack.
    Http1,
}

impl Pool {
    /// No connection is made before the first request.
    pub fn new(origin: Arc<Origin>, config: Config) -> Pool {
        Pool {
            origin,
            config,
            idle: Rc::new(Idle::new()),
            calls: Rc::new(Set::new()),
            held: Rc::new(Set::new()),
            negotiated: Cell::new(None),
        }
    }

    /// Sends a request, and once more where that cannot do anything twice; takes its payload. `held` keeps a stream that
    /// lives long apart.
    ///
    /// # Errors
    /// When no connection could be made, the last one broke before an answer began, or there was no head to send.
    pub async fn send(
        &self,
        method: &Method,
        held: bool,
        payload: &mut Payload,
        heads: &impl Heads,
    ) -> Result<Response<AnswerBody>, Error> {
        let mut tries = 1;
        loop {
            // A lost connection may have been lost to this request, and have taken others with it: one is enough.
            match self.try_send(method, held, payload, heads, tries == 1).await {
                Ok(answer) => return Ok(answer),
                Err(Refused { again: Some(again), .. }) if tries < TRIES => *payload = again,
                Err(refused) => return Err(refused.error),
            }
            tries += 1;
        }
    }

    /// Sends a request that asks for another protocol, on an HTTP/1.1 connection of its own (RFC 9110 §7.8).
    ///
    /// # Errors
    /// As [`Pool::send`].
    pub async fn send_upgrade(&self, heads: &impl Heads) -> Result<Response<AnswerBody>, Error> {
        let lease = Box::pin(self.connect_http1()).await?;
        let request = heads.http1(true).ok_or(Error::Stale)?;
        let mut call = lease.call(request, Payload::Empty, false);
        call.answer(heads).await.map(AnswerBody::http1).map_err(|refused| refused.error)
    }

    /// Closes what has been idle or open for too long.
    pub fn sweep(&self) {
        self.idle.sweep(self.config.idle_timeout);
        self.calls.sweep();
        self.held.sweep();
    }

    async fn try_send(
        &self,
        method: &Method,
        held: bool,
        payload: &mut Payload,
        heads: &impl Heads,
        first: bool,
    ) -> Result<Response<AnswerBody>, Refused> {
        let repeatable = first && matches!(payload, Payload::Empty) && is_idempotent(method);
        let mut waited = !first;
        if self.speaks_http2().unwrap_or(true) {
            let set = if held { &self.held } else { &self.calls };
            let ready = self.pick(set);
            waited |= ready.is_none();
            let lease = match ready {
                Some(lease) => Some(lease),
                // Boxed: it is seldom needed, and would make every request's future larger.
                None => Box::pin(self.next_stream(set)).await.map_err(never_sent)?,
            };
            if let Some(lease) = lease {
                let mut call = {
                    let head = heads.http2(waited).ok_or_else(|| never_sent(Error::Stale))?;
                    stream::Call::begin(lease, &head, std::mem::take(payload), repeatable)?
                };
                return call.answer(heads).await.map(AnswerBody::http2);
            }
        }
        // A new one for another try: what ended one idle connection has often ended them all.
        let ready = if first { self.idle.take(self.config.idle_timeout) } else { None };
        waited |= ready.is_none();
        let lease = match ready {
            Some(lease) => lease,
            // Boxed, or every request's future would have room for a TLS handshake.
            None => Box::pin(self.connect_http1()).await.map_err(never_sent)?,
        };
        let head = heads.http1(waited).ok_or_else(|| never_sent(Error::Stale))?;
        let mut call = lease.call(head, std::mem::take(payload), repeatable);
        call.answer(heads).await.map(AnswerBody::http1)
    }

    fn speaks_http2(&self) -> Option<bool> {
        match self.origin.wire {
            Wire::Http1 => Some(false),
            Wire::Http2 => Some(true),
            Wire::Negotiated => self.negotiated.get(),
        }
    }

    async fn connect_http1(&self) -> Result<http1::Lease, Error> {
        let tls = self.origin.tls.as_ref().map(|(_, http1)| http1);
        let (io, _) = connect(&self.origin, tls, self.config.connect_timeout).await.map_err(failed)?;
        Ok(self.idle.open(io))
    }

    /// Waits for a place on the least loaded connection, or for a connection; `None` when the origin turns out to speak HTTP/1.1.
    async fn next_stream(&self, set: &Rc<Set>) -> Result<Option<http2::Lease>, Error> {
        for _ in 0..CROWD {
            // Registered before looking, or a place that is freed in between would go unnoticed.
            let freed = set.freed.notified();
            if let Some(lease) = self.pick(set) {
                return Ok(Some(lease));
            }
            if set.connections.borrow().len() >= MAX_CONNECTIONS {
                freed.await;
                continue;
            }
            let dialing = self.dial(set);
            tokio::select! {
                result = dialing.result() => {
                    let http2 = result? == Dialed::Http2;
                    self.negotiated.set(Some(http2));
                    if !http2 {
                        return Ok(None);
                    }
                }
                () = freed => {}
            }
        }
        Err(Error::Connect("every connection was closed or crowded at once".to_owned()))
    }

    /// A place, if there is one; the next connection is made before the last place is taken.
    fn pick(&self, set: &Rc<Set>) -> Option<http2::Lease> {
        let lease = set.pick()?;
        if set.is_crowded() && set.connections.borrow().len() < MAX_CONNECTIONS {
            self.dial(set);
        }
        Some(lease)
    }

    /// Starts to connect unless that is under way. A task of its own: who waits for it may leave.
    fn dial(&self, set: &Rc<Set>) -> Rc<Dialing> {
        if let Some(dialing) = &*set.dialing.borrow() {
            return Rc::clone(dialing);
        }
        let dialing = Rc::new(Dialing::default());
        *set.dialing.borrow_mut() = Some(Rc::clone(&dialing));
        let (origin, config, idle) = (Arc::clone(&self.origin), self.config.clone(), Rc::clone(&self.idle));
        let (set, shared) = (Rc::clone(set), Rc::clone(&dialing));
        tokio::task::spawn_local(async move {
            let result = dial(&origin, &config, &idle, &set).await;
            if let Err(error) = &result {
                tracing::debug!(target: "upstream", upstream = %origin.authority, %error, "no connection");
            }
            *shared.result.borrow_mut() = Some(result);
            set.dialing.borrow_mut().take();
            shared.done.notify_waiters();
        });
        dialing
    }
}

async fn dial(origin: &Origin, config: &Config, idle: &Rc<Idle>, set: &Set) -> Result<Dialed, Error> {
    let tls = origin.tls.as_ref().map(|(negotiated, _)| negotiated);
    let (io, http2) = connect(origin, tls, config.connect_timeout).await.map_err(failed)?;
    if http2 || origin.wire == Wire::Http2 {
        let connection = Conn::open(io, Rc::clone(&set.freed), config.ping_interval).await?;
        set.connections.borrow_mut().push(connection);
        return Ok(Dialed::Http2);
    }
    idle.open(io).give_back();
    Ok(Dialed::Http1)
}

impl Set {
    fn new() -> Set {
        Set { connections: RefCell::default(), dialing: RefCell::default(), freed: Rc::default() }
    }

    fn pick(&self) -> Option<http2::Lease> {
        let mut connections = self.connections.borrow_mut();
        connections.retain(|connection| !connection.is_retired());
        let least = connections.iter().min_by_key(|connection| connection.in_flight())?;
        // One that has just been told to go away has no place, and others may.
        least.lease().or_else(|| connections.iter().find_map(Conn::lease))
    }

    fn is_crowded(&self) -> bool {
        self.connections.borrow().iter().all(|connection| connection.is_crowded())
    }

    fn sweep(&self) {
        for (n, connection) in self.connections.borrow().iter().enumerate() {
            connection.sweep(if n == 0 { UNUSED } else { UNUSED_BESIDES });
        }
        self.connections.borrow_mut().retain(|connection| !connection.is_retired());
    }
}

impl Dialing {
    async fn result(&self) -> Result<Dialed, Error> {
        loop {
            let done = self.done.notified();
            if let Some(result) = &*self.result.borrow() {
                return result.clone();
            }
            done.await;
        }
    }
}

fn failed(error: connect::Error) -> Error {
    Error::Connect(error.to_string())
}

/// The connection failed before the request was written. Not tried again here: the next request dials anew.
fn never_sent(error: Error) -> Refused {
    Refused { error, again: None }
}

/// RFC 9110 §9.2.2.
fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE)
}

#[cfg(test)]
mod tests;
