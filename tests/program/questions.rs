//! `route` and `token`: what would happen to a request, and what a token says.

use camunda_auth_proxy::sandbox::authorization_server::Fault;

use super::harness::{Camunda, program};

const CLUSTER: &str = "5c34c0a7-7f29-4424-8414-125615f7a9b9";
const FILE: &str = "\
ZEEBE_CLIENT_ID=id
ZEEBE_CLIENT_SECRET=s3cr3t
CAMUNDA_OAUTH_URL=https://login.cloud.camunda.io/oauth/token
ZEEBE_GRPC_ADDRESS=grpcs://zeebe.example:443
ZEEBE_REST_ADDRESS=https://zeebe.example/base
CAMUNDA_OPERATE_BASE_URL=https://operate.example/base
CAMUNDA_TASKLIST_BASE_URL=https://tasklist.example/base
CAMUNDA_CLUSTER_ID=5c34c0a7-7f29-4424-8414-125615f7a9b9
CAMUNDA_CREDENTIALS_SCOPES=Zeebe,Operate,Tasklist
";

fn route(line: &[&str]) -> (i32, serde_json::Value) {
    let setup = program(&["route", "--format", "json", "--credentials", "c"]).file("c", FILE);
    let ended = setup.arguments(line).end();
    (ended.status, ended.json())
}

#[test]
fn every_line_of_the_route_table_is_explained() {
    const GRPC: &str = "content-type: application/grpc+proto";
    let own = format!("/{CLUSTER}/v2/topology");
    for (line, scope, upstream) in [
        (&["POST", "/any.Service/Method", GRPC][..], "zeebe", "https://zeebe.example/any.Service/Method"),
        (
            &["POST", "/gateway_protocol.Gateway/Topology"],
            "zeebe",
            "https://zeebe.example/gateway_protocol.Gateway/Topology",
        ),
        (
            &["POST", "/grpc.health.v1.Health/Check"],
            "zeebe",
            "https://zeebe.example/grpc.health.v1.Health/Check",
        ),
        (&["GET", "/zeebe/v2/topology?a=b"], "zeebe", "https://zeebe.example/base/v2/topology?a=b"),
        (&["GET", "/operate/v1/incidents/1"], "operate", "https://operate.example/base/v1/incidents/1"),
        (&["GET", "/tasklist/v1/variables/1"], "tasklist", "https://tasklist.example/base/v1/variables/1"),
        (&["GET", "/v2/topology"], "zeebe", "https://zeebe.example/base/v2/topology"),
        (&["GET", "/cluster/v2/x"], "zeebe", "https://zeebe.example/base/cluster/v2/x"),
        (&["POST", "/mcp/cluster"], "zeebe", "https://zeebe.example/base/mcp/cluster"),
        (&["GET", "/physical-tenants/x"], "zeebe", "https://zeebe.example/base/physical-tenants/x"),
        (&["GET", "/v1/topology"], "zeebe", "https://zeebe.example/base/v1/topology"),
        (&["PATCH", "/v1/user-tasks/1"], "zeebe", "https://zeebe.example/base/v1/user-tasks/1"),
        (&["POST", "/v1/tasks/search"], "tasklist", "https://tasklist.example/base/v1/tasks/search"),
        (&["GET", "/v1/forms/1"], "tasklist", "https://tasklist.example/base/v1/forms/1"),
        (&["POST", "/graphql"], "tasklist", "https://tasklist.example/base/graphql"),
        (
            &["POST", "/v1/process-definitions/search"],
            "operate",
            "https://operate.example/base/v1/process-definitions/search",
        ),
        (
            &["POST", "/v1/process-instances/search"],
            "operate",
            "https://operate.example/base/v1/process-instances/search",
        ),
        (
            &["POST", "/v1/flownode-instances/search"],
            "operate",
            "https://operate.example/base/v1/flownode-instances/search",
        ),
        (
            &["POST", "/v1/decision-definitions/search"],
            "operate",
            "https://operate.example/base/v1/decision-definitions/search",
        ),
        (&["GET", "/v1/drd/1"], "operate", "https://operate.example/base/v1/drd/1"),
        (&["POST", "/v1/variables/search"], "operate", "https://operate.example/base/v1/variables/search"),
        (&["GET", &own], "zeebe", "https://zeebe.example/base/v2/topology"),
        (&["GET", "http://localhost:8080/v2/topology"], "zeebe", "https://zeebe.example/base/v2/topology"),
    ] {
        let (status, told) = route(line);
        assert_eq!((status, told["scope"].as_str()), (0, Some(scope)), "{line:?} {told}");
        assert_eq!(told["upstream"], upstream, "{line:?}");
        assert!(told["why"].is_string() && told["listener"].is_string(), "{told}");
    }
}

