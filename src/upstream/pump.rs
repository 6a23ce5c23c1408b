//! A request body on its way into an HTTP/2 stream, as fast as the peer's windows allow.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Body as _;

use super::http2::Lease;
use crate::body::CallerBody;
use crate::http2::Finish;

/// Ends when the body has been sent, or when either side gave up; then the stream has been reset.
pub(super) struct Pump {
    /// A stream whose request is still being sent keeps its place.
    lease: Rc<Lease>,
    body: CallerBody,
    over: bool,
}

impl Pump {
    pub(super) fn new(lease: Rc<Lease>, body: CallerBody) -> Pump {
        Pump { lease, body, over: false }
    }

    /// Whether it has ended.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// The body, as far as it has been read.
    pub(super) fn into_body(self) -> CallerBody {
        self.body
    }
}

impl Future for Pump {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let me = &mut *self;
        // False as soon as the last of it has gone, or when the peer ends the stream: also while the caller is silent
        // or the window is shut.
        while ready!(me.lease.poll_sendable(cx)) {
            match ready!(Pin::new(&mut me.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        let end = me.body.is_end_stream();
                        me.lease.send(data, if end { Finish::End } else { Finish::More });
                    }
                    Err(frame) => {
                        let trailers = frame.into_trailers().unwrap_or_default();
                        me.lease.send(Bytes::new(), Finish::Trailers(trailers));
                    }
                },
                Some(Err(_)) => {
                    // The caller went away: never a clean end, or half a message would look like a whole one.
                    Rc::clone(&me.lease).cancel();
                    me.over = true;
                    return Poll::Ready(());
                }
                None => me.lease.send(Bytes::new(), Finish::End),
            }
        }
        me.over = true;
        Poll::Ready(())
    }
}
