//! Which upstream a request reaches, and what it looks like there.

use std::collections::BTreeSet;

use base64::Engine;
use camunda_auth_proxy::sandbox::cluster::RequestSeen;
use camunda_auth_proxy::scope::Scope;
use http::{Method, Version};

use crate::common::{TOPOLOGY, World, message, setup};

/// The audience of the one bearer token that a request came with.
pub(crate) fn audience(request: &RequestSeen) -> String {
    let values: Vec<_> = request.headers.get_all("authorization").iter().collect();
    assert_eq!(values.len(), 1, "{request:?}");
    let token = values[0].to_str().expect("text").strip_prefix("Bearer ").expect("a bearer").to_owned();
    let claims = token.split('.').nth(1).expect("a JWT");
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).expect("base64");
    let claims: serde_json::Value = serde_json::from_slice(&claims).expect("JSON");
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    text(&claims["aud"]).or_else(|| text(&claims["aud"][0])).expect("an audience")
}

fn last(world: &World) -> RequestSeen {
    world.camunda.cluster().requests().pop().expect("a request")
}

const HOP_BY_HOP: &[(&str, &str)] = &[
    ("connection", "x-hop, keep-alive, authorization, te"),
    ("x-hop", "1"),
    ("keep-alive", "timeout=5"),
    ("proxy-connection", "keep-alive"),
    ("proxy-authorization", "Basic eDp5"),
    ("te", "gzip"),
    ("forwarded", "for=6.6.6.6"),
    ("x-forwarded-for", "6.6.6.6"),
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-proto", "https"),
    ("x-real-ip", "6.6.6.6"),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("x-own", "kept"),
];

const GONE: &[&str] = &[
    "x-hop",
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "te",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "transfer-encoding",
    "upgrade",
];

#[tokio::test]
async fn a_request_reaches_its_component_with_that_components_token_and_nothing_of_the_hop() {
    let world = setup().start().await;
    let cases = [
        (Method::GET, "/v2/topology?a=1&a=%32//..", "/v2/topology?a=1&a=%32//..", Scope::Zeebe),
        (Method::GET, "/zeebe/v2/topology", "/v2/topology", Scope::Zeebe),
        (Method::GET, "/v1/topology", "/v1/topology", Scope::Zeebe),
        (
            Method::POST,
            "/operate/v1/process-instances/search",
            "/v1/process-instances/search",
            Scope::Operate,
        ),
        (Method::POST, "/v1/process-definitions/search", "/v1/process-definitions/search", Scope::Operate),
        (Method::POST, "/v1/variables/search", "/v1/variables/search", Scope::Operate),
        (Method::POST, "/tasklist/v1/tasks/search?x", "/v1/tasks/search?x", Scope::Tasklist),
        (Method::POST, "/v1/tasks/search", "/v1/tasks/search", Scope::Tasklist),
        (Method::GET, "/optimize/api/readyz", "/api/readyz", Scope::Optimize),
        (
            Method::GET,
            "/api/public/dashboard?accessToken=",
            "/api/public/dashboard?accessToken=",
            Scope::Optimize,
        ),
        (Method::GET, "/{id}/operate/v1/x", "/v1/x", Scope::Operate),
    ];
    let (mut http1, mut http2) = (world.http1().await, world.http2().await);
    let addresses = world.camunda.addresses().clone();
    for (method, path, upstream, scope) in cases {
        let path = path.replace("{id}", world.camunda.cluster_id());
        for version in [Version::HTTP_11, Version::HTTP_2] {
            let (caller, fields) = match version {
                Version::HTTP_2 => (&mut http2, &HOP_BY_HOP[6..]),
                _ => (&mut http1, HOP_BY_HOP),
            };
            let answer = caller.send(method.clone(), &path, fields, "").await.expect("an answer");
            assert!(!answer.headers.contains_key("proxy-status"), "{path}: {answer:?}");
            assert_ne!(answer.status, 401, "{path}");
            let seen = last(&world);
            assert_eq!((seen.component, &seen.method), (scope, &method), "{path}");
            assert_eq!(seen.target, format!("/{}{upstream}", world.camunda.cluster_id()), "{path}");
            assert_eq!(audience(&seen), format!("{scope}.camunda.io"), "{path}");
            let base = match scope {
                Scope::Operate => &addresses.operate,
                Scope::Tasklist => &addresses.tasklist,
                Scope::Optimize => &addresses.optimize,
                _ => &addresses.zeebe_rest,
            };
            assert_eq!(seen.authority.as_deref(), base.split('/').nth(2), "{path}");
            assert_eq!(seen.headers["via"], "1.1 camunda-auth-proxy");
            assert_eq!(seen.headers["x-own"], "kept");
            assert!(seen.headers.contains_key("traceparent"));
            for name in GONE {
                assert!(!seen.headers.contains_key(*name), "{path}: {name} in {:?}", seen.headers);
            }
        }
    }
    let audiences: BTreeSet<_> = world.camunda.cluster().requests().iter().map(audience).collect();
    assert_eq!(audiences.len(), 4);
}

