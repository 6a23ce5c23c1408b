//! The relay: a token endpoint of the proxy's own, for clients that insist on one.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use camunda_auth_proxy::sandbox::authorization_server::Fault;
use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::common::{Answer, Caller, TOPOLOGY, World, message, setup, tcp, until};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const JSON: (&str, &str) = ("content-type", "application/json");
const KEY: &str = "0123456789abcdef0123456789abcdef";
/// `printf %s 0123456789abcdef0123456789abcdef | sha256sum`
const KEY_SHA256: &str = "3eb1bd439947eb762998e566ccc2e099c791118b2f40579cc4f7da2b5061b7f9";

async fn ask(world: &World, fields: &[(&str, &str)], body: impl Into<bytes::Bytes>) -> Answer {
    world.http1().await.send(Method::POST, "/oauth/token", fields, body).await.expect("an answer")
}

fn claims(token: &str) -> Value {
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3, "{token}");
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).expect("base64url");
    let header: Value = serde_json::from_slice(&decoded(parts[0])).expect("JSON");
    assert_eq!(header, json!({ "alg": "HS256", "typ": "JWT" }));
    assert_eq!(decoded(parts[2]).len(), 32);
    serde_json::from_slice(&decoded(parts[1])).expect("JSON")
}

#[tokio::test]
async fn whoever_asks_gets_a_placeholder_that_can_be_decoded_and_opens_nothing() {
    let world = setup().start().await.ready().await;
    let tokens_asked = || world.camunda.authorization_server().requests().len();
    until("all tokens", || tokens_asked() == 4).await;
    let form =
        "grant_type=client_credentials&client_id=any~id&client_secret=x&audience=zeebe.camunda.io&scope=a+b";
    let basic = format!("Basic {}", STANDARD.encode("any~id:x"));
    let as_json = json!({
        "grant_type": "client_credentials", "client_id": "any~id", "client_secret": "x",
        "audience": "zeebe.camunda.io", "scope": "a b", "unknown": 1,
    })
    .to_string();
    let in_header = "grant_type=client_credentials&audience=zeebe.camunda.io&scope=a%20b";
    let mut tokens = Vec::new();
    for (path, fields, body) in [
        ("/oauth/token", vec![FORM], form),
        ("/oauth/token/", vec![FORM], form),
        (
            "/oauth/token?x=y",
            vec![("content-type", "Application/X-WWW-form-urlencoded; charset=utf-8")],
            form,
        ),
        ("/oauth/token", vec![], form),
        ("/oauth/token", vec![JSON], as_json.as_str()),
        ("/oauth/token", vec![FORM, ("authorization", basic.as_str())], in_header),
        ("/oauth/token", vec![FORM, ("authorization", "")], form),
    ] {
        for mut caller in [world.http1().await, world.http2().await] {
            let body = body.to_owned();
            let answer = caller.send(Method::POST, path, &fields, body).await.expect("an answer");
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(
                (answer.header("content-type"), answer.header("cache-control")),
                ("application/json", "no-store")
            );
            assert!(!answer.headers.contains_key("access-control-allow-origin"));
            let granted = answer.json();
            assert_eq!((&granted["token_type"], &granted["expires_in"]), (&json!("Bearer"), &json!(86_400)));
            assert_eq!(granted["scope"], "a b");
            let token = granted["access_token"].as_str().expect("a token").to_owned();
            let claims = claims(&token);
            for (name, value) in [
                ("iss", json!("camunda-auth-proxy")),
                ("sub", json!("any~id")),
                ("azp", json!("any~id")),
                ("client_id", json!("any~id")),
                ("aud", json!("zeebe.camunda.io")),
                ("scope", json!("a b")),
                ("placeholder", json!(true)),
            ] {
                assert_eq!(claims[name], value, "{name}");
            }
            assert_eq!(claims["exp"].as_u64(), claims["iat"].as_u64().map(|iat| iat + 86_400));
            assert!(!world.camunda.authorization_server().validate(&token, "zeebe.camunda.io"));
            tokens.push(token);
        }
    }
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 14, "each its own");
    // What the client sends with it has the real token upstream.
    let bearer = format!("Bearer {}", tokens[0]);
    let answer =
        world.http1().await.send(Method::GET, "/v2/topology", &[("authorization", &bearer)], "").await;
    assert_eq!(answer.expect("an answer").status, 200);
    assert_eq!(world.camunda.cluster().counts().requests, 1, "the token requests went nowhere");
    assert_eq!(tokens_asked(), 4, "no token request but the proxy's own");
    let metrics = String::from_utf8(world.admin("/metrics").await.body.to_vec()).expect("text");
    let counted = r#"requests_total{scope="",protocol="http1",code_class="2xx",origin="proxy",reason=""} 7"#;
    assert!(metrics.contains(counted), "{metrics}");
    assert!(
        metrics.contains(r#"client_authorization_total{scope="zeebe",action="replaced"} 1"#),
        "{metrics}"
    );
}

