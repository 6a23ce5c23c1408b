//! The request path: a worker's proxy admits, routes, takes the token, rewrites, sends and streams back.
//!
//! [`Proxy::serve`] always answers; `forward` asks and uses `?`.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::header::{AUTHORIZATION, CONNECTION};
use http::{HeaderName, HeaderValue, StatusCode, Version};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::access::{Access, Audit, Caller, CallerDenial, Callers, PeerProof};
use crate::allowance::{Allowance, Stock};
use crate::body::{Arriving, Body};
use crate::message::Response;
use crate::message::request::Head;
use crate::metrics::Shard;
use crate::oauth::Token;
use crate::reason::Reason;
use crate::route::{self, Leg};
use crate::scope::Scope;
use crate::upstream::{self, AnswerBody, Payload, Pool};

mod audit;
mod destination;
mod error;
mod exchange;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzed;
mod location;
mod outbound;
mod overload;
pub mod relay;
mod replay;
mod reply;
mod request_body;
pub mod rewrite;
mod unreadable;

pub use destination::{Destination, Destinations};
pub use error::Error;
pub use exchange::{AccessLog, OpenExchanges, Tracked};
pub use outbound::Interims;
pub use reply::{Dialect, NAME, reply};

use exchange::Exchange;
use outbound::Outbound;

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// What a worker needs to serve requests.
pub struct Proxy {
    destinations: Arc<ArcSwap<Destinations>>,
    /// The pools of the destinations that were current when a request last looked.
    pools: RefCell<Rc<Pools>>,
    settings: Settings,
    shard: Arc<Shard>,
    requests: Rc<Allowance>,
    replays: Rc<Allowance>,
    draining: Cell<bool>,
    /// The time for a drain is over.
    stopping: Cell<bool>,
    stopped: Notify,
}

/// What does not change while a worker lives.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The upstream connections.
    pub upstream: upstream::Config,
    /// How long a request waits for a token.
    pub token_wait: Duration,
    /// Which exchanges get an access line.
    pub access_log: AccessLog,
    /// Callers that prove who they are.
    pub callers: Arc<Callers>,
    /// Which decisions about callers get a line.
    pub audit: Audit,
    /// How many requests may be under way in all workers.
    pub requests: Arc<Stock>,
    /// How many bytes of bodies all workers may keep to send them again.
    pub replays: Arc<Stock>,
    /// How long a caller may be silent in the middle of a body.
    pub body_timeout: Duration,
    /// How many bytes a request's head may have, for the answer to longer ones.
    pub head_size: usize,
}

/// A listener, as far as a request that came in there is concerned.
pub struct Door {
    /// The listener's address, for the log.
    pub name: String,
    /// Whom it lets in.
    pub access: Access,
    /// Whether it lets those in who prove nothing.
    pub anonymous: bool,
    /// The one scope that it serves, if it is pinned.
    pub scope: Option<Scope>,
    /// Whether it serves `/secrets`.
    pub secrets: bool,
    /// What its token endpoint hands out.
    pub relay: relay::Mode,
}

/// A caller's connection, as far as its requests are concerned.
pub struct Connection {
    /// The listener that it came in by.
    pub door: Arc<Door>,
    /// Our end of it; `None` on a Unix socket.
    pub local: Option<SocketAddr>,
    /// Who it is, by a certificate or as a Unix user.
    pub caller: Option<Arc<Caller>>,
    /// Whether its caller has as many as it may: its requests are told so.
    pub turned_away: bool,
    /// Its requests under way.
    pub open: OpenExchanges,
    /// Its tries to be handed a token.
    pub guess: relay::Guess,
}

/// Who answered.
enum Answer {
    Upstream(Response<AnswerBody>),
    Own(Response<Body>),
}

struct Pools {
    destinations: Arc<Destinations>,
    pools: Vec<Pool>,
}

