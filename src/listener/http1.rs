//! A caller's HTTP/1.1 connection: one request after the other, all by the connection's own task.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method, StatusCode, Version};
use http_body::Body as _;

use super::connection::{LINGER, LINGERING, Shared};
use super::date::date;
use super::watch::{Order, Watched};
use crate::body::Arriving;
use crate::http1::{
    Framing, Head, Inbound, Incoming, Outgoing, Unreadable, Wire, keeps_connection, write_answer,
    write_interim,
};
use crate::io::Io;
use crate::message::{Response, response};
use crate::proxy::{Connection, Interims, Tracked};

/// So much may wait of answers before the answer.
const MOST_AHEAD: usize = 16 * 1024;
/// RFC 9110 §15.2.1.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Serves requests until the connection ends, whoever ends it. `read` has come already.
pub(super) async fn serve(
    worker: &Shared,
    connection: &Rc<Connection>,
    watched: &Watched,
    io: Io,
    read: Bytes,
) {
    let inbound = Rc::new(Inbound::new(io, read.into()));
    let mut caller = Caller { worker, connection, watched, inbound, ahead: Rc::default(), finishing: false };
    loop {
        match caller.serve_one().await {
            Ok(()) => {}
            Err(End::Unreadable(why)) => {
                let end = caller.refuse(why).await;
                return caller.part(end).await;
            }
            Err(end) => return caller.part(end).await,
        }
    }
}

/// How a connection ends.
enum End {
    /// The caller sends no more, or was told to finish.
    Finished,
    /// What it sent is no request.
    Unreadable(Unreadable),
    /// The last answer has gone, and more may come that nobody reads.
    Told,
    /// Both sides speak another protocol from now on, to this upstream.
    Switched(Box<Response<Tracked>>),
    /// The caller left, or the connection was cut, or an answer broke off: nothing may look like an orderly end.
    Lost,
}

struct Caller<'a> {
    worker: &'a Shared,
    connection: &'a Rc<Connection>,
    watched: &'a Watched,
    inbound: Rc<Inbound>,
    ahead: Rc<Ahead>,
    /// No request is taken after this one.
    finishing: bool,
}

/// What goes out ahead of an answer: answers before it (RFC 9110 §15.2).
#[derive(Default)]
struct Ahead(RefCell<BytesMut>);

impl Ahead {
    /// Ready when all of it has gone.
    fn poll(&self, wire: &Wire, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut octets = self.0.borrow_mut();
        if octets.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while !octets.is_empty() {
            let written = ready!(wire.poll_write(&[IoSlice::new(&octets)], cx))?;
            octets.advance(written);
        }
        *octets = BytesMut::new();
        wire.poll_flush(cx)
    }
}

/// Where one request's answers before the answer go.
struct Teller {
    /// `None` for a caller that does not know of them.
    ahead: Option<Rc<Ahead>>,
}

impl Interims for Teller {
    fn tell(&self, head: &response::Head) {
        let Some(ahead) = &self.ahead else { return };
        let mut octets = ahead.0.borrow_mut();
        // What a caller does not read is let go.
        if octets.len() < MOST_AHEAD {
            write_interim(&mut octets, head);
        }
    }
}

/// What is known of an answer's request when the answer goes out.
struct Asked {
    is_head: bool,
    version: Version,
    keeps_connection: bool,
}