#[tokio::test]
async fn what_is_no_token_request_is_refused_in_oauths_words() {
    let world = setup().start().await;
    let long = format!("grant_type=client_credentials&client_id={}", "x".repeat(70_000));
    let wide = format!("grant_type=client_credentials&audience={}", "x".repeat(600));
    let grant = "grant_type=client_credentials";
    for (fields, body, error) in [
        (vec![FORM], "", "invalid_request"),
        (vec![FORM], "grant_type=", "invalid_request"),
        (vec![FORM], "client_id=a&client_secret=b", "invalid_request"),
        (vec![FORM], "grant_type=password&username=a", "unsupported_grant_type"),
        (vec![FORM], "grant_type=refresh_token", "unsupported_grant_type"),
        (vec![FORM], "grant_type=client_credentials&grant_type=password", "invalid_request"),
        (vec![FORM], r#"{"grant_type":"client_credentials"}"#, "invalid_request"),
        (vec![JSON], grant, "invalid_request"),
        (vec![JSON], "[]", "invalid_request"),
        (vec![JSON], r#"{"grant_type":["client_credentials"]}"#, "invalid_request"),
        (vec![JSON], r#"{"grant_type":"a","grant_type":"b"}"#, "invalid_request"),
        (vec![("content-type", "text/plain")], grant, "invalid_request"),
        (vec![("content-type", "multipart/form-data")], grant, "invalid_request"),
        (vec![FORM], &long, "invalid_request"),
        (vec![FORM], &wide, "invalid_request"),
        (
            vec![FORM, ("authorization", "Basic eA=="), ("authorization", "Basic eA==")],
            grant,
            "invalid_request",
        ),
    ] {
        for mut caller in [world.http1().await, world.http2().await] {
            let answer = caller.send(Method::POST, "/oauth/token", &fields, body.to_owned()).await;
            let answer = answer.expect("an answer");
            let told = answer.json();
            assert_eq!((answer.status.as_u16(), &told["error"]), (400, &json!(error)), "{body:.80}");
            assert!(told["error_description"].is_string());
            assert_eq!(told["reason"], "malformed");
            assert!(answer.header("proxy-status").contains("malformed"), "{answer:?}");
        }
    }
    for method in [Method::GET, Method::PUT, Method::OPTIONS, Method::DELETE] {
        let answer =
            world.http1().await.send(method.clone(), "/oauth/token", &[], "").await.expect("an answer");
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "POST"), "{method}");
        assert_eq!(answer.reason(), "method_refused");
    }
    for (field, status) in [
        (("host", "evil.example"), 421),
        (("origin", "https://evil.example"), 403),
        (("sec-fetch-site", "cross-site"), 403),
    ] {
        let answer = ask(&world, &[FORM, field], grant).await;
        assert_eq!(answer.status.as_u16(), status);
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
    }
    let called = world.http2().await.grpc("/oauth/token", &[], message(&[])).await.expect("an answer");
    assert_eq!(called.grpc_status(), Some(13));
    assert_eq!(world.camunda.cluster().counts().requests, 0);
}

#[tokio::test]
async fn a_relay_that_is_off_is_no_route_and_goes_nowhere() {
    let world = setup()
        .with("relay.mode", "off")
        .toml("[[listener]]\naddress = \"127.0.0.1:0\"\nscope = \"operate\"\n")
        .start()
        .await;
    let pinned = tcp(&world.listener(1));
    for at in [world.proxy, pinned] {
        let mut caller = Caller::http1(at).await;
        let answer =
            caller.send(Method::POST, "/oauth/token", &[FORM], "grant_type=client_credentials").await;
        let answer = answer.expect("an answer");
        assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (404, "no_route"));
    }
    assert_eq!(world.camunda.cluster().counts().requests, 0);
}

