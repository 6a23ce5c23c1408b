//! The client secret, the token and the caller's own credentials: planted, and searched for wherever things come out.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use camunda_auth_proxy::sandbox::authorization_server::Fault;
use camunda_auth_proxy::sandbox::{Sandbox, cluster};
use http::Method;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;

use crate::common::{TOPOLOGY, message, setup, until};

/// What is logged in this process while it is on; all tests share it.
static LISTENING: AtomicBool = AtomicBool::new(false);
static LOGGED: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Sink;

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOGGED.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn listen() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let on = tracing_subscriber::filter::dynamic_filter_fn(|_, _| LISTENING.load(Relaxed));
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Sink).with_filter(on);
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))
            .expect("the first");
    });
    LISTENING.store(true, Relaxed);
}

#[tokio::test]
async fn no_secret_comes_out_anywhere() {
    listen();
    let secret = "planted-client-secret.Qm9ndXM~0815";
    let own = "Basic cGxhbnRlZDpjYW5hcnktb2YtdGhlLWNhbGxlcg==";
    let mut seen = Vec::new();
    let world = setup()
        .camunda(|camunda| camunda.client_secret = secret.into())
        .with("upstream.response_timeout", "1s")
        .start_with(|camunda| {
            // A token endpoint that says the secret again.
            let echo = format!(r#"{{"error":"server_error","error_description":"bad {secret}"}}"#);
            camunda.authorization_server().fail_next(1, Fault::Status(500, echo));
        })
        .await;
    seen.push(format!("{:?}", world.app.as_ref().unwrap().settings()));
    until("a token", || {
        let asked = world.camunda.authorization_server().requests();
        asked.iter().any(|request| request.status == 200)
    })
    .await;
    let fields = [("authorization", own), ("cookie", "planted-cookie=1"), ("proxy-authorization", own)];
    let faults = [
        None,
        Some(cluster::Fault::Close),
        Some(cluster::Fault::CloseMidway),
        Some(cluster::Fault::Reset(2)),
        Some(cluster::Fault::ResetMidway(2)),
        Some(cluster::Fault::Html(502)),
        Some(cluster::Fault::Unauthorized),
        Some(cluster::Fault::GoAway),
    ];
    for fault in faults {
        world.camunda.cluster().set_fault(fault);
        for path in ["/v2/topology", "/nope", "/v2/%2e%2e", "/secrets"] {
            for method in [Method::GET, Method::TRACE] {
                let answers = [
                    world.http1().await.send(method.clone(), path, &fields, "").await,
                    world.http2().await.send(method.clone(), path, &fields, "").await,
                ];
                seen.extend(answers.iter().map(|answer| format!("{answer:?}")));
            }
        }
        let called = world.http2().await.grpc(TOPOLOGY, &fields, message(&[])).await;
        seen.push(format!("{called:?}"));
    }
    let sent = world.camunda.cluster().requests();
    let tokens: std::collections::BTreeSet<String> = sent
        .iter()
        .filter_map(|request| Some(request.headers.get("authorization")?.to_str().ok()?.to_owned()))
        .collect();
    assert!(!tokens.is_empty());
    // Another of the endpoint's bad days, and another world whose credentials are rejected.
    let rejected = setup()
        .camunda(|camunda| camunda.client_secret = secret.into())
        .with("oauth.wait", "500ms")
        .start_with(|camunda| {
            let echo = format!(r#"{{"error":"invalid_client","error_description":"{secret}"}}"#);
            camunda.authorization_server().set_fault(Some(Fault::Status(401, echo)));
        })
        .await;
    seen.push(format!("{:?}", rejected.get("/v2/topology").await));
    // Other proofs than the secret are as secret while they are valid.
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys");
    let basic = setup()
        .camunda(|camunda| camunda.client_secret = secret.into())
        .with("oauth.client_auth", "client_secret_basic")
        .start()
        .await;
    let asserting = setup()
        .with("oauth.client_auth", "private_key_jwt")
        .with("oauth.key_file", format!("{keys}/rsa.p12"))
        .with("oauth.key_password", "canary-password")
        .with("oauth.wait", "500ms")
        .credentials(|line| !line.contains("SECRET"))
        .start()
        .await;
    for world in [&basic, &asserting] {
        seen.push(format!(
            "{:?} {:?}",
            world.app.as_ref().unwrap().settings(),
            world.get("/v2/topology").await
        ));
    }
    let proofs = [&basic, &asserting].map(|world| proofs(&world.camunda));
    for world in [&world, &rejected, &basic, &asserting] {
        for page in ["/", "/status", "/metrics", "/readyz", "/startupz", "/nope"] {
            seen.push(String::from_utf8_lossy(&world.admin(page).await.body).into_owned());
        }
    }
    until("the last lines", || {
        let logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&logged).contains("credentials_rejected")
    })
    .await;
    LISTENING.store(false, Relaxed);
    let logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let logged = String::from_utf8_lossy(&logged).into_owned();
    for expected in ["TRACE", "access", "upstream_reset"] {
        assert!(logged.contains(expected), "the log was not listened to: no {expected}");
    }
    seen.push(logged);
    let mut planted =
        vec![secret.to_owned(), own.to_owned(), own[6..].to_owned(), "planted-cookie".to_owned()];
    assert!(proofs.iter().all(|proofs| !proofs.is_empty()));
    planted.extend(proofs.into_iter().flatten());
    planted.push("canary-password".to_owned());
    for token in &tokens {
        let token = token.strip_prefix("Bearer ").expect("a bearer");
        planted.push(token.to_owned());
        // Neither in parts: a claim is no secret, but the signature is.
        planted.extend(token.rsplit('.').next().map(str::to_owned));
    }
    for text in &seen {
        for planted in &planted {
            if let Some(at) = text.find(planted.as_str()) {
                let from = text[..at].rfind('\n').unwrap_or(at.saturating_sub(300));
                panic!("{planted} came out: {}", &text[from..at + planted.len()]);
            }
        }
    }
}

/// What clients have proved who they are with so far: a Basic field's value, the signature of an assertion.
fn proofs(camunda: &Sandbox) -> Vec<String> {
    let mut proofs = Vec::new();
    for request in camunda.authorization_server().requests() {
        let field = request.headers.get("authorization").and_then(|field| field.to_str().ok());
        proofs.extend(field.and_then(|field| field.strip_prefix("Basic ")).map(str::to_owned));
        let form = String::from_utf8_lossy(&request.body).into_owned();
        let assertion = form.split('&').find_map(|pair| pair.strip_prefix("client_assertion="));
        proofs.extend(assertion.and_then(|assertion| assertion.rsplit('.').next()).map(str::to_owned));
    }
    proofs
}

#[tokio::test]
async fn tokens_of_five_seconds_are_renewed_under_traffic_and_no_request_fails() {
    let world = setup()
        .start_with(|camunda| camunda.authorization_server().set_token_life(Duration::from_secs(5)))
        .await;
    let until = tokio::time::Instant::now() + Duration::from_secs(12);
    let mut callers = Vec::new();
    for _ in 0..2 {
        let (mut http1, mut http2) = (world.http1().await, world.http2().await);
        callers.push(tokio::spawn(async move {
            let mut pace = tokio::time::interval(Duration::from_millis(20));
            let mut answered = 0;
            while tokio::time::Instant::now() < until {
                pace.tick().await;
                let answer = http1.get("/v2/topology").await;
                assert_eq!(answer.status, 200, "{answer:?}");
                let called = http2.grpc(TOPOLOGY, &[], message(&[])).await.expect("an answer");
                assert_eq!(called.grpc_status(), Some(0), "{called:?}");
                answered += 1;
            }
            answered
        }));
    }
    for caller in callers {
        assert!(caller.await.expect("no request failed") > 100);
    }
    assert_eq!(world.camunda.cluster().counts().refused, 0);
    let asked = world.camunda.authorization_server().requests();
    let zeebe =
        asked.iter().filter(|request| request.audience.as_deref() == Some("zeebe.camunda.io")).count();
    assert!((3..=9).contains(&zeebe), "{zeebe} token requests in 12 s");
    assert!(asked.iter().all(|request| request.status == 200));
}