#[test]
fn a_token_request_to_the_relay_is_told_as_such() {
    for path in ["/oauth/token", "/oauth/token/"] {
        let (status, told) = route(&["POST", path]);
        assert_eq!((status, told["relay"].as_str()), (0, Some("placeholder")), "{told}");
    }
    let (status, told) = route(&["GET", "/oauth/token"]);
    assert_eq!((status, told["refused"].as_str()), (1, Some("method_refused")), "{told}");
}

#[test]
fn a_request_that_goes_nowhere_is_told_why() {
    for (line, reason) in [
        (&["GET", "/v1/variables/1"][..], "no_route"),
        (&["GET", "/"], "no_route"),
        (&["GET", "/operatex/v1"], "no_route"),
        (&["GET", "/secrets"], "no_route"),
        (&["GET", "/optimize/api/public/x"], "scope_not_granted"),
        (&["POST", "/api/ingestion/event"], "scope_not_granted"),
        (&["TRACE", "/v2/topology"], "method_refused"),
        (&["GET", "/v2/../secrets"], "malformed"),
        (&["GET", "/v2/%2e%2e/secrets"], "malformed"),
        (&["GET", "/operate%2fv1"], "malformed"),
        (&["GET", "//evil.example/v2"], "malformed"),
        (&["GET", "http://evil.example/v2/topology"], "host_denied"),
        (&["GET", "/v2/topology", "host: evil.example"], "host_denied"),
        (&["GET", "/v2/topology", "origin: https://evil.example"], "origin_denied"),
        (&["GET", "/v2/topology", "sec-fetch-site: cross-site"], "origin_denied"),
    ] {
        let (status, told) = route(line);
        assert_eq!((status, told["refused"].as_str()), (1, Some(reason)), "{line:?} {told}");
        assert!(told["why"].as_str().is_some_and(|why| why.len() > 20), "{told}");
    }
    let no_rest = FILE.lines().filter(|line| !line.contains("REST") && !line.contains("CLUSTER"));
    let no_rest = no_rest.collect::<Vec<_>>().join("\n");
    let line = ["route", "--format", "json", "--credentials", "c", "GET", "/v2/topology"];
    let told = program(&line).file("c", &no_rest).end().json();
    assert!(told["why"].as_str().is_some_and(|why| why.contains("scopes.zeebe.address")), "{told}");
    for line in
        [&["G ET", "/"][..], &["GET", "http://[x"], &["GET", "/", "no colon"], &["GET", "/", "x y: z"]]
    {
        let ended = program(&["route", "--credentials", "c"]).file("c", FILE).arguments(line).end();
        assert_eq!((ended.status, ended.out.as_str()), (2, ""), "{line:?}");
    }
}

#[test]
fn a_decision_is_told_to_people_too() {
    let setup = program(&["route", "GET", "/operate/v1/incidents/1", "--credentials", "c"]).file("c", FILE);
    let ended = setup.end();
    assert!(ended.out.contains("scope      operate\n"), "{}", ended.out);
    assert!(ended.out.contains("https://operate.example/base/v1/incidents/1"), "{}", ended.out);
}

