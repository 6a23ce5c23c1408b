//! Upstreams without OAuth: what is configured goes out as it is, and nobody is asked for a token.

use std::time::Duration;

use camunda_auth_proxy::sandbox::cluster::RequestSeen;
use http::Method;
use http::header::AUTHORIZATION;

use crate::common::{Setup, TOPOLOGY, World, in_time, message, setup};

/// Credentials without a client or a token endpoint.
fn clientless() -> Setup {
    setup().credentials(|line| {
        !["CLIENT_", "OAUTH_URL", "AUTHORIZATION_SERVER"].iter().any(|word| line.contains(word))
    })
}

/// What left for the upstream, and that nobody was asked for a token.
fn seen(world: &World) -> RequestSeen {
    assert_eq!(world.camunda.authorization_server().request_count(), 0);
    world.camunda.cluster().requests().pop().expect("a request")
}

fn fields(seen: &RequestSeen) -> Vec<&str> {
    seen.headers.get_all(AUTHORIZATION).iter().map(|value| value.to_str().expect("text")).collect()
}

#[tokio::test]
async fn a_user_and_password_take_the_place_of_whatever_came_in_and_no_401_changes_that() {
    let toml = "[authorization]\nusername = \"demo\"\npassword = \"demo\"\n";
    let world = clientless().toml(toml).start().await;
    assert_eq!(world.admin("/readyz").await.status, 200, "ready at once");
    for _ in 0..3 {
        let mut caller = world.http1().await;
        let own = [("authorization", "Bearer stale"), ("authorization", "")];
        let answer = caller.send(Method::GET, "/v2/topology", &own, "").await.expect("an answer");
        // The sandbox knows no users: its refusal is passed on.
        assert_eq!(answer.status, 401);
        assert!(!answer.headers.contains_key("proxy-status"), "{answer:?}");
        assert_eq!(fields(&seen(&world)), ["Basic ZGVtbzpkZW1v"]);
    }
    let mut caller = world.http2().await;
    caller.grpc(TOPOLOGY, &[], message(&[])).await.expect("an answer");
    assert_eq!(fields(&seen(&world)), ["Basic ZGVtbzpkZW1v"]);

    let status = String::from_utf8(world.admin("/status").await.body.to_vec()).expect("text");
    assert!(status.contains("\"state\": \"fixed\"") && !status.contains("ZGVtbzpkZW1v"), "{status}");
    let metrics = String::from_utf8(world.admin("/metrics").await.body.to_vec()).expect("text");
    let state = "camunda_proxy_token_state{scope=\"zeebe\",state=\"fixed\"} 1";
    assert!(metrics.contains(state) && !metrics.contains("ZGVtbzpkZW1v"), "{metrics}");
}

#[tokio::test]
async fn a_field_that_somebody_else_keeps_is_read_again_when_its_file_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("field");
    std::fs::write(&file, "Bearer not-yet\n").expect("written");
    let setup = clientless().with("authorization.value_file", file.display().to_string());
    let world = setup.start().await;
    assert_eq!(world.get("/v2/topology").await.status, 401);
    assert_eq!(fields(&seen(&world)), ["Bearer not-yet"]);

    let token = world.camunda.authorization_server().issue("zeebe.camunda.io");
    std::fs::write(&file, format!("Bearer {token}\n")).expect("written");
    in_time("the new field", async {
        while world.get("/v2/topology").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert_eq!(fields(&seen(&world)), [format!("Bearer {token}")]);
}

#[tokio::test]
async fn a_cluster_that_asks_for_nothing_gets_nothing_whatever_the_caller_sends() {
    let world = clientless().toml("[authorization]\nkind = \"none\"\n").start().await;
    let mut caller = world.http1().await;
    let own = [("authorization", "Basic ZGVtbzpkZW1v")];
    caller.send(Method::GET, "/v2/topology", &own, "").await.expect("an answer");
    assert_eq!(fields(&seen(&world)), [""; 0]);
}