impl Proxy {
    /// A worker's proxy. The destinations may be swapped at any time.
    pub fn new(destinations: Arc<ArcSwap<Destinations>>, settings: Settings, shard: Arc<Shard>) -> Proxy {
        let pools = Pools::of(destinations.load_full(), &settings.upstream);
        let allowance = |stock: &Arc<Stock>| Allowance::new(Arc::clone(stock));
        Proxy {
            requests: allowance(&settings.requests),
            replays: allowance(&settings.replays),
            destinations,
            pools: RefCell::new(Rc::new(pools)),
            settings,
            shard,
            draining: Cell::new(false),
            stopping: Cell::new(false),
            stopped: Notify::new(),
        }
    }

    /// From now on answers over HTTP/1.1 tell the caller to close its connection.
    pub fn drain(&self) {
        self.draining.set(true);
    }

    /// Answers now what waits for its answer: there is no more time.
    pub fn stop(&self) {
        self.stopping.set(true);
        self.stopped.notify_waiters();
    }

    /// Closes upstream connections that have been idle or open for too long, and says when an overload is over.
    pub fn sweep(&self) {
        overload::look(self.requests.stock());
        self.pools.borrow().pools.iter().for_each(Pool::sweep);
    }

    /// Whom a connection proves to be at its other end.
    pub fn caller_of(&self, proof: &PeerProof) -> Option<Arc<Caller>> {
        self.settings.callers.of_peer(proof).cloned()
    }

    /// Answers one request, whatever happens. `interims` is told what comes before the answer.
    pub fn serve(
        self: Rc<Proxy>,
        connection: Rc<Connection>,
        head: Head,
        body: Arriving,
        interims: impl Interims,
    ) -> impl Future<Output = Response<Tracked>> {
        // Before the future is made: what an `async fn` makes of its arguments lies in its future beside them.
        let mut body = Some(body);
        async move {
            let version = head.version;
            let dialect = dialect(&head);
            let mut exchange = self.exchange(Rc::clone(&connection), version, dialect);
            exchange.method = Some(head.method.clone());
            exchange.path = head.uri.path_and_query().cloned();
            let result = match self.enter(&mut exchange) {
                Err(error) => Err(error),
                Ok(()) if relay::is_asked(head.uri.path()) => {
                    Box::pin(self.relay(&connection, &head, &mut body, &mut exchange)).await.map(Answer::Own)
                }
                Ok(()) => tokio::select! {
                    biased;
                    answer = self.forward(&connection, &head, &mut body, &mut exchange, &interims) => {
                        answer.map(Answer::Upstream)
                    }
                    () = self.stopped.notified() => Err(Error::draining()),
                },
            };
            // Who is not understood once is not listened to again: what follows may be read in two ways as well.
            let ends = connection.turned_away
                || matches!(&result, Err(error) if error.reason == Reason::Malformed && error.oauth.is_none());
            let mut response = match result {
                Ok(Answer::Upstream(answer)) => {
                    let Response { head, body } = answer;
                    let body = Tracked::upstream(body, &head.headers, exchange);
                    Response { head, body }
                }
                Ok(Answer::Own(answer)) => {
                    exchange.status = Some(answer.head.status);
                    answer.map(|body| Tracked::own(body, exchange))
                }
                Err(error) => {
                    audit::refused(self.settings.audit, &error, &exchange);
                    let reply = reply(&error, dialect);
                    exchange.failed(&error);
                    exchange.status = Some(reply.head.status);
                    reply.map(|body| Tracked::own(body, exchange))
                }
            };
            if version != Version::HTTP_2 {
                response.head.version = Version::HTTP_11;
                if (self.draining.get() || ends) && response.head.status != StatusCode::SWITCHING_PROTOCOLS {
                    response.head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
                }
            }
            response
        }
    }

    /// Takes a place among the requests under way, before anything else is done for this one.
    fn enter(&self, exchange: &mut Exchange) -> Result<(), Error> {
        if exchange.connection.turned_away {
            return Err(Error::too_many_connections());
        }
        if self.stopping.get() {
            return Err(Error::draining());
        }
        exchange.place = self.requests.take(1);
        match exchange.place {
            Some(_) => Ok(()),
            None => Err(overload::refuse(self.requests.stock())),
        }
    }