/// A world whose relay hands out real tokens.
async fn relaying(more: &str) -> World {
    let caller = format!("[[caller]]\nname = \"pods\"\nkey_sha256 = \"{KEY_SHA256}\"\n{more}");
    let world = setup().with("relay.mode", "token").toml(caller).start().await;
    let tokens = world.camunda.authorization_server().clone();
    until("all tokens", || tokens.requests().len() == 4).await;
    world
}

fn secret(world: &World) -> (String, String) {
    let file = world.camunda.credentials_file();
    let value = |name: &str| {
        let line = file.lines().find(|line| line.contains(name)).expect("a line");
        line.split('\'').nth(1).expect("a value").to_owned()
    };
    (value("ZEEBE_CLIENT_ID"), value("ZEEBE_CLIENT_SECRET"))
}

#[tokio::test]
async fn whoever_proves_who_it_is_gets_the_real_token_of_its_audience() {
    let world = relaying("").await;
    let (id, secret) = secret(&world);
    let tokens = world.camunda.authorization_server().clone();
    let own = format!("&client_id={id}&client_secret={secret}");
    let as_json = |audience: &str| json!({ "grant_type": "client_credentials", "client_id": id, "client_secret": secret, "audience": audience });
    let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let encoded = format!("basic {}", STANDARD.encode(format!("{id}:{}", secret.replace('~', "%7E"))));
    let bearer = format!("Bearer {KEY}");
    let with = |rest: &str| format!("grant_type=client_credentials{rest}");
    for (fields, body, audience) in [
        (vec![FORM], with(&format!("{own}&audience=zeebe.camunda.io")), "zeebe.camunda.io"),
        (vec![FORM], with(&format!("{own}&audience=operate.camunda.io")), "operate.camunda.io"),
        (vec![FORM], with(&format!("{own}&audience=operate")), "operate.camunda.io"),
        (vec![FORM], with(&format!("{own}&scope=tasklist")), "tasklist.camunda.io"),
        (vec![JSON], as_json("optimize.camunda.io").to_string(), "optimize.camunda.io"),
        (vec![FORM, ("authorization", &basic)], with("&audience=zeebe.camunda.io"), "zeebe.camunda.io"),
        (vec![FORM, ("authorization", &encoded)], with("&audience=zeebe.camunda.io"), "zeebe.camunda.io"),
        (
            vec![FORM],
            with(&format!("&client_id=pods&client_secret={KEY}&audience=zeebe.camunda.io")),
            "zeebe.camunda.io",
        ),
        (vec![FORM, ("authorization", &bearer)], with("&audience=zeebe.camunda.io"), "zeebe.camunda.io"),
    ] {
        let answer = ask(&world, &fields, body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("cache-control"), "no-store");
        let granted = answer.json();
        assert!(tokens.validate(granted["access_token"].as_str().expect("a token"), audience), "{audience}");
        // Never longer than the proxy itself would send it.
        assert!((86_300..=86_395).contains(&granted["expires_in"].as_u64().expect("seconds")), "{granted}");
    }
    assert_eq!(tokens.requests().len(), 4, "no token request more");
}

