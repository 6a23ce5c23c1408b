//! The guard's decisions, both ways.

use http::Request;

use super::*;
use Denial::{HostDenied, Malformed, OriginDenied};

fn access(bound: &str, hosts: &[&str], origins: &[&str]) -> Access {
    let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
    let config = Config { allowed_hosts: owned(hosts), allowed_origins: owned(origins), ..Config::default() };
    Access::new(&config, &bound.parse().unwrap()).unwrap()
}

fn head(uri: &str, fields: &[(&str, &str)]) -> Head {
    let request = fields
        .iter()
        .fold(Request::builder().uri(uri), |builder, &(name, value)| builder.header(name, value));
    request.body(()).unwrap().into()
}

fn admit_host(access: &Access, host: &str) -> Result<(), Denial> {
    access.admit(&head("/", &[("host", host)]), None)
}

#[test]
fn what_is_usual_would_be_known_without_being_so() {
    let hosts = ["proxy.example", "other.example:9000", "192.0.2.7"];
    for (bound, usual) in
        [("127.0.0.1:8080", 11), ("[::1]:8080", 11), ("0.0.0.0:80", 11), ("192.0.2.1:8080", 13)]
    {
        let access = access(bound, &hosts, &[]);
        let plain = Access { usual: Vec::new(), ..access.clone() };
        assert_eq!(access.usual.len(), usual, "{access:?}");
        for host in &access.usual {
            assert_eq!(admit_host(&plain, host), Ok(()), "{host}");
            assert_eq!(admit_host(&access, host), Ok(()), "{host}");
        }
    }
}

#[test]
fn a_loopback_listener_knows_loopback_names_and_no_others() {
    for (host, known) in [
        ("localhost", true),
        ("localhost:8080", true),
        ("localhost:18081", true),
        ("LOCALHOST:8080", true),
        ("LocalHost.", true),
        ("localhost.:8080", true),
        ("127.0.0.1", true),
        ("127.0.0.1:8080", true),
        ("127.0.0.1.:8080", true),
        ("[::1]", true),
        ("[::1]:8080", true),
        ("[0:0:0:0:0:0:0:1]:8080", true),
        ("[0000::0001]", true),
        ("[::ffff:127.0.0.1]:8080", true),
        ("[::FFFF:7f00:1]", true),
        ("localhost:08080", true),
        ("localhost:0", true),
        ("evil.example", false),
        ("evil.example:8080", false),
        ("localhost.evil.example", false),
        ("evil-localhost", false),
        ("xlocalhost", false),
        ("foo.localhost", false),
        ("localhost.localdomain", false),
        ("127.0.0.1.nip.io", false),
        ("127.0.0.2", false),
        ("127.1", false),
        ("127.0.0.01", false),
        ("0177.0.0.1", false),
        ("0x7f.0.0.1", false),
        ("2130706433", false),
        ("0.0.0.0:8080", false),
        ("[::]:8080", false),
        ("192.168.1.10", false),
        ("[::2]", false),
        ("[::ffff:127.0.0.2]", false),
    ] {
        let expected = if known { Ok(()) } else { Err(HostDenied) };
        for bound in ["127.0.0.1:8080", "0.0.0.0:8080"] {
            assert_eq!(admit_host(&access(bound, &[], &[]), host), expected, "{host} on {bound}");
        }
    }
}

#[test]
fn a_host_that_cannot_be_read_is_malformed() {
    for host in [
        "",
        ".",
        "..x ",
        "user@localhost",
        "user:pass@localhost:8080",
        "localhost@evil.example",
        "localhost:",
        "localhost:x",
        "localhost:65536",
        "localhost:+80",
        "localhost:-1",
        "localhost:008080",
        "localhost:80:80",
        "::1",
        "::1:8080",
        "[::1",
        "[::1]8080",
        "[::1]:",
        "[::1%25eth0]",
        "[fe80::1%eth0]:80",
        "[localhost]",
        "[127.0.0.1]",
        "[]",
        ":8080",
        "localhost/",
        "localhost/x",
        "localhost,evil",
        "localhost, localhost",
        "local host",
        "localhost\t",
        "http://localhost",
        "%6cocalhost",
        "localhost?",
        "localhost#",
        "localhost\\",
        "*",
        "*.localhost",
        "l\u{f6}calhost",
    ] {
        // Also on a Unix socket: what cannot be read is refused before names matter.
        for bound in ["127.0.0.1:8080", "unix:/run/proxy.sock"] {
            let denial = admit_host(&access(bound, &["evil.example"], &[]), host);
            assert!(matches!(denial, Err(Malformed(_))), "{host:?} on {bound}: {denial:?}");
        }
    }
}

