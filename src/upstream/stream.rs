//! One exchange on an HTTP/2 stream: the request goes out as the windows allow, the answer comes as it is read, and
//! whoever drops either cancels the stream.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Frame;

use super::http2::Lease;
use super::pump::Pump;
use super::{Error, Heads, Payload, Refused};
use crate::http1::is_interim;
use crate::http2::{Failure, Finish};
use crate::message::{Response, request, response};

/// A request whose answer has not begun. Dropping it cancels the stream.
pub(super) struct Call {
    pump: Option<Pump>,
    /// `None` once there is nothing to cancel.
    lease: Option<Rc<Lease>>,
    repeatable: bool,
    again: Option<Payload>,
}

impl Call {
    /// Sends one request in the place that `lease` is. `repeatable` is one without a body whose method may be repeated.
    ///
    /// # Errors
    /// With the body, when the stream cannot be opened.
    pub(super) fn begin(
        lease: Lease,
        head: &request::Head,
        payload: Payload,
        repeatable: bool,
    ) -> Result<Call, Refused> {
        let again = payload.again();
        if let Err(failure) = lease.open(head, matches!(payload, Payload::Empty)) {
            return Err(Refused { again: Some(payload), error: Error::from_http2(&failure) });
        }
        let (repeatable, lease) = (repeatable && lease.is_reused(), Rc::new(lease));
        let pump = match payload {
            Payload::Empty => None,
            Payload::Whole(bytes) => {
                // It goes as the windows open; a failure shows in the response.
                lease.send(bytes, Finish::End);
                None
            }
            Payload::Streaming(body) => Some(Pump::new(Rc::clone(&lease), body)),
        };
        Ok(Call { pump, lease: Some(lease), repeatable, again })
    }

    /// Waits for the head of the answer. Once.
    ///
    /// # Errors
    /// With the body, when all of it that was sent is still here and the request may go out once more: the peer provably did
    /// not process it, or it is repeatable and its connection was lost, which had been good for others before.
    // Not `self`: taken as it is, it would lie twice in the future of each request, for as long as the upstream takes.
    pub(super) async fn answer(&mut self, heads: &impl Heads) -> Result<Response<Receiving>, Refused> {
        let Some(lease) = self.lease.clone() else {
            return Err(Refused { again: self.again.take(), error: Error::Stale });
        };
        let result = poll_fn(|cx| self.poll(&lease, heads, cx)).await;
        self.lease = None;
        match result {
            Ok(head) => {
                // The request may go on while the answer comes: bidirectional streams do.
                if let Some(pump) = self.pump.take().filter(|pump| !pump.is_over()) {
                    tokio::task::spawn_local(pump);
                }
                Ok(Response { head, body: Receiving { lease: Some(lease) } })
            }
            Err(failure) => {
                let again = match self.pump.take() {
                    _ if !(failure.is_unprocessed() || self.repeatable && failure.is_lost()) => None,
                    Some(pump) => pump.into_body().rewound().map(Payload::Streaming),
                    None => self.again.take(),
                };
                Err(Refused { again, error: Error::from_http2(&failure) })
            }
        }
    }

    fn poll(
        &mut self,
        lease: &Lease,
        heads: &impl Heads,
        cx: &mut Context<'_>,
    ) -> Poll<Result<response::Head, Failure>> {
        if let Some(pump) = self.pump.as_mut().filter(|pump| !pump.is_over()) {
            let _ = Pin::new(pump).poll(cx);
        }
        loop {
            match ready!(lease.poll_answer(cx)) {
                Ok(answer) if is_interim(answer.status) => heads.interim(answer),
                answer => return Poll::Ready(answer),
            }
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.abandon();
            lease.cancel();
        }
    }
}

/// The receiving half of a stream, with its place. Dropping it before its end cancels the stream.
pub(super) struct Receiving {
    /// `None` once the last frame has been read: nothing is left to cancel.
    lease: Option<Rc<Lease>>,
}

impl Receiving {
    pub(super) fn is_end_stream(&self) -> bool {
        self.lease.as_ref().is_none_or(|lease| lease.is_drained())
    }

    /// The next data, then trailers, `None` at their end. The window reopens as fast as the caller reads: this is the
    /// back-pressure.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let Some(lease) = &self.lease else { return Poll::Ready(None) };
        let frame = std::task::ready!(lease.poll_frame(cx));
        if !matches!(&frame, Some(Ok(frame)) if frame.is_data()) {
            self.lease = None;
        }
        Poll::Ready(frame)
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take().filter(|lease| !lease.is_drained()) {
            lease.abandon();
            lease.cancel();
        }
    }
}