impl Caller<'_> {
    /// One request and its answer; an error is the end of the connection.
    async fn serve_one(&mut self) -> Result<(), End> {
        let Incoming { head, body } = poll_fn(|cx| self.poll_request(cx)).await?;
        let Head { request, keeps_connection, .. } = head;
        let asked =
            Asked { is_head: request.method == Method::HEAD, version: request.version, keeps_connection };
        let proxy = Rc::clone(&self.worker.proxy);
        // Boxed, so that it is given back while a long answer is sent, and while nothing is asked.
        let ahead = (asked.version != Version::HTTP_10).then(|| Rc::clone(&self.ahead));
        let mut serving = Box::pin(proxy.serve(
            Rc::clone(self.connection),
            request,
            Arriving::http1(body),
            Teller { ahead },
        ));
        let answer = poll_fn(|cx| self.poll_answer(serving.as_mut(), cx)).await?;
        drop(serving);
        let keeps_connection = self.send(answer, &asked).await?;
        if !keeps_connection || self.finishing {
            return Err(if self.inbound.is_over() && !self.inbound.has_begun() {
                End::Finished
            } else {
                End::Told
            });
        }
        self.finish_body().await
    }

    fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<Result<Incoming, End>> {
        self.follow_orders(cx)?;
        // One may have come with the order to finish.
        let polled = self.inbound.poll_request(self.worker.limits.head_size, cx);
        let begun = self.inbound.has_begun();
        self.watched.set_head_begun(polled.is_pending() && begun);
        match polled {
            Poll::Ready(Ok(Some(request))) => Poll::Ready(Ok(request)),
            Poll::Ready(Ok(None)) => Poll::Ready(Err(End::Finished)),
            Poll::Ready(Err(unreadable)) => Poll::Ready(Err(End::Unreadable(unreadable))),
            Poll::Pending if self.finishing && !begun => Poll::Ready(Err(End::Finished)),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_answer(
        &mut self,
        mut serving: Pin<&mut impl Future<Output = Response<Tracked>>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<Tracked>, End>> {
        self.follow_orders(cx)?;
        if let Poll::Ready(answer) = serving.as_mut().poll(cx) {
            return Poll::Ready(Ok(answer));
        }
        if self.inbound.take_wanted() {
            self.ahead.0.borrow_mut().extend_from_slice(CONTINUE);
        }
        if ready!(self.ahead.poll(self.inbound.wire(), cx)).is_err() {
            return Poll::Ready(Err(End::Lost));
        }
        self.inbound.poll_left(cx).map(|()| Err(End::Lost))
    }

    /// Sends an answer to its end. Whether another request may follow.
    async fn send(&mut self, answer: Response<Tracked>, asked: &Asked) -> Result<bool, End> {
        let Response { mut head, mut body } = answer;
        // Who still waits to be told to go on may send its body now, or the next request: nobody can tell.
        let mut keeps = asked.keeps_connection && !self.finishing && !self.inbound.expects();
        self.inbound.stop_expecting();
        let framing = framing(&head, &body, asked);
        if asked.is_head
            && !body.is_end_stream()
            && let Some(length) = body.size_hint().exact()
            && !head.headers.contains(CONTENT_LENGTH)
        {
            head.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        keeps &= framing != Framing::Close && keeps_connection(Version::HTTP_11, &head.headers);
        let switches = head.status == StatusCode::SWITCHING_PROTOCOLS;
        let connection = match (keeps, asked.version) {
            _ if switches => None,
            (false, _) => Some("close"),
            (true, Version::HTTP_10) => Some("keep-alive"),
            (true, _) => None,
        };
        let mut front = write_answer(&head, framing, connection, date);
        let mut ahead = self.ahead.0.take();
        if !ahead.is_empty() {
            ahead.extend_from_slice(&front);
            front = ahead;
        }
        if switches {
            let mut outgoing = Outgoing::whole(front, framing, Bytes::new());
            poll_fn(|cx| self.poll_send(&mut outgoing, cx)).await?;
            return Err(End::Switched(Box::new(Response { head, body })));
        }
        let mut outgoing = if framing == Framing::None {
            // Whole without its body.
            let _ = Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop()));
            Outgoing::bare(front, body)
        } else {
            Outgoing::streaming(front, framing, body)
        };
        outgoing.gather_for_a_turn().await.map_err(|_| End::Lost)?;
        poll_fn(|cx| self.poll_send(&mut outgoing, cx)).await?;
        Ok(keeps)
    }

    fn poll_send(&mut self, outgoing: &mut Outgoing<Tracked>, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        self.follow_orders(cx)?;
        let sent = outgoing.poll(self.inbound.wire(), cx);
        self.watched.set_unread_since(self.inbound.wire().blocked_since());
        match sent {
            Poll::Ready(sent) => Poll::Ready(sent.map_err(|_| End::Lost)),
            Poll::Pending => self.inbound.poll_left(cx).map(|()| Err(End::Lost)),
        }
    }

    /// Until all of the request has been read. What nobody wants of it is forgotten, if it isn't much.
    async fn finish_body(&mut self) -> Result<(), End> {
        if self.inbound.is_over() {
            return Ok(());
        }
        poll_fn(|cx| {
            self.follow_orders(cx)?;
            self.inbound.poll_let_go(cx).map(Ok)
        })
        .await?;
        let mut left = LINGERING;
        let drained = tokio::time::timeout(LINGER, poll_fn(|cx| self.inbound.poll_drain(&mut left, cx)));
        if drained.await == Ok(true) { Ok(()) } else { Err(End::Told) }
    }

    /// The last answer of a connection that is not understood.
    async fn refuse(&mut self, unreadable: Unreadable) -> End {
        let proxy = &self.worker.proxy;
        let answer = match unreadable {
            Unreadable::TooLarge => proxy.oversized(self.connection, Version::HTTP_11),
            Unreadable::Malformed(why) => proxy.unreadable(self.connection, &why),
        };
        let asked = Asked { is_head: false, version: Version::HTTP_11, keeps_connection: false };
        self.send(answer, &asked).await.err().unwrap_or(End::Told)
    }

    fn follow_orders(&mut self, cx: &Context<'_>) -> Result<(), End> {
        while let Some(order) = self.watched.poll_order(cx) {
            match order {
                Order::Cut => return Err(End::Lost),
                Order::Finish => self.finishing = true,
                // HTTP/1.1 has no word for it.
                Order::Ask => {}
            }
        }
        Ok(())
    }

    async fn part(self, end: End) {
        let wire = self.inbound.wire();
        // Nobody reads any more of a body.
        wire.break_off();
        match end {
            End::Finished => {
                let _ = tokio::time::timeout(LINGER, wire.part()).await;
            }
            End::Told => {
                let _ = tokio::time::timeout(LINGER, wire.linger(LINGERING)).await;
            }
            End::Switched(answer) => tunnel(self.inbound, *answer).await,
            End::Unreadable(_) | End::Lost => {}
        }
    }
}

/// How an answer's body ends (RFC 9112 §6.3).
fn framing(head: &response::Head, body: &Tracked, asked: &Asked) -> Framing {
    let bare = asked.is_head
        || head.status.is_informational()
        || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    match body.size_hint().exact() {
        _ if bare => Framing::None,
        _ if body.is_end_stream() => Framing::Length(0),
        Some(length) => Framing::Length(length),
        None if asked.version == Version::HTTP_10 => Framing::Close,
        None => Framing::Chunked,
    }
}

/// Octets both ways until either side ends (RFC 9110 §7.8). The exchange goes on as long.
async fn tunnel(inbound: Rc<Inbound>, mut answer: Response<Tracked>) {
    let caller = Rc::into_inner(inbound).map(Inbound::into_io);
    let (Some(mut caller), Some(mut upstream)) = (caller, answer.body.take_io()) else { return };
    // Either side may break off at any time; that is how tunnels end.
    let _ = tokio::io::copy_bidirectional(&mut caller, &mut upstream).await;
}
