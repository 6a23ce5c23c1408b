//! The contract's route table, both ways.

use http::Request;

use super::*;
use Leg::{Grpc, Rest};
use NoRoute::{Ambiguous, SecretsDisabled, Unknown};
use Scope::{Operate, Optimize, Secrets, Tasklist, Zeebe};

const CLUSTER: &str = "5c34c0a7-7f29-4424-8414-125615f7a9b9";

fn table() -> RouteTable {
    RouteTable::new(Some(CLUSTER.to_owned()))
}

/// `request` is `METHOD target`.
fn find(
    request: &str,
    grpc: bool,
    pinned: Option<Scope>,
    secrets: bool,
) -> Result<(Scope, Leg, &str, &str), Refusal> {
    let (method, target) = request.split_once(' ').unwrap();
    let route = table().find(&method.parse().unwrap(), target, grpc, pinned, secrets)?;
    Ok((route.scope, route.leg, route.prefix, route.path))
}

#[test]
fn every_line_of_the_contract_finds_its_scope() {
    for (request, scope, prefix, path) in [
        ("GET /zeebe/v2/topology", Zeebe, "/zeebe", "/v2/topology"),
        ("GET /zeebe", Zeebe, "/zeebe", ""),
        ("GET /zeebe/", Zeebe, "/zeebe", "/"),
        ("GET /zeebe/operate/x", Zeebe, "/zeebe", "/operate/x"),
        ("POST /operate/v1/process-instances/search", Operate, "/operate", "/v1/process-instances/search"),
        ("GET /operate/v1/variables/12", Operate, "/operate", "/v1/variables/12"),
        ("GET /operate?a=/b", Operate, "/operate", "?a=/b"),
        ("POST /tasklist/v1/tasks/search?x=%2f..", Tasklist, "/tasklist", "/v1/tasks/search?x=%2f.."),
        ("GET /tasklist/v1/variables/12", Tasklist, "/tasklist", "/v1/variables/12"),
        ("GET /optimize/api/readyz", Optimize, "/optimize", "/api/readyz"),
        ("GET /v2/topology", Zeebe, "", "/v2/topology"),
        ("GET /v2", Zeebe, "", "/v2"),
        ("PATCH /v2/user-tasks/1", Zeebe, "", "/v2/user-tasks/1"),
        ("DELETE /v2/documents/a%20b", Zeebe, "", "/v2/documents/a%20b"),
        ("GET /cluster/v2/status", Zeebe, "", "/cluster/v2/status"),
        ("POST /mcp/cluster", Zeebe, "", "/mcp/cluster"),
        ("POST /physical-tenants/t1/v2/jobs/search", Zeebe, "", "/physical-tenants/t1/v2/jobs/search"),
        ("GET /v1/topology", Zeebe, "", "/v1/topology"),
        ("GET /v1/topology?x", Zeebe, "", "/v1/topology?x"),
        ("POST /v1/user-tasks/3/completion", Zeebe, "", "/v1/user-tasks/3/completion"),
        ("POST /v1/tasks/search", Tasklist, "", "/v1/tasks/search"),
        ("PATCH /v1/tasks/7/assign", Tasklist, "", "/v1/tasks/7/assign"),
        ("POST /v1/tasks/7/variables/search", Tasklist, "", "/v1/tasks/7/variables/search"),
        ("GET /v1/forms/f", Tasklist, "", "/v1/forms/f"),
        ("POST /graphql", Tasklist, "", "/graphql"),
        ("POST /v1/process-definitions/search", Operate, "", "/v1/process-definitions/search"),
        ("GET /v1/process-definitions/1/xml", Operate, "", "/v1/process-definitions/1/xml"),
        ("DELETE /v1/process-instances/1", Operate, "", "/v1/process-instances/1"),
        ("GET /v1/process-instances/1/sequence-flows", Operate, "", "/v1/process-instances/1/sequence-flows"),
        ("POST /v1/incidents/search", Operate, "", "/v1/incidents/search"),
        ("GET /v1/flownode-instances/1", Operate, "", "/v1/flownode-instances/1"),
        ("POST /v1/decision-definitions/search", Operate, "", "/v1/decision-definitions/search"),
        ("GET /v1/decision-requirements/1/xml", Operate, "", "/v1/decision-requirements/1/xml"),
        ("GET /v1/decision-instances/1", Operate, "", "/v1/decision-instances/1"),
        ("GET /v1/drd/1/xml", Operate, "", "/v1/drd/1/xml"),
        ("POST /v1/variables/search", Operate, "", "/v1/variables/search"),
        ("GET /api/public/dashboard?x=1", Optimize, "", "/api/public/dashboard?x=1"),
        ("POST /api/ingestion/variable", Optimize, "", "/api/ingestion/variable"),
    ] {
        assert_eq!(find(request, false, None, false), Ok((scope, Rest, prefix, path)), "{request}");
    }
}