#[tokio::test]
async fn a_grpc_call_reaches_the_gateway_with_its_path_and_te_and_without_the_hop() {
    let world = setup().start().await;
    let mut caller = world.http2().await;
    for fields in [&[][..], &HOP_BY_HOP[6..], &[("content-type", "application/grpc+proto")]] {
        let answer = caller.grpc(TOPOLOGY, fields, message(&[])).await.expect("an answer");
        assert_eq!(answer.grpc_status(), Some(0), "{answer:?}");
        assert!(!answer.body.is_empty());
        let seen = last(&world);
        assert_eq!((seen.target.as_str(), seen.version), (TOPOLOGY, Version::HTTP_2));
        assert_eq!(audience(&seen), "zeebe.camunda.io");
        assert_eq!(seen.headers["te"], "trailers");
        assert_eq!(seen.headers["via"], "1.1 camunda-auth-proxy");
        assert_eq!(seen.authority.as_deref(), world.camunda.addresses().grpc.split('/').nth(2));
        for name in GONE.iter().filter(|name| **name != "te") {
            assert!(!seen.headers.contains_key(*name), "{name} in {:?}", seen.headers);
        }
    }
}

#[tokio::test]
async fn whatever_authorization_comes_in_exactly_one_bearer_leaves() {
    let world = setup().start().await.ready().await;
    let stale = "Bearer eyJhbGciOiJub25lIn0.eyJhdWQiOiJ4In0.x";
    let kinds: [&[(&str, &str)]; 9] = [
        &[],
        &[("authorization", "")],
        &[("authorization", "Basic ZGVtbzpkZW1v")],
        &[("authorization", stale)],
        &[("authorization", stale), ("authorization", "Basic ZGVtbzpkZW1v"), ("authorization", "")],
        &[("AuthoriZation", stale)],
        &[("authorization", "bearer x"), ("Authorization", "Bearer y")],
        &[("connection", "authorization"), ("authorization", stale)],
        &[("connection", "Authorization, close"), ("connection", "x"), ("authorization", "Negotiate x")],
    ];
    for fields in kinds {
        let mut http1 = world.http1().await;
        let answer = http1.send(Method::GET, "/v2/topology", fields, "").await.expect("an answer");
        assert_eq!(answer.status, 200, "{fields:?}");
        assert_eq!(audience(&last(&world)), "zeebe.camunda.io", "{fields:?}");
        if fields.iter().any(|(name, _)| *name == "connection") {
            continue;
        }
        let mut http2 = world.http2().await;
        let answer = http2.send(Method::GET, "/v2/topology", fields, "").await.expect("an answer");
        assert_eq!(answer.status, 200, "{fields:?}");
        assert_eq!(audience(&last(&world)), "zeebe.camunda.io", "{fields:?}");
        let answer = http2.grpc(TOPOLOGY, fields, message(&[])).await.expect("an answer");
        assert_eq!(answer.grpc_status(), Some(0), "{fields:?}");
        assert_eq!(audience(&last(&world)), "zeebe.camunda.io", "{fields:?}");
    }
}
