//! The engine on a paused clock, against a scripted token endpoint.

mod flight;
mod lives;
mod outage;
mod over_tcp;
mod property;
mod rejected;
mod time;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::request::tests::request;
use super::*;

const CANARY: &str = "canary-token";

type Script = Box<dyn FnMut(&TokenRequest, usize) -> Reply + Send>;

/// What the scripted endpoint does: answers after a while.
struct Reply {
    after: Duration,
    with: Result<Answer, Failure>,
}

impl Reply {
    fn after(self, after: Duration) -> Reply {
        Reply { after, ..self }
    }
}

/// The scripted endpoint. It checks on the way what must hold in every test: one flight for each request, and a
/// second between starts.
struct Fake {
    script: Mutex<Script>,
    asked: Mutex<Vec<(Instant, TokenRequest)>>,
    flying: Arc<Mutex<HashMap<TokenRequest, usize>>>,
}

impl Ask for Fake {
    fn ask(&self, request: &TokenRequest) -> Asked {
        let number = {
            let mut asked = self.asked.lock().unwrap();
            if let Some((last, _)) = asked.last() {
                assert!(
                    last.elapsed() >= Duration::from_millis(1000),
                    "two requests {:?} apart",
                    last.elapsed()
                );
            }
            asked.push((Instant::now(), request.clone()));
            asked.len()
        };
        let reply = (self.script.lock().unwrap_or_else(PoisonError::into_inner))(request, number);
        let flight = Flying::new(self.flying.clone(), request.clone());
        Box::pin(async move {
            let _flight = flight;
            sleep(reply.after).await;
            reply.with
        })
    }
}

struct Flying(Arc<Mutex<HashMap<TokenRequest, usize>>>, TokenRequest);

impl Flying {
    fn new(flying: Arc<Mutex<HashMap<TokenRequest, usize>>>, request: TokenRequest) -> Flying {
        let mut counts = flying.lock().unwrap();
        let count = counts.entry(request.clone()).or_default();
        *count += 1;
        assert_eq!(*count, 1, "two flights for one token request");
        drop(counts);
        Flying(flying, request)
    }
}

impl Drop for Flying {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&self.1).unwrap() -= 1;
    }
}

/// An engine and its scripted endpoint.
struct Bench {
    tokens: Tokens,
    fake: Arc<Fake>,
    clock: Clock,
}

fn bench(script: impl FnMut(&TokenRequest, usize) -> Reply + Send + 'static) -> Bench {
    let fake = Arc::new(Fake {
        script: Mutex::new(Box::new(script)),
        asked: Mutex::default(),
        flying: Arc::default(),
    });
    let clock = Clock::steered(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    Bench { tokens: Tokens::new(&Config::default(), fake.clone(), clock.clone()), fake, clock }
}

impl Bench {
    fn asked(&self) -> usize {
        self.fake.asked.lock().unwrap().len()
    }

    fn script(&self, script: impl FnMut(&TokenRequest, usize) -> Reply + Send + 'static) {
        *self.fake.script.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(script);
    }
}

fn reply(status: u16, body: impl Into<String>) -> Reply {
    Reply { after: Duration::from_millis(50), with: Ok(Answer::new(status, body.into())) }
}

/// A new opaque token each time.
fn token(number: usize, life: impl Into<serde_json::Value>) -> Reply {
    let body = json!({
        "access_token": format!("{CANARY}-{number}"), "token_type": "Bearer", "expires_in": life.into(),
    });
    reply(200, body.to_string())
}

/// A token that says itself when it ends.
fn jwt(number: usize, exp: u64) -> String {
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{CANARY}", part(json!({ "alg": "none" })), part(json!({ "exp": exp, "jti": number })))
}

fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// How long a caller waits in these tests.
fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