#[tokio::test]
async fn whoever_proves_nothing_or_asks_for_something_else_gets_nothing() {
    let pinned = "[[listener]]\naddress = \"127.0.0.1:0\"\nscope = \"operate\"\n";
    let world = relaying(pinned).await;
    let (id, secret) = secret(&world);
    let wrong_basic = format!("Basic {}", STANDARD.encode(format!("{id}:wrong")));
    let half = &secret[..secret.len() - 1];
    let zeebe = "grant_type=client_credentials&audience=zeebe.camunda.io";
    let wrong = [
        (vec![FORM], zeebe.to_owned()),
        (vec![FORM], format!("{zeebe}&client_id={id}&client_secret=")),
        (vec![FORM], format!("{zeebe}&client_id={id}&client_secret={half}")),
        (vec![FORM], format!("{zeebe}&client_id={id}x&client_secret={secret}")),
        (vec![FORM], format!("{zeebe}&client_secret={secret}")),
        (vec![FORM], format!("{zeebe}&client_id=build&client_secret={KEY}")),
        (vec![FORM], format!("{zeebe}&client_id=pods&client_secret={KEY_SHA256}")),
        (vec![FORM, ("authorization", wrong_basic.as_str())], zeebe.to_owned()),
        (vec![FORM, ("authorization", "Bearer wrong")], zeebe.to_owned()),
        (vec![FORM, ("authorization", "Basic !!")], zeebe.to_owned()),
    ];
    let mut asking = tokio::task::JoinSet::new();
    for (fields, body) in wrong {
        let mut caller = world.http1().await;
        let fields: Vec<(String, String)> =
            fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        asking.spawn(async move {
            let begun = Instant::now();
            let fields: Vec<(&str, &str)> =
                fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let answer =
                caller.send(Method::POST, "/oauth/token", &fields, body.clone()).await.expect("an answer");
            (body, answer, begun.elapsed())
        });
    }
    while let Some(asked) = asking.join_next().await {
        let (body, answer, took) = asked.expect("asked");
        let told = answer.json();
        assert_eq!((answer.status.as_u16(), &told["error"]), (401, &json!("invalid_client")), "{body}");
        assert!(answer.header("www-authenticate").starts_with("Basic realm="), "{answer:?}");
        assert!(answer.header("proxy-status").contains("caller_unknown"), "{answer:?}");
        assert!(took >= Duration::from_secs(1), "{took:?}: guessing needs patience");
    }
    let own = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let at_pinned = tcp(&world.listener(1));
    for (at, body, error) in [
        (world.proxy, format!("{own}&audience=other.example"), "invalid_target"),
        (world.proxy, format!("{own}&audience=secrets.camunda.io"), "invalid_target"),
        (world.proxy, format!("{own}&audience=secrets"), "invalid_target"),
        (world.proxy, format!("{own}&audience=zeebe.camunda.io&resource=urn:x"), "invalid_target"),
        (world.proxy, format!("{own}&audience=zeebe.camunda.io&scope=other"), "invalid_scope"),
        (world.proxy, own.clone(), "invalid_target"),
        (at_pinned, format!("{own}&audience=zeebe.camunda.io"), "invalid_target"),
    ] {
        let answer = Caller::http1(at).await.send(Method::POST, "/oauth/token", &[FORM], body.clone()).await;
        let answer = answer.expect("an answer");
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (400, &json!(error)), "{body}");
    }
    // Where only one token is served, nothing has to be named.
    let answer = Caller::http1(at_pinned).await.send(Method::POST, "/oauth/token", &[FORM], own).await;
    let granted = answer.expect("an answer").json();
    let token = granted["access_token"].as_str().expect("a token");
    assert!(world.camunda.authorization_server().validate(token, "operate.camunda.io"));
}

