//! A request's body before it goes upstream: taken whole where it is here already, read to its end where it is not wanted.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use http::header::EXPECT;
use http::request::Parts;
use http_body::Body as _;
use hyper::body::Incoming;

use super::error::Error;
use crate::body::{CallerBody, Copy, poll_caller};
use crate::reason::Reason;
use crate::upstream::Payload;

/// The longest body that is taken as a whole before it is sent, so that it can be sent again.
const WHOLE: usize = 64 * 1024;
/// An answer that comes before its request was read: so much of the request is read, for so long, before hyper
/// closes the connection, or the closing could destroy the answer on its way.
const DRAINED: usize = 256 * 1024;
const DRAIN_WAIT: Duration = Duration::from_secs(1);

/// Looks whether the whole body is here already, as a unary call's is: then it goes out in one piece and can be
/// sent again. Never waits for it. A body that may end within so many bytes is copied as it goes out.
pub(super) async fn payload(
    parts: &Parts,
    slot: &mut Option<Incoming>,
    kept: usize,
) -> Result<(Payload, Option<Rc<Copy>>), Error> {
    let Some(mut body) = slot.take().filter(|body| !body.is_end_stream()) else {
        return Ok((Payload::Empty, None));
    };
    // Reading makes hyper answer `100 Continue`; over HTTP/1.1 nothing is here yet anyhow.
    if parts.version != Version::HTTP_2 || parts.headers.contains_key(EXPECT) {
        return Ok(streaming(None, body, kept));
    }
    let frame = poll_fn(|cx| Poll::Ready(poll_caller(&mut body, cx))).await;
    let payload = match frame {
        Poll::Pending => return Ok(streaming(None, body, kept)),
        Poll::Ready(None) => Payload::Empty,
        Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
            Ok(chunk) if body.is_end_stream() && chunk.len() <= WHOLE => Payload::Whole(chunk),
            Ok(chunk) => return Ok(streaming(Some(chunk), body, kept)),
            Err(_trailers_alone) => Payload::Empty,
        },
        Poll::Ready(Some(Err(_))) => return Err(Error::new(Reason::Malformed, "the request body broke off")),
    };
    Ok((payload, None))
}

fn streaming(first: Option<Bytes>, rest: Incoming, kept: usize) -> (Payload, Option<Rc<Copy>>) {
    let body = CallerBody::new(first, rest);
    if body.size_hint().lower() > kept as u64 || kept == 0 {
        return (Payload::Streaming(body), None);
    }
    let copy = Rc::new(Copy::new(kept));
    (Payload::Streaming(body.copied_to(Rc::clone(&copy))), Some(copy))
}

/// Reads what a caller still sends, within bounds.
pub(super) async fn discard(body: Option<Incoming>) {
    let Some(mut body) = body.filter(|body| !body.is_end_stream()) else { return };
    let read = async {
        let mut left = DRAINED;
        while let Some(Ok(frame)) = poll_fn(|cx| poll_caller(&mut body, cx)).await {
            match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    let _ = tokio::time::timeout(DRAIN_WAIT, read).await;
}
