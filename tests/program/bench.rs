//! `bench`: what comes out of it, and whom it refuses to put load on.

use serde_json::Value;

use super::harness::{folder, program};

#[test]
fn a_run_tells_what_the_token_costs_and_writes_all_of_it() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (out, report) = (path("result.json"), path("report.html"));
    let line =
        "bench --duration 300ms --rate 100 --protocol rest --protocol grpc --protocol grpc-stream --out";
    let line: Vec<&str> = line.split(' ').chain([out.as_str(), "--report", &report]).collect();
    let ended = program(&line).end();
    assert_eq!(ended.status, 0, "{}", ended.err);
    assert!(
        ended.out.contains("What the token costs you") && ended.out.contains("Token requests: 4"),
        "{}",
        ended.out
    );
    assert!(!ended.err.contains("left"), "a progress bar without a terminal: {}", ended.err);
    let result: Value = serde_json::from_slice(&std::fs::read(&out).expect("a result")).expect("JSON");
    let series = result["series"].as_array().expect("series");
    assert_eq!(series.len(), 3);
    for series in series {
        for target in series["targets"].as_array().expect("targets") {
            assert_eq!(target["errors"], serde_json::json!({}), "{}", ended.out);
            assert!(target["ok"].as_u64() > Some(20), "{}", ended.out);
        }
        assert!(series["targets"][1]["cpu_per_request"]["estimate"].as_f64() > Some(1.0), "{}", ended.out);
        assert_eq!(series["differences"][1]["noise"], true);
    }
    let page = std::fs::read_to_string(&report).expect("a report");
    assert!(page.contains("<script") && !page.contains("eyJ"), "a token is in the page");

    let same = program(&["bench", "--compare", &out, &out]).end();
    assert_eq!(same.status, 0, "{}{}", same.out, same.err);
    assert!(same.out.contains("Nothing has become worse"), "{}", same.out);
    let worse = std::fs::read_to_string(&out)
        .expect("a result")
        .replace("\"errors\": {}", "\"errors\": {\"reset\": 99}");
    std::fs::write(path("worse.json"), worse).expect("written");
    let compared = program(&["bench", "--compare", &out, &path("worse.json")]).end();
    assert_eq!(compared.status, 1, "{}{}", compared.out, compared.err);
}

#[test]
fn a_drain_loses_no_request() {
    let ended = program(&["bench", "--scenario", "drain", "--rate", "200", "--duration", "1s"]).end();
    assert_eq!(ended.status, 0, "{}{}", ended.out, ended.err);
    assert!(ended.out.contains("0 requests were cut off"), "{}", ended.out);
}

#[test]
fn tokens_that_end_under_load_are_renewed_through_an_outage() {
    for (scenario, duration, shown) in [
        ("expiry", "8s", "renewals of tokens that live for 2.0 s"),
        ("outage", "12s", "1 token requests met the outage"),
    ] {
        let ended =
            program(&["bench", "--scenario", scenario, "--rate", "100", "--duration", duration]).end();
        assert_eq!(ended.status, 0, "{}{}", ended.out, ended.err);
        assert!(ended.out.contains(shown) && ended.out.contains("holds   0 of"), "{}", ended.out);
    }
}

#[test]
fn load_is_put_on_nobody_elses_server() {
    let ended = program(&["bench", "--target", "theirs=https://camunda.example.com"]).end();
    assert_eq!(ended.status, 2);
    assert!(ended.err.contains("--i-own-this-target"), "{}", ended.err);
    let ended = program(&["bench", "--rate", "1", "--saturate"]).end();
    assert_eq!(ended.status, 2, "a rate and no rate at once");
}
