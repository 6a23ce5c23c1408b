//! The body of every answer in the sandbox: bytes, then whatever a channel brings, then trailers.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;

use super::cluster::record::Exchange;
use super::serve::Connection;

/// An answer's body.
#[derive(Default)]
pub(super) struct Body {
    data: Option<Bytes>,
    rest: Option<mpsc::Receiver<Result<Bytes, Cut>>>,
    trailers: Option<HeaderMap>,
    exchange: Option<Exchange>,
}

impl Body {
    /// A body that is known from the start.
    pub(super) fn whole(data: impl Into<Bytes>) -> Body {
        let data = data.into();
        Body { data: (!data.is_empty()).then_some(data), rest: None, trailers: None, exchange: None }
    }

    /// A body whose pieces arrive over time.
    pub(super) fn streamed(pieces: mpsc::Receiver<Result<Bytes, Cut>>) -> Body {
        Body { data: None, rest: Some(pieces), trailers: None, exchange: None }
    }

    /// Adds trailers, sent when everything else has been.
    pub(super) fn with_trailers(mut self, trailers: HeaderMap) -> Body {
        self.trailers = Some(trailers);
        self
    }

    /// Replaces what comes after the first bytes.
    pub(super) fn continued_by(mut self, rest: mpsc::Receiver<Result<Bytes, Cut>>) -> Body {
        self.rest = Some(rest);
        self.trailers = None;
        self
    }

    /// Ties the record of the request to this body: it ends when the body does.
    pub(super) fn recorded_by(mut self, exchange: Exchange) -> Body {
        self.exchange = Some(exchange);
        self
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let body = self.get_mut();
        if let Some(data) = body.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if let Some(rest) = &mut body.rest {
            match ready!(rest.poll_recv(context)) {
                Some(piece) => return Poll::Ready(Some(piece.map(Frame::data))),
                None => body.rest = None,
            }
        }
        Poll::Ready(body.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.rest.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.rest {
            Some(_) => SizeHint::default(),
            None => SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64)),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let ended = http_body::Body::is_end_stream(self);
        if let Some(exchange) = &mut self.exchange {
            exchange.end(ended);
        }
    }
}

/// Why an answer ends early: the stream is reset with this code, an HTTP/1.1 connection is closed.
#[derive(Debug)]
pub(super) struct Cut(h2::Error);

/// INTERNAL_ERROR of HTTP/2.
const INTERNAL_ERROR: u32 = 2;

impl Cut {
    /// Together with its connection.
    pub(super) fn with_connection(connection: &Connection) -> Cut {
        connection.close();
        Cut::with(INTERNAL_ERROR)
    }

    /// With an HTTP/2 error code (RFC 9113 §7).
    pub(super) fn with(code: u32) -> Cut {
        Cut(h2::Error::from(h2::Reason::from(code)))
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cut short on demand")
    }
}

impl std::error::Error for Cut {
    // hyper looks for an h2 error in the chain and resets the stream with its code.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}
