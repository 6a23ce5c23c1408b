//! A request's body as it arrives, over either protocol.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;

use super::Error;
use crate::http2::Reader;

/// The body. Whoever drops it before its end wants no more of it.
#[derive(Debug)]
pub struct Arriving(Kind);

#[derive(Debug)]
enum Kind {
    Http1(Incoming),
    Http2(Reader),
}

impl Arriving {
    /// What comes on an HTTP/1.1 connection.
    pub(crate) fn http1(incoming: Incoming) -> Arriving {
        Arriving(Kind::Http1(incoming))
    }

    /// What comes on an HTTP/2 stream.
    pub(crate) fn http2(reader: Reader) -> Arriving {
        Arriving(Kind::Http2(reader))
    }
}

impl http_body::Body for Arriving {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.0 {
            Kind::Http1(incoming) => Pin::new(incoming).poll_frame(cx).map_err(Error::Http),
            Kind::Http2(reader) => reader.poll_frame(cx).map_err(Error::from),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Http1(incoming) => incoming.is_end_stream(),
            Kind::Http2(reader) => reader.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Http1(incoming) => incoming.size_hint(),
            Kind::Http2(reader) => reader.left().map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}
