//! Which protocol a connection speaks, by its first bytes.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncRead;

use crate::io::some_bytes;

/// The start of every HTTP/2 connection (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The first byte of a TLS handshake record (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 0x16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
    /// TLS, on a listener without it.
    Tls,
}

/// Reads until the protocol is clear, and gives back what was read. The caller sets the deadline.
pub(super) async fn detect(io: &mut (impl AsyncRead + Unpin)) -> io::Result<(Protocol, Bytes)> {
    let mut read = BytesMut::new();
    loop {
        let more = some_bytes(io).await?;
        if more.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        read.extend_from_slice(&more);
        let n = read.len().min(PREFACE.len());
        let protocol = if read[0] == TLS_HANDSHAKE {
            Protocol::Tls
        } else if read[..n] != PREFACE[..n] {
            Protocol::Http1
        } else if n == PREFACE.len() {
            Protocol::Http2
        } else {
            continue;
        };
        return Ok((protocol, read.freeze()));
    }
}
