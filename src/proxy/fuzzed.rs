//! Any head on its way out, and any on its way back.

use std::collections::BTreeSet;

use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, LOCATION, SET_COOKIE, TE, VIA};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Version};

use super::{location, rewrite};
use crate::http1::{Framing, take_request};
use crate::message::Headers;
use crate::message::request::Head;
use crate::upstream::{Origin, ScopeConfig};
use crate::upstream_address::UpstreamAddress;

mod caller;

pub(crate) use caller::caller;

/// A head: in the first line the path at the upstream, in the others fields.
///
/// What goes out has our token and no other, frames nothing, speaks of no other hop, and keeps all else in its order;
/// what comes back frames nothing either, and leads to no host that the upstream did not name.
pub(crate) fn fields(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    let mut lines = text.lines();
    // Others do not come out of a route.
    let target = lines.next().filter(|target| target.starts_with('/'));
    let Some(Ok(target)) = target.map(PathAndQuery::try_from) else { return };
    let fields = crate::guises::fields(lines);
    let origin = origin();
    let head = Head { headers: fields.clone(), ..Head::default() };
    let refused = rewrite::refuse(&head).is_err();
    let _ = rewrite::asked_upgrade(&head);
    let mut token = HeaderValue::from_static("Bearer ours");
    token.set_sensitive(true);
    let out = rewrite::http2(&head, &target, &origin, Some(&token));
    assert!(out.headers.get(AUTHORIZATION).is_some_and(HeaderValue::is_sensitive));
    assert_eq!(out.uri.to_string(), format!("http://upstream.example:8080{target}"));
    goes_out(&head, &out.headers, Version::HTTP_2, refused);
    let out = rewrite::http1(&head, &target, &origin, Some(&token), None);
    let mut octets = out.finish(Framing::None);
    // Of more fields, of such lengths, and of a target in other letters, no request would have been made.
    if fields.len() < MANY && has_sound_length(&fields) && target.as_str().is_ascii() {
        let out = take_request(&mut octets, usize::MAX).expect("a head").expect("a whole head").request;
        assert_eq!(out.uri.to_string(), target.to_string());
        goes_out(&head, &out.headers, Version::HTTP_11, refused);
    }
    comes_back(fields, &origin.address);
}

/// Whether a listener would read it: one number, or none.
fn has_sound_length(fields: &Headers) -> bool {
    let mut lengths = fields.get_all(CONTENT_LENGTH).map(HeaderValue::as_bytes);
    let first = lengths
        .next()
        .is_none_or(|length| matches!(length.len(), 1..19) && length.iter().all(u8::is_ascii_digit));
    first && lengths.next().is_none()
}

/// So many fields has no request that is read.
const MANY: usize = 90;

fn origin() -> Origin {
    let address: UpstreamAddress = "http://upstream.example:8080/base".parse().expect("an address");
    Origin::rest(address, &ScopeConfig::default()).expect("an origin without TLS")
}

/// What servers that read `_` as `-` take a field for.
fn as_read(name: &HeaderName) -> String {
    name.as_str().replace('_', "-")
}

/// Those that `connection` names, but for its usual words, which name no field here.
fn named(fields: &Headers) -> BTreeSet<String> {
    let values = fields.get_all(CONNECTION).filter_map(|value| value.to_str().ok());
    let words = values.flat_map(|value| value.split(',')).map(|word| word.trim().to_ascii_lowercase());
    words.filter(|word| !["", "close", "keep-alive", "te", "upgrade"].contains(&&**word)).collect()
}

fn has(fields: &Headers, name: &str) -> bool {
    fields.names().any(|known| known == name)
}

