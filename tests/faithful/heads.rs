//! Heads: what is in them, in which order, in both directions.

use super::cell::{all, in_each, rest};
use super::fields::Fields;
use super::http1::Framing;
use super::upstream::Asked;

/// Repeated fields, octets beyond ASCII (RFC 9110 §5.5), empty values, and names that are not in alphabetical order.
const FIELDS: [(&str, &str); 9] = [
    ("x-zeta", "1"),
    ("x-alpha", "caf\u{e9} \u{80}\u{ff}"),
    ("x-zeta", "2, 3"),
    ("x-empty", ""),
    ("x-quoted", "\"a, \\\"b\""),
    ("x-beta-bin", "AAEC/w=="),
    ("x-zeta", "4"),
    ("x-tab", "a\tb"),
    ("x-last", ";"),
];

/// What the `h2` crate of the caller or of the upstream makes of their order: each name where it came first, its values side
/// by side.
const GROUPED: [&str; 9] =
    ["x-zeta", "x-zeta", "x-zeta", "x-alpha", "x-empty", "x-quoted", "x-beta-bin", "x-tab", "x-last"];

fn assert_same(fields: &Fields, grouped: bool) {
    assert_eq!(fields.names("x-"), if grouped { GROUPED } else { FIELDS.map(|(name, _)| name) });
    for (name, _) in FIELDS {
        let sent: Vec<_> =
            FIELDS.iter().filter(|(other, _)| *other == name).map(|(_, value)| *value).collect();
        assert_eq!(fields.all(name), sent, "{name}");
    }
}

#[tokio::test]
async fn a_requests_fields_arrive_in_order_with_every_octet() {
    let script = async |mut asked: Asked| {
        assert_same(&asked.fields, asked.wish() == "grouped" || asked.outgoing.is_http2());
        assert_eq!(asked.fields.one("user-agent"), "zeebe-client-java/8.8");
        assert_eq!(asked.fields.one("accept-encoding"), "gzip, br;q=0.5");
        assert_eq!(
            asked.fields.one("traceparent"),
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        );
        assert_eq!(asked.fields.all("via"), ["1.0 before", "1.1 camunda-auth-proxy"]);
        assert!(asked.fields.one("authorization").starts_with("Bearer ey"));
        assert_eq!(asked.fields.has("host"), !asked.outgoing.is_http2());
        asked.whole().await;
        asked.answer(204, &[], Framing::Empty).await;
    };
    in_each(all(), script, async |to| {
        let mut fields = FIELDS.to_vec();
        fields.extend([
            ("user-agent", "zeebe-client-java/8.8"),
            ("accept-encoding", "gzip, br;q=0.5"),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("via", "1.0 before"),
            ("authorization", "Basic c3RhbGU6dG9rZW4="),
        ]);
        let wish = if to.cell.incoming.is_http2() { "grouped" } else { "x" };
        let (answer, _) = to.ask("POST", wish, &fields, b"body").await;
        assert_eq!(answer.status, 204);
    })
    .await;
}

#[tokio::test]
async fn an_answers_fields_arrive_in_order_with_every_octet() {
    let script = async |asked: Asked| {
        let mut fields = FIELDS.to_vec();
        fields.extend([
            ("date", "Mon, 01 Jan 2024 00:00:00 GMT"),
            ("server", "Camunda"),
            ("set-cookie", "a=1; Path=/"),
            ("set-cookie", "b=2; Path=/, x"),
            ("set-cookie", "c=3"),
            ("location", "https://elsewhere.example/base/v2/x"),
            ("www-authenticate", "Basic realm=\"x\""),
            ("retry-after", "7"),
        ]);
        asked.answer_whole(418, &fields, b"tea").await;
    };
    in_each(rest(), script, async |to| {
        let (answer, whole) = to.ask("POST", "x", &[], b"body").await;
        assert_eq!((answer.status, &whole.body[..]), (418, &b"tea"[..]));
        assert_same(&answer.fields, to.cell.incoming.is_http2() || to.cell.outgoing.is_http2());
        assert_eq!(answer.fields.one("date"), "Mon, 01 Jan 2024 00:00:00 GMT");
        assert_eq!(answer.fields.one("server"), "Camunda");
        assert_eq!(answer.fields.all("set-cookie"), ["a=1; Path=/", "b=2; Path=/, x", "c=3"]);
        assert_eq!(answer.fields.one("location"), "https://elsewhere.example/base/v2/x");
        assert_eq!(answer.fields.one("www-authenticate"), "Basic realm=\"x\"");
        assert_eq!(answer.fields.one("retry-after"), "7");
        for ours in ["via", "proxy-status", "connection", "keep-alive", "transfer-encoding"] {
            assert!(!answer.fields.has(ours), "{ours} in {:?}", answer.fields);
        }
    })
    .await;
}

