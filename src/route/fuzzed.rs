//! Any target through the guard, the table and the join.

use super::*;
use crate::guises::readings;

/// In the first line `METHOD`, and then any of `grpc`, `secrets` and a scope to which the listener is pinned; in the
/// second the target.
///
/// What has a route can be read in one way only, stays below the upstream's base, and is not the secrets' unless they
/// are served.
pub(crate) fn route(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    let Some((first, target)) = text.split_once('\n') else { return };
    let mut words = first.split(' ');
    let Ok(method) = words.next().unwrap_or_default().parse::<Method>() else { return };
    let words: Vec<&str> = words.collect();
    let (grpc, secrets) = (words.contains(&"grpc"), words.contains(&"secrets"));
    let pinned: Option<Scope> = words.iter().find_map(|word| word.parse().ok());
    // What no request can hold is tried as well: the guard is not to rely on others.
    let requested = PathAndQuery::try_from(target).ok();
    let target = requested.as_ref().map_or(target, PathAndQuery::as_str);
    let table = RouteTable::new(Some("c1".to_owned()));
    let Ok(route) = table.find(&method, target, grpc, pinned, secrets) else { return };

    assert_eq!([route.prefix, route.path].concat(), target);
    let path = path_of(target);
    for reading in readings(path) {
        can_be_read_in_one_way(&reading, path);
    }
    assert!(pinned.is_none_or(|pinned| pinned == route.scope), "{target} leaves its listener's scope");
    assert!(route.scope != Scope::Secrets || secrets || pinned == Some(Scope::Secrets), "{target}");
    assert!(route.leg == Leg::Rest || route.scope == Scope::Zeebe, "only zeebe speaks gRPC");
    for refused in ["CONNECT", "TRACE", "TRACK"] {
        assert!(!method.as_str().eq_ignore_ascii_case(refused), "{method}");
    }

    for base in requested.iter().flat_map(|_| ["", "/base", "/some/base"]) {
        stays_below(base, &route, requested.as_ref().expect("a target"));
    }
}

fn can_be_read_in_one_way(reading: &[u8], path: &str) {
    assert_eq!(reading.first(), Some(&b'/'), "{path}");
    let unread = |octet: &u8| octet.is_ascii_control() || *octet == b'\\';
    assert!(!reading.iter().any(unread), "{path}");
    let slashes = |octets: &[u8]| octets.iter().filter(|octet| **octet == b'/').count();
    assert_eq!(slashes(reading), slashes(path.as_bytes()), "{path} hides a slash");
    let last = slashes(reading);
    for (at, segment) in reading.split(|octet| *octet == b'/').enumerate().skip(1) {
        let meant = segment.split(|octet| *octet == b';').next().unwrap_or_default();
        assert!(!matches!(meant, b"." | b".."), "{path} goes up");
        assert!(!meant.is_empty() || segment.is_empty() && at == last, "{path} has an empty segment");
    }
}

/// As a browser reads it, too, which knows more ways up than anybody.
fn stays_below(base: &str, route: &Route<'_>, requested: &PathAndQuery) {
    let Ok(joined) = route.upstream_path(base, requested) else { return };
    let rest = joined.as_str().strip_prefix(base).expect("the base");
    assert_eq!(rest.trim_start_matches('/'), route.path.trim_start_matches('/'));
    let url = reqwest::Url::parse(&format!("http://upstream.example{joined}")).expect("a URL");
    assert_eq!(url.host_str(), Some("upstream.example"));
    assert!(url.path().starts_with(&format!("{base}/")), "{joined} leaves {base}");
    let segments = |path: &str| path.split('/').count();
    assert_eq!(segments(url.path()), segments(joined.path()), "{joined} is read as {url}");
}