    /// The path of a token request to the relay. It ends here, whatever comes of it.
    async fn relay(
        &self,
        connection: &Connection,
        head: &Head,
        body: &mut Option<Arriving>,
        exchange: &mut Exchange,
    ) -> Result<Response<Body>, Error> {
        route::target(head)?;
        rewrite::refuse(head)?;
        connection.door.access.admit(head, connection.local)?;
        let destinations = self.destinations.load_full();
        let answer = relay::answer(&self.settings, &destinations, connection, head, body).await?;
        exchange.relayed = true;
        Ok(answer)
    }

    /// The path of a request, in order.
    async fn forward(
        &self,
        connection: &Connection,
        head: &Head,
        body: &mut Option<Arriving>,
        exchange: &mut Exchange,
        interims: &dyn Interims,
    ) -> Result<Response<AnswerBody>, Error> {
        let grpc = exchange.dialect == Dialect::Grpc;
        let deadline = if grpc { grpc_timeout(head) } else { None }.map(|timeout| exchange.started + timeout);
        let requested = route::target(head)?;
        rewrite::refuse(head)?;
        connection.door.access.admit(head, connection.local)?;
        exchange.caller = self.known(connection, head)?;

        let pools = self.current();
        let (door, routes) = (&connection.door, &pools.destinations.routes);
        let route = routes.find(&head.method, requested.as_str(), grpc, door.scope, door.secrets)?;
        exchange.scope = Some(route.scope);
        if let Some(caller) = &exchange.caller {
            // A gRPC call is POST, whatever the caller writes and a server may let pass.
            let method = if route.leg == Leg::Grpc { "POST" } else { head.method.as_str() };
            caller.may(route.scope, method, route.path)?;
            exchange.pass = Some(caller.enter()?);
        }
        audit::let_in(self.settings.audit, exchange);
        let (at, destination) = pools.destinations.find(route.scope, route.leg)?;

        let token = self.token(destination, deadline, exchange).await?;
        exchange.generation = token.generation();
        self.shard.authorized(route.scope, head.headers.contains(AUTHORIZATION));

        let origin = &destination.origin;
        let base = if route.leg == Leg::Grpc { "" } else { &origin.address.base_path };
        let target = route.upstream_path(base, requested)?;

        let limit =
            deadline.or_else(|| (!grpc).then(|| exchange.started + self.settings.upstream.response_timeout));
        let pool = &pools.pools[at];
        // With a body it is an ordinary request: an upgrade may be ignored (RFC 9110 §7.8).
        let plain = !grpc && body.as_ref().is_none_or(http_body::Body::is_end_stream);
        if let Some(protocol) = rewrite::asked_upgrade(head).filter(|_| plain) {
            let outbound = Outbound { head, target, destination, pool, held: route.held, interims, limit };
            // Boxed, as are a replay, the relay and the wait for a token: few requests come there, and the others need not
            // have room for that.
            let answer = Box::pin(outbound.send_upgrade(&token, &protocol)).await?;
            exchange.status = Some(answer.head.status);
            return Ok(upgraded(answer, origin, route.prefix));
        }
        let kept = self.settings.upstream.replay_buffer;
        let silence = (!grpc).then_some(self.settings.body_timeout);
        let bounds = request_body::Bounds { kept, all: &self.replays, silence };
        let mut sending = request_body::payload(head, body, &bounds).await?;
        let whole = sending.payload.again_within(kept);
        let outbound = Outbound { head, target, destination, pool, held: route.held, interims, limit };
        let answer = match outbound.send(&token, &mut sending.payload).await {
            Err(_) if sending.is_stalled() => return Err(Error::stalled()),
            answer => answer?,
        };
        // What has not been sent by now is not here in full, and need not be kept any longer.
        let again = whole.or_else(|| sending.copy.as_ref()?.take().map(Payload::Whole));
        let mut answer = match replay::refused(&answer, &outbound, &token, exchange) {
            None => answer,
            Some(refused) => {
                let wait = self.settings.token_wait;
                Box::pin(refused.settle(answer, &outbound, again, wait, exchange)).await?
            }
        };
        if answer.head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Error::new(
                Reason::UpstreamReset,
                "the upstream switched protocols without being asked",
            ));
        }
        exchange.status = Some(answer.head.status);
        rewrite::incoming(&mut answer.head.headers);
        location::map_back(&mut answer.head.headers, &origin.address, route.prefix);
        Ok(answer)
    }

    /// Who makes a request: by the key that it brings, or else by its connection. `None` for those who prove nothing where
    /// they need not.
    fn known(&self, connection: &Connection, head: &Head) -> Result<Option<Arc<Caller>>, CallerDenial> {
        let callers = &self.settings.callers;
        let by_key = (!callers.is_empty()).then(|| callers.of_head(&head.headers)).flatten();
        match by_key.or(connection.caller.as_ref()) {
            None if !connection.door.anonymous => Err(CallerDenial::Unknown),
            known => Ok(known.cloned()),
        }
    }

    /// The cached token, or the next one if it comes in time.
    async fn token(
        &self,
        destination: &Destination,
        deadline: Option<Instant>,
        exchange: &mut Exchange,
    ) -> Result<Arc<Token>, Error> {
        if let Some(token) = destination.tokens.current_at(exchange.started) {
            return Ok(token);
        }
        let until = Instant::now() + self.settings.token_wait;
        let until = deadline.map_or(until, |deadline| until.min(deadline));
        let token = Box::pin(destination.tokens.wait(until)).await;
        exchange.waited = exchange.started.elapsed();
        Ok(token?)
    }

    fn exchange(&self, connection: Rc<Connection>, version: Version, dialect: Dialect) -> Box<Exchange> {
        connection.open.begin();
        self.shard.request_began();
        Box::new(Exchange {
            shard: Arc::clone(&self.shard),
            connection,
            log: self.settings.access_log,
            started: Instant::now(),
            protocol: exchange::protocol(version, dialect),
            dialect,
            method: None,
            path: None,
            scope: None,
            caller: None,
            pass: None,
            place: None,
            status: None,
            grpc_status: None,
            reason: None,
            relayed: false,
            detail: None,
            sent: 0,
            generation: 0,
            waited: Duration::ZERO,
            attempts: 1,
            complete: false,
        })
    }

    /// The pools of the current destinations; made anew when those were swapped.
    fn current(&self) -> Rc<Pools> {
        let current = self.destinations.load();
        let mut pools = self.pools.borrow_mut();
        if !Arc::ptr_eq(&pools.destinations, &current) {
            *pools = Rc::new(Pools::of(Arc::clone(&current), &self.settings.upstream));
        }
        Rc::clone(&pools)
    }
}

