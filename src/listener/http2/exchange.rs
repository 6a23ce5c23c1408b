//! One request on an HTTP/2 stream: its answer goes out as the windows allow, and whoever breaks off ends both.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method, Version};
use http_body::Body as _;

use crate::body::Arriving;
use crate::http2::{Failure, Finish, Place};
use crate::listener::date::date;
use crate::message::{Response, request, response};
use crate::proxy::{Connection, Interims, Proxy, Tracked};

/// Where answers before the answer go (RFC 9113 §8.1).
struct Teller(Rc<Place>);

impl Interims for Teller {
    fn tell(&self, head: &response::Head) {
        self.0.interim(head);
    }
}

/// Ends when the answer has gone, or when either side gave up.
pub(super) struct Exchange {
    place: Rc<Place>,
    /// An answer to HEAD is a head.
    head_only: bool,
    /// Whether anybody has looked at the request: a stream that is reset by then costs little.
    begun: bool,
    state: State,
}

enum State {
    /// Boxed, so that it is given back while a long answer is sent.
    Serving(Pin<Box<dyn Future<Output = Response<Tracked>>>>),
    Sending(Tracked),
}

impl Exchange {
    /// An exchange whose request's head is this; none is one that is too large.
    pub(super) fn new(
        place: Rc<Place>,
        head: Option<request::Head>,
        proxy: Rc<Proxy>,
        connection: Rc<Connection>,
    ) -> Exchange {
        let head_only = head.as_ref().is_some_and(|head| head.method == Method::HEAD);
        let state = match head {
            Some(head) => {
                let body = Arriving::http2(place.reader());
                State::Serving(Box::pin(proxy.serve(connection, head, body, Teller(Rc::clone(&place)))))
            }
            None => State::Serving(Box::pin(async move { proxy.oversized(&connection, Version::HTTP_2) })),
        };
        Exchange { place, head_only, begun: false, state }
    }

    fn begin_answer(&self, answer: Response<Tracked>) -> Tracked {
        let Response { mut head, mut body } = answer;
        let end = self.head_only || body.is_end_stream();
        if !body.is_end_stream()
            && let Some(length) = body.size_hint().exact()
            && !head.headers.contains(CONTENT_LENGTH)
        {
            head.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        self.place.answer(&head, end, date);
        if self.head_only && !body.is_end_stream() {
            // Whole without its body.
            let _ = Pin::new(&mut body).poll_frame(&mut Context::from_waker(std::task::Waker::noop()));
        }
        body
    }

    fn poll_body(place: &Place, body: &mut Tracked, cx: &mut Context<'_>) -> Poll<()> {
        while ready!(place.poll_sendable(cx)) {
            match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        let finish = if body.is_end_stream() { Finish::End } else { Finish::More };
                        place.send(data, finish);
                    }
                    Err(frame) => {
                        let trailers = frame.into_trailers().unwrap_or_default();
                        place.send(Bytes::new(), Finish::Trailers(trailers));
                    }
                },
                // Never a clean end, or half an answer would look like a whole one.
                Some(Err(error)) => {
                    place.reset(Failure::ours(error.code(), "the answer broke off"));
                    return Poll::Ready(());
                }
                None => place.send(Bytes::new(), Finish::End),
            }
        }
        Poll::Ready(())
    }
}

impl Future for Exchange {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let me = &mut *self;
        if !me.begun {
            me.begun = true;
            if !me.place.begin() {
                return Poll::Ready(());
            }
        }
        if let State::Serving(serving) = &mut me.state {
            match serving.as_mut().poll(cx) {
                Poll::Ready(answer) => me.state = State::Sending(me.begin_answer(answer)),
                Poll::Pending => {
                    // The caller may leave meanwhile.
                    let left = matches!(me.place.poll_sendable(cx), Poll::Ready(false));
                    return if left { Poll::Ready(()) } else { Poll::Pending };
                }
            }
        }
        match &mut me.state {
            State::Serving(_) => Poll::Pending,
            State::Sending(body) => Exchange::poll_body(&me.place, body, cx),
        }
    }
}
