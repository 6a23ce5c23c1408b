//! Who may come in: the guard on `Host` and `Origin`, the one on where listeners bind, and callers by name.
//!
//! A port on loopback is open to every web page in a browser on the same machine. Two things keep pages out: the
//! name they had to use (DNS rebinding points a foreign name at us) and the origin that browsers put on their
//! requests. Neither touches clients that are not browsers.

mod authority;
mod bind;
mod callers;
mod origin;
mod policy;
mod proof;
mod quota;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::HeaderValue;
use http::header::HOST;
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::message::request::Head;
use crate::reason::Reason;
use authority::{Allowed, Authority, Host};
pub use bind::{REMEDY, bind_guard};
pub use callers::{Caller, CallerConfig, CallerMistake, Callers};
use origin::Origins;
pub use proof::PeerProof;
pub use quota::Pass;

/// The Host and Origin guard.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Names, with or without a port, that callers may use for this proxy besides loopback names and bound addresses.
    pub allowed_hosts: Vec<String>,
    /// Web origins (`https://host:port`) whose pages may call. None by default.
    pub allowed_origins: Vec<String>,
    /// Which decisions get a line.
    pub audit: Audit,
}

/// Which decisions about callers get a line in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Audit {
    /// Those who were not let in.
    #[default]
    Refusals,
    /// Every one.
    All,
    /// None.
    Off,
}

/// How far away an unauthenticated caller may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Anonymous {
    /// On this machine only: a listener that others can reach refuses to start, or lets in whom it knows.
    #[default]
    Loopback,
    /// Nowhere: whoever comes has to prove who it is, on every listener.
    Nowhere,
    /// Wherever a listener can be reached from. Whoever reaches it acts as the cluster's client.
    Anywhere,
}

impl Anonymous {
    /// Whether a listener at this address lets those in who prove nothing.
    pub fn may_come_in_at(self, bound: &Address) -> bool {
        match self {
            Anonymous::Anywhere => true,
            Anonymous::Loopback => bound.is_local(),
            Anonymous::Nowhere => false,
        }
    }
}

/// The guard of one listener.
#[derive(Clone, Debug)]
pub struct Access {
    allowed: Vec<Allowed>,
    origins: Origins,
    bound: Bound,
    /// What callers usually write, and is known: not read anew with each request.
    usual: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
enum Bound {
    /// One address, which callers may name.
    To(IpAddr),
    /// All of the machine's addresses: callers may name the one that they reached.
    Everywhere,
    /// A Unix socket. No browser gets there, so names mean nothing.
    Unix,
}

/// Why a request may not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// No authority, several, or one that cannot be read; the text says which.
    Malformed(&'static str),
    /// The name in `Host` or `:authority` is not one of ours.
    HostDenied,
    /// A web page sent it, and its origin is not on the list.
    OriginDenied,
}

/// Why a caller may not do what it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallerDenial {
    /// It has not proved who it is.
    Unknown,
    /// It is known, and this is not for it.
    Denied(String),
    /// It has had its share.
    Exceeded {
        /// Of what.
        limit: String,
        /// When another try makes sense.
        retry_after: Duration,
    },
}

impl Denial {
    /// The word for it.
    pub fn reason(self) -> Reason {
        match self {
            Denial::Malformed(_) => Reason::Malformed,
            Denial::HostDenied => Reason::HostDenied,
            Denial::OriginDenied => Reason::OriginDenied,
        }
    }
}

impl Access {
    /// The guard for a listener at `bound`, its address after binding. All mistakes in the lists come at once, one
    /// message each.
    ///
    /// A systemd socket is given by the address that it turned out to have; by its name it counts as a wildcard.
    pub fn new(config: &Config, bound: &Address) -> Result<Access, Vec<String>> {
        let mut mistakes = Vec::new();
        let mut allowed = Vec::new();
        for text in &config.allowed_hosts {
            match Allowed::parse(text) {
                Ok(host) => allowed.push(host),
                Err(why) => mistakes.push(format!("allowed_hosts: `{text}` {why}")),
            }
        }
        let origins = Origins::new(&config.allowed_origins, &mut mistakes);
        let port = if let Address::Tcp(address) = bound { Some(address.port()) } else { None };
        let bound = match bound {
            Address::Tcp(address) if !address.ip().is_unspecified() => Bound::To(address.ip().to_canonical()),
            Address::Tcp(_) | Address::Systemd(_) => Bound::Everywhere,
            Address::Unix { .. } => Bound::Unix,
        };
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let mut access = Access { allowed, origins, bound, usual: Vec::new() };
        access.usual = access.usual_names(config, port);
        Ok(access)
    }