#[test]
fn everything_else_has_no_route() {
    for (request, why) in [
        ("GET /v1/variables/12", Ambiguous),
        ("GET /v1/variables/search", Ambiguous),
        ("POST /v1/variables/search/", Ambiguous),
        ("GET /secrets", SecretsDisabled),
        ("GET /secrets/x", SecretsDisabled),
        ("GET /", Unknown),
        ("GET /?/operate/", Unknown),
        ("GET /operatex/v1", Unknown),
        ("GET /Operate/v1", Unknown),
        ("GET /%6fperate/v1", Unknown),
        ("GET /operate;x/v1", Unknown),
        ("GET /v2-x", Unknown),
        ("GET /v1", Unknown),
        ("GET /v1/topology/x", Unknown),
        ("GET /v1/tasksx", Unknown),
        ("GET /v1/unknown", Unknown),
        ("GET /api/v1/files", Unknown),
        ("GET /api/publicx", Unknown),
        ("GET /api/login", Unknown),
        ("GET /cluster", Unknown),
        ("GET /clusters", Unknown),
        ("GET /secretsx", Unknown),
        ("GET /actuator/health", Unknown),
        ("GET /swagger-ui", Unknown),
        ("GET /v3/api-docs", Unknown),
        ("GET /00000000-7f29-4424-8414-125615f7a9b9/v2/topology", Unknown),
        ("GET /grpc.reflectionx/y", Unknown),
        ("GET /gateway_protocol.GatewayX/Topology", Unknown),
    ] {
        assert_eq!(find(request, false, None, false), Err(Refusal::NoRoute(why)), "{request}");
    }
}

#[test]
fn the_refusal_names_the_prefixes_to_use() {
    for prefix in ["/zeebe/", "/operate/", "/tasklist/", "/optimize/"] {
        assert!(Unknown.to_string().contains(prefix));
    }
    assert!(Ambiguous.to_string().contains("/operate/v1/variables/"));
    assert!(Ambiguous.to_string().contains("/tasklist/v1/variables/"));
}

#[test]
fn grpc_goes_to_zeebe_by_content_type_or_by_path() {
    for (request, by_content_type) in [
        ("POST /gateway_protocol.Gateway/Topology", false),
        ("POST /gateway_protocol.Gateway/Topology", true),
        ("POST /grpc.health.v1.Health/Check", false),
        ("POST /grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", false),
        ("POST /grpc.reflection.v1.ServerReflection/ServerReflectionInfo", true),
        ("POST /some.Other/Method", true),
        ("POST /operate/v1", true),
    ] {
        let path = request.split_once(' ').unwrap().1;
        for pinned in [None, Some(Zeebe)] {
            assert_eq!(
                find(request, by_content_type, pinned, false),
                Ok((Zeebe, Grpc, "", path)),
                "{request}"
            );
        }
        for scope in [Operate, Tasklist, Optimize, Secrets] {
            let refusal = Err(Refusal::NoRoute(NoRoute::NoGrpc(scope)));
            assert_eq!(find(request, by_content_type, Some(scope), true), refusal, "{request}");
        }
    }
}

#[test]
fn the_own_cluster_id_is_taken_off_once() {
    let once = format!("/{CLUSTER}");
    for (rest, grpc, scope, leg, prefix, path) in [
        ("/v2/topology", false, Zeebe, Rest, "", "/v2/topology"),
        ("/operate/v1/x", false, Operate, Rest, "/operate", "/v1/x"),
        ("/operate?q", false, Operate, Rest, "/operate", "?q"),
        ("/v1/tasks/1", false, Tasklist, Rest, "", "/v1/tasks/1"),
        ("/gateway_protocol.Gateway/Topology", true, Zeebe, Grpc, "", "/gateway_protocol.Gateway/Topology"),
    ] {
        let request = format!("GET {once}{rest}");
        let prefix = format!("{once}{prefix}");
        assert_eq!(find(&request, grpc, None, false), Ok((scope, leg, prefix.as_str(), path)), "{request}");
    }
    for rest in ["", "/", "?x", "x/v2", &format!("{once}/v2/topology")] {
        let request = format!("GET {once}{rest}");
        assert_eq!(find(&request, false, None, false), Err(Refusal::NoRoute(Unknown)), "{request}");
    }
    let anonymous = RouteTable::new(Some(String::new()));
    assert!(anonymous.find(&Method::GET, "/v2/topology", false, None, false).is_ok());
}