#[test]
fn exactly_one_authority_is_named() {
    let access = access("127.0.0.1:8080", &[], &[]);
    type Fields = &'static [(&'static str, &'static str)];
    let table: [(&str, Fields, Result<(), &str>); 12] = [
        ("/", &[("host", "localhost")], Ok(())),
        ("/", &[], Err("malformed")),
        ("/", &[("host", "localhost"), ("host", "localhost")], Err("malformed")),
        ("/", &[("host", "localhost"), ("host", "evil.example")], Err("malformed")),
        ("http://localhost:8080/", &[], Ok(())),
        ("http://evil.example/", &[], Err("denied")),
        ("http://localhost:8080/", &[("host", "localhost:8080")], Ok(())),
        ("http://LOCALHOST:8080/", &[("host", "localhost.:8080")], Ok(())),
        ("http://localhost:8080/", &[("host", "localhost:8081")], Err("malformed")),
        ("http://localhost/", &[("host", "evil.example")], Err("malformed")),
        ("http://evil.example/", &[("host", "localhost")], Err("malformed")),
        ("http://user@localhost/", &[], Err("malformed")),
    ];
    for (uri, fields, expected) in table {
        let admitted = access.admit(&head(uri, fields), None).map_err(|denial| match denial {
            Malformed(_) => "malformed",
            HostDenied | OriginDenied => "denied",
        });
        assert_eq!(admitted, expected, "{uri} {fields:?}");
    }
}

#[test]
fn a_bound_address_is_known_by_its_number() {
    for (bound, host, known) in [
        ("127.0.0.2:8080", "127.0.0.2:8080", true),
        ("127.0.0.2:8080", "127.0.0.3:8080", false),
        ("192.168.1.10:8080", "192.168.1.10", true),
        ("192.168.1.10:8080", "192.168.1.10:9090", true),
        ("192.168.1.10:8080", "[::ffff:192.168.1.10]:8080", true),
        ("192.168.1.10:8080", "192.168.1.11", false),
        ("[2001:db8::5]:8080", "[2001:DB8:0:0::5]:8080", true),
        ("[2001:db8::5]:8080", "[2001:db8::6]:8080", false),
    ] {
        assert_eq!(admit_host(&access(bound, &[], &[]), host).is_ok(), known, "{host} on {bound}");
    }
}

#[test]
fn a_wildcard_listener_is_known_by_the_address_that_was_reached() {
    for (bound, local, host, known) in [
        ("0.0.0.0:8080", Some("10.0.0.5:8080"), "10.0.0.5:8080", true),
        ("[::]:8080", Some("[::ffff:10.0.0.5]:8080"), "10.0.0.5", true),
        ("[::]:8080", Some("[2001:db8::5]:8080"), "[2001:db8::5]", true),
        ("systemd:proxy", Some("10.0.0.5:8080"), "10.0.0.5:8080", true),
        ("0.0.0.0:8080", Some("10.0.0.5:8080"), "10.0.0.6:8080", false),
        ("0.0.0.0:8080", Some("10.0.0.5:8080"), "evil.example", false),
        ("0.0.0.0:8080", None, "10.0.0.5:8080", false),
        ("127.0.0.1:8080", Some("10.0.0.5:8080"), "10.0.0.5:8080", false),
    ] {
        let local = local.map(|local| local.parse().unwrap());
        let admitted = access(bound, &[], &[]).admit(&head("/", &[("host", host)]), local);
        assert_eq!(admitted.is_ok(), known, "{host} on {bound} by {local:?}");
    }
}

#[test]
fn configured_names_are_exact_and_keep_their_port() {
    for (allowed, host, known) in [
        ("proxy.internal", "proxy.internal", true),
        ("proxy.internal", "PROXY.Internal.:8080", true),
        ("Proxy.Internal.", "proxy.internal:1", true),
        ("proxy.internal", "a.proxy.internal", false),
        ("proxy.internal", "proxy.internal.evil.example", false),
        ("proxy.internal:8080", "proxy.internal:8080", true),
        ("proxy.internal:8080", "proxy.internal", false),
        ("proxy.internal:8080", "proxy.internal:8081", false),
        ("camunda_proxy", "camunda_proxy:26500", true),
        ("10.1.2.3", "10.1.2.3:8080", true),
        ("10.1.2.3:80", "[::ffff:10.1.2.3]:80", true),
        ("10.1.2.3:80", "10.1.2.3", false),
        ("[2001:db8::1]:80", "[2001:db8:0::1]:80", true),
        ("2001:db8::1", "[2001:db8::1]:80", true),
    ] {
        assert_eq!(
            admit_host(&access("127.0.0.1:8080", &[allowed], &[]), host).is_ok(),
            known,
            "{host} by {allowed}"
        );
    }
}