#[test]
fn a_token_shows_its_claims_and_itself_only_when_asked() {
    let camunda = Camunda::start();
    for (scope, audience) in [("zeebe", "zeebe.camunda.io"), ("operate", "operate.camunda.io")] {
        let told = camunda.command(&["token", scope, "--format", "json"]).end();
        let report = told.json();
        assert_eq!(report["claims"]["aud"], audience);
        assert_eq!(report["audience"], audience);
        assert!(report["expires_in"].as_str().is_some_and(|left| left.starts_with("23h")), "{report}");
        assert_eq!(report.get("token"), None);
        assert!(!(told.out + &told.err).contains("eyJ"));
    }
    let text = camunda.command(&["token", "zeebe"]).end();
    assert!(text.out.contains("zeebe.camunda.io") && !text.out.contains("eyJ"), "{}", text.out);
    let revealed = camunda.command(&["token", "zeebe", "--reveal", "--format", "json"]).end().json();
    let token = revealed["token"].as_str().expect("token");
    assert!(camunda.tokens.validate(token, "zeebe.camunda.io"));
}

#[test]
fn no_token_has_a_status_that_says_whose_fault_it_is() {
    let camunda = Camunda::start();
    let secret = ("CAMUNDA_PROXY_OAUTH__CLIENT_SECRET", "wr0ng-s3cr3t");
    let rejected = camunda.command(&["token", "zeebe"]).with(secret.0, secret.1).end();
    assert_eq!((rejected.status, rejected.out.as_str()), (1, ""), "{}", rejected.err);
    assert!(!rejected.err.contains(secret.1));
    let nobody = ("CAMUNDA_PROXY_OAUTH__URL", "http://127.0.0.1:1/oauth/token");
    let down = camunda.command(&["token", "zeebe"]).with(nobody.0, nobody.1).end();
    assert_eq!((down.status, down.out.as_str()), (69, ""), "{}", down.err);
    camunda.tokens.fail_next(1, Fault::TooManyRequests(Some(30)));
    assert_eq!(camunda.command(&["token", "zeebe"]).end().status, 69);
    let not_granted = camunda.command(&["token", "secrets"]).end();
    let says = "the credentials do not grant the scope `secrets`";
    assert!(not_granted.status == 78 && not_granted.err.contains(says), "{}", not_granted.err);
}

#[test]
fn a_callers_rules_are_explained_and_listed() {
    let toml = "anonymous = \"nowhere\"\n[[caller]]\nname = \"dashboard\"\nuid = 1\nread_only = true\n";
    let asked = |line: &[&str]| {
        let setup = program(&["route", "--format", "json", "--credentials", "c", "-c", "p.toml"]);
        let ended = setup.file("c", FILE).file("p.toml", toml).arguments(line).end();
        (ended.status, ended.json())
    };
    let (status, told) = asked(&["--caller", "dashboard", "POST", "/v2/process-instances/search"]);
    assert_eq!((status, &told["caller"]), (0, &serde_json::json!("dashboard")), "{told}");
    for (line, refused, why) in [
        (&["--caller", "dashboard", "POST", "/v2/process-instances"][..], "caller_denied", "read_only"),
        (&["--caller", "dashbord", "GET", "/v2/topology"], "caller_denied", "there is no `[[caller]]`"),
        (&["GET", "/v2/topology"], "caller_unknown", "wants to know who calls"),
    ] {
        let (status, told) = asked(line);
        assert_eq!((status, &told["refused"]), (1, &serde_json::json!(refused)), "{told}");
        assert!(told["why"].as_str().is_some_and(|text| text.contains(why)), "{told}");
    }
    let check = program(&["check", "--credentials", "c", "-c", "p.toml", "--format", "json"]);
    let told = check.file("c", FILE).file("p.toml", toml).end().json();
    assert_eq!(told["callers"][0]["proofs"], serde_json::json!(["unix user"]), "{told}");
    assert_eq!(told["anonymous"], "nowhere");
}
