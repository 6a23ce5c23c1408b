//! One exchange on an HTTP/2 stream: the request goes out as the windows allow, the answer comes as it is read, and
//! whoever drops either cancels the stream.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use h2::client::ResponseFuture;
use http::{HeaderMap, Request, Response};

use super::http2::Lease;
use super::pump::Pump;
use super::{Error, Payload, Refused};

/// Sends one request in the place that `lease` is.
///
/// # Errors
/// With the body, when the peer provably did not process the request and all of the body is still here.
pub(super) async fn exchange(
    lease: Lease,
    head: Request<()>,
    payload: Payload,
) -> Result<Response<Receiving>, Refused> {
    let again = payload.again();
    let (response, mut sending) = match lease.open(head, matches!(payload, Payload::Empty)) {
        Ok(opened) => opened,
        Err(error) => return Err(Refused { again: Some(payload), error: Error::from_h2(&error) }),
    };
    let lease = Rc::new(lease);
    let pump = match payload {
        Payload::Empty => None,
        Payload::Whole(bytes) => {
            // Within the windows by far; a failure shows in the response.
            let _ = sending.send_data(bytes, true);
            None
        }
        Payload::Streaming(body) => Some(Pump::new(sending, body, Rc::clone(&lease))),
    };
    Calling { response: Some(response), pump, lease }.answer(again).await
}

/// A request whose answer has not begun. Dropping it cancels the stream.
struct Calling {
    response: Option<ResponseFuture>,
    pump: Option<Pump>,
    lease: Rc<Lease>,
}

impl Calling {
    async fn answer(mut self, again: Option<Payload>) -> Result<Response<Receiving>, Refused> {
        let result = poll_fn(|cx| self.poll(cx)).await;
        self.response = None;
        match result {
            Ok(response) => {
                // The request may go on while the answer comes: bidirectional streams do.
                if let Some(pump) = self.pump.take() {
                    tokio::task::spawn_local(pump);
                }
                let lease = Rc::clone(&self.lease);
                Ok(response.map(|stream| Receiving { stream: Some(stream), lease }))
            }
            Err(error) => {
                if error.is_go_away() {
                    self.lease.retire_connection();
                }
                let again = again.filter(|_| is_unprocessed(&error));
                Err(Refused { again, error: Error::from_h2(&error) })
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<RecvStream>, h2::Error>> {
        if self.pump.as_mut().is_some_and(|pump| Pin::new(pump).poll(cx).is_ready()) {
            self.pump = None;
        }
        match &mut self.response {
            Some(response) => Pin::new(response).poll(cx),
            None => Poll::Pending,
        }
    }
}

impl Drop for Calling {
    fn drop(&mut self) {
        if let Some(response) = self.response.take() {
            cancel(&self.lease, (response, self.pump.take()));
        }
    }
}

/// The receiving half of a stream, with its place. Dropping it before its end cancels the stream.
pub(super) struct Receiving {
    /// `None` once the last frame has been read: nothing is left to cancel.
    stream: Option<RecvStream>,
    lease: Rc<Lease>,
}

impl Receiving {
    pub(super) fn is_end_stream(&self) -> bool {
        self.stream.as_ref().is_none_or(RecvStream::is_end_stream)
    }

    /// The next data, `None` at their end. The window reopens as fast as the caller reads: this is the back-pressure.
    pub(super) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, h2::Error>>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(None) };
        let data = ready!(stream.poll_data(cx));
        match &data {
            Some(Ok(data)) => {
                let _ = stream.flow_control().release_capacity(data.len());
            }
            Some(Err(_)) => self.stream = None,
            None => {}
        }
        Poll::Ready(data)
    }

    /// The trailers, after the data.
    pub(super) fn poll_trailers(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<HeaderMap, h2::Error>>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(None) };
        let trailers = ready!(stream.poll_trailers(cx));
        self.stream = None;
        Poll::Ready(trailers.transpose())
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take().filter(|stream| !stream.is_end_stream()) {
            cancel(&self.lease, stream);
        }
    }
}

/// Drops a stream's handle, which resets it with CANCEL: at once, or after its turn when many are cancelled.
fn cancel(lease: &Rc<Lease>, handle: impl Sized + 'static) {
    let Some(due) = lease.reset_at() else { return };
    let lease = Rc::clone(lease);
    tokio::task::spawn_local(async move {
        tokio::time::sleep_until(due).await;
        drop((handle, lease));
    });
}

/// Whether the peer says that it did not look at the request (RFC 9113 §8.7).
fn is_unprocessed(error: &h2::Error) -> bool {
    // h2 puts a GOAWAY's error on streams above its last stream id alone.
    error.is_remote()
        && (error.is_go_away() || error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM))
}
