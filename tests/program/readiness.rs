//! Readiness never lies: before the first token, without a token endpoint, with credentials that were refused.

use std::time::Duration;

use camunda_auth_proxy::sandbox::authorization_server::Fault;

use super::harness::{Camunda, eventually, get, program, write};

#[test]
fn a_dead_token_endpoint_is_told_and_kills_nothing() {
    let camunda = Camunda::start();
    let proxy = camunda.proxy().with("CAMUNDA_PROXY_OAUTH__URL", "http://127.0.0.1:1/oauth/token");
    let proxy = proxy.with("CAMUNDA_PROXY_OAUTH__WAIT", "100ms").start();
    let why = eventually("a reason", || {
        let answer = proxy.ask("/readyz");
        assert_eq!(answer.status, 503, "{answer:?}");
        answer.body.contains("failing").then_some(answer.body)
    });
    assert!(why.contains("zeebe: failing (") && why.contains("refused"), "{why}");
    assert_eq!(proxy.ask("/livez").status, 200);
    let status = proxy.ask("/status").json();
    assert_eq!(status["ready"], false);
    assert_eq!(status["scopes"]["zeebe"]["state"], "failing");
    assert_eq!(status["scopes"]["zeebe"]["last_error"]["cause"], "transient");
    let answer = proxy.get("/v2/topology");
    assert_eq!((answer.status, &answer.json()["reason"]), (503, &"token_endpoint_unavailable".into()));
    assert!(answer.header("proxy-status").starts_with("camunda-auth-proxy;"));
    let health = program(&["healthcheck", "--admin", &proxy.admin.to_string()]).end();
    assert_eq!(health.status, 1);
    assert!(health.err.contains("not ready: no scope has a token"), "{}", health.err);
}

#[test]
fn requests_before_the_first_token_wait_for_it_and_are_answered() {
    let camunda = Camunda::start();
    camunda.tokens.fail_next(1, Fault::ServerError);
    let proxy = camunda.proxy().start();
    assert_eq!(proxy.ask("/readyz").status, 503);
    let address = proxy.listeners[0];
    let callers: Vec<_> = (0..20)
        .map(|n| {
            let path = ["/v2/topology", "/zeebe/v2/topology"][n % 2];
            std::thread::spawn(move || get(address, path))
        })
        .collect();
    for caller in callers {
        let answer = caller.join().expect("called");
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let asked = camunda.tokens.requests();
    let zeebe = asked.iter().filter(|seen| seen.audience.as_deref() == Some("zeebe.camunda.io"));
    assert!(zeebe.count() <= 2, "{asked:?}");
    assert_eq!(proxy.ask("/readyz").status, 200);
}

#[test]
fn refused_credentials_are_told_and_a_mended_file_is_taken_at_once() {
    let camunda = Camunda::start();
    camunda.tokens.set_rejection_delay(Duration::ZERO);
    let folder = camunda.file();
    let folder = folder.parent().expect("folder");
    write(folder, "credentials.txt", camunda.credentials.replace(&camunda.secret, "wr0ng-s3cr3t"));
    let proxy = camunda.proxy().start();
    let why = eventually("a refusal", || {
        let answer = proxy.ask("/readyz");
        assert_eq!(answer.status, 503, "{answer:?}");
        answer.body.contains("rejected").then_some(answer.body)
    });
    assert!(!why.contains("wr0ng"), "{why}");
    let answer = proxy.get("/v2/topology");
    assert_eq!((answer.status, &answer.json()["reason"]), (503, &"credentials_rejected".into()));
    assert_eq!(proxy.ask("/status").json()["scopes"]["zeebe"]["state"], "rejected");
    let refused = camunda.tokens.request_count();
    assert!(refused <= 2, "{refused} requests with credentials that are wrong");

    write(folder, "credentials.txt", &camunda.credentials);
    let mended = std::time::Instant::now();
    eventually("readiness", || (proxy.ask("/readyz").status == 200).then_some(()));
    assert!(mended.elapsed() < Duration::from_secs(5), "{:?}", mended.elapsed());
    assert_eq!(proxy.get("/v2/topology").status, 200);
    let good = camunda.tokens.requests().iter().filter(|seen| seen.status == 200).count();
    assert!(good <= 4 && camunda.tokens.request_count() <= refused + 4);
}

#[test]
fn a_file_that_breaks_changes_nothing() {
    let camunda = Camunda::start();
    let proxy = camunda.proxy().start().complete();
    write(camunda.file().parent().expect("folder"), "credentials.txt", "<html>");
    let mut proxy = proxy;
    let line = proxy.line("a changed file is not valid; what was read before stays in force");
    assert!(line["problems"].as_str().is_some_and(|problems| problems.contains("web page")), "{line}");
    assert_eq!((proxy.ask("/readyz").status, proxy.get("/v2/topology").status), (200, 200));
    assert_eq!(camunda.tokens.request_count(), 4);
}
