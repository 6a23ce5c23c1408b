//! What changes in a head on its way: refuse and strip first, inject last.

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, FORWARDED, HOST, TE, TRANSFER_ENCODING,
    UPGRADE, VIA,
};
use http::uri::{PathAndQuery, Uri};
use http::{HeaderName, HeaderValue, Version};

use super::error::Error;
use crate::message::Headers;
use crate::message::request::Head;
use crate::reason::Reason;
use crate::upstream::{Origin, RequestHead};

const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");
const OUR_VIA: HeaderValue = HeaderValue::from_static("1.1 camunda-auth-proxy");
/// So many lines of ours in `via` are a loop.
const LOOP: usize = 5;
/// What makes some servers see another address, path or method than the one that was looked at.
const OVERRIDES: [&str; 6] = [
    "x-real-ip",
    "x-original-url",
    "x-rewrite-url",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Refuses what must not be forwarded, whatever its route.
pub fn refuse(head: &Head) -> Result<(), Error> {
    let headers = &head.headers;
    if headers.contains(VIA) {
        let ours = headers.get_all(VIA).map(count_ours).sum::<usize>();
        if ours >= LOOP {
            return Err(Error::new(
                Reason::LoopDetected,
                "the request has come through this proxy before: an upstream address of its configuration leads back to it",
            ));
        }
    }
    Ok(())
}

/// The head that goes upstream over HTTP/1.1; with `protocol` it asks for another one (RFC 9110 §7.8).
pub fn http1(
    inbound: &Head,
    target: &PathAndQuery,
    origin: &Origin,
    authorization: Option<&HeaderValue>,
    protocol: Option<&HeaderValue>,
) -> RequestHead {
    let mut head = RequestHead::new(&inbound.method, target);
    head.add(&HOST, origin.authority.as_str().as_bytes());
    let passed = pass(&inbound.headers, false, |name, value| head.add(name, value.as_bytes()));
    if passed.cookies {
        // HTTP/2 splits cookies into crumbs; RFC 9113 §8.2.3 joins them for HTTP/1.1.
        let crumbs: Vec<&[u8]> = inbound.headers.get_all(COOKIE).map(HeaderValue::as_bytes).collect();
        head.add(&COOKIE, &crumbs.join(&b"; "[..]));
    }
    if passed.te {
        head.add(&TE, TRAILERS.as_bytes());
    }
    let connection: &[u8] = match (protocol, passed.te) {
        (Some(_), true) => b"upgrade, te",
        (Some(_), false) => b"upgrade",
        (None, true) => b"te",
        (None, false) => b"",
    };
    if !connection.is_empty() {
        head.add(&CONNECTION, connection);
    }
    if let Some(protocol) = protocol {
        head.add(&UPGRADE, protocol.as_bytes());
    }
    head.add(&VIA, OUR_VIA.as_bytes());
    if let Some(authorization) = authorization {
        head.add(&AUTHORIZATION, authorization.as_bytes());
    }
    head
}

/// The head that goes upstream over HTTP/2.
pub fn http2(
    inbound: &Head,
    target: &PathAndQuery,
    origin: &Origin,
    authorization: Option<&HeaderValue>,
) -> Head {
    let mut headers = Headers::with_capacity(inbound.headers.len() + 4);
    let passed = pass(&inbound.headers, true, |name, value| {
        headers.append(name.clone(), value.clone());
    });
    if passed.te {
        headers.append(TE, TRAILERS);
    }
    headers.append(VIA, OUR_VIA);
    if let Some(authorization) = authorization {
        headers.append(AUTHORIZATION, authorization.clone());
    }
    let (method, uri) = (inbound.method.clone(), absolute(target, origin));
    Head { method, uri, version: Version::HTTP_2, headers }
}

/// What goes on in a form of its own.
#[derive(Default)]
struct Passed {
    /// `te: trailers`: kept although hop-by-hop, since gRPC servers refuse requests without it.
    te: bool,
    /// Cookies, for HTTP/1.1.
    cookies: bool,
}

/// Passes on the fields that go upstream as they are.
fn pass(fields: &Headers, http2: bool, mut add: impl FnMut(&HeaderName, &HeaderValue)) -> Passed {
    let named = ConnectionNamed::of(fields);
    let mut passed = Passed::default();
    for (name, value) in fields.iter() {
        if name == TE {
            passed.te |= has_token(value, "trailers");
        } else if is_dropped_outgoing(name) || named.contains(name) {
            continue;
        } else if name == COOKIE && !http2 {
            passed.cookies = true;
        } else {
            add(name, value);
        }
    }
    passed
}

/// Takes hop-by-hop and framing fields out of an answer.
pub fn incoming(headers: &mut Headers) {
    // Most answers have none.
    if !headers.names().any(is_hop_by_hop) {
        return;
    }
    let named: Vec<HeaderName> =
        ConnectionNamed::of(headers).0.iter().filter_map(|name| name.parse().ok()).collect();
    // RFC 9112 §6.3: transfer-encoding overrides; both together would make our own server give up.
    let is_coded = headers.contains(TRANSFER_ENCODING);
    let ends =
        |name: &HeaderName| is_hop_by_hop(name) || named.contains(name) || is_coded && name == CONTENT_LENGTH;
    headers.retain(|name| !ends(name));
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    name == CONNECTION
        || name == TRANSFER_ENCODING
        || name == UPGRADE
        || name == KEEP_ALIVE
        || name == PROXY_CONNECTION
}

/// The protocol that an HTTP/1.1 request asks to switch to; HTTP/2 is not one of them (RFC 9113 §3.1).
pub(super) fn asked_upgrade(head: &Head) -> Option<HeaderValue> {
    if head.version != Version::HTTP_11 {
        return None;
    }
    let protocol = head.headers.get(UPGRADE)?;
    let asked = head.headers.get_all(CONNECTION).any(|value| has_token(value, "upgrade"));
    (asked && !has_token(protocol, "h2c")).then(|| protocol.clone())
}

/// Field names that `connection` lists (RFC 9110 §7.6.1), but for the usual options, which name no field.
struct ConnectionNamed<'a>(Vec<&'a str>);

