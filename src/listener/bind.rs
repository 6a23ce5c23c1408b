//! Binding: an address becomes a socket that listens.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use listenfd::ListenFd;
use rustix::process::umask;

use crate::address::Address;

/// How many connections the kernel keeps for us; tokio's own 128 lose SYNs, and a second each, in a burst.
const BACKLOG: u32 = 4096;

/// A socket that listens.
#[derive(Debug)]
pub struct Bound {
    pub(super) socket: Socket,
    /// The address that it really has: port 0 has become a number.
    pub address: Address,
}

#[derive(Debug)]
pub(super) enum Socket {
    Tcp(std::net::TcpListener),
    Unix(UnixListener),
}

impl Bound {
    /// Listens on `address`.
    ///
    /// # Errors
    /// With a sentence that says what likely holds the address and what to do.
    pub fn new(address: &Address) -> Result<Bound, BindError> {
        let fail = |cause| BindError { address: address.clone(), cause };
        match address {
            Address::Tcp(tcp) => bind_tcp(*tcp).map_err(fail),
            Address::Unix { path, mode } => {
                let listener = bind_unix(path, *mode).map_err(fail)?;
                Ok(Bound { socket: Socket::Unix(listener), address: address.clone() })
            }
            Address::Systemd(name) => inherit(name).map_err(fail),
        }
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<Bound> {
    let socket =
        if address.is_ipv4() { tokio::net::TcpSocket::new_v4() } else { tokio::net::TcpSocket::new_v6() }?;
    // Restarts must not wait for old connections to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?.into_std()?;
    let address = Address::Tcp(listener.local_addr()?);
    Ok(Bound { socket: Socket::Tcp(listener), address })
}

fn bind_unix(path: &Path, mode: u32) -> io::Result<UnixListener> {
    if let Ok(found) = std::fs::symlink_metadata(path) {
        // A socket that nobody answers on is left over from a process that was killed.
        let stale = found.file_type().is_socket() && UnixStream::connect(path).is_err();
        if !stale {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        std::fs::remove_file(path)?;
    }
    // Set before the file exists: a chmod afterwards would leave a moment in which anybody may connect.
    let before = umask(rustix::fs::Mode::from_raw_mode(!mode & 0o777));
    let listener = UnixListener::bind(path);
    umask(before);
    let listener = listener?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Takes the socket that the service manager passed under this name (sd_listen_fds(3)).
fn inherit(name: &str) -> io::Result<Bound> {
    let missing =
        || io::Error::new(io::ErrorKind::NotFound, "no such socket was passed by the service manager");
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let at = names.split(':').position(|found| found == name).ok_or_else(missing)?;
    let mut passed = ListenFd::from_env();
    if let Ok(Some(listener)) = passed.take_tcp_listener(at) {
        listener.set_nonblocking(true)?;
        let address = Address::Tcp(listener.local_addr()?);
        return Ok(Bound { socket: Socket::Tcp(listener), address });
    }
    let listener = passed.take_unix_listener(at)?.ok_or_else(missing)?;
    listener.set_nonblocking(true)?;
    Ok(Bound { socket: Socket::Unix(listener), address: Address::Systemd(name.to_owned()) })
}

/// An address cannot be listened on.
#[derive(Debug)]
pub struct BindError {
    /// The address as it was asked for.
    pub address: Address,
    /// What the system said.
    pub cause: io::Error,
}

impl BindError {
    /// Whether the process lacks the right, and not the address.
    pub fn is_permission(&self) -> bool {
        self.cause.kind() == io::ErrorKind::PermissionDenied
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: ", self.address)?;
        let port = match self.address {
            Address::Tcp(address) => address.port(),
            _ => 0,
        };
        match (self.cause.kind(), port) {
            (io::ErrorKind::AddrInUse, 26500 | 8080 | 9600) => write!(
                f,
                "it is in use, most likely by a Camunda on this machine (Zeebe takes 26500, 8080 and 9600) or by \
                 another camunda-auth-proxy; stop that, or choose other addresses with --listen and --admin"
            ),
            (io::ErrorKind::AddrInUse, _) => {
                f.write_str("it is in use by another program; stop that, or choose another address")
            }
            (io::ErrorKind::PermissionDenied, _) => {
                f.write_str("this user may not; choose a port above 1023 or a folder that it may write to")
            }
            (io::ErrorKind::NotFound, _) if matches!(self.address, Address::Unix { .. }) => {
                f.write_str("its folder does not exist; create it")
            }
            (io::ErrorKind::AddrNotAvailable, _) => f.write_str("this machine does not have that address"),
            _ => self.cause.fmt(f),
        }
    }
}

impl std::error::Error for BindError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(address: &str, kind: io::ErrorKind) -> String {
        BindError { address: address.parse().unwrap(), cause: kind.into() }.to_string()
    }

    #[test]
    fn an_occupied_default_port_is_likely_a_local_camundas() {
        for (address, is_camundas) in [
            ("127.0.0.1:26500", true),
            ("127.0.0.1:8080", true),
            ("[::1]:9600", true),
            ("127.0.0.1:8081", false),
            ("unix:/run/proxy.sock", false),
        ] {
            let told = told(address, io::ErrorKind::AddrInUse);
            assert_eq!(told.contains("a Camunda on this machine"), is_camundas, "{told}");
            assert!(told.starts_with(&format!("cannot listen on {address}: ")), "{told}");
        }
    }

    #[test]
    fn what_the_system_refuses_says_what_to_do() {
        for (address, kind, says) in [
            ("127.0.0.1:80", io::ErrorKind::PermissionDenied, "choose a port above 1023"),
            ("192.0.2.1:8080", io::ErrorKind::AddrNotAvailable, "does not have that address"),
            ("unix:/no/such/folder/s", io::ErrorKind::NotFound, "create it"),
        ] {
            let told = told(address, kind);
            assert!(told.contains(says), "{told}");
        }
    }
}
