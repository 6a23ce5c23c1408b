//! Byte streams: what listeners accept and what upstream connections are made of.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A plain or encrypted connection. One type, so that nothing above it is boxed or generic.
#[derive(Debug)]
pub enum Io {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
    /// TLS to an upstream.
    TlsClient(Box<tokio_rustls::client::TlsStream<TcpStream>>),
    /// TLS from a caller.
    TlsServer(Box<tokio_rustls::server::TlsStream<Box<Io>>>),
}

macro_rules! delegate {
    ($self:ident, $inner:ident => $call:expr) => {
        match $self.get_mut() {
            Io::Tcp($inner) => {
                let $inner = Pin::new($inner);
                $call
            }
            Io::Unix($inner) => {
                let $inner = Pin::new($inner);
                $call
            }
            Io::TlsClient($inner) => {
                let $inner = Pin::new($inner);
                $call
            }
            Io::TlsServer($inner) => {
                let $inner = Pin::new($inner);
                $call
            }
        }
    };
}

impl Io {
    /// Whether nothing has come, not even the end. What has come is lost. Wakes nobody later.
    pub fn is_silent(&mut self) -> bool {
        let mut space = [0; 1];
        match self {
            // Without a waker to leave behind, these cost a look at what the last event said.
            Io::Tcp(socket) => would_block(socket.try_read(&mut space)),
            Io::Unix(socket) => would_block(socket.try_read(&mut space)),
            Io::TlsClient(_) | Io::TlsServer(_) => {
                let mut nobody = Context::from_waker(Waker::noop());
                Pin::new(self).poll_read(&mut nobody, &mut ReadBuf::new(&mut space)).is_pending()
            }
        }
    }
}

fn would_block(read: io::Result<usize>) -> bool {
    read.is_err_and(|cause| cause.kind() == io::ErrorKind::WouldBlock)
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        delegate!(self, inner => inner.poll_read(cx, buf))
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        delegate!(self, inner => inner.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, inner => inner.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, inner => inner.poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, inner => inner.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Io::Tcp(inner) => inner.is_write_vectored(),
            Io::Unix(inner) => inner.is_write_vectored(),
            Io::TlsClient(inner) => inner.is_write_vectored(),
            Io::TlsServer(inner) => inner.is_write_vectored(),
        }
    }
}

/// The first bytes that come, few or many; none at the end. Takes no memory for them while there are none.
///
/// # Errors
/// When the connection breaks.
pub async fn some_bytes(io: &mut (impl AsyncRead + Unpin)) -> io::Result<Bytes> {
    std::future::poll_fn(|cx| {
        let mut space = [0; 2048];
        let mut buf = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut *io).poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(Bytes::copy_from_slice(buf.filled())))
    })
    .await
}

/// A connection of which some bytes were read already, to see which protocol it speaks; they are read again first.
#[derive(Debug)]
pub struct Replayed<T> {
    bytes: Bytes,
    inner: T,
}

impl<T> Replayed<T> {
    /// Puts `bytes` back in front of `inner`.
    pub fn new(bytes: Bytes, inner: T) -> Replayed<T> {
        Replayed { bytes, inner }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Replayed<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.bytes.is_empty() {
            return Pin::new(&mut self.inner).poll_read(cx, buf);
        }
        let n = self.bytes.len().min(buf.remaining());
        buf.put_slice(&self.bytes[..n]);
        self.bytes.advance(n);
        if self.bytes.is_empty() {
            self.bytes = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Replayed<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
