//! A request's body before it goes upstream: taken whole where it is here already, read to its end where it is not wanted.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::EXPECT;
use http_body::{Body as _, Frame};

use super::error::Error;
use crate::allowance::{Allowance, Held};
use crate::body::{Arriving, CallerBody, Copy, Patience, poll_caller};
use crate::message::request::Head;
use crate::reason::Reason;
use crate::upstream::Payload;

/// The longest body that is taken as a whole before it is sent, so that it can be sent again.
const WHOLE: usize = 64 * 1024;

/// How a request's body goes out.
pub(super) struct Sending {
    pub(super) payload: Payload,
    /// Fills as the body goes out.
    pub(super) copy: Option<Rc<Copy>>,
    /// With the caller, where it may not be silent for ever.
    patience: Option<Rc<Patience>>,
    /// The share of a whole body in what all requests may keep.
    _held: Option<Held>,
}

impl Sending {
    fn whole(payload: Payload, held: Option<Held>) -> Sending {
        Sending { payload, copy: None, patience: None, _held: held }
    }

    /// Whether the caller was silent for too long.
    pub(super) fn is_stalled(&self) -> bool {
        self.patience.as_ref().is_some_and(|patience| patience.is_lost())
    }
}

/// What bodies may take.
pub(super) struct Bounds<'a> {
    /// Bytes of one that are kept.
    pub(super) kept: usize,
    /// Bytes of all that are kept.
    pub(super) all: &'a Rc<Allowance>,
    /// How long a caller may be silent; `None` for streams.
    pub(super) silence: Option<Duration>,
}

/// Looks whether the whole body is here already, as a unary call's is: then it goes out in one piece and can be
/// sent again. Never waits for it. A body that may end within so many bytes is copied as it goes out.
pub(super) async fn payload(
    head: &Head,
    slot: &mut Option<Arriving>,
    bounds: &Bounds<'_>,
) -> Result<Sending, Error> {
    let Some(mut body) = slot.take().filter(|body| !body.is_end_stream()) else {
        return Ok(Sending::whole(Payload::Empty, None));
    };
    // Who expects `100 Continue` is told so by reading, which is for the upstream to want.
    if head.headers.contains(EXPECT) {
        return Ok(streaming(None, body, bounds));
    }
    let frame = poll_fn(|cx| Poll::Ready(poll_caller(&mut body, cx))).await;
    match frame {
        Poll::Pending => Ok(streaming(None, body, bounds)),
        Poll::Ready(None) => Ok(Sending::whole(Payload::Empty, None)),
        Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
            Ok(chunk) if body.is_end_stream() && chunk.len() <= WHOLE => {
                Ok(match bounds.all.take(chunk.len()) {
                    Some(held) => Sending::whole(Payload::Whole(chunk), Some(held)),
                    None => streaming(Some(Frame::data(chunk)), body, bounds),
                })
            }
            Ok(chunk) => Ok(streaming(Some(Frame::data(chunk)), body, bounds)),
            Err(trailers) => Ok(streaming(Some(trailers), body, bounds)),
        },
        Poll::Ready(Some(Err(_))) => Err(Error::new(Reason::Malformed, "the request body broke off")),
    }
}

fn streaming(first: Option<Frame<Bytes>>, rest: Arriving, bounds: &Bounds<'_>) -> Sending {
    let mut body = CallerBody::new(first, rest);
    let patience = bounds.silence.map(|silence| Rc::new(Patience::new(silence)));
    if let Some(patience) = &patience {
        body = body.within(Rc::clone(patience));
    }
    let short = body.size_hint().lower() <= bounds.kept as u64 && bounds.kept > 0;
    let copy = short.then(|| bounds.all.take(0)).flatten().map(|held| Rc::new(Copy::new(bounds.kept, held)));
    if let Some(copy) = &copy {
        body = body.copied_to(Rc::clone(copy));
    }
    Sending { payload: Payload::Streaming(body), copy, patience, _held: None }
}
