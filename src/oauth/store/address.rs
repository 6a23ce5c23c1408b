//! Where Redis is: `redis://user:password@host:port/database`, `rediss://` over TLS, `unix:///path` on this machine.

use std::fmt;
use std::path::PathBuf;

use redis::{ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo};
use rustls::pki_types::ServerName;

use crate::secret::Secret;

/// A Redis server and how to log in. Its `Debug` and `Display` show no password.
#[derive(Clone)]
pub struct RedisAddress {
    pub(super) place: Place,
    pub(super) login: RedisConnectionInfo,
}

#[derive(Clone)]
pub(super) enum Place {
    Tcp { host: String, port: u16, tls: Option<ServerName<'static>> },
    Unix(PathBuf),
}

/// The URL is not one of a Redis server. The message does not quote it, because it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressError(&'static str);

impl RedisAddress {
    /// Reads a URL. `valkey://` and `valkeys://` are the same by other names.
    ///
    /// # Errors
    /// When it has another scheme, no host, or a database that is no number.
    pub fn parse(url: &Secret) -> Result<RedisAddress, AddressError> {
        let (scheme, rest) = url.expose().split_once("://").ok_or(AddressError("this is not a URL"))?;
        let (plain, tls) = match scheme {
            "redis" | "valkey" => ("redis", false),
            "rediss" | "valkeys" => ("redis", true),
            "unix" | "redis+unix" | "valkey+unix" => ("unix", false),
            _ => return Err(AddressError("the scheme is none of redis, rediss and unix")),
        };
        // TLS is ours, so the library sees plaintext.
        let info = format!("{plain}://{rest}").into_connection_info();
        let info = info.map_err(|_| AddressError("this is not the URL of a Redis server"))?;
        let place = match info.addr() {
            ConnectionAddr::Tcp(host, port) => {
                let name = || ServerName::try_from(host.clone());
                let tls = tls.then(name).transpose().map_err(|_| AddressError("the host is not a name"))?;
                Place::Tcp { host: host.clone(), port: *port, tls }
            }
            ConnectionAddr::Unix(path) => Place::Unix(path.clone()),
            _ => return Err(AddressError("this is not the URL of a Redis server")),
        };
        // An older server does not know that command, and an access list may forbid it.
        Ok(RedisAddress { place, login: info.redis_settings().clone().set_skip_set_lib_name() })
    }

    /// Whether TLS is spoken.
    pub fn is_tls(&self) -> bool {
        matches!(self.place, Place::Tcp { tls: Some(_), .. })
    }

    /// Whether a password would cross a network that can be read.
    pub fn shows_password(&self) -> bool {
        let far = match &self.place {
            Place::Tcp { host, tls: None, .. } => {
                let address = host.parse::<std::net::IpAddr>().map(|address| address.is_loopback());
                !address.unwrap_or(host == "localhost")
            }
            _ => false,
        };
        far && self.login.password().is_some()
    }
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Tcp { host, port, tls } => {
                let scheme = if tls.is_some() { "rediss" } else { "redis" };
                let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
                write!(f, "{scheme}://{host}:{port}")
            }
            Place::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for AddressError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_shown_without_their_password() {
        for (url, shown, tls) in [
            ("redis://127.0.0.1", "redis://127.0.0.1:6379", false),
            ("valkey://:canary@cache:7000/3", "redis://cache:7000", false),
            ("rediss://me:canary@cache.example", "rediss://cache.example:6379", true),
            ("redis://[::1]:7000", "redis://[::1]:7000", false),
            ("unix:///run/redis.sock?db=2&pass=canary", "unix:///run/redis.sock", false),
        ] {
            let address = RedisAddress::parse(&url.into()).expect(url);
            assert_eq!((format!("{address:?}").as_str(), address.is_tls()), (shown, tls));
        }
        let address = RedisAddress::parse(&"redis://me:p%40ss@cache/3".into()).expect("read");
        assert_eq!((address.login.username(), address.login.password()), (Some("me"), Some("p@ss")));
        assert_eq!(address.login.db(), 3);
    }

    #[test]
    fn what_is_no_url_of_a_redis_server_is_refused_without_quoting_it() {
        for url in ["canary", "http://canary", "redis://", "redis://host/canary", "redis://:canary@/"] {
            let error = RedisAddress::parse(&url.into()).expect_err(url);
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_password_that_can_be_read_on_the_way_is_noticed() {
        for (url, shows) in [
            ("redis://:p@cache", true),
            ("redis://cache", false),
            ("redis://:p@127.0.0.1", false),
            ("redis://:p@localhost", false),
            ("rediss://:p@cache", false),
        ] {
            assert_eq!(RedisAddress::parse(&url.into()).expect(url).shows_password(), shows, "{url}");
        }
    }
}
