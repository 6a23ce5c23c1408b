//! A token endpoint that watches what must hold whoever asks: a second between two requests, and one flight for each
//! token request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use camunda_auth_proxy::oauth::{
    Answer, Ask, Asked, ClientAuth, Clock, Config, Failure, Store, TokenRequest, TokenSource, Tokens,
};
use tokio::time::{Instant, sleep};

use super::model;

/// What the endpoint does.
pub(crate) struct Reply {
    pub(crate) after: Duration,
    pub(crate) with: Result<Answer, Failure>,
}

type Script = Box<dyn FnMut(&TokenRequest, usize) -> Reply + Send>;

/// The endpoint and the clock that all engines have.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) clock: Clock,
    seen: Arc<Mutex<Seen>>,
    script: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Seen {
    asked: Vec<Instant>,
    flying: Vec<TokenRequest>,
    broken: Vec<String>,
}

impl World {
    pub(crate) fn new(script: impl FnMut(&TokenRequest, usize) -> Reply + Send + 'static) -> World {
        World { clock: model::clock(), seen: Arc::default(), script: Arc::new(Mutex::new(Box::new(script))) }
    }

    pub(crate) fn script(&self, script: impl FnMut(&TokenRequest, usize) -> Reply + Send + 'static) {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(script);
    }

    /// How many token requests there have been.
    pub(crate) fn asked(&self) -> usize {
        self.seen().asked.len()
    }

    /// What did not hold.
    pub(crate) fn broken(&self) -> Vec<String> {
        self.seen().broken.clone()
    }

    /// An engine as in a process of its own.
    pub(crate) fn engine(&self, store: &(impl Store + Clone + 'static)) -> Tokens {
        Tokens::shared(
            &Config { idle_after: secs(365 * 24 * 3600), ..Config::default() },
            Arc::new(self.clone()),
            self.clock.clone(),
            Arc::new(store.clone()),
            None,
        )
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ask for World {
    fn ask(&self, request: &TokenRequest) -> Asked {
        let mut seen = self.seen();
        if let Some(apart) = seen.asked.last().map(Instant::elapsed).filter(|apart| *apart < secs(1)) {
            seen.broken.push(format!("two requests {apart:?} apart"));
        }
        seen.asked.push(Instant::now());
        if seen.flying.contains(request) {
            seen.broken.push("two flights for one token request".to_owned());
        }
        seen.flying.push(request.clone());
        let number = seen.asked.len();
        drop(seen);
        let flight = Flying(self.clone(), request.clone());
        let reply = (self.script.lock().unwrap_or_else(PoisonError::into_inner))(request, number);
        Box::pin(async move {
            let _flight = flight;
            sleep(reply.after).await;
            reply.with
        })
    }
}

struct Flying(World, TokenRequest);

impl Drop for Flying {
    fn drop(&mut self) {
        let mut seen = self.0.seen();
        let ended = seen.flying.iter().position(|request| *request == self.1);
        ended.map(|ended| seen.flying.swap_remove(ended));
    }
}

/// So many engines, each with a source for this audience.
pub(crate) fn engines(
    world: &World,
    store: &(impl Store + Clone + 'static),
    count: usize,
    audience: &str,
) -> Vec<(Tokens, Arc<TokenSource>)> {
    let one = |_| {
        let tokens = world.engine(store);
        let source = tokens.source(request(audience));
        (tokens, source)
    };
    (0..count).map(one).collect()
}

pub(crate) fn request(audience: &str) -> TokenRequest {
    TokenRequest {
        endpoint: "https://login.example/oauth/token".into(),
        by_issuer: false,
        client_id: "id".into(),
        client_auth: ClientAuth::Post("canary-secret".into()),
        certificate: None,
        audience: Some(audience.into()),
        oauth_scope: None,
        resource: None,
        extra: Default::default(),
        headers: Default::default(),
    }
}

/// An opaque token with this number, which lives for so many seconds.
pub(crate) fn ok(number: usize, life: u64) -> Reply {
    let body = format!(r#"{{"access_token":"token-{number}","token_type":"Bearer","expires_in":{life}}}"#);
    Reply { after: Duration::from_millis(50), with: Ok(Answer::new(200, body)) }
}

pub(crate) fn status(status: u16, body: &'static str) -> Reply {
    Reply { after: Duration::from_millis(50), with: Ok(Answer::new(status, body)) }
}

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
