//! Where a request may go: forms of the target, and paths out of the base.

use super::{Answer, Case, End, Pass, get, judge_all};

#[tokio::test]
async fn only_a_path_of_our_own_is_a_target() {
    let line = |line: &str| -> Vec<u8> { format!("{line} HTTP/1.1\r\nhost: localhost\r\n\r\n").into() };
    let refused = Answer(405, "method_refused");
    let cases: &[Case] = &[
        ("our own URL", line("GET http://localhost/v2/x"), End(400)),
        ("another's URL", line("GET http://evil.example/v2/x"), End(400)),
        ("another's URL in TLS", line("GET https://evil.example/v2/x"), End(400)),
        ("another's URL with a user", line("GET http://localhost@evil.example/v2/x"), End(400)),
        ("a URL of another kind", line("GET file:///etc/passwd"), End(400)),
        ("a URL without a scheme", line("GET //evil.example/v2/x"), End(400)),
        ("a URL without slashes", line("GET http:/v2/x"), End(400)),
        ("a name", line("GET localhost"), End(400)),
        ("a name and a port", line("GET localhost:8080"), End(400)),
        ("a name and a path", line("GET localhost/v2/x"), End(400)),
        ("an asterisk", line("OPTIONS *"), End(400)),
        ("an asterisk with GET", line("GET *"), End(400)),
        ("a query alone", line("GET ?x"), End(400)),
        ("a dot", line("GET ."), End(400)),
        ("CONNECT", line("CONNECT evil.example:443"), refused),
        ("CONNECT to ourselves", line("CONNECT localhost:26500"), refused),
        ("CONNECT to a path", line("CONNECT /v2/x"), refused),
        ("TRACE", line("TRACE /v2/x"), refused),
        ("TRACE in small letters", line("trace /v2/x"), refused),
        ("TRACK", line("TRACK /v2/x"), refused),
        // A fragment is gone before anybody reads the path.
        ("a fragment", get("/v2/x#/../../y"), Pass("")),
        ("no route", line("GET /nowhere"), Answer(404, "no_route")),
        ("a prefix that only begins like a route", line("GET /v2x"), Answer(404, "no_route")),
        ("a route in capitals", line("GET /V2/x"), Answer(404, "no_route")),
        (
            "a query with everything that a path may not have",
            get("/v2/x?a=../../%2f%5c//;&b=%00&c=..%2f&d=http://evil.example/"),
            Pass(""),
        ),
    ];
    judge_all(cases).await;
}

#[tokio::test]
async fn a_path_that_another_server_could_read_as_leaving_its_base_goes_nowhere() {
    let cases: Vec<Case> = [
        "/v2/..",
        "/v2/../operate/v1/x",
        "/v2/x/../../..",
        "/v2/.",
        "/v2/./x",
        "/../v2/x",
        "/./v2/x",
        "/v2/%2e%2e/x",
        "/v2/%2E%2E/x",
        "/v2/.%2e/x",
        "/v2/%2e./x",
        "/v2/%2e/x",
        "/%2e%2e/v2/x",
        "/v2/%252e%252e/x",
        "/v2/%25252e%25252e/x",
        "/v2/%2%65%2e/x",
        "/v2/%%32e%%32e/x",
        "/v2/..;/x",
        "/v2/..;a=b/x",
        "/v2/;/x",
        "/v2/.;/x",
        "/v2/%2e%2e;/x",
        "/v2/..%3b/x",
        "/v2/..%253b/x",
        "/v2/..%2fx",
        "/v2/..%2Fx",
        "/v2%2fx",
        "/v2/x%2f..%2f..%2fy",
        "/v2/%252fx",
        "/v2/x%25252fy",
        "/v2/..\\x",
        "/v2\\x",
        "\\v2\\x",
        "/\\evil.example",
        "/v2/..%5cx",
        "/v2%5c..%5cx",
        "/v2/%255cx",
        "//v2/x",
        "/v2//x",
        "/v2/x//",
        "///v2/x",
        "//evil.example/v2/x",
        "/v2/x//../y",
        "/v2/%00",
        "/v2/x%00.json",
        "/v2/%2500",
        "/v2/%0d%0aevil:%20x",
        "/v2/%0a",
        "/v2/%09",
        "/v2/%7f",
        "/v2/x%1b",
        "/v2/%c0%ae%c0%ae/x",
        "/v2/%c0%af..",
        "/v2/%e0%80%ae/x",
        "/v2/%f0%80%80%ae/x",
        "/v2/%ff",
        "/v2/%fe%fe",
        "/v2/%",
        "/v2/%2",
        "/v2/%zz",
        "/v2/%u002e%u002e/x",
        "/v2/x%",
        "/v2/x%2",
    ]
    .map(|path| (path, get(path), End(400)))
    .to_vec();
    judge_all(&cases).await;
}
