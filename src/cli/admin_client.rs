//! A few lines of HTTP/1.1 towards the admin address, without a runtime: a container's health check starts this often.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::address::Address;

const TIMEOUT: Duration = Duration::from_secs(3);

/// Gets `path`: its status and body.
///
/// # Errors
/// When nobody answers there, or not in HTTP.
pub(super) fn get(address: &Address, path: &str) -> io::Result<(u16, String)> {
    match address {
        Address::Tcp(address) => {
            let socket = TcpStream::connect_timeout(&reachable(*address), TIMEOUT)?;
            socket.set_read_timeout(Some(TIMEOUT))?;
            exchange(socket, path)
        }
        Address::Unix { path: socket, .. } => {
            let socket = UnixStream::connect(socket)?;
            socket.set_read_timeout(Some(TIMEOUT))?;
            exchange(socket, path)
        }
        Address::Systemd(_) => {
            Err(io::Error::other("a socket of the service manager has no address to connect to"))
        }
    }
}

/// A process that listens on all addresses is asked on loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        let loopback =
            if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
        address.set_ip(loopback);
    }
    address
}

fn exchange(mut socket: impl Read + Write, path: &str) -> io::Result<(u16, String)> {
    write!(socket, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let not_http = || io::Error::other("what answers there does not speak HTTP");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(not_http)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(not_http)?;
    Ok((status, body.to_owned()))
}
