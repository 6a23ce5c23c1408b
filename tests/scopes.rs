//! A token is for one scope, and one request brings it.

use std::time::Duration;

use camunda_auth_proxy::scope::Scope;
use http::Method;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::common::{Caller, TOPOLOGY, message, setup, tcp};
use crate::routes::audience;

#[derive(Clone, Debug)]
struct Asked {
    listener: usize,
    http2: bool,
    method: &'static str,
    path: String,
    fields: Vec<(&'static str, &'static str)>,
}

fn path() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "zeebe",
        "operate",
        "tasklist",
        "optimize",
        "secrets",
        "v1",
        "v2",
        "topology",
        "tasks",
        "search",
        "process-definitions",
        "api",
        "public",
        "graphql",
        "variables",
        "cluster",
        "..",
        "%2e%2e",
        ".",
        "",
        "operate;x",
        "OPERATE",
        "%6fperate",
        "x%2fy",
        "gateway_protocol.Gateway",
        "Topology",
        "{id}",
        "user-tasks",
        "decision-requirements",
        "a b",
        "mcp",
        "..;",
        "@",
        "jobs",
        "activation",
    ]);
    (prop::collection::vec(piece, 0..6), prop::sample::select(vec!["", "?a=1", "?/operate", "/"]))
        .prop_map(|(pieces, end)| format!("/{}{end}", pieces.join("/")).replace(' ', "%20"))
}

fn asked() -> impl Strategy<Value = Asked> {
    let field = prop::sample::select(vec![
        ("authorization", "Bearer other"),
        ("content-type", "application/grpc"),
        ("content-type", "application/json"),
        ("x-forwarded-host", "operate"),
        ("x-original-url", "/operate/v1"),
        ("x-rewrite-url", "/optimize/api"),
        ("x-http-method-override", "TRACE"),
        ("host", "localhost"),
        ("host", "operate.camunda.io"),
        ("origin", "http://localhost"),
        ("te", "trailers"),
    ]);
    let method =
        prop::sample::select(vec!["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW"]);
    (0..5usize, any::<bool>(), method, path(), prop::collection::vec(field, 0..3))
        .prop_map(|(listener, http2, method, path, fields)| Asked { listener, http2, method, path, fields })
}

#[test]
fn a_token_of_one_scope_reaches_no_other_scopes_upstream() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let pinned = ["zeebe", "operate", "tasklist", "optimize"]
        .map(|scope| format!("[[listener]]\naddress = \"127.0.0.1:0\"\nscope = \"{scope}\"\n"));
    let world = runtime.block_on(setup().toml(pinned.concat()).start());
    let mut runner = TestRunner::new(Config { cases: 500, failure_persistence: None, ..Config::default() });
    let reached = std::cell::Cell::new(0);
    let result = runner.run(&asked(), |asked| {
        let cluster = world.camunda.cluster();
        cluster.clear();
        runtime.block_on(async {
            let at = tcp(&world.listener(asked.listener));
            let path = asked.path.replace("{id}", world.camunda.cluster_id());
            if path.parse::<http::Uri>().is_err() {
                return;
            }
            let mut caller = if asked.http2 { Caller::http2(at).await } else { Caller::http1(at).await };
            let mut fields = asked.fields.clone();
            if asked.http2 {
                fields.retain(|(name, _)| *name != "host");
            }
            let method: Method = asked.method.parse().expect("a method");
            // Some of these are not even HTTP; nothing to say of their answers.
            let _ = caller.send(method, &path, &fields, "").await;
        });
        for seen in cluster.requests() {
            prop_assert_eq!(audience(&seen), format!("{}.camunda.io", seen.component), "{:?}", seen);
            reached.set(reached.get() + 1);
        }
        prop_assert_eq!(cluster.counts().refused, 0);
        Ok(())
    });
    result.expect("every token where it belongs");
    assert!(reached.get() > 100, "too few requests reached anybody: {}", reached.get());
}

#[tokio::test]
async fn ten_thousand_first_requests_make_four_token_requests_a_second_apart() {
    const CONNECTIONS: usize = 200;
    const EACH: usize = 50;
    let hold = |camunda: &camunda_auth_proxy::sandbox::Sandbox| {
        camunda.authorization_server().set_block(Duration::from_secs(60));
    };
    let world = setup().camunda(|camunda| camunda.requests_kept = 20_000).start_with(hold).await;
    let paths: [(&str, bool); 4] = [
        (TOPOLOGY, true),
        ("/operate/v1/process-instances/search", false),
        ("/tasklist/v1/tasks/search", false),
        ("/optimize/api/public/dashboard?collectionId=1", false),
    ];
    let mut connections = Vec::new();
    for n in 0..CONNECTIONS {
        let mut caller = world.http2().await;
        connections.push(tokio::spawn(async move {
            let mut calls = Vec::new();
            for m in 0..EACH {
                let (path, grpc) = paths[(n + m) % 4];
                if grpc {
                    calls.push(caller.begin(path, &[], message(&[])).await);
                } else {
                    let fields = [("content-type", "application/json")];
                    let method = if path.contains("dashboard") { Method::GET } else { Method::POST };
                    let get = method == Method::GET;
                    let (response, mut sending) =
                        caller.open(method, path, &fields, get).await.expect("sent");
                    if !get {
                        sending.send_data(bytes::Bytes::from_static(b"{}"), true).expect("sent");
                    }
                    calls.push(response);
                }
            }
            for (m, call) in calls.into_iter().enumerate() {
                let (path, grpc) = paths[(n + m) % 4];
                let answer =
                    crate::common::caller::read(call.await.expect("a head")).await.expect("an answer");
                assert!(!answer.headers.contains_key("proxy-status"), "{path} {answer:?}");
                if grpc {
                    assert_eq!(answer.grpc_status(), Some(0), "{answer:?}");
                } else if !path.contains("dashboard") {
                    assert_eq!(answer.status, 200, "{path} {answer:?}");
                }
            }
        }));
    }
    for connection in connections {
        connection.await.expect("answered");
    }
    let mut asked = world.camunda.authorization_server().requests();
    assert_eq!(asked.len(), 4, "{asked:?}");
    asked.sort_by_key(|request| request.at);
    for pair in asked.windows(2) {
        let apart = pair[1].at - pair[0].at;
        assert!(apart >= Duration::from_millis(990), "{apart:?}");
    }
    let counts = world.camunda.cluster().counts();
    assert_eq!((counts.requests, counts.refused), ((CONNECTIONS * EACH) as u64, 0));
    for scope in [Scope::Zeebe, Scope::Operate, Scope::Tasklist, Scope::Optimize] {
        let of_scope =
            world.camunda.cluster().requests().iter().filter(|seen| seen.component == scope).count();
        assert_eq!(of_scope, CONNECTIONS * EACH / 4);
    }
}
