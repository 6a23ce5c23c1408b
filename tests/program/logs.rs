//! Logs: one access line for each request, JSON where there is no terminal, and never anything secret.

use std::time::Duration;

use camunda_auth_proxy::sandbox::Config;
use camunda_auth_proxy::secret::Secret;

use super::harness::{Caller, Camunda, call, eventually};

#[test]
fn each_request_has_one_line_at_its_end() {
    let camunda = Camunda::start();
    let proxy = camunda.proxy().start().ready();
    for (method, path, status, scope, reason) in [
        ("GET", "/v2/topology?token=hidden", 200, Some("zeebe"), None),
        ("GET", "/v2/nowhere", 404, Some("zeebe"), None),
        ("GET", "/nowhere?x=hidden", 404, None, Some("no_route")),
        ("TRACE", "/v2/topology", 405, None, Some("method_refused")),
    ] {
        let answer = call(proxy.listeners[0], method, path, &[]);
        assert_eq!(answer.status, status, "{answer:?}");
        let plain = path.split('?').next();
        let line = eventually("its line", || {
            let lines = proxy.lines();
            lines.into_iter().rfind(|line| {
                line["target"] == "access" && line["path"].as_str() == plain && line["method"] == method
            })
        });
        assert_eq!((line["status"].as_u64(), line["scope"].as_str()), (Some(status.into()), scope), "{line}");
        assert_eq!(line["reason"].as_str(), reason, "{line}");
        assert_eq!(line["origin"], if reason.is_some() { "proxy" } else { "upstream" });
        assert_eq!(line["protocol"], "http1");
        assert!(line["total_ms"].is_number() && line["bytes_out"].is_number(), "{line}");
    }
    let text = proxy.err.text();
    assert!(!text.contains("hidden"), "{text}");
    let lines = text.lines().count();
    assert_eq!(proxy.lines().len(), lines, "every line is an object: {text}");
    assert_eq!(proxy.lines().iter().filter(|line| line["target"] == "access").count(), 4);
}

#[test]
fn a_request_whose_caller_leaves_before_its_answer_is_no_success() {
    let camunda = Camunda::start();
    let proxy = camunda.proxy().with("CAMUNDA_PROXY_LOG__ACCESS", "errors").start().ready();
    camunda.cluster.clear();
    camunda.cluster.hold_unary(Duration::from_secs(60));
    let mut caller = Caller::new(proxy.listeners[0]);
    caller.send("GET", "/v2/topology", &[]).expect("sent");
    eventually("the request upstream", || (!camunda.cluster.requests().is_empty()).then_some(()));
    drop(caller);
    let line = eventually("its line", || proxy.lines().into_iter().find(|line| line["target"] == "access"));
    assert_eq!((&line["origin"], &line["aborted"]), (&"none".into(), &true.into()), "{line}");
    assert!(line["status"].is_null() && line["reason"].is_null(), "{line}");
    let counted = r#"requests_total{scope="zeebe",protocol="http1",code_class="",origin="none",reason=""} 1"#;
    assert!(proxy.ask("/metrics").body.contains(counted), "{}", proxy.ask("/metrics").body);
}

#[test]
fn the_format_and_the_lines_can_be_chosen() {
    let camunda = Camunda::start();
    let human = camunda.proxy().with("CAMUNDA_PROXY_LOG__FORMAT", "human").spawn();
    eventually("a line", || human.err.text().contains("listening").then_some(()));
    assert!(human.lines().is_empty() && !human.err.text().contains('\u{1b}'), "{}", human.err.text());
    let quiet = camunda.proxy().with("CAMUNDA_PROXY_LOG__ACCESS", "errors").start().ready();
    assert_eq!((quiet.get("/v2/topology").status, quiet.get("/nowhere").status), (200, 404));
    let line = eventually("a line", || quiet.lines().into_iter().find(|line| line["target"] == "access"));
    assert_eq!(line["path"], "/nowhere");
}

/// Searches everything that can be read of a proxy at its most talkative.
#[test]
fn nothing_secret_is_found_in_any_output() {
    let planted = "CANARY-s3cr3t.~planted";
    let mut config = Config { token_rate_limit: false, ..Config::default() };
    config.client_secret = Secret::from(planted);
    // TLS, so that its libraries may talk too.
    let camunda = Camunda::with(config);
    let scopes = ["OAUTH", "SCOPES__ZEEBE", "SCOPES__OPERATE", "SCOPES__TASKLIST", "SCOPES__OPTIMIZE"];
    let setup = scopes.iter().fold(camunda.proxy(), |setup, table| {
        setup.with(&format!("CAMUNDA_PROXY_{table}__CA_FILE"), &camunda.ca())
    });
    let proxy = setup.with("CAMUNDA_PROXY_LOG__LEVEL", "trace").start().complete();
    let mut outputs = Vec::new();
    let own = [("authorization", "Basic CANARY-caller"), ("cookie", "session=CANARY-cookie")];
    for path in ["/v2/topology?q=CANARY-query", "/operate/v1/incidents/1", "/nowhere", "/v2/%2e%2e/x"] {
        let answer = call(proxy.listeners[0], "GET", path, &own);
        outputs.push(format!("{answer:?}"));
    }
    for path in ["/status", "/metrics", "/readyz", "/", "/nowhere"] {
        outputs.push(format!("{:?}", call(proxy.admin, "GET", path, &own)));
    }
    let seen = camunda.cluster.requests();
    assert!(seen.len() >= 2 && proxy.err.text().contains("\"TRACE\""), "it says all it can");
    outputs.push(proxy.err.text());
    outputs.push(proxy.out.text());
    let token = camunda.tokens.issue("zeebe.camunda.io");
    for output in outputs {
        for secret in ["CANARY", "eyJ", token.as_str()] {
            let at = output
                .find(secret)
                .map(|at| output[at.saturating_sub(200)..(at + 60).min(output.len())].to_owned());
            assert_eq!(at, None, "{secret}");
        }
    }
}
