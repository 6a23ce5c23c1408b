//! Any host, origin and path before the guards and the rules of a caller.

use std::net::IpAddr;

use http::header::{HOST, ORIGIN};
use http::{HeaderName, Method};

use crate::access::{Access, CallerConfig, Callers, Config};
use crate::address::Address;
use crate::guises::readings;
use crate::message::Headers;
use crate::message::request::Head;
use crate::route::RouteTable;
use crate::scope::Scope;

/// In the first line a method and a path, in the others fields, `host` among them.
///
/// Who is let in without a list named this machine, as a browser would have read it, and was sent by no page; and what a
/// rule denies is not reached by another spelling.
pub(crate) fn caller(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    let mut lines = text.lines();
    let Some((method, path)) = lines.next().and_then(|first| first.split_once(' ')) else { return };
    let fields = crate::guises::fields(lines);
    is_of_this_machine(&fields);
    is_not_gone_round(method, path);
    assert!(keyed(&[], &[]).of_head(&fields).is_none(), "who proves nothing is nobody");
}

fn is_of_this_machine(fields: &Headers) {
    let head = Head { headers: fields.clone(), ..Head::default() };
    let bound = Address::Tcp(([127, 0, 0, 1], 8080).into());
    let access = Access::new(&Config::default(), &bound).expect("no lists, no mistakes");
    if access.admit(&head, None).is_err() {
        return;
    }
    assert!(!fields.contains(ORIGIN), "{fields:?}");
    let mut sites = fields.get_all(HeaderName::from_static("sec-fetch-site"));
    assert!(sites.all(|site| site == "none" || site == "same-origin"));
    let hosts: Vec<_> = fields.get_all(HOST).collect();
    let [host] = hosts[..] else { panic!("{hosts:?} are not one host") };
    let url = format!("http://{}/", host.to_str().expect("text"));
    let url = reqwest::Url::parse(&url).expect("a browser reads it too");
    let name = url.host_str().expect("a host").trim_end_matches('.').trim_matches(['[', ']']);
    let ip = name.parse::<IpAddr>().map(|ip| ip.to_canonical());
    let ours = name == "localhost" || ip.is_ok_and(|ip| ip.is_loopback());
    assert!(ours && url.username().is_empty(), "{url}");
}

/// `/v2/users/**` is denied, `GET /v2/open/**` alone is allowed: however often a server behind us may decode.
fn is_not_gone_round(method: &str, path: &str) {
    let Ok(method) = method.parse::<Method>() else { return };
    let routes = RouteTable::default();
    let Ok(route) = routes.find(&method, path, false, Some(Scope::Zeebe), false) else { return };
    let may = |allow: &[&str], deny: &[&str]| {
        let callers = keyed(allow, deny);
        let caller = callers.named("someone").expect("a caller");
        caller.may(route.scope, method.as_str(), route.path).is_ok()
    };
    let bare = route.path.split('?').next().unwrap_or_default();
    let under = |top: &str| {
        let is_under = |reading: Vec<u8>| {
            let reading = String::from_utf8_lossy(&reading).to_ascii_lowercase();
            let segments = reading.split('/').skip(1).map(|segment| segment.split(';').next());
            segments.take(2).eq(["v2", top].map(Some))
        };
        readings(bare).map(is_under).collect::<Vec<_>>()
    };
    if may(&[], &["/v2/users/**"]) {
        assert!(!under("users")[1..].contains(&true), "{path} gets at users");
    }
    if may(&["GET /v2/open/**"], &[]) {
        assert!(method == Method::GET && !under("open")[1..].contains(&false), "{path} gets out of open");
    }
}

/// A caller with these rules.
fn keyed(allow: &[&str], deny: &[&str]) -> Callers {
    let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    let someone = CallerConfig {
        name: "someone".to_owned(),
        key_sha256: Some("0".repeat(64)),
        allow: owned(allow),
        deny: owned(deny),
        ..CallerConfig::default()
    };
    Callers::new(&[someone]).expect("a caller")
}
