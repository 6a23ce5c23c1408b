//! The body of an upstream's answer. Whoever drops it gives its connection back, or resets its stream.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http_body::{Frame, SizeHint};

use super::http1;
use super::stream::Receiving;
use crate::body::Error;
use crate::io::{Io, Replayed};
use crate::message::{Headers, Response};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// An answer's frames as they arrive.
pub struct AnswerBody(Kind);

enum Kind {
    Http1(http1::Receiving),
    Http2 { stream: Receiving, left: Option<u64> },
}

impl AnswerBody {
    pub(super) fn http1(answer: Response<http1::Receiving>) -> Response<AnswerBody> {
        answer.map(|receiving| AnswerBody(Kind::Http1(receiving)))
    }

    pub(super) fn http2(answer: Response<Receiving>) -> Response<AnswerBody> {
        let left = content_length(&answer.head.headers);
        answer.map(|stream| AnswerBody(Kind::Http2 { stream, left }))
    }

    /// The connection itself, for what follows an answer of 101.
    pub fn take_io(&mut self) -> Option<Replayed<Io>> {
        match &mut self.0 {
            Kind::Http1(receiving) => receiving.take_io(),
            Kind::Http2 { .. } => None,
        }
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
            Kind::Http1(receiving) => {
                let mut frame = ready!(receiving.poll_frame(cx));
                if let Some(trailers) = frame.as_mut().and_then(|frame| frame.as_mut().ok()?.trailers_mut()) {
                    // Framing of this leg alone (RFC 9110 §6.5.1); HTTP/2 would not even be let through with it.
                    for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE, KEEP_ALIVE] {
                        trailers.remove(name);
                    }
                }
                Poll::Ready(frame.map(|frame| frame.map_err(Error::Octets)))
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
            Kind::Http1(receiving) => receiving.is_end_stream(),
            Kind::Http2 { stream, .. } => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Http1(receiving) => receiving.size_hint(),
            Kind::Http2 { left: Some(left), .. } => SizeHint::with_exact(*left),
            Kind::Http2 { left: None, .. } => SizeHint::default(),
        }
    }
}

fn content_length(headers: &Headers) -> Option<u64> {
    headers.get(http::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