    /// The names that go without a look at the caller's connection, alone and with the listener's port.
    fn usual_names(&self, config: &Config, port: Option<u16>) -> Vec<String> {
        let mut names = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).to_vec();
        match self.bound {
            Bound::To(ip) if ip.is_loopback() => {}
            Bound::To(IpAddr::V6(ip)) => names.push(format!("[{ip}]")),
            Bound::To(IpAddr::V4(ip)) => names.push(ip.to_string()),
            Bound::Everywhere | Bound::Unix => {}
        }
        names.extend_from_slice(&config.allowed_hosts);
        let with_port: Vec<String> =
            port.iter().flat_map(|port| names.iter().map(move |name| format!("{name}:{port}"))).collect();
        names.extend(with_port);
        names.retain(|name| Authority::parse(name.as_bytes()).is_ok_and(|name| self.knows(&name, None)));
        names
    }

    /// Admits a request by its head. `local` is our end of its connection, which tells a listener on a wildcard
    /// address by which of the machine's addresses it was reached.
    pub fn admit(&self, head: &Head, local: Option<SocketAddr>) -> Result<(), Denial> {
        let (mut hosts, mut host, mut of_page) = (0, None, false);
        for (name, value) in head.headers.iter() {
            if name == HOST {
                (hosts, host) = (hosts + 1, Some(value));
            }
            of_page |= origin::is_of_page(name);
        }
        if hosts > 1 {
            return Err(Denial::Malformed("the request has several Host fields"));
        }
        if !self.is_usual(head, host) && !self.knows(&authority_of(head, host)?, local) {
            return Err(Denial::HostDenied);
        }
        if of_page { self.origins.admit(&head.headers) } else { Ok(()) }
    }

    fn is_usual(&self, head: &Head, host: Option<&HeaderValue>) -> bool {
        let named = match (head.uri.authority(), host) {
            (Some(authority), None) => authority.as_str().as_bytes(),
            (None, Some(host)) => host.as_bytes(),
            _ => return false,
        };
        self.usual.iter().any(|usual| usual.as_bytes() == named)
    }

    /// Loopback names and addresses go with any port: containers and port-forwards change the port, and a rebinding
    /// page cannot have these names at all.
    fn knows(&self, authority: &Authority<'_>, local: Option<SocketAddr>) -> bool {
        let ours = match (authority.host, self.bound) {
            (_, Bound::Unix) => true,
            (Host::Name(name), _) => name.eq_ignore_ascii_case("localhost"),
            (Host::Ip(ip), _) if ip == IpAddr::from([127, 0, 0, 1]) || is_ipv6_loopback(ip) => true,
            (Host::Ip(ip), Bound::To(bound)) => ip == bound,
            (Host::Ip(ip), Bound::Everywhere) => local.is_some_and(|local| local.ip().to_canonical() == ip),
        };
        ours || self.allowed.iter().any(|allowed| allowed.matches(authority))
    }
}

fn is_ipv6_loopback(ip: IpAddr) -> bool {
    ip.is_ipv6() && ip.is_loopback()
}

/// The one authority that a request names, in `:authority` (or an absolute target), in `Host`, or alike in both.
fn authority_of<'a>(head: &'a Head, host: Option<&'a HeaderValue>) -> Result<Authority<'a>, Denial> {
    let malformed = |what| Err(Denial::Malformed(what));
    let host = match host {
        Some(field) => Some(Authority::parse(field.as_bytes()).map_err(Denial::Malformed)?),
        None => None,
    };
    let target = match head.uri.authority() {
        Some(authority) => Some(Authority::parse(authority.as_str().as_bytes()).map_err(Denial::Malformed)?),
        None => None,
    };
    match (target, host) {
        (Some(target), Some(host)) if target != host => {
            malformed("the target's authority and the Host field differ")
        }
        (Some(authority), _) | (None, Some(authority)) => Ok(authority),
        (None, None) => malformed("the request names no host"),
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Denial::Malformed(what) => what,
            Denial::HostDenied => {
                "this proxy is not known by the host name of the request: use localhost or the address that it \
                 listens on, or add the name to `allowed_hosts`"
            }
            Denial::OriginDenied => {
                "a web page sent this request: pages may call this proxy only if their origin is listed in \
                 `allowed_origins`"
            }
        })
    }
}

impl std::error::Error for Denial {}

#[cfg(test)]
mod tests;
