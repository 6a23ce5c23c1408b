//! The body of an upstream's answer. Whoever drops it gives its connection back, or resets its stream.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Response};
use http_body::{Frame, SizeHint};
use hyper::body::{Body as _, Incoming};

use super::http1;
use super::stream::Receiving;
use crate::body::Error;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// An answer's frames as they arrive.
pub struct AnswerBody(Kind);

enum Kind {
    Http1 {
        incoming: Incoming,
        ended: bool,
        /// Taken when the connection has become free, or when it is lost with its body.
        lease: Option<http1::Lease>,
    },
    Http2 {
        stream: Receiving,
        left: Option<u64>,
    },
}

impl AnswerBody {
    pub(super) fn http1(answer: Response<(Incoming, http1::Lease)>) -> Response<AnswerBody> {
        answer.map(|(incoming, lease)| AnswerBody(Kind::Http1 { incoming, ended: false, lease: Some(lease) }))
    }

    pub(super) fn http2(answer: Response<Receiving>) -> Response<AnswerBody> {
        let left = content_length(answer.headers());
        answer.map(|stream| AnswerBody(Kind::Http2 { stream, left }))
    }
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.0 {
            Kind::Http1 { incoming, ended, .. } => {
                let mut frame = ready!(Pin::new(incoming).poll_frame(cx));
                if let Some(trailers) = frame.as_mut().and_then(|frame| frame.as_mut().ok()?.trailers_mut()) {
                    // Framing of this leg alone (RFC 9110 §6.5.1); HTTP/2 would not even be let through with it.
                    for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE, KEEP_ALIVE] {
                        trailers.remove(name);
                    }
                }
                *ended |= frame.is_none();
                Poll::Ready(frame.map(|frame| frame.map_err(Error::Http)))
            }
            Kind::Http2 { stream, left } => {
                let frame = ready!(stream.poll_frame(cx));
                if let (Some(left), Some(Ok(frame))) = (left, &frame)
                    && let Some(data) = frame.data_ref()
                {
                    *left = left.saturating_sub(data.len() as u64);
                }
                Poll::Ready(frame.map(|frame| frame.map_err(Error::from)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Http1 { incoming, .. } => incoming.is_end_stream(),
            Kind::Http2 { stream, .. } => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Http1 { incoming, .. } => incoming.size_hint(),
            Kind::Http2 { left: Some(left), .. } => SizeHint::with_exact(*left),
            Kind::Http2 { left: None, .. } => SizeHint::default(),
        }
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        if let Kind::Http1 { incoming, ended, lease } = &mut self.0
            && let Some(lease) = lease.take()
            && (*ended || incoming.is_end_stream())
        {
            lease.give_back();
        }
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(http::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
