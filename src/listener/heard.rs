//! A caller's HTTP/1.1 socket as hyper has it: what comes and goes is noted, and what hyper says of its own accord is held
//! back.
//!
//! hyper answers a head that it cannot read with a bare status. The proxy's own answer says why, and that it is the
//! proxy's; so hyper's is not sent, and who serves the connection sends the other.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::proxy::{Reads, Writes};

/// The statuses with which hyper refuses, as they stand after the version, and how it goes on.
const BARE: [&[u8]; 3] =
    [b"400 Bad Request\r\n", b"414 URI Too Long\r\n", b"431 Request Header Fields Too Large\r\n"];
const BARE_FIELDS: &[u8] = b"connection: close\r\ncontent-length: 0\r\ndate: ";
/// No bare answer is longer.
const BARE_LENGTH: usize = 160;
/// hyper flushes so often before it closes. When it does so more often, it goes on: then what is held back only
/// looked like its own answer.
const FLUSHES: u8 = 2;

/// A socket.
pub(super) struct Heard<T> {
    inner: T,
    reads: Reads,
    writes: Writes,
    held: Vec<u8>,
    flushes: u8,
}

impl<T> Heard<T> {
    pub(super) fn new(inner: T, reads: Reads, writes: Writes) -> Heard<T> {
        Heard { inner, reads, writes, held: Vec::new(), flushes: 0 }
    }

    /// The socket, and the answer of hyper's own that was held back: empty when there was none.
    pub(super) fn into_parts(self) -> (T, Vec<u8>) {
        (self.inner, self.held)
    }
}

/// Where hyper's own answer begins in what it writes.
fn bare_answer(written: &[u8]) -> Option<usize> {
    // Few writes end like this: those of answers without a body.
    if !written.ends_with(b"\r\n\r\n") {
        return None;
    }
    let from = written.len().saturating_sub(BARE_LENGTH);
    let at = from + written[from..].windows(7).rposition(|window| window == b"HTTP/1.")?;
    // The digit of the version, and a space.
    let rest = written.get(at + 9..)?;
    let fields = BARE.iter().find_map(|status| rest.strip_prefix(*status))?;
    fields.starts_with(BARE_FIELDS).then_some(at)
}

impl<T: AsyncWrite + Unpin> Heard<T> {
    fn note(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Ready(Ok(bytes)) => self.writes.took(*bytes),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.writes.blocked(),
        }
    }

    /// Writes what was held back after all.
    fn poll_release(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let n = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.held))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.held.drain(..n);
        }
        self.flushes = 0;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Heard<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.reads.heard(&buf.filled()[before..]);
        }
        result
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Heard<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if !self.held.is_empty() {
            ready!(self.poll_release(cx))?;
        }
        match bare_answer(buf) {
            None => {
                let result = Pin::new(&mut self.inner).poll_write(cx, buf);
                self.note(&result);
                result
            }
            Some(0) => {
                self.held = buf.to_vec();
                Poll::Ready(Ok(buf.len()))
            }
            // An answer that waits to be sent goes first.
            Some(at) => Pin::new(&mut self.inner).poll_write(cx, &buf[..at]),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.held.is_empty() {
            if self.flushes == FLUSHES {
                ready!(self.poll_release(cx))?;
            } else {
                self.flushes += 1;
                cx.waker().wake_by_ref();
            }
        }
        let result = Pin::new(&mut self.inner).poll_flush(cx);
        match result {
            Poll::Ready(_) => self.writes.flushed(),
            // TLS takes more than its socket does.
            Poll::Pending => self.writes.blocked(),
        }
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Who serves the connection has something to say yet.
        if !self.held.is_empty() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // hyper begins a head only when nothing is queued behind the one before it.
        match bufs {
            [one] => self.poll_write(cx, one),
            _ => {
                if !self.held.is_empty() {
                    ready!(self.poll_release(cx))?;
                }
                let result = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
                self.note(&result);
                result
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const BARE_400: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n";

    #[test]
    fn hypers_own_answer_is_told_from_every_other() {
        let text = String::from_utf8_lossy(BARE_400);
        let after = format!("HTTP/1.1 204 No Content\r\nx: y\r\n\r\n{text}");
        for (written, at) in [
            (&*text, Some(0)),
            (&text.replace("400 Bad Request", "431 Request Header Fields Too Large"), Some(0)),
            (&text.replace("400 Bad Request", "414 URI Too Long"), Some(0)),
            (&text.replace("HTTP/1.1", "HTTP/1.0"), Some(0)),
            (&after, Some(after.len() - text.len())),
            (&text.replace("400 Bad Request", "404 Not Found"), None),
            (&text.replace("connection", "x: y\r\nconnection"), None),
            (&format!("{text}body"), None),
            ("HTTP/1.1 204 No Content\r\n\r\n", None),
            ("\r\n\r\n", None),
            ("", None),
        ] {
            assert_eq!(bare_answer(written.as_bytes()), at, "{written}");
        }
    }

    #[tokio::test]
    async fn what_only_looks_like_hypers_own_answer_is_sent_when_the_connection_goes_on() {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        let mut heard = Heard::new(ours, Reads::default(), Writes::default());
        heard.write_all(BARE_400).await.unwrap();
        heard.write_all(b"more").await.unwrap();
        heard.write_all(BARE_400).await.unwrap();
        for _ in 0..3 {
            heard.flush().await.unwrap();
        }
        let mut sent = vec![0; 2 * BARE_400.len() + 4];
        theirs.read_exact(&mut sent).await.unwrap();
        assert_eq!(sent, [BARE_400, b"more", BARE_400].concat());
        assert!(heard.into_parts().1.is_empty());
    }
}
