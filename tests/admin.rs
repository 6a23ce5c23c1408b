//! The admin address: what it says while other things go wrong, and to whom.

use http::Method;

use crate::common::{Caller, setup, until};
use camunda_auth_proxy::sandbox::cluster::Fault;

#[tokio::test]
async fn readiness_does_not_follow_the_upstream() {
    let world = setup().start().await.ready().await;
    world.camunda.cluster().set_fault(Some(Fault::Close));
    assert_eq!(world.get("/v2/topology").await.status, 502);
    for page in ["/livez", "/readyz"] {
        assert_eq!(world.admin(page).await.status, 200, "{page}");
    }
}

#[tokio::test]
async fn random_paths_make_no_new_series() {
    let world = setup().start().await.ready().await;
    let paths = ["/v2/", "/nope/", "/v2/%2e%2e/"];
    let mut caller = world.http1().await;
    // Each scope's token brings series of its own.
    while world.admin("/startupz").await.status != 200 {}
    let mut series = Vec::new();
    for round in 0..2 {
        for n in 0..100 {
            for path in paths {
                let path = format!("{path}{round}-{n}");
                if let Err(error) = caller.send(Method::GET, &path, &[("user-agent", &path)], "").await {
                    panic!("{path}: {error:?}");
                }
                if path.contains("%2e") {
                    // Closed after what is malformed.
                    caller = world.http1().await;
                }
            }
        }
        let metrics = world.admin("/metrics").await.body;
        let names = String::from_utf8_lossy(&metrics)
            .lines()
            .map(|line| line.rsplit_once(' ').expect("a value").0.to_owned())
            .collect::<std::collections::BTreeSet<_>>();
        series.push(names);
    }
    let new: Vec<_> = series[1].difference(&series[0]).collect();
    assert!(new.is_empty(), "{new:?}");
    assert!(series[0].len() < 1000, "{series:?}");
}

#[tokio::test]
async fn a_web_page_gets_nothing_from_the_admin_address() {
    let world = setup().start().await;
    for (method, fields, status) in [
        (Method::POST, &[][..], 405),
        (Method::GET, &[("origin", "https://evil.example")], 403),
        (Method::GET, &[("host", "evil.example")], 403),
        (Method::GET, &[("sec-fetch-site", "cross-site")], 403),
    ] {
        let mut caller = Caller::http1(world.admin).await;
        let answer = caller.send(method, "/status", fields, "").await.expect("an answer");
        assert_eq!(answer.status.as_u16(), status, "{fields:?}");
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
    }
}

#[tokio::test]
async fn tokens_are_renewed_and_purged_by_hand_and_the_answer_says_what_comes_of_it() {
    let world = setup().start().await.ready().await;
    let tokens = world.camunda.authorization_server().clone();
    until("all tokens", || tokens.requests().len() == 4).await;
    let act = async |path: &str| {
        let mut caller = Caller::http1(world.admin).await;
        caller.send(Method::POST, path, &[("x-camunda-auth-proxy", "1")], "").await.expect("an answer")
    };
    let told = act("/tokens/renew?scope=zeebe").await;
    assert_eq!(told.status, 200);
    let told = told.json();
    assert_eq!(told["action"], "renew");
    assert_eq!(told["scopes"]["zeebe"]["result"], "queued", "{told}");
    assert!(told["scopes"]["zeebe"]["detail"].is_string());
    assert_eq!(told["scopes"].as_object().map(serde_json::Map::len), Some(1));
    until("the renewal", || tokens.requests().len() == 5).await;
    // While its answer is on the way, more demands join it.
    let told = loop {
        let told = act("/tokens/renew?scope=zeebe").await;
        if told.json()["scopes"]["zeebe"]["result"] != "joined" {
            break told;
        }
    };
    assert_eq!((told.status.as_u16(), &told.json()["scopes"]["zeebe"]["result"]), (429, &"refused".into()));
    assert!((50..=60).contains(&told.header("retry-after").parse::<u64>().expect("seconds")));
    let told = act("/tokens/purge").await.json();
    for scope in ["zeebe", "operate", "tasklist", "optimize"] {
        assert!(
            ["queued", "joined"].contains(&told["scopes"][scope]["result"].as_str().expect("a word")),
            "{told}"
        );
    }
    assert_eq!(world.get("/v2/topology").await.status, 200, "the next token is waited for");
    for (path, status) in
        [("/tokens/renew?scope=nope", 400), ("/tokens/renew?scope=secrets", 404), ("/tokens", 405)]
    {
        assert_eq!(act(path).await.status.as_u16(), status, "{path}");
    }
}

