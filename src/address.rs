//! Addresses to listen on: TCP, Unix sockets and sockets that systemd hands over.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `127.0.0.1:8080` or `[::1]:8080`; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// `unix:/path` or `unix:/path?mode=0660`.
    Unix {
        /// The socket's file.
        path: PathBuf,
        /// The file's permission bits, 0600 unless given.
        mode: u32,
    },
    /// `systemd:NAME`: the socket that the service manager passes under this `FileDescriptorName`.
    Systemd(String),
}

impl Address {
    /// Whether only this machine's processes can reach it. A systemd socket's address is known once it is taken over.
    pub fn is_local(&self) -> bool {
        match self {
            Address::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Address::Unix { .. } | Address::Systemd(_) => true,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(f),
            Address::Unix { path, mode: 0o600 } => write!(f, "unix:{}", path.display()),
            Address::Unix { path, mode } => write!(f, "unix:{}?mode={mode:04o}", path.display()),
            Address::Systemd(name) => write!(f, "systemd:{name}"),
        }
    }
}

/// The text is not an address.
#[derive(Debug, PartialEq, Eq)]
pub struct InvalidAddress(String);

impl fmt::Display for InvalidAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not an address: write 127.0.0.1:8080, [::1]:8080, localhost:8080, unix:/path?mode=0600 or systemd:NAME",
            self.0
        )
    }
}

impl std::error::Error for InvalidAddress {}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Address, InvalidAddress> {
        let invalid = || InvalidAddress(text.to_owned());
        if let Some(rest) = text.strip_prefix("unix:") {
            let (path, mode) = match rest.split_once("?mode=") {
                Some((path, mode)) => (path, u32::from_str_radix(mode, 8).map_err(|_| invalid())?),
                None => (rest, 0o600),
            };
            return match path.starts_with('/') && mode <= 0o777 {
                true => Ok(Address::Unix { path: path.into(), mode }),
                false => Err(invalid()),
            };
        }
        if let Some(name) = text.strip_prefix("systemd:") {
            return if name.is_empty() { Err(invalid()) } else { Ok(Address::Systemd(name.to_owned())) };
        }
        // A name is never looked up for listening; the one that everybody means is known.
        let numeric = match text.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}"),
            None => text.to_owned(),
        };
        numeric.parse().map(Address::Tcp).map_err(|_| invalid())
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Address, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
