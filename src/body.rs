//! Bodies that go upstream or that the proxy makes itself: no boxes, no copies.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING,
};
use http_body::{Frame, SizeHint};
use hyper::body::{Body as _, Incoming};

/// A body whose frames come from a caller, or from memory.
#[derive(Debug, Default)]
pub enum Body {
    /// No body.
    #[default]
    Empty,
    /// A whole body, empty once it has been taken.
    Full(Bytes),
    /// A caller's body, as it arrives.
    Incoming {
        /// A chunk that was already read.
        first: Option<Bytes>,
        /// What still comes.
        rest: Incoming,
    },
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
            Body::Incoming { first, rest } => {
                if let Some(chunk) = first.take() {
                    return Poll::Ready(Some(Ok(Frame::data(chunk))));
                }
                poll_caller(rest, cx).map_err(Error::Http)
            }
        }
    }

    // Delegated, or a header-only answer would become headers and an empty frame, and content-length would be lost.
    fn is_end_stream(&self) -> bool {
        match self {
            Body::Empty => true,
            Body::Full(bytes) => bytes.is_empty(),
            Body::Incoming { first, rest } => first.is_none() && rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Empty => SizeHint::with_exact(0),
            Body::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Body::Incoming { first, rest } => {
                let chunk = first.as_ref().map_or(0, |chunk| chunk.len() as u64);
                let rest = rest.size_hint();
                let mut hint = SizeHint::new();
                hint.set_lower(rest.lower() + chunk);
                if let Some(upper) = rest.upper() {
                    hint.set_upper(upper + chunk);
                }
                hint
            }
        }
    }
}

/// The next frame of a caller's body. Trailers lose what only a head may say: a credential in a trailer could be
/// taken for the one in the head, and framing or routing fields are refused there by RFC 9110 §6.5.1.
pub fn poll_caller(
    body: &mut Incoming,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
    let mut frame = ready!(Pin::new(body).poll_frame(cx));
    if let Some(trailers) = frame.as_mut().and_then(|frame| frame.as_mut().ok()?.trailers_mut()) {
        for name in [
            AUTHORIZATION,
            PROXY_AUTHORIZATION,
            HOST,
            CONTENT_LENGTH,
            TRANSFER_ENCODING,
            CONNECTION,
            TE,
            COOKIE,
        ] {
            trailers.remove(name);
        }
    }
    Poll::Ready(frame)
}

/// A body ended early. The cause is kept as `source`, since hyper finds the HTTP/2 code to reset with there.
#[derive(Debug)]
pub enum Error {
    /// On a leg that hyper drives.
    Http(hyper::Error),
    /// On the HTTP/2 upstream leg.
    Http2(h2::Error),
}

impl Error {
    /// Whether the other side reset this one stream, so that its code can be passed on.
    pub fn is_reset_by_peer(&self) -> bool {
        matches!(self, Error::Http2(error) if error.is_reset() && error.is_remote())
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
            Error::Http2(error) => Some(error),
        }
    }
}
