//! Bodies that go upstream or that the proxy makes itself: no boxes, no copies.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::http2::Failure;

mod caller;
mod copy;
mod patience;

pub use caller::{CallerBody, poll_caller};
pub use copy::Copy;
pub use patience::Patience;

/// A body whose frames come from a caller, or from memory.
#[derive(Debug, Default)]
pub enum Body {
    /// No body.
    #[default]
    Empty,
    /// A whole body, empty once it has been taken.
    Full(Bytes),
    /// A caller's body, as it arrives.
    Caller(CallerBody),
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut *self {
            Body::Empty => Poll::Ready(None),
            Body::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Body::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Body::Caller(body) => body.poll_frame(cx),
        }
    }

    // Delegated, or a header-only answer would become headers and an empty frame, and content-length would be lost.
    fn is_end_stream(&self) -> bool {
        match self {
            Body::Empty => true,
            Body::Full(bytes) => bytes.is_empty(),
            Body::Caller(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Empty => SizeHint::with_exact(0),
            Body::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Body::Caller(body) => body.size_hint(),
        }
    }
}

/// A body ended early. The cause is kept as `source`, since hyper finds the HTTP/2 code to reset with there.
#[derive(Debug)]
pub enum Error {
    /// On a leg that hyper drives.
    Http(hyper::Error),
    /// On the HTTP/2 upstream leg.
    Http2(Broken),
    /// The caller sent nothing for too long.
    Stalled,
}

impl Error {
    /// Whether the other side reset this one stream, so that its code can be passed on.
    pub fn is_reset_by_peer(&self) -> bool {
        matches!(self, Error::Http2(broken) if broken.failure.is_reset_by_peer())
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
            Error::Http(error) => Some(error),
            Error::Http2(broken) => Some(broken),
            Error::Stalled => None,
        }
    }
}

/// A stream of the HTTP/2 upstream leg broke off.
#[derive(Debug)]
pub struct Broken {
    failure: Failure,
    /// As the kind of error in which hyper looks for it.
    code: Option<h2::Error>,
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Broken {
        let code = failure.code().map(h2::Error::from);
        Broken { failure, code }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)
    }
}

impl std::error::Error for Broken {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.code.as_ref().map(|code| code as _)
    }
}
