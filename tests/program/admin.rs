//! The admin address: probes, status and metrics, and who may ask for them.

use std::collections::BTreeSet;

use super::harness::{Camunda, call, eventually, program};

#[test]
fn the_admin_address_answers_what_it_has_to_those_who_may_ask() {
    let camunda = Camunda::start();
    let proxy = camunda.proxy().start().ready();
    for (method, path, headers, status) in [
        ("GET", "/livez", &[][..], 200),
        ("GET", "/readyz", &[], 200),
        ("GET", "/status", &[], 200),
        ("GET", "/metrics", &[], 200),
        ("GET", "/", &[], 200),
        ("HEAD", "/livez", &[], 200),
        ("GET", "/readyz?verbose", &[], 200),
        ("GET", "/nowhere", &[], 404),
        ("GET", "/v2/topology", &[], 404),
        ("POST", "/status", &[], 405),
        ("DELETE", "/livez", &[], 405),
        ("GET", "/status", &[("host", "evil.example")], 403),
        ("GET", "/metrics", &[("origin", "http://evil.example")], 403),
        ("GET", "/metrics", &[("sec-fetch-site", "cross-site")], 403),
        ("POST", "/status", &[("origin", "http://evil.example")], 403),
    ] {
        let answer = call(proxy.admin, method, path, headers);
        assert_eq!(answer.status, status, "{method} {path} {headers:?} {answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
    // The callers' address has none of it.
    assert_eq!(proxy.get("/status").json()["reason"], "no_route");
}

#[test]
fn status_tells_addresses_scopes_and_tokens_but_nothing_secret() {
    let camunda = Camunda::start();
    let proxy = camunda.proxy().start().complete();
    assert_eq!(proxy.get("/v2/topology").status, 200);
    let answer = proxy.ask("/status");
    let status = answer.json();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["ready"], true);
    assert_eq!(status["addresses"]["listeners"][0], proxy.listeners[0].to_string());
    assert_eq!(status["addresses"]["admin"], proxy.admin.to_string());
    for (scope, upstream) in [
        ("zeebe", &camunda.addresses.zeebe_rest),
        ("operate", &camunda.addresses.operate),
        ("tasklist", &camunda.addresses.tasklist),
        ("optimize", &camunda.addresses.optimize),
    ] {
        let told = &status["scopes"][scope];
        assert_eq!(told["upstream"]["rest"], *upstream, "{told}");
        assert_eq!(told["audience"], format!("{scope}.camunda.io"));
        assert_eq!(told["state"], "valid");
        assert!(told["expires_at"].as_str().is_some_and(|end| end.ends_with('Z')));
        assert!(told["last_error"].is_null());
    }
    let printed = program(&["status", "--admin", &proxy.admin.to_string()]).end();
    assert!(printed.status == 0 && printed.out.contains("zeebe.camunda.io"), "{}", printed.out);
    let health = program(&["healthcheck", "--admin", &proxy.admin.to_string()]).end();
    assert_eq!((health.status, health.out.as_str(), health.err.as_str()), (0, "", ""));
    for text in [answer.body, proxy.ask("/metrics").body, printed.out] {
        assert!(!text.contains(&camunda.secret) && !text.contains("eyJ"), "{text}");
    }
}

/// The series of a scrape, each line looked at as a scraper would.
fn series(text: &str) -> BTreeSet<String> {
    let mut series = BTreeSet::new();
    let (body, end) = text.split_at(text.len() - "# EOF\n".len());
    assert_eq!(end, "# EOF\n");
    let mut families = BTreeSet::new();
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (kind, name, rest) = (words.next(), words.next().expect("name"), words.next().expect("text"));
            assert!(matches!(kind, Some("HELP" | "TYPE" | "UNIT")), "{line}");
            if kind == Some("TYPE") {
                assert!(matches!(rest, "counter" | "gauge" | "histogram" | "info"), "{line}");
                assert!(families.insert(name.to_owned()), "{name} is declared twice");
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').expect(line);
        assert!(name.starts_with("camunda_proxy_"), "{line}");
        value.parse::<f64>().expect(line);
        let plain = name.split('{').next().expect(line);
        let suffixes = ["", "_total", "_sum", "_count", "_bucket", "_info"];
        let family = |suffix: &&str| plain.strip_suffix(*suffix).is_some_and(|name| families.contains(name));
        assert!(suffixes.iter().any(family), "{line} belongs to nothing");
        assert_eq!(name.matches('{').count(), name.matches('}').count(), "{line}");
        assert!(series.insert(name.to_owned()), "{name} is there twice");
    }
    let buckets: Vec<&String> = series.iter().filter(|name| name.contains("_bucket{")).collect();
    assert_eq!(buckets.is_empty(), !buckets.iter().any(|name| name.contains("le=\"+Inf\"")), "{buckets:?}");
    series
}

/// How many requests have these labels.
fn counted(scraped: &str, labels: &str) -> Option<u64> {
    let line = scraped.lines().find(|line| line.contains("requests_total") && line.contains(labels));
    line?.rsplit(' ').next()?.parse().ok()
}

#[test]
fn metrics_can_be_scraped_and_do_not_grow_with_what_callers_send() {
    let camunda = Camunda::start();
    let proxy = camunda.proxy().start().complete();
    let mut caller = super::harness::Caller::new(proxy.listeners[0]);
    let request = |caller: &mut super::harness::Caller, n: usize| {
        let agent = format!("agent-{n}");
        for path in [format!("/v2/{n:x}-{}", n * 7919), format!("/x{n}?q={n}"), format!("/{n}/v2/topology")] {
            caller.call("GET", &path, &[("user-agent", &agent)]).expect("answer");
        }
    };
    request(&mut caller, 0);
    let before = series(&proxy.ask("/metrics").body);
    (1..=334).for_each(|n| request(&mut caller, n));
    // The last answer may be counted a moment after it has come.
    let scraped = eventually("count of all requests", || {
        let scraped = proxy.ask("/metrics").body;
        (counted(&scraped, "reason=\"no_route\"") == Some(670)).then_some(scraped)
    });
    assert_eq!(series(&scraped), before);
    assert!(before.len() < 300, "{} series", before.len());
    assert_eq!(counted(&scraped, "code_class=\"4xx\""), Some(335));
    for name in
        ["token_expiry_timestamp_seconds{scope=\"zeebe\"}", "build_info{version=", "token_requests_total"]
    {
        assert!(scraped.contains(name), "{name}");
    }
}

#[test]
fn the_process_is_small_and_listens_soon() {
    let camunda = Camunda::start();
    let proxy = camunda.proxy().start();
    let listening = proxy.started.elapsed();
    let proxy = proxy.complete();
    let status = std::fs::read_to_string(format!("/proc/{}/status", proxy.id())).expect("status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    let kib: u64 = line.split_whitespace().nth(1).expect("KiB").parse().expect("number");
    println!("listening after {listening:?}, {} MiB when idle", kib / 1024);
    assert!(listening < std::time::Duration::from_secs(3), "{listening:?}");
    assert!(kib < 40 * 1024, "{kib} KiB");
}

#[test]
fn the_workers_beat_and_the_process_stays_live() {
    let camunda = Camunda::start();
    let proxy = camunda.proxy().start();
    assert_eq!(proxy.ask("/livez").status, 200);
    eventually("start-up", || (proxy.ask("/startupz").status == 200).then_some(()));
}
