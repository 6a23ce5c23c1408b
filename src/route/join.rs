//! The path that goes to the upstream: its base, then what the route left of the request's.

use http::uri::PathAndQuery;

use super::{Refusal, Route};

impl Route<'_> {
    /// Puts the upstream's base in front of the route's path. Octets stay as they came.
    ///
    /// `base` is empty or starts with a slash and ends without one; `requested` is what the route was found for.
    /// Nothing is copied where nothing changes, which is every gRPC call.
    pub fn upstream_path(&self, base: &str, requested: &PathAndQuery) -> Result<PathAndQuery, Refusal> {
        if base.is_empty() && self.path.len() == requested.as_str().len() {
            return Ok(requested.clone());
        }
        let slash = if self.path.starts_with('/') { "" } else { "/" };
        // Built at its full length, so that the conversion below takes the buffer as it is.
        let mut joined = String::with_capacity(base.len() + slash.len() + self.path.len());
        joined.push_str(base);
        joined.push_str(slash);
        joined.push_str(self.path);
        // The characters were checked when the request was read; what is left is http's own limit on length.
        PathAndQuery::try_from(joined).map_err(|_| Refusal::Malformed("the path is too long"))
    }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use proptest::prelude::*;

    use super::*;
    use crate::route::RouteTable;
    use crate::scope::Scope;

    const BASE: &str = "/base/0f2a";

    fn joined(base: &str, target: &str, pinned: Option<Scope>) -> Result<String, Refusal> {
        let table = RouteTable::new(Some("c1".to_owned()));
        let requested = PathAndQuery::try_from(target).map_err(|_| Refusal::Malformed("http"))?;
        let route = table.find(&Method::GET, requested.as_str(), false, pinned, true)?;
        Ok(route.upstream_path(base, &requested)?.as_str().to_owned())
    }

    #[test]
    fn the_base_stands_in_front_of_the_octets_that_came() {
        for (base, target, upstream) in [
            ("", "/v2/topology?a=%2f", "/v2/topology?a=%2f"),
            ("", "/operate/v1/x?q", "/v1/x?q"),
            ("", "/operate", "/"),
            ("", "/operate?q=1", "/?q=1"),
            ("", "/c1/v2/topology", "/v2/topology"),
            (BASE, "/operate", "/base/0f2a/"),
            (BASE, "/operate/", "/base/0f2a/"),
            (BASE, "/operate?q=/../", "/base/0f2a/?q=/../"),
            (BASE, "/operate/v1/a%20b%C3%bc", "/base/0f2a/v1/a%20b%C3%bc"),
            (BASE, "/c1/operate/v1/x", "/base/0f2a/v1/x"),
            (BASE, "/v2/topology", "/base/0f2a/v2/topology"),
        ] {
            assert_eq!(joined(base, target, None).as_deref(), Ok(upstream), "{base} {target}");
        }
    }

    #[test]
    fn an_unchanged_path_is_not_copied() {
        let requested = PathAndQuery::try_from("/gateway_protocol.Gateway/Topology".to_owned()).unwrap();
        let table = RouteTable::new(None);
        let route = table.find(&Method::POST, requested.as_str(), true, None, false).unwrap();
        let upstream = route.upstream_path("", &requested).unwrap();
        assert_eq!(upstream.as_str().as_ptr(), requested.as_str().as_ptr());
    }

    /// The laxest reading there is: decoded three times, parameters cut, both slashes, dots resolved.
    fn lax(path: &str) -> Vec<String> {
        let mut octets = path.as_bytes().to_vec();
        for _ in 0..3 {
            octets = percent_encoding::percent_decode(&octets).collect();
        }
        let text = String::from_utf8_lossy(&octets).replace('\\', "/");
        let mut resolved: Vec<String> = Vec::new();
        for segment in text.split('/') {
            match segment.split(';').next().unwrap_or_default() {
                "" | "." => {}
                ".." => {
                    resolved.pop();
                }
                name => resolved.push(name.to_owned()),
            }
        }
        resolved
    }

    fn target() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "/", "/", "/", ".", "..", "%", "2", "5", "25", "2e", "2F", "%2e", "%2f", "%5c", "%25", "%3b",
            ";", "\\", "//", "v1", "v2", "operate", "c1", "a", "%c0%ae", "%00", "e",
        ]);
        let front = prop::sample::select(vec![
            "/operate",
            "/v2",
            "/c1",
            "/c1/tasklist",
            "/zeebe",
            "/v1/decision-",
            "/",
            "",
        ]);
        (front, prop::collection::vec(piece, 0..10))
            .prop_map(|(front, rest)| format!("{front}{}", rest.concat()))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_reading_of_an_accepted_path_leaves_the_base(target in target(), pin in any::<bool>()) {
            let pinned = pin.then_some(Scope::Operate);
            if let Ok(upstream) = joined(BASE, &target, pinned) {
                prop_assert!(upstream.starts_with("/base/0f2a/"), "{target} became {upstream}");
                let path = upstream.split('?').next().unwrap_or_default();
                let read = lax(path);
                prop_assert_eq!(&read[..2], ["base", "0f2a"], "{} became {}", target, upstream);
                // Not one segment more or less than the octets show: nothing hides in an escape.
                prop_assert_eq!(read.len(), path.split('/').filter(|segment| !segment.is_empty()).count());
            }
        }
    }
}
