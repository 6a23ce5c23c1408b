//! Bodies of requests as they come, and those that the proxy makes itself: no boxes, no copies.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::http1::Malformed;
use crate::http2::Failure;

mod arriving;
mod caller;
mod copy;
mod patience;

pub use arriving::Arriving;
pub use caller::{CallerBody, poll_caller};
pub use copy::Copy;
pub use patience::Patience;

/// A body from memory.
#[derive(Debug, Default)]
pub enum Body {
    /// No body.
    #[default]
    Empty,
    /// A whole body, empty once it has been taken.
    Full(Bytes),
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut *self {
            Body::Empty => Poll::Ready(None),
            Body::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Body::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
        }
    }

    // Delegated, or a header-only answer would become headers and an empty frame, and content-length would be lost.
    fn is_end_stream(&self) -> bool {
        match self {
            Body::Empty => true,
            Body::Full(bytes) => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Empty => SizeHint::with_exact(0),
            Body::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}

/// A body ended early.
#[derive(Debug)]
pub enum Error {
    /// On an HTTP/1.1 connection: it was lost, or what came over it cannot be read.
    Octets(std::io::Error),
    /// On an HTTP/2 stream.
    Http2(Broken),
    /// The caller sent nothing for too long.
    Stalled,
}

impl Error {
    /// Whether the other side reset this one stream, so that its code can be passed on.
    pub fn is_reset_by_peer(&self) -> bool {
        matches!(self, Error::Http2(broken) if broken.0.is_reset_by_peer())
    }

    /// The HTTP/2 code with which to tell whoever waits for the rest.
    pub(crate) fn code(&self) -> h2::Reason {
        match self {
            Error::Http2(broken) => broken.0.code(),
            Error::Octets(_) | Error::Stalled => None,
        }
        .unwrap_or(h2::Reason::INTERNAL_ERROR)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body ended early")
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Octets(error) => Some(error),
            Error::Http2(broken) => Some(broken),
            Error::Stalled => None,
        }
    }
}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Error {
        Error::Octets(malformed.into())
    }
}

/// An HTTP/2 stream broke off.
#[derive(Debug)]
pub struct Broken(Failure);

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        Error::Http2(Broken(failure))
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Broken {}
