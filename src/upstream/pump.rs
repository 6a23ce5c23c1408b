//! A request body on its way into an HTTP/2 stream, as fast as the peer's windows allow.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};

use super::http2::Lease;
use crate::body::CallerBody;

/// Ends when the body has been sent, or when either side gave up; then the stream has been reset.
pub(super) struct Pump {
    stream: SendStream<Bytes>,
    body: CallerBody,
    /// A chunk that waits for the peer's window.
    chunk: Option<Bytes>,
    /// A stream whose request is still being sent keeps its place.
    _lease: Rc<Lease>,
}

impl Pump {
    pub(super) fn new(stream: SendStream<Bytes>, body: CallerBody, lease: Rc<Lease>) -> Pump {
        Pump { stream, body, chunk: None, _lease: lease }
    }

    /// Waits until some of the waiting chunk fits, and sends it; false when the stream is over.
    fn poll_chunk(&mut self, cx: &mut Context<'_>, chunk: Bytes) -> Poll<bool> {
        self.stream.reserve_capacity(chunk.len());
        while self.stream.capacity() == 0 && !chunk.is_empty() {
            match self.stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(false),
                Poll::Pending => {
                    self.chunk = Some(chunk);
                    return Poll::Pending;
                }
            }
        }
        let mut rest = chunk;
        let now = rest.split_to(rest.len().min(self.stream.capacity()));
        let end = rest.is_empty() && self.body.is_end_stream();
        if !rest.is_empty() {
            self.chunk = Some(rest);
        }
        Poll::Ready(self.stream.send_data(now, end).is_ok() && !end)
    }
}

impl Future for Pump {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let me = &mut *self;
        loop {
            // The peer may end the stream while the caller is silent or the window is shut.
            if me.stream.poll_reset(cx).is_ready() {
                return Poll::Ready(());
            }
            if let Some(chunk) = me.chunk.take() {
                match ready!(me.poll_chunk(cx, chunk)) {
                    true => continue,
                    false => return Poll::Ready(()),
                }
            }
            match ready!(me.body.poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => me.chunk = Some(data),
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            let _ = me.stream.send_trailers(trailers);
                        }
                        return Poll::Ready(());
                    }
                },
                Some(Err(_)) => {
                    // The caller went away: never a clean end, or half a message would look like a whole one.
                    me.stream.send_reset(Reason::CANCEL);
                    return Poll::Ready(());
                }
                None => {
                    let _ = me.stream.send_data(Bytes::new(), true);
                    return Poll::Ready(());
                }
            }
        }
    }
}