impl<'a> ConnectionNamed<'a> {
    fn of(headers: &'a Headers) -> ConnectionNamed<'a> {
        let tokens = headers
            .get_all(CONNECTION)
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|token| {
                !token.is_empty()
                    && !["close", "keep-alive", "te", "upgrade"]
                        .iter()
                        .any(|usual| token.eq_ignore_ascii_case(usual))
            });
        ConnectionNamed(tokens.collect())
    }

    fn contains(&self, name: &HeaderName) -> bool {
        self.0.iter().any(|named| name.as_str().eq_ignore_ascii_case(named))
    }
}

fn is_dropped_outgoing(name: &HeaderName) -> bool {
    if *name == AUTHORIZATION
        || *name == HOST
        || *name == CONNECTION
        || *name == TRANSFER_ENCODING
        || *name == UPGRADE
        || *name == EXPECT
        || *name == FORWARDED
    {
        return true;
    }
    let text = name.as_str();
    match text.as_bytes()[0] {
        b'x' => {
            text.get(..12).is_some_and(|start| is_twin(start, "x-forwarded-")) || is_any(text, &OVERRIDES)
        }
        b'k' | b'p' | b'h' => {
            const HOP: [&str; 5] = [
                "keep-alive",
                "proxy-connection",
                "proxy-authorization",
                "proxy-authenticate",
                "http2-settings",
            ];
            is_any(text, &HOP)
        }
        b't' | b'c' => {
            text.as_bytes().contains(&b'_')
                && is_any(text, &["transfer-encoding", "content-length", "content-type"])
        }
        _ => false,
    }
}

/// Whether a field is one of these, or a twin of one: servers that pass fields as variables read `_` as `-`.
fn is_any(field: &str, names: &[&str]) -> bool {
    names.iter().any(|name| is_twin(field, name))
}

fn is_twin(field: &str, name: &str) -> bool {
    let same = |(a, b): (u8, u8)| a == b || (a == b'_' && b == b'-');
    field.len() == name.len() && field.bytes().zip(name.bytes()).all(same)
}

fn absolute(target: &PathAndQuery, origin: &Origin) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(origin.scheme.clone());
    parts.authority = Some(origin.authority.clone());
    parts.path_and_query = Some(target.clone());
    // Scheme, authority and path are all there, which is the only thing that can be wrong.
    Uri::from_parts(parts).unwrap_or_default()
}

fn has_token(value: &HeaderValue, token: &str) -> bool {
    value.to_str().is_ok_and(|value| value.split(',').any(|item| item.trim().eq_ignore_ascii_case(token)))
}

fn count_ours(value: &HeaderValue) -> usize {
    value.to_str().map_or(0, |value| {
        value.split(',').filter(|hop| hop.split_whitespace().nth(1) == Some(super::reply::NAME)).count()
    })
}
