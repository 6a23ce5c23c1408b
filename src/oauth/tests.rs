//! The engine on a paused clock, against a scripted token endpoint.

mod demand;
mod early;
mod flight;
mod golden;
mod idle;
mod issuer;
mod lives;
mod outage;
mod over_tcp;
mod pace;
mod property;
mod rejected;
mod rejection;
mod time;
mod told;

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

/// The scripted endpoint. It watches on the way what must hold in every test: one flight for each request, and a second
/// between the starts at one host.
struct Fake {
    script: Mutex<Script>,
    asked: Mutex<Vec<(Instant, TokenRequest)>>,
    flying: Arc<Mutex<Vec<TokenRequest>>>,
    /// Kept until the test ends: an assertion here would only kill a renewal task, which is started again.
    violations: Mutex<Vec<String>>,
}

impl Ask for Fake {
    fn ask(&self, request: &TokenRequest) -> Asked {
        let mut asked = self.asked.lock().unwrap();
        let last = asked.iter().rev().find(|(_, other)| other.host() == request.host());
        if let Some((last, _)) = last.filter(|(last, _)| last.elapsed() < secs(1)) {
            self.violations.lock().unwrap().push(format!("two requests {:?} apart", last.elapsed()));
        }
        asked.push((Instant::now(), request.clone()));
        let number = asked.len();
        drop(asked);
        let mut flying = self.flying.lock().unwrap();
        if flying.contains(request) {
            self.violations.lock().unwrap().push("two flights for one token request".to_owned());
        }
        flying.push(request.clone());
        drop(flying);
        let flight = Flying(self.flying.clone(), request.clone());
        let reply = (self.script.lock().unwrap_or_else(PoisonError::into_inner))(request, number);
        Box::pin(async move {
            let _flight = flight;
            sleep(reply.after).await;
            reply.with
        })
    }
}

struct Flying(Arc<Mutex<Vec<TokenRequest>>>, TokenRequest);

impl Drop for Flying {
    fn drop(&mut self) {
        let mut flying = self.0.lock().unwrap();
        let ended = flying.iter().position(|request| *request == self.1).unwrap();
        flying.swap_remove(ended);
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
        violations: Mutex::default(),
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

impl Drop for Bench {
    fn drop(&mut self) {
        let violations = self.fake.violations.lock().unwrap();
        assert!(violations.is_empty() || std::thread::panicking(), "{violations:?}");
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