fn goes_out(head: &Head, fields: &Headers, version: Version, refused: bool) {
    let values = |name: HeaderName| fields.get_all(name).collect::<Vec<_>>();
    assert_eq!(values(AUTHORIZATION), ["Bearer ours"]);
    let host: &[&str] = if version == Version::HTTP_2 { &[] } else { &["upstream.example:8080"] };
    assert_eq!(values(HOST), host);
    assert_eq!(values(VIA).last().map(|via| via.as_bytes()), Some(&b"1.1 camunda-auth-proxy"[..]));
    assert!(values(TE).iter().all(|te| *te == "trailers"));
    assert!(values(CONNECTION).iter().all(|connection| *connection == "te"));
    for name in fields.names() {
        let read = as_read(name);
        let ours = name == CONNECTION || name == TE;
        assert!(ours || !read.starts_with("x-forwarded-") && !FOREIGN.contains(&&*read), "{name} goes out");
        // In another spelling they would be taken for framing.
        let own = ["content-length", "content-type"].contains(&&*read);
        assert!(!own || name.as_str() == read, "{name} goes out");
    }
    for name in named(&head.headers) {
        let set = ["authorization", "host", "via", "te", "connection"].contains(&&*name);
        assert!(set || !has(fields, &name), "`connection` names {name}");
    }
    assert!(refused || values(VIA).len() <= head.headers.get_all(VIA).count() + 1);
    keeps_all_else(head, fields, version);
}

/// What no field may be that goes out, in either spelling.
const FOREIGN: [&str; 15] = [
    "transfer-encoding",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "proxy-authenticate",
    "upgrade",
    "expect",
    "forwarded",
    "http2-settings",
    "x-real-ip",
    "x-original-url",
    "x-rewrite-url",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];

/// RFC 9110 §5.1, §5.3: unknown fields go on, and lines of one name stay in their order.
fn keeps_all_else(head: &Head, out: &Headers, version: Version) {
    let named = named(&head.headers);
    let stays = |name: &str| {
        let foreign = FOREIGN.contains(&name) || name.starts_with("x-forwarded-") || named.contains(name);
        name.starts_with("x-") && !name.contains('_') && !foreign
    };
    let came = head.headers.iter().filter(|(name, _)| stays(name.as_str()));
    let went = out.iter().filter(|(name, _)| stays(name.as_str()));
    assert!(came.eq(went), "{:?} became {out:?}", head.headers);
    if version != Version::HTTP_2 {
        assert!(out.get_all(COOKIE).count() <= 1, "cookies are not joined");
    }
}

fn comes_back(mut fields: Headers, upstream: &UpstreamAddress) {
    let named = named(&fields);
    let location = fields.get(LOCATION).cloned();
    rewrite::incoming(&mut fields);
    for name in ["connection", "transfer-encoding", "keep-alive", "proxy-connection", "upgrade"] {
        assert!(!has(&fields, name), "{name} comes back");
    }
    for name in named {
        assert!(!has(&fields, &name), "{name} comes back");
    }
    for prefix in ["", "/operate"] {
        let mut fields = fields.clone();
        let cookies = fields.get_all(SET_COOKIE).count();
        location::map_back(&mut fields, upstream, prefix);
        assert_eq!(fields.get_all(SET_COOKIE).count(), cookies);
        let (Some(before), Some(after)) = (&location, fields.get(LOCATION)) else { continue };
        let stays = |at: &HeaderValue| at.to_str().ok().and_then(|at| host_of(at, upstream));
        if before != after {
            assert_eq!(stays(after).as_deref(), Some("localhost"), "{before:?} became {after:?}");
            assert_eq!(stays(before).as_deref(), Some("localhost"), "{before:?} became {after:?}");
        }
    }
}

/// Where a browser goes that was at `localhost`; the upstream's own host counts as that.
fn host_of(location: &str, upstream: &UpstreamAddress) -> Option<String> {
    let page = reqwest::Url::parse("http://localhost/x/").expect("a URL");
    let host = page.join(location).ok()?.host_str()?.to_owned();
    Some(if host == upstream.host { "localhost".to_owned() } else { host })
}
