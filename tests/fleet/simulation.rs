//! A simulation: a thousand replicas behind one address, against the sandbox's token endpoint with its limit of one
//! request a second and its block of 10 s. Prints the table that the README has:
//!
//! `cargo test --test fleet simulation -- --ignored --nocapture`

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use camunda_auth_proxy::oauth::{
    Answer, Ask, Asked, Clock, Config, Store, TokenRequest, TokenSource, Tokens,
};
use camunda_auth_proxy::sandbox::AuthorizationServer;
use camunda_auth_proxy::sandbox::authorization_server::TokenForm;
use tokio::time::{Instant, sleep};

use super::*;

const REPLICAS: usize = 1000;
/// With a folder on each host: so many replicas there.
const ON_A_HOST: usize = 20;
const AUDIENCES: [&str; 4] =
    ["zeebe.camunda.io", "operate.camunda.io", "tasklist.camunda.io", "optimize.camunda.io"];
/// Nobody waits longer for a fleet.
const LONGEST: Duration = secs(3600);

/// The sandbox's decision, and the way to it and back.
#[derive(Clone)]
struct Endpoint(AuthorizationServer);

impl Ask for Endpoint {
    fn ask(&self, request: &TokenRequest) -> Asked {
        let audience = request.audience.clone().unwrap_or_default();
        let server = self.0.clone();
        Box::pin(async move {
            sleep(Duration::from_millis(20)).await;
            let form = TokenForm::client_credentials("id", "canary-secret", &audience);
            let answer = server.answer(&form, IpAddr::V4(Ipv4Addr::LOCALHOST), Instant::now());
            sleep(Duration::from_millis(20)).await;
            Ok(Answer { status: answer.status.as_u16(), headers: answer.headers, body: answer.body })
        })
    }
}

type Replica = (Tokens, [Arc<TokenSource>; AUDIENCES.len()]);

fn replica(endpoint: &Endpoint, clock: &Clock, store: Option<&Model>) -> Replica {
    let (config, ask) = (Config::default(), Arc::new(endpoint.clone()));
    let tokens = match store {
        None => Tokens::new(&config, ask, clock.clone()),
        Some(model) => {
            Tokens::shared(&config, ask, clock.clone(), Arc::new(model.clone()) as Arc<dyn Store>, None)
        }
    };
    let sources = AUDIENCES.map(|audience| tokens.source(request(audience)));
    (tokens, sources)
}

/// Starts them all at once and tells how that went, as a row of the table.
async fn start(name: &str, server: &AuthorizationServer, clock: &Clock, stores: &[Model]) -> Vec<Replica> {
    server.clear();
    let begun = Instant::now();
    let endpoint = Endpoint(server.clone());
    let store = |n: usize| stores.get(n * stores.len() / REPLICAS);
    let replicas: Vec<Replica> = (0..REPLICAS).map(|n| replica(&endpoint, clock, store(n))).collect();
    let mut waiting: Vec<&Replica> = replicas.iter().collect();
    while !waiting.is_empty() && begun.elapsed() < LONGEST {
        sleep(if begun.elapsed() < secs(300) { Duration::from_millis(100) } else { secs(10) }).await;
        waiting.retain(|(_, sources)| sources.iter().any(|source| source.current().is_none()));
    }
    let took = begun.elapsed();
    let ready = REPLICAS - waiting.len();
    let all: usize = server.request_count() as usize;
    let limited = server.requests().iter().filter(|seen| seen.status == 429).count();
    let last = if waiting.is_empty() {
        format!("{:.1} s", took.as_secs_f64())
    } else {
        format!("{ready} of them in an hour")
    };
    println!("| {name} | {last} | {all} | {limited} |");
    replicas
}

#[test]
#[ignore = "takes minutes, and is for the README's table"]
fn a_thousand_replicas_behind_one_address() {
    println!("| 1000 replicas | all ready after | token requests | 429 |");
    println!("| --- | --- | --- | --- |");
    for (name, stores) in
        [("redis", 1), ("file, 20 replicas on each of 50 hosts", REPLICAS / ON_A_HOST), ("none", 0)]
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let clock = Clock::steered(SystemTime::now());
            let server = AuthorizationServer::new("id", "canary-secret", "https://login.example/");
            let stores: Vec<Model> = (0..stores).map(|_| Model::new(&clock)).collect();
            let first = start(&format!("{name}, first start"), &server, &clock, &stores).await;
            if stores.is_empty() {
                return;
            }
            sleep(secs(60)).await;
            // As many as there were, killed and started again together.
            drop(first);
            sleep(secs(5)).await;
            start(&format!("{name}, restart"), &server, &clock, &stores).await;
        });
    }
}
