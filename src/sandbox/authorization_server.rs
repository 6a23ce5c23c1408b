//! A token endpoint with the manners of Camunda's: a strict rate, a block, a tarpit, the same token again.
//!
//! The decision is a synchronous function on plain data that takes the time, so that a token engine can
//! be tested against it in-process under a paused clock; `http` is a thin shell around it.

mod answer;
mod assertion;
mod fault;
mod form;
pub(super) mod http;
mod manners;
mod token;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use tokio::time::Instant;

pub use self::answer::{Answer, Manner};
use self::assertion::Assertions;
pub use self::fault::Fault;
pub use self::form::TokenForm;
use self::manners::Manners;
use self::token::{Mint, Registry};
use super::{lock, read, write};
use crate::certificate::Certificate;

/// The audiences that tokens are given for.
pub const AUDIENCES: [&str; 5] = [
    "zeebe.camunda.io",
    "operate.camunda.io",
    "tasklist.camunda.io",
    "optimize.camunda.io",
    "secrets.camunda.io",
];

/// How many token requests are kept for [`AuthorizationServer::requests`].
const KEPT: usize = 50_000;

/// The token endpoint. A cheap handle: clones share everything.
#[derive(Clone)]
pub struct AuthorizationServer {
    shared: Arc<Shared>,
}

struct Shared {
    mint: Mint,
    state: Mutex<State>,
    // Apart from the state: every call to a component looks its token up here.
    registry: RwLock<Registry>,
}

struct State {
    client_id: String,
    client_secret: String,
    /// By which the client may prove who it is, in TLS or with an assertion.
    certificate: Option<Certificate>,
    /// The same, issued by the client's platform.
    workload_token: Option<String>,
    assertions: Assertions,
    token_life: Duration,
    manners: Manners,
    fault: Option<Fault>,
    fail_next: (u64, Option<Fault>),
    seen: std::collections::VecDeque<TokenRequestSeen>,
    count: u64,
}

/// A token request as it arrived.
#[derive(Clone, Debug)]
pub struct TokenRequestSeen {
    /// When it arrived.
    pub at: Instant,
    /// The source address.
    pub from: IpAddr,
    /// The `audience` parameter.
    pub audience: Option<String>,
    /// The `client_id` parameter, or the user name of an `authorization: Basic`.
    pub client_id: Option<String>,
    /// The `content-type` field.
    pub content_type: Option<String>,
    /// The body, byte for byte. It holds the client secret.
    pub body: Bytes,
    /// The header fields, repeated ones kept.
    pub headers: HeaderMap,
    /// The certificate that the connection has shown.
    pub certificate: Option<Certificate>,
    /// The status it was answered with.
    pub status: u16,
}

impl AuthorizationServer {
    /// A token endpoint that knows one client. `issuer` becomes the tokens' `iss`.
    pub fn new(client_id: &str, client_secret: &str, issuer: &str) -> AuthorizationServer {
        let state = State {
            client_id: client_id.to_owned(),
            client_secret: client_secret.to_owned(),
            certificate: None,
            workload_token: None,
            assertions: Assertions::default(),
            token_life: Duration::from_secs(86_400),
            manners: Manners::default(),
            fault: None,
            fail_next: (0, None),
            seen: std::collections::VecDeque::new(),
            count: 0,
        };
        let shared =
            Shared { mint: Mint::new(issuer), state: Mutex::new(state), registry: RwLock::default() };
        AuthorizationServer { shared: Arc::new(shared) }
    }

    /// Decides one token request and records it. No sockets, no waiting: an answer that is to come
    /// late or never says so in [`Answer::delay`] and [`Answer::manner`].
    pub fn answer(&self, form: &TokenForm, from: IpAddr, now: Instant) -> Answer {
        let mut state = lock(&self.shared.state);
        let answer = self.decide(&mut state, form, from, now).dated(self.shared.mint.wall_clock(now));
        state.record(form, from, now, answer.status);
        answer
    }

    /// Whether `token` was given out here for `audience`, and has neither expired nor been revoked.
    pub fn validate(&self, token: &str, audience: &str) -> bool {
        read(&self.shared.registry).holds(token, audience, Instant::now())
    }

    /// A valid token for an audience without a token request: nothing is counted, recorded or delayed, and no client that
    /// asks is handed the same.
    pub fn issue(&self, audience: &str) -> String {
        let (client_id, life) = {
            let state = lock(&self.shared.state);
            (format!("unasked-{}", state.client_id), state.token_life)
        };
        let mut registry = write(&self.shared.registry);
        registry.issue(&self.shared.mint, &client_id, audience, life, false, Instant::now()).0
    }

    /// Makes every token given out so far worthless; the next request gets a new one.
    pub fn revoke_all(&self) {
        write(&self.shared.registry).clear();
    }

    /// How long a new token lives. The default is 24 hours.
    pub fn set_token_life(&self, life: Duration) {
        lock(&self.shared.state).token_life = life;
    }

    /// Switches the limit of one request a second and address.
    pub fn set_rate_limit(&self, on: bool) {
        lock(&self.shared.state).manners.rate_limited = on;
    }

    /// How long an address is blocked that came too early. The default is 10 s.
    pub fn set_block(&self, block: Duration) {
        lock(&self.shared.state).manners.block = block;
    }

    /// Whether 429 says `retry-after`. Camunda does not document one, so the default is no.
    pub fn set_retry_after(&self, on: bool) {
        lock(&self.shared.state).manners.retry_after = on;
    }