impl Pools {
    fn of(destinations: Arc<Destinations>, config: &upstream::Config) -> Pools {
        let all = destinations.all().iter();
        let pools = all.map(|place| Pool::new(Arc::clone(&place.origin), config.clone())).collect();
        Pools { destinations, pools }
    }
}

/// What an upstream says that was asked to switch protocols: where it agrees, both sides speak to each other from now on.
fn upgraded(
    mut answer: Response<AnswerBody>,
    origin: &upstream::Origin,
    prefix: &str,
) -> Response<AnswerBody> {
    if answer.head.status != StatusCode::SWITCHING_PROTOCOLS {
        rewrite::incoming(&mut answer.head.headers);
        location::map_back(&mut answer.head.headers, &origin.address, prefix);
    }
    answer
}

fn dialect(head: &Head) -> Dialect {
    if route::is_grpc(&head.headers) { Dialect::Grpc } else { Dialect::Rest }
}

/// A caller's deadline: at most eight digits and a unit (gRPC over HTTP/2, Requests).
fn grpc_timeout(head: &Head) -> Option<Duration> {
    let text = head.headers.get(GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let n: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    match unit {
        "H" => Some(Duration::from_secs(n * 3600)),
        "M" => Some(Duration::from_secs(n * 60)),
        "S" => Some(Duration::from_secs(n)),
        "m" => Some(Duration::from_millis(n)),
        "u" => Some(Duration::from_micros(n)),
        "n" => Some(Duration::from_nanos(n)),
        _ => None,
    }
}