#[tokio::test]
async fn every_status_is_passed_on() {
    const STATUSES: [u16; 16] =
        [200, 201, 202, 206, 207, 299, 300, 400, 402, 404, 418, 429, 451, 500, 503, 599];
    let script = async |mut asked: Asked| {
        asked.whole().await;
        let status = asked.wish().parse().expect("a status");
        asked.answer(status, &[], Framing::Length(0)).await.1.end().await;
    };
    in_each(rest(), script, async |to| {
        for status in STATUSES {
            assert_eq!(to.ask("GET", &status.to_string(), &[], b"").await.0.status, status);
        }
    })
    .await;
}

#[tokio::test]
async fn methods_paths_and_queries_are_passed_on_to_the_letter() {
    const TARGETS: [&str; 6] = [
        "x",
        "x?",
        "x?q=%C3%A4&q=%c3%a4;x=+%20&&=",
        "caf%C3%A9/a%20b%3Fc/~._-!$&'()*+,=:@",
        "x?a=/../b//c\\d%2f%00|{}[]^`",
        "process-definitions/search?filter={%22a%22:[1,2]}",
    ];
    let script = async |mut asked: Asked| {
        asked.whole().await;
        let seen = format!("{} {}", asked.method, asked.target);
        asked.answer(204, &[("x-seen", &seen)], Framing::Empty).await;
    };
    in_each(rest(), script, async |to| {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "query"] {
            let (answer, _) = to.ask(method, "x", &[], b"").await;
            assert_eq!(answer.fields.one("x-seen"), format!("{method} /base/v2/x"));
        }
        for target in TARGETS {
            let (answer, _) = to.ask("GET", target, &[], b"").await;
            assert_eq!(
                answer.fields.one("x-seen"),
                format!("GET /base/v2/{target}"),
                "{target} {}",
                answer.status
            );
        }
    })
    .await;
}

#[tokio::test]
async fn cookies_split_in_http2_are_joined_for_http1_and_else_left_alone() {
    let script = async |asked: Asked| {
        let expected: &[&str] = match (asked.outgoing.is_http2(), asked.wish()) {
            (_, "one") => &["a=1; b=2; c=3"],
            (false, _) => &["a=1; b=2; c=\u{e9}; d=4"],
            (true, _) => &["a=1", "b=2; c=\u{e9}", "d=4"],
        };
        assert_eq!(asked.fields.all("cookie"), expected);
        asked.answer(204, &[], Framing::Empty).await;
    };
    in_each(rest(), script, async |to| {
        let (answer, _) = to.ask("GET", "one", &[("cookie", "a=1; b=2; c=3")], b"").await;
        assert_eq!(answer.status, 204);
        if to.cell.incoming.is_http2() {
            let crumbs = [("cookie", "a=1"), ("cookie", "b=2; c=\u{e9}"), ("x", "y"), ("cookie", "d=4")];
            assert_eq!(to.ask("GET", "crumbs", &crumbs, b"").await.0.status, 204);
        }
    })
    .await;
}

#[tokio::test]
async fn fields_of_one_hop_stay_there_in_both_directions() {
    let script = async |mut asked: Asked| {
        for hop in ["keep-alive", "proxy-connection", "upgrade", "x-named", "http2-settings"] {
            assert!(!asked.fields.has(hop), "{hop} in {:?}", asked.fields);
        }
        assert!(asked.fields.has("x-unnamed"));
        asked.whole().await;
        let hop: &[(&str, &str)] = match asked.outgoing.is_http2() {
            true => &[("x-unnamed", "1")],
            false => &[
                ("connection", "x-named , X-OTHER"),
                ("x-named", "1"),
                ("x-other", "1"),
                ("keep-alive", "timeout=5"),
                ("proxy-connection", "close"),
                ("x-unnamed", "1"),
            ],
        };
        asked.answer_whole(200, hop, b"").await;
    };
    in_each(rest(), script, async |to| {
        let hop: &[(&str, &str)] = match to.cell.incoming.is_http2() {
            true => &[("x-unnamed", "1")],
            false => &[
                ("connection", "X-Named, keep-alive"),
                ("x-named", "1"),
                ("keep-alive", "timeout=5"),
                ("proxy-connection", "keep-alive"),
                ("x-unnamed", "1"),
            ],
        };
        let (answer, _) = to.ask("GET", "x", hop, b"").await;
        for hop in ["connection", "keep-alive", "proxy-connection", "x-named", "x-other"] {
            assert!(!answer.fields.has(hop), "{hop} in {:?}", answer.fields);
        }
        assert!(answer.fields.has("x-unnamed"));
    })
    .await;
}
