//! The admin address: probes, metrics, status, and what a person may do to tokens. Never a token itself, and nothing
//! here dials an upstream.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::access::{Access, Audit, Denial};
use crate::address::Address;
use crate::message::request::Head;
use crate::reason::Reason;

mod metrics;
mod state;
mod tokens;

pub use state::{ScopeState, State, Upstreams};

/// Where the admin address is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where probes, metrics and status are served.
    pub address: Address,
}

impl Default for Config {
    fn default() -> Config {
        Config { address: Address::Tcp(([127, 0, 0, 1], 9600).into()) }
    }
}

/// A probe's or scraper's request must be here within this time.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// What the admin address answers from.
pub struct Admin {
    /// Whom it lets in.
    pub access: Access,
    /// Which decisions about that get a line.
    pub audit: Audit,
    /// What there is to tell.
    pub state: State,
}

impl Admin {
    /// Serves one connection until it ends.
    pub async fn serve(
        self: Arc<Admin>,
        io: impl AsyncRead + AsyncWrite + Unpin + 'static,
        local: Option<std::net::SocketAddr>,
    ) {
        let service = service_fn(move |request| {
            let answer = self.answer(request, local);
            async move { Ok::<_, Infallible>(answer) }
        });
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(64 * 1024)
            .serve_connection(TokioIo::new(io), service);
        // A prober that breaks off is no event.
        let _ = serving.await;
    }

    fn answer(
        &self,
        request: Request<Incoming>,
        local: Option<std::net::SocketAddr>,
    ) -> Response<Full<Bytes>> {
        let head = Head::from(request);
        if let Err(denial) = self.access.admit(&head, local) {
            let why = match denial {
                Denial::Malformed(what) => what,
                Denial::HostDenied => {
                    "use localhost or the address that this listens on, or add the name to access.allowed_hosts"
                }
                Denial::OriginDenied => {
                    "web pages may not ask here, unless their origin is in access.allowed_origins"
                }
            };
            return self.refused(&head, denial.reason(), why);
        }
        if let Some(action) = tokens::Action::at(head.uri.path()) {
            // A page can make a browser send a POST, but no field of its own without being asked about first.
            if head.method == Method::POST && !head.headers.contains(INTENT) {
                return self.refused(&head, Reason::CallerDenied, INTENT_MISSING);
            }
            return tokens::answer(&self.state, &head, action);
        }
        if head.method != Method::GET && head.method != Method::HEAD {
            let mut refused =
                text_answer(StatusCode::METHOD_NOT_ALLOWED, "only GET is served here\n".to_owned());
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        match head.uri.path() {
            "/livez" => probe(self.state.is_live(), "live"),
            "/readyz" => probe(self.state.readiness(), "ready"),
            "/startupz" => probe(self.state.startup(), "started"),
            "/status" => json_answer(&self.state.status()),
            "/metrics" => metrics_answer(&self.state),
            "/" => text_answer(StatusCode::OK, INDEX.to_owned()),
            _ => text_answer(StatusCode::NOT_FOUND, INDEX.to_owned()),
        }
    }

    fn refused(&self, head: &Head, reason: Reason, why: &str) -> Response<Full<Bytes>> {
        if self.audit != Audit::Off {
            tracing::info!(
                target: "audit",
                listener = "admin",
                decision = "refused",
                reason = reason.name(),
                detail = why,
                method = head.method.as_str(),
                path = head.uri.path(),
                "audit"
            );
        }
        text_answer(StatusCode::FORBIDDEN, format!("refused: {why}\n"))
    }
}

/// Whoever changes something says with it that he means to.
const INTENT: HeaderName = HeaderName::from_static("x-camunda-auth-proxy");
const INTENT_MISSING: &str =
    "this changes something: add the header field `x-camunda-auth-proxy: 1`, which no web page can";

const INDEX: &str = "camunda-auth-proxy: admin address\n\n\
    /livez     200 while the process works\n\
    /readyz    200 while requests are served: a token is there, and no drain has begun\n\
    /startupz  200 once every scope has a token or a reason why not\n\
    /status    JSON: version, addresses and for each scope its upstream, audience and token state\n\
    /metrics   Prometheus text format\n\n\
    With the header field `x-camunda-auth-proxy: 1`, which says that no web page asks for it:\n\n\
    POST /tokens/renew  asks for new tokens now, of all scopes or of one (?scope=zeebe); the old ones are served meanwhile\n\
    POST /tokens/purge  the same, and forgets the old ones at once\n";

/// A probe's answer: why not, if not.
fn probe(verdict: Result<(), String>, yes: &str) -> Response<Full<Bytes>> {
    match verdict {
        Ok(()) => text_answer(StatusCode::OK, format!("{yes}\n")),
        Err(why) => text_answer(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

fn text_answer(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    answer(status, "text/plain; charset=utf-8", text)
}

fn json_answer(value: &serde_json::Value) -> Response<Full<Bytes>> {
    answer(StatusCode::OK, "application/json", format!("{value:#}\n"))
}

fn metrics_answer(state: &State) -> Response<Full<Bytes>> {
    match metrics::encode(state) {
        Ok(text) => answer(StatusCode::OK, metrics::CONTENT_TYPE, text),
        Err(_) => text_answer(StatusCode::INTERNAL_SERVER_ERROR, "metrics cannot be written\n".to_owned()),
    }
}

fn answer(status: StatusCode, content_type: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert("cache-control", HeaderValue::from_static("no-store"));
    response
}
