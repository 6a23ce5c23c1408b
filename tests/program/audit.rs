//! The record of who was let in: a line for each refusal, and for each decision where that is wanted.

use super::harness::{Camunda, Running, call, eventually};

const KEY: &str = "0123456789abcdef0123456789abcdef";
const CALLER: &str = "[[caller]]\nname = \"dashboard\"\n\
    key_sha256 = \"3eb1bd439947eb762998e566ccc2e099c791118b2f40579cc4f7da2b5061b7f9\"\n\
    scopes = [\"zeebe\"]\nread_only = true\nrate = 2\n";

/// A method, a path, fields, the status, and the reason on its line.
type Ask<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], u16, &'a str);

fn audited(proxy: &Running) -> Vec<serde_json::Value> {
    proxy.lines().into_iter().filter(|line| line["target"] == "audit").collect()
}

#[test]
fn each_refusal_has_one_line_that_says_whom_what_and_why() {
    let camunda = Camunda::start();
    let proxy = camunda.proxy().file("proxy.toml", CALLER).start().ready();
    let (key, foreign) = (format!("Bearer {KEY}"), [("origin", "https://evil.example")]);
    let own = [("authorization", key.as_str())];
    let asked: &[Ask<'_>] = &[
        ("GET", "/v2/topology?token=hidden", &[("host", "evil.example")], 421, "host_denied"),
        ("POST", "/v2/process-instances", &foreign, 403, "origin_denied"),
        ("POST", "/v2/process-instances", &own, 403, "caller_denied"),
        ("GET", "/operate/v1/x", &own, 403, "caller_denied"),
        ("POST", "/oauth/token", &foreign, 403, "origin_denied"),
        ("GET", "/v2/topology", &own, 200, ""),
        ("GET", "/v2/topology", &own, 200, ""),
        ("GET", "/v2/topology", &own, 429, "quota_exceeded"),
        ("GET", "/nowhere", &[], 404, ""),
        ("GET", "/v2/topology", &[], 200, ""),
    ];
    for (method, path, fields, status, _) in asked {
        assert_eq!(call(proxy.listeners[0], method, path, fields).status, *status, "{method} {path}");
    }
    let admin: &[Ask<'_>] = &[
        ("GET", "/status", &[("host", "evil.example")], 403, "host_denied"),
        ("GET", "/metrics", &foreign, 403, "origin_denied"),
        ("POST", "/tokens/purge", &[], 403, "caller_denied"),
        ("GET", "/status", &[], 200, ""),
    ];
    for (method, path, fields, status, _) in admin {
        assert_eq!(call(proxy.admin, method, path, fields).status, *status, "{method} {path}");
    }
    let expected: Vec<&Ask<'_>> =
        asked.iter().chain(admin).filter(|(.., reason)| !reason.is_empty()).collect();
    let lines = eventually("their lines", || {
        let lines = audited(&proxy);
        (lines.len() >= expected.len()).then_some(lines)
    });
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    // Each thread writes its own, so that they do not come in the order of the requests.
    for (method, path, fields, _, reason) in expected {
        let path = path.split('?').next();
        let is_its = |line: &&serde_json::Value| {
            let what = (line["method"].as_str(), line["path"].as_str(), line["reason"].as_str());
            what == (Some(*method), path, Some(*reason))
        };
        let its: Vec<_> = lines.iter().filter(is_its).collect();
        let [line] = its[..] else { panic!("{method} {path:?} {reason}: {its:#?}") };
        assert_eq!(line["decision"], "refused");
        let known = fields.first().is_some_and(|(name, _)| *name == "authorization");
        assert_eq!(line["caller"].as_str(), known.then_some("dashboard"), "{line}");
        assert!(line["detail"].as_str().is_some_and(|why| why.len() > 20) && line["listener"].is_string());
    }
    let text = proxy.err.text();
    assert!(!text.contains(KEY) && !text.contains("hidden") && !text.contains("3eb1bd43"), "{text}");
}

#[test]
fn every_decision_has_a_line_where_that_is_wanted_and_none_where_it_is_not() {
    let camunda = Camunda::start();
    for (audit, expected) in [("all", &["let in", "refused", "refused"][..]), ("off", &[])] {
        let mut proxy = camunda.proxy().with("CAMUNDA_PROXY_ACCESS__AUDIT", audit).start().ready();
        assert_eq!(proxy.get("/v2/topology").status, 200);
        assert_eq!(call(proxy.listeners[0], "GET", "/v2/topology", &[("host", "evil.example")]).status, 421);
        assert_eq!(call(proxy.admin, "GET", "/", &[("host", "evil.example")]).status, 403);
        // Whatever there is to tell has been told at its end.
        proxy.signal(rustix::process::Signal::TERM);
        assert_eq!(proxy.status(), 0);
        let mut decisions: Vec<_> = audited(&proxy).iter().map(|line| line["decision"].clone()).collect();
        decisions.sort_by_key(ToString::to_string);
        assert_eq!(decisions, expected, "{audit}");
    }
}