#[test]
fn a_pinned_listener_needs_no_prefix_and_knows_no_other_scope() {
    let whole = format!("/{CLUSTER}/operate");
    for (request, scope, prefix, path) in [
        ("GET /v1/variables/1".to_owned(), Operate, "", "/v1/variables/1"),
        ("GET /v1/variables/1".to_owned(), Tasklist, "", "/v1/variables/1"),
        ("GET /operate/v1/variables/1".to_owned(), Operate, "/operate", "/v1/variables/1"),
        (format!("GET {whole}/v1"), Operate, whole.as_str(), "/v1"),
        ("GET /operate/v1".to_owned(), Tasklist, "", "/operate/v1"),
        ("GET /v2/topology".to_owned(), Operate, "", "/v2/topology"),
        ("GET /".to_owned(), Optimize, "", "/"),
        ("GET /secrets".to_owned(), Zeebe, "", "/secrets"),
        ("GET /secrets".to_owned(), Secrets, "", "/secrets"),
    ] {
        assert_eq!(find(&request, false, Some(scope), false), Ok((scope, Rest, prefix, path)), "{request}");
    }
}

#[test]
fn secrets_are_served_where_they_are_enabled() {
    assert_eq!(find("GET /secrets", false, None, true), Ok((Secrets, Rest, "", "/secrets")));
}

#[test]
fn methods_that_would_show_the_token_or_open_a_tunnel_are_refused() {
    for method in ["TRACE", "TRACK", "CONNECT", "trace", "Track"] {
        for pinned in [None, Some(Operate)] {
            let request = format!("{method} /v2/topology");
            assert_eq!(find(&request, false, pinned, false), Err(Refusal::MethodRefused), "{method}");
        }
    }
}

#[test]
fn a_path_that_could_mean_another_is_refused_everywhere() {
    for pinned in [None, Some(Operate)] {
        for grpc in [false, true] {
            let found = find("GET /operate/..;/secrets", grpc, pinned, true);
            assert!(matches!(found, Err(Refusal::Malformed(_))), "{found:?}");
        }
    }
}

#[test]
fn only_a_path_is_a_target() {
    for (version, method, uri, expected) in [
        (Version::HTTP_11, "GET", "/v2/topology?x", Some("/v2/topology?x")),
        (Version::HTTP_2, "GET", "http://localhost/v2/topology?x", Some("/v2/topology?x")),
        (Version::HTTP_2, "POST", "https://localhost:1/a.B/C", Some("/a.B/C")),
        (Version::HTTP_11, "GET", "http://localhost/v2/topology", None),
        (Version::HTTP_10, "GET", "http://localhost/v2/topology", None),
        (Version::HTTP_11, "GET", "localhost", None),
        (Version::HTTP_11, "CONNECT", "localhost:443", None),
        (Version::HTTP_2, "CONNECT", "localhost:443", None),
        (Version::HTTP_2, "TRACE", "http://localhost/v2", None),
    ] {
        let head = Request::builder().version(version).method(method).uri(uri).body(()).unwrap().into();
        assert_eq!(target(&head).ok().map(|target| target.as_str()), expected, "{version:?} {method} {uri}");
    }
    let star = find("OPTIONS *", false, None, false);
    assert!(matches!(star, Err(Refusal::Malformed(_))), "{star:?}");
}

#[test]
fn grpc_is_known_by_the_front_of_the_content_type() {
    for (content_type, grpc) in [
        ("application/grpc", true),
        ("application/grpc+proto", true),
        ("Application/GRPC;x", true),
        ("application/grpc-web", true),
        ("application/json", false),
        ("application/grp", false),
        ("text/application/grpc", false),
    ] {
        let headers = Headers::from_iter([(CONTENT_TYPE, content_type.parse().unwrap())]);
        assert_eq!(is_grpc(&headers), grpc, "{content_type}");
    }
    assert!(!is_grpc(&Headers::default()));
}

#[test]
fn a_decision_explains_itself() {
    let table = table();
    let route = table.find(&Method::POST, "/operate/v1/x?q", false, None, false).unwrap();
    let explained = serde_json::to_value(route.explain()).unwrap();
    let expected = serde_json::json!({
        "rule": "/operate/…", "scope": "operate", "leg": "rest", "prefix": "/operate", "path": "/v1/x?q", "held": false,
    });
    assert_eq!(explained, expected);
}
