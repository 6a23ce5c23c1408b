//! An upstream's address: whether it speaks TLS, host, port and base path.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// The address of a Camunda component. What is parsed can be put together with a request's path without a look
/// back: the host is a name or an IP address, the base path has no dot segments, no query and no trailing slash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UpstreamAddress {
    /// TLS, or plaintext.
    pub tls: bool,
    /// A name in lower case, an IPv4 address, or an IPv6 address in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What comes before a request's own path: empty, or `/` and at least one segment.
    pub base_path: String,
}

impl UpstreamAddress {
    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// What goes into `host` and `:authority`: the port is left out where the scheme implies it.
    pub fn authority(&self) -> String {
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => self.host.clone(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }

    /// The host without an IPv6 address's brackets, as resolvers and TLS take it.
    pub fn host_name(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Whether the address is on this machine, so that plaintext to it meets no wire.
    pub fn is_loopback(&self) -> bool {
        match self.host_name().parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_) => self.host == "localhost" || self.host.ends_with(".localhost"),
        }
    }
}

impl fmt::Display for UpstreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme(), self.authority(), self.base_path)
    }
}

/// Why a text is no upstream address. The text itself is left out: it may be a secret in the wrong place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidUpstreamAddress {
    /// A scheme other than the four.
    Scheme,
    /// No host, or characters that no host has.
    Host,
    /// Not a number from 1 to 65535.
    Port,
    /// `user:password@`.
    UserInfo,
    /// A query or a fragment.
    Query,
    /// Dot segments, empty segments, escapes, blanks.
    Path,
}

impl fmt::Display for InvalidUpstreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "the scheme is none of https, grpcs, http and grpc",
            Self::Host => "the host is missing or has characters that no host has",
            Self::Port => "the port is not a number from 1 to 65535",
            Self::UserInfo => "an address holds no user name or password",
            Self::Query => "an address holds no query and no fragment",
            Self::Path => "the path has dot segments, empty segments, escapes or blanks",
        })
    }
}

impl std::error::Error for InvalidUpstreamAddress {}

impl FromStr for UpstreamAddress {
    type Err = InvalidUpstreamAddress;

    /// Without a scheme an address is TLS, as in Console's `ZEEBE_ADDRESS`.
    fn from_str(text: &str) -> Result<UpstreamAddress, InvalidUpstreamAddress> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
        let (tls, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "https" | "grpcs" => (true, 443),
            "http" => (false, 80),
            // The gateway's own port: nobody serves plaintext gRPC on 80.
            "grpc" => (false, 26500),
            _ => return Err(InvalidUpstreamAddress::Scheme),
        };
        if rest.contains(['?', '#']) {
            return Err(InvalidUpstreamAddress::Query);
        }
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        if authority.contains('@') {
            return Err(InvalidUpstreamAddress::UserInfo);
        }
        let (host, port) = host_and_port(authority)?;
        Ok(UpstreamAddress { tls, host, port: port.unwrap_or(default_port), base_path: base_path(path)? })
    }
}

fn host_and_port(authority: &str) -> Result<(String, Option<u16>), InvalidUpstreamAddress> {
    let port = |text: &str| match text.parse::<u16>() {
        Ok(port) if port > 0 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(Some(port)),
        _ => Err(InvalidUpstreamAddress::Port),
    };
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, after) = rest.split_once(']').ok_or(InvalidUpstreamAddress::Host)?;
        let address: Ipv6Addr = address.parse().map_err(|_| InvalidUpstreamAddress::Host)?;
        return match after.strip_prefix(':') {
            Some(digits) => Ok((format!("[{address}]"), port(digits)?)),
            None if after.is_empty() => Ok((format!("[{address}]"), None)),
            None => Err(InvalidUpstreamAddress::Host),
        };
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, digits)) => (host, port(digits)?),
        None => (authority, None),
    };
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    match host.len() <= 253 && host.split('.').all(label) {
        true => Ok((host.to_ascii_lowercase(), port)),
        false => Err(InvalidUpstreamAddress::Host),
    }
}

fn base_path(path: &str) -> Result<String, InvalidUpstreamAddress> {
    let path = path.trim_end_matches('/');
    let segment = |segment: &str| {
        !segment.is_empty()
            && segment != "."
            && segment != ".."
            && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&b))
    };
    match path.split('/').skip(1).all(segment) {
        true => Ok(path.to_owned()),
        false => Err(InvalidUpstreamAddress::Path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_understood() {
        for (text, shown, authority) in [
            (
                "abc.bru-2.zeebe.camunda.io:443",
                "https://abc.bru-2.zeebe.camunda.io",
                "abc.bru-2.zeebe.camunda.io",
            ),
            ("grpcs://abc.zeebe.camunda.io:443", "https://abc.zeebe.camunda.io", "abc.zeebe.camunda.io"),
            (
                "https://bru-2.operate.camunda.io/abc/",
                "https://bru-2.operate.camunda.io/abc",
                "bru-2.operate.camunda.io",
            ),
            ("http://localhost:8080", "http://localhost:8080", "localhost:8080"),
            ("HTTP://LocalHost", "http://localhost", "localhost"),
            ("grpc://127.0.0.1", "http://127.0.0.1:26500", "127.0.0.1:26500"),
            ("grpc://[::1]:1/", "http://[::1]:1", "[::1]:1"),
            ("[2001:DB8::1]", "https://[2001:db8::1]", "[2001:db8::1]"),
            ("https://h:8443/a/b", "https://h:8443/a/b", "h:8443"),
            ("https://h:80", "https://h:80", "h:80"),
        ] {
            let address: UpstreamAddress = text.parse().expect(text);
            assert_eq!(
                (address.to_string().as_str(), address.authority().as_str()),
                (shown, authority),
                "{text}"
            );
            assert_eq!(shown.parse::<UpstreamAddress>().expect(shown), address, "{text}");
        }
    }

    #[test]
    fn what_could_change_the_meaning_on_the_way_is_refused() {
        use InvalidUpstreamAddress::*;
        for (text, why) in [
            ("ftp://h", Scheme),
            ("https://u:p@h", UserInfo),
            ("https://h/a?b=c", Query),
            ("https://h/#x", Query),
            ("https://h:0", Port),
            ("https://h:+80", Port),
            ("h:99999", Port),
            ("https://h/../x", Path),
            ("https://h//x", Path),
            ("https://h/%2e%2e", Path),
            ("https://h/a b", Path),
            ("https://h\\x", Host),
            ("https:///x", Host),
            ("", Host),
            ("https://[::1", Host),
            ("https://a b", Host),
        ] {
            assert_eq!(text.parse::<UpstreamAddress>(), Err(why), "{text}");
        }
    }

    #[test]
    fn loopback_is_told_from_the_rest() {
        let loopback = |text: &str| text.parse::<UpstreamAddress>().expect(text).is_loopback();
        for text in ["localhost", "127.0.0.2:1", "[::1]", "[::ffff:127.0.0.1]", "a.localhost"] {
            assert!(loopback(text), "{text}");
        }
        for text in ["10.0.0.1", "localhost.example.com", "[2001:db8::1]", "notlocalhost"] {
            assert!(!loopback(text), "{text}");
        }
    }
}