#[tokio::test]
async fn wrong_proofs_of_a_connection_are_looked_at_one_a_second_whoever_waits_for_the_answers() {
    let world = relaying("").await;
    let (id, secret) = secret(&world);
    let body = |secret: &str| {
        format!(
            "grant_type=client_credentials&audience=zeebe.camunda.io&client_id={id}&client_secret={secret}"
        )
    };
    let caller = world.http2().await;
    let ask = async |body: String| {
        caller.clone().send(Method::POST, "/oauth/token", &[FORM], body).await.expect("an answer")
    };
    let begun = Instant::now();
    // The first one leaves without its answer.
    let left = tokio::time::timeout(Duration::from_millis(100), ask(body("wrong"))).await;
    assert!(left.is_err(), "a wrong proof waits");
    for guess in ["wrong too", &secret] {
        let answer = ask(body(guess)).await;
        // On a machine that stands still for so long, the second is over.
        if begun.elapsed() < Duration::from_secs(1) {
            let told = answer.json();
            assert_eq!((answer.status.as_u16(), &told["reason"]), (429, &json!("quota_exceeded")), "{guess}");
            assert_eq!(
                (answer.header("retry-after"), &told["error"]),
                ("1", &json!("temporarily_unavailable"))
            );
        }
    }
    // Nobody else waits for that.
    let mut other = world.http1().await;
    let answer = other.send(Method::POST, "/oauth/token", &[FORM], body(&secret)).await.expect("an answer");
    assert_eq!(answer.status, 200, "{answer:?}");
    tokio::time::sleep_until(begun + Duration::from_millis(1200)).await;
    assert_eq!(ask(body(&secret)).await.status, 200);
}

#[tokio::test]
async fn a_fleet_behind_one_proxy_costs_one_token_request_for_each_audience() {
    let parent = relaying("").await;
    let url = format!("http://{}/oauth/token", parent.proxy);
    let at = parent.camunda.addresses().clone();
    let mut children = Vec::new();
    for _ in 0..3 {
        let child = setup()
            .with("oauth.url", url.clone())
            .with("scopes.zeebe.address", at.zeebe_rest.to_string())
            .with("scopes.zeebe.grpc_address", at.grpc.to_string());
        children.push(child.start().await);
    }
    for child in &children {
        assert_eq!(child.get("/v2/topology").await.status, 200);
        let called = child.http2().await.grpc(TOPOLOGY, &[], message(&[])).await.expect("an answer");
        assert_eq!(called.grpc_status(), Some(0));
        assert_eq!(child.camunda.authorization_server().requests().len(), 0, "nobody asks past the parent");
    }
    assert_eq!(parent.camunda.authorization_server().requests().len(), 4);
}

#[tokio::test]
async fn a_relay_without_a_token_says_when_to_come_back_and_the_next_proxy_obeys() {
    let limited = |camunda: &camunda_auth_proxy::sandbox::Sandbox| {
        camunda.authorization_server().set_fault(Some(Fault::TooManyRequests(Some(30))));
    };
    let parent = setup().with("relay.mode", "token").with("oauth.wait", "300ms").start_with(limited).await;
    until("the limit", || !parent.camunda.authorization_server().requests().is_empty()).await;
    let (id, secret) = secret(&parent);
    let body = format!(
        "grant_type=client_credentials&client_id={id}&client_secret={secret}&audience=zeebe.camunda.io"
    );
    let answer = ask(&parent, &[FORM], body).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (503, &json!("temporarily_unavailable")));
    assert!(answer.header("proxy-status").contains("token_rate_limited"), "{answer:?}");
    let after: u64 = answer.header("retry-after").parse().expect("seconds");
    assert!((20..=30).contains(&after), "{after}");

    let url = format!("http://{}/oauth/token", parent.proxy);
    let child = setup().with("oauth.url", url).with("oauth.wait", "700ms").start().await;
    let refused = child.get("/v2/topology").await;
    assert_eq!(refused.status, 503);
    let after: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((15..=30).contains(&after), "{after}");
    assert_eq!(parent.camunda.authorization_server().requests().len(), 1);
}
