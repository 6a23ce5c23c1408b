//! Answers that point into the upstream's base are mapped back under the prefix that the caller used.

use http::HeaderValue;
use http::header::{LOCATION, SET_COOKIE};

use crate::message::Headers;
use crate::upstream_address::UpstreamAddress;

/// Maps `location` and the paths of cookies back.
pub(super) fn map_back(headers: &mut Headers, upstream: &UpstreamAddress, prefix: &str) {
    headers.change(|name, value| {
        if name == LOCATION {
            local_location(value, upstream, prefix)
        } else if name == SET_COOKIE {
            local_cookie(value, upstream, prefix)
        } else {
            None
        }
    });
}

/// `None` for a place outside the base: that is the caller's to judge, and is never followed here.
fn local_location(location: &HeaderValue, upstream: &UpstreamAddress, prefix: &str) -> Option<HeaderValue> {
    let location = location.to_str().ok()?;
    let path = match location.split_once("://") {
        Some((scheme, rest)) => {
            let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at(at);
            let own_scheme = if upstream.tls { "https" } else { "http" };
            let own = scheme.eq_ignore_ascii_case(own_scheme) && is_own(authority, upstream);
            own.then_some(path)?
        }
        None => Some(location).filter(|path| path.starts_with('/') && !path.starts_with("//"))?,
    };
    let rest = below(path, &upstream.base_path)?;
    // Without the base, a path that goes on with an empty segment would name a host: `//elsewhere.example`. Browsers
    // take a backslash for a slash there, and see no tabs.
    let names_a_host =
        rest.replace('\t', "").strip_prefix('/').is_some_and(|rest| rest.starts_with(['/', '\\']));
    if prefix.is_empty() && names_a_host {
        return None;
    }
    // A query alone would be taken as one of the path that was asked for.
    let slash = if prefix.is_empty() && !rest.starts_with('/') { "/" } else { "" };
    HeaderValue::from_str(&format!("{prefix}{slash}{rest}")).ok()
}

fn local_cookie(cookie: &HeaderValue, upstream: &UpstreamAddress, prefix: &str) -> Option<HeaderValue> {
    let text = cookie.to_str().ok()?;
    let mapped: Vec<String> = text
        .split(';')
        .enumerate()
        .filter_map(|(at, part)| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            if at > 0 && name.trim().eq_ignore_ascii_case("domain") {
                // The caller speaks to another host: with the upstream's name it would throw the cookie away.
                return None;
            }
            if at > 0
                && name.trim().eq_ignore_ascii_case("path")
                && let Some(rest) = below(value.trim(), &upstream.base_path)
            {
                let local = format!("{prefix}{rest}");
                return Some(format!(" Path={}", if local.is_empty() { "/" } else { &local }));
            }
            Some(part.to_owned())
        })
        .collect();
    HeaderValue::from_str(&mapped.join(";")).ok()
}

/// What follows the base in `path`; the base ends at a segment's end.
fn below<'a>(path: &'a str, base: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(base)?;
    (rest.is_empty() || rest.starts_with(['/', '?', '#'])).then_some(rest)
}

/// With its port, or without where the scheme has the same one.
fn is_own(authority: &str, upstream: &UpstreamAddress) -> bool {
    let with_port = format!("{}:{}", upstream.host, upstream.port);
    authority.eq_ignore_ascii_case(&with_port) || authority.eq_ignore_ascii_case(&upstream.authority())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream() -> UpstreamAddress {
        "https://bru-2.operate.camunda.io/cluster".parse().expect("an address")
    }

    #[test]
    fn a_location_in_the_base_comes_back_under_the_prefix_and_any_other_passes() {
        for (location, expected) in [
            ("https://bru-2.operate.camunda.io/cluster/v1/x?y=1", "/operate/v1/x?y=1"),
            ("https://bru-2.operate.camunda.io:443/cluster", "/operate"),
            ("/cluster/v1/x", "/operate/v1/x"),
            ("/clusters/v1/x", "/clusters/v1/x"),
            ("https://elsewhere.example/cluster/v1/x", "https://elsewhere.example/cluster/v1/x"),
            ("http://bru-2.operate.camunda.io/cluster/v1", "http://bru-2.operate.camunda.io/cluster/v1"),
            ("//elsewhere.example/cluster", "//elsewhere.example/cluster"),
            ("relative", "relative"),
        ] {
            let mut headers = Headers::default();
            headers.insert(LOCATION, HeaderValue::from_static(location));
            map_back(&mut headers, &upstream(), "/operate");
            assert_eq!(headers.get(LOCATION).unwrap(), expected, "{location}");
        }
    }

    #[test]
    fn a_location_is_our_upstreams_with_its_port_and_no_other() {
        let upstream = "http://camunda.example:8080/base".parse().expect("an address");
        for (location, expected) in [
            ("http://camunda.example:8080/base/x", "/zeebe/x"),
            ("http://camunda.example/base/x", "http://camunda.example/base/x"),
            ("http://camunda.example:80/base/x", "http://camunda.example:80/base/x"),
            ("http://camunda.example:8080:8080/base/x", "http://camunda.example:8080:8080/base/x"),
        ] {
            let mut headers = Headers::default();
            headers.insert(LOCATION, HeaderValue::from_static(location));
            map_back(&mut headers, &upstream, "/zeebe");
            assert_eq!(headers.get(LOCATION).unwrap(), expected, "{location}");
        }
    }

    #[test]
    fn without_a_prefix_a_location_stays_on_this_host() {
        for (location, expected) in [
            ("/cluster/v2/x", "/v2/x"),
            ("/cluster", "/"),
            ("/cluster?x=y", "/?x=y"),
            ("/cluster//elsewhere.example", "/cluster//elsewhere.example"),
            ("/cluster/\\elsewhere.example", "/cluster/\\elsewhere.example"),
            ("/cluster/\t/elsewhere.example", "/cluster/\t/elsewhere.example"),
            ("/cluster/x//y", "/x//y"),
        ] {
            let mut headers = Headers::default();
            headers.insert(LOCATION, HeaderValue::from_static(location));
            map_back(&mut headers, &upstream(), "");
            assert_eq!(headers.get(LOCATION).unwrap(), expected, "{location:?}");
        }
    }

    #[test]
    fn a_cookie_keeps_its_value_and_gets_the_callers_path() {
        let mut headers = Headers::default();
        let cookie = "a=Path=/cluster; Domain=bru-2.operate.camunda.io; Path=/cluster; HttpOnly";
        headers.append(SET_COOKIE, HeaderValue::from_static(cookie));
        headers.append(SET_COOKIE, HeaderValue::from_static("b=2; path=/other"));
        map_back(&mut headers, &upstream(), "/operate");
        let cookies: Vec<_> = headers.get_all(SET_COOKIE).collect();
        assert_eq!(cookies, ["a=Path=/cluster; Path=/operate; HttpOnly", "b=2; path=/other"]);
    }
}