#[tokio::test]
async fn no_web_page_can_renew_or_purge_tokens() {
    let world = setup().start().await.ready().await;
    let before = world.camunda.authorization_server().requests().len();
    for path in ["/tokens/renew", "/tokens/purge"] {
        for (method, fields, status) in [
            (Method::GET, &[][..], 405),
            (Method::HEAD, &[], 405),
            (Method::OPTIONS, &[("origin", "https://evil.example")], 403),
            (Method::POST, &[("origin", "https://evil.example")], 403),
            (Method::POST, &[("origin", "null")], 403),
            (Method::POST, &[("host", "evil.example")], 403),
            (Method::POST, &[("sec-fetch-site", "cross-site")], 403),
            // Not without the field that says so, which no page can send unasked.
            (Method::POST, &[], 403),
            (Method::POST, &[("content-type", "text/plain")], 403),
            (Method::POST, &[("x_camunda_auth_proxy", "1")], 403),
            (Method::POST, &[("x-camunda-auth-proxy", "1"), ("origin", "https://evil.example")], 403),
            (Method::POST, &[("x-camunda-auth-proxy", "1"), ("sec-fetch-site", "same-site")], 403),
        ] {
            let mut caller = Caller::http1(world.admin).await;
            let answer = caller.send(method.clone(), path, fields, "").await.expect("an answer");
            assert_eq!(answer.status.as_u16(), status, "{method} {path} {fields:?}");
            assert_eq!(answer.header("allow"), if status == 405 { "POST" } else { "" });
            assert!(!answer.headers.contains_key("access-control-allow-origin"));
        }
    }
    assert!(world.camunda.authorization_server().requests().len() <= before.max(4));
}

/// The rules of the text format and of Prometheus' naming that `promtool check metrics` looks at.
#[tokio::test]
async fn metrics_keep_to_the_format_and_to_the_rules_for_names() {
    let world = setup().start().await.ready().await;
    for path in ["/v2/topology", "/nope", "/operate/v1/x"] {
        world.get(path).await;
    }
    let text = String::from_utf8(world.admin("/metrics").await.body.to_vec()).expect("text");
    assert!(text.ends_with("# EOF\n"));
    let mut kinds = std::collections::BTreeMap::new();
    let mut samples = std::collections::BTreeSet::new();
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.splitn(3, ' ');
            let (word, name, rest) =
                (words.next().expect("a word"), words.next().expect("a name"), words.next());
            assert!(name.starts_with("camunda_proxy_"), "{line}");
            match word {
                "HELP" => assert!(rest.is_some_and(|help| help.len() > 5), "{line}"),
                "TYPE" => assert!(kinds.insert(name, rest.expect("a type")).is_none(), "{line}"),
                "UNIT" => assert!(name.ends_with("_seconds") && rest == Some("seconds"), "{line}"),
                _ => panic!("{line}"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a value");
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert!(samples.insert(series), "twice: {line}");
        let name = series.split('{').next().expect("a name");
        let family = kinds.keys().rev().find(|family| name.starts_with(**family)).expect("a type before it");
        let suffixes: &[&str] = match kinds[family] {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_sum", "_count"],
            "info" => &["_info"],
            _ => &[""],
        };
        assert!(suffixes.contains(&&name[family.len()..]), "{line}");
        for bad in ["path", "url", "user", "/v2", "token=\""] {
            assert!(!series.contains(bad), "{line}");
        }
    }
    for (name, kind) in [
        ("token_requests", "counter"),
        ("token_request_duration_seconds", "histogram"),
        ("token_expiry_timestamp_seconds", "gauge"),
        ("token_last_success_timestamp_seconds", "gauge"),
        ("token_next_attempt_timestamp_seconds", "gauge"),
        ("token_state", "gauge"),
        ("token_waiters", "gauge"),
        ("token_wait_seconds", "histogram"),
        ("token_budget_wait_seconds", "histogram"),
        ("token_budget_remaining", "gauge"),
        ("client_authorization", "counter"),
        ("requests", "counter"),
        ("request_duration_seconds", "histogram"),
    ] {
        assert_eq!(kinds.get(format!("camunda_proxy_{name}").as_str()), Some(&kind), "{name}");
    }
    assert!(
        text.contains(
            r#"camunda_proxy_token_requests_total{scope="zeebe",idp="localhost",outcome="ok",reason=""} 1"#
        ),
        "{text}"
    );
    assert!(
        text.contains(r#"camunda_proxy_token_request_duration_seconds_count{scope="zeebe",outcome="ok"} 1"#),
        "{text}"
    );
    assert!(samples.len() < 500, "{}", samples.len());
}
