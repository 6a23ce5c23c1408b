//! A request's body as it arrives, over either protocol.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::Error;
use crate::{http1, http2};

/// The body. Whoever drops it before its end wants no more of it.
#[derive(Debug)]
pub struct Arriving(Kind);

#[derive(Debug)]
enum Kind {
    None,
    Http1(http1::Reader),
    Http2(http2::Reader),
}

impl Arriving {
    /// What comes on an HTTP/1.1 connection, if anything does.
    pub(crate) fn http1(reader: Option<http1::Reader>) -> Arriving {
        Arriving(reader.map_or(Kind::None, Kind::Http1))
    }

    /// What comes on an HTTP/2 stream.
    pub(crate) fn http2(reader: http2::Reader) -> Arriving {
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
            Kind::None => Poll::Ready(None),
            Kind::Http1(reader) => reader.poll_frame(cx).map_err(Error::Octets),
            Kind::Http2(reader) => reader.poll_frame(cx).map_err(Error::from),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::None => true,
            Kind::Http1(reader) => reader.is_end_stream(),
            Kind::Http2(reader) => reader.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let left = match &self.0 {
            Kind::None => Some(0),
            Kind::Http1(reader) => reader.left(),
            Kind::Http2(reader) => reader.left(),
        };
        left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
