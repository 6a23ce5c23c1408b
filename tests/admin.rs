//! The admin address: what it says while other things go wrong, and to whom.

use http::Method;

use crate::common::{Caller, setup};
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
