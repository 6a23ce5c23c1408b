//! An authority: the `host[:port]` of a `Host` field or an `:authority`, read strictly and without a copy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host and perhaps a port. Compares as the same place would: without case, in any spelling of an address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Authority<'a> {
    pub(super) host: Host<'a>,
    pub(super) port: Option<u16>,
}

/// A name without its final dot, or an address in its canonical form.
#[derive(Clone, Copy, Debug)]
pub(super) enum Host<'a> {
    Name(&'a str),
    Ip(IpAddr),
}

impl<'a> Authority<'a> {
    /// Reads `name`, `name:port`, `192.0.2.1:port` or `[2001:db8::1]:port`. User information, zone ids, escapes
    /// and lists are not part of this grammar, so they are errors without being named.
    pub(super) fn parse(text: &'a [u8]) -> Result<Authority<'a>, &'static str> {
        const UNREADABLE: &str = "the request's host cannot be read";
        let text = std::str::from_utf8(text).map_err(|_| UNREADABLE)?;
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (ip, rest) = rest.split_once(']').ok_or(UNREADABLE)?;
                let ip: Ipv6Addr = ip.parse().map_err(|_| UNREADABLE)?;
                let port = match rest {
                    "" => None,
                    _ => Some(rest.strip_prefix(':').ok_or(UNREADABLE)?),
                };
                (Host::Ip(IpAddr::from(ip).to_canonical()), port)
            }
            None => match text.split_once(':') {
                Some((host, port)) => (Host::parse(host).ok_or(UNREADABLE)?, Some(port)),
                None => (Host::parse(text).ok_or(UNREADABLE)?, None),
            },
        };
        let port = match port {
            Some(port) => Some(parse_port(port).ok_or("the request's port is not a number up to 65535")?),
            None => None,
        };
        Ok(Authority { host, port })
    }
}

impl<'a> Host<'a> {
    fn parse(text: &'a str) -> Option<Host<'a>> {
        let is_name = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_');
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() || !name.bytes().all(is_name) {
            return None;
        }
        // Only four decimal numbers are an address here. `127.1`, `0x7f.1` and the like stay names, and on no list.
        Some(name.parse::<Ipv4Addr>().map_or(Host::Name(name), |ip| Host::Ip(ip.into())))
    }
}

impl PartialEq for Host<'_> {
    fn eq(&self, other: &Host<'_>) -> bool {
        match (self, other) {
            (Host::Name(one), Host::Name(other)) => one.eq_ignore_ascii_case(other),
            (Host::Ip(one), Host::Ip(other)) => one == other,
            _ => false,
        }
    }
}

impl PartialEq for Authority<'_> {
    fn eq(&self, other: &Authority<'_>) -> bool {
        self.host == other.host && self.port == other.port
    }
}

// `u16::from_str` alone would take a plus sign.
fn parse_port(text: &str) -> Option<u16> {
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

/// A name or address that the configuration allows, with its port if it names one.
#[derive(Clone, Debug)]
pub(super) struct Allowed {
    name: String,
    ip: Option<IpAddr>,
    port: Option<u16>,
}

impl Allowed {
    /// Reads an entry of `allowed_hosts`; the error goes on from "`<entry>` …".
    pub(super) fn parse(text: &str) -> Result<Allowed, &'static str> {
        if text.contains('*') {
            return Err("holds a wildcard: names are exact, because a pattern lets a rebinding name through");
        }
        if text.contains("://") {
            return Err("is a URL: write the host alone, with or without its port");
        }
        // An address with several colons and no port is plain to people, so the brackets may be missing here.
        if let Ok(ip) = text.parse::<Ipv6Addr>() {
            return Ok(Allowed {
                name: String::new(),
                ip: Some(IpAddr::from(ip).to_canonical()),
                port: None,
            });
        }
        let Authority { host, port } = Authority::parse(text.as_bytes())
            .map_err(|_| "is not a host: write a name or an address, with or without a port")?;
        Ok(match host {
            Host::Name(name) => Allowed { name: name.to_owned(), ip: None, port },
            Host::Ip(ip) => Allowed { name: String::new(), ip: Some(ip), port },
        })
    }

    pub(super) fn matches(&self, authority: &Authority<'_>) -> bool {
        let host = self.ip.map_or(Host::Name(&self.name), Host::Ip);
        host == authority.host && self.port.is_none_or(|port| authority.port == Some(port))
    }
}