    /// By how much repeated rejections of one client and audience are delayed. The default is 30 s.
    pub fn set_rejection_delay(&self, delay: Duration) {
        lock(&self.shared.state).manners.rejection_delay = delay;
    }

    /// Changes the client's secret; tokens given out stay valid.
    pub fn set_client_secret(&self, secret: &str) {
        lock(&self.shared.state).client_secret = secret.to_owned();
    }

    /// Lets the client prove who it is with this certificate too, in TLS (RFC 8705) or with assertions that its key
    /// signed (RFC 7523); the last one counts.
    pub fn trust(&self, certificate: Certificate) {
        lock(&self.shared.state).certificate = Some(certificate);
    }

    /// Lets the client prove who it is with this token of its platform too.
    pub fn trust_workload_token(&self, token: &str) {
        lock(&self.shared.state).workload_token = Some(token.to_owned());
    }

    /// Changes the audiences that the client may ask for. The default is [`AUDIENCES`].
    pub fn set_audiences(&self, audiences: &[&str]) {
        lock(&self.shared.state).manners.audiences = audiences.iter().map(|&name| name.to_owned()).collect();
    }

    /// Answers every request with a fault, or stops doing so.
    pub fn set_fault(&self, fault: Option<Fault>) {
        lock(&self.shared.state).fault = fault;
    }

    /// Answers the next `n` requests with a fault.
    pub fn fail_next(&self, n: u64, fault: Fault) {
        lock(&self.shared.state).fail_next = (n, Some(fault));
    }

    /// The requests that arrived, the oldest first; the last 50 000 are kept.
    pub fn requests(&self) -> Vec<TokenRequestSeen> {
        lock(&self.shared.state).seen.iter().cloned().collect()
    }

    /// How many requests arrived, those included that are kept no more.
    pub fn request_count(&self) -> u64 {
        lock(&self.shared.state).count
    }

    /// Forgets the requests seen so far, the block and the rejections; tokens stay.
    pub fn clear(&self) {
        let mut state = lock(&self.shared.state);
        state.seen.clear();
        state.count = 0;
        state.manners.forget();
    }

    fn decide(&self, state: &mut State, form: &TokenForm, from: IpAddr, now: Instant) -> Answer {
        // Everything counts against the rate, failures included.
        if let Some(answer) = state.manners.refusal(from, now) {
            return answer;
        }
        let fault = state.next_fault();
        if let Some(answer) = fault.as_ref().and_then(Fault::instead) {
            return answer;
        }
        if form.parameter("grant_type") != Some("client_credentials") {
            return Answer::error(
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                "Unsupported grant type",
            );
        }
        let (client_id, client_secret) = form.client();
        let audience = form.parameter("audience").unwrap_or_default();
        let known = match form.parameter("client_assertion") {
            Some(assertion) => {
                let now = self.shared.mint.wall_clock(now);
                if let Err(why) = state.accept(assertion, self.shared.mint.issuer(), now) {
                    return Answer::error(StatusCode::UNAUTHORIZED, "invalid_client", why);
                }
                client_id == state.client_id
            }
            None if client_secret.is_empty() => client_id == state.client_id && state.has_shown(form),
            None => client_id == state.client_id && client_secret == state.client_secret,
        };
        if !known || !state.manners.audiences.iter().any(|granted| granted == audience) {
            return state.manners.reject(&client_id, audience);
        }
        state.manners.forgive(&client_id, audience);
        let again = matches!(fault, Some(Fault::SameToken));
        let mut registry = write(&self.shared.registry);
        let (token, left) =
            registry.issue(&self.shared.mint, &client_id, audience, state.token_life, again, now);
        match fault {
            Some(fault) => fault.spoil(&token, left, |other| registry.admit(other, &token, audience)),
            None => Answer::token(&token, left),
        }
    }
}

impl State {
    fn accept(&mut self, assertion: &str, issuer: &str, now: SystemTime) -> Result<(), &'static str> {
        if self.workload_token.as_deref() == Some(assertion) {
            return Ok(());
        }
        let certificate = self.certificate.as_ref().ok_or("no key is known")?;
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let endpoint = format!("{issuer}oauth/token");
        self.assertions.accept(assertion, &self.client_id, certificate, [issuer, &endpoint], now)
    }

    fn has_shown(&self, form: &TokenForm) -> bool {
        self.certificate.is_some() && self.certificate == form.certificate
    }

    fn next_fault(&mut self) -> Option<Fault> {
        match &mut self.fail_next {
            (0, _) => self.fault.clone(),
            (left, fault) => {
                *left -= 1;
                fault.clone()
            }
        }
    }

    fn record(&mut self, form: &TokenForm, from: IpAddr, now: Instant, status: StatusCode) {
        let text = |value: &str| (!value.is_empty()).then(|| value.to_owned());
        if self.seen.len() == KEPT {
            self.seen.pop_front();
        }
        self.count += 1;
        self.seen.push_back(TokenRequestSeen {
            at: now,
            from,
            audience: form.parameter("audience").and_then(text),
            client_id: text(&form.client().0),
            content_type: form.content_type().map(str::to_owned),
            body: form.body.clone(),
            headers: form.headers.clone(),
            certificate: form.certificate.clone(),
            status: status.as_u16(),
        });
    }
}

#[cfg(test)]
mod tests;