#[test]
fn a_unix_socket_takes_every_name_and_still_no_foreign_page() {
    let access = access("unix:/run/proxy.sock", &[], &[]);
    for host in ["localhost", "anything.example:1", "d", "10.0.0.1"] {
        assert_eq!(admit_host(&access, host), Ok(()), "{host}");
    }
    let page = head("/", &[("host", "localhost"), ("origin", "https://evil.example")]);
    assert_eq!(access.admit(&page, None), Err(OriginDenied));
}

#[test]
fn web_pages_stay_out_unless_their_origin_is_listed() {
    const LISTED: &str = "https://app.example";
    type Fields = &'static [(&'static str, &'static str)];
    let table: [(Fields, bool, bool); 21] = [
        // What was sent, admitted with an empty list, admitted with the list.
        (&[], true, true),
        (&[("sec-fetch-mode", "cors")], true, true),
        (&[("sec-fetch-mode", "cors"), ("accept-language", "*")], true, true),
        (&[("sec-fetch-site", "none")], true, true),
        (&[("sec-fetch-site", "same-origin")], true, true),
        (&[("sec-fetch-site", "same-site")], false, false),
        (&[("sec-fetch-site", "cross-site")], false, false),
        (&[("sec-fetch-site", "Cross-Site")], false, false),
        (&[("sec-fetch-site", "")], false, false),
        (&[("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")], false, false),
        (&[("origin", "null")], false, false),
        (&[("origin", "")], false, false),
        (&[("origin", "http://localhost:8080")], false, false),
        (&[("origin", "https://evil.example")], false, false),
        (&[("origin", "https://app.example.evil.example")], false, false),
        (&[("origin", "http://app.example")], false, false),
        (&[("origin", "https://app.example:8443")], false, false),
        (&[("origin", LISTED)], false, true),
        (&[("origin", LISTED), ("sec-fetch-site", "cross-site")], false, true),
        (&[("origin", LISTED), ("origin", LISTED)], false, false),
        (&[("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")], false, false),
    ];
    let upgrade: Fields = &[("connection", "upgrade"), ("upgrade", "websocket")];
    for (sent, closed, open) in table {
        for more in [&[], upgrade] {
            for (listed, admitted) in [(&[][..], closed), (&[LISTED][..], open)] {
                let fields: Vec<_> =
                    [("host", "localhost:8080")].iter().chain(sent).chain(more).copied().collect();
                let decision =
                    access("127.0.0.1:8080", &[], listed).admit(&head("/v2/topology", &fields), None);
                let expected = if admitted { Ok(()) } else { Err(OriginDenied) };
                assert_eq!(decision, expected, "{fields:?} with {listed:?}");
            }
        }
    }
}

#[test]
fn a_listed_origin_is_compared_as_browsers_write_it() {
    for (listed, sent) in [
        ("https://app.example:443", "https://app.example"),
        ("http://app.example:80", "http://app.example"),
        ("HTTPS://App.Example", "https://app.example"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("vscode-webview://0a1b", "vscode-webview://0a1b"),
    ] {
        let access = access("127.0.0.1:8080", &[], &[listed]);
        assert_eq!(
            access.admit(&head("/", &[("host", "localhost"), ("origin", sent)]), None),
            Ok(()),
            "{listed}"
        );
    }
}

#[test]
fn all_mistakes_in_the_lists_are_told_at_once() {
    let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
    let config = Config {
        allowed_hosts: texts(&[
            "ok.example",
            "*",
            "*.example",
            "http://a",
            "a:b",
            "user@a",
            "",
            "fe80::1%eth0",
        ]),
        allowed_origins: texts(&[
            "https://ok.example",
            "null",
            "*",
            "https://*.a",
            "a.example",
            "https://a/",
            "https://",
            "://a",
        ]),
        ..Config::default()
    };
    let mistakes = Access::new(&config, &"127.0.0.1:8080".parse().unwrap()).unwrap_err();
    assert_eq!(mistakes.len(), 14, "{mistakes:#?}");
    for (mistake, key) in mistakes.iter().zip([["allowed_hosts: `"; 7], ["allowed_origins: `"; 7]].concat()) {
        assert!(mistake.starts_with(key), "{mistake}");
    }
}
