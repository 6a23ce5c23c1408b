use std::pin::Pin;
use std::task::Waker;

use bytes::{Bytes, BytesMut};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request};
use http_body::Frame;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::LocalSet;

use super::*;
use crate::body::{Arriving, CallerBody};
use crate::http1::Inbound;
use crate::message::{request, response};

/// What a client makes of the octets that answer its request.
#[derive(Debug, PartialEq, Eq)]
struct Made {
    status: u16,
    fields: HeaderMap,
    body: Vec<u8>,
    trailers: HeaderMap,
    /// Whether the answer came to its end.
    whole: bool,
}

impl Made {
    async fn of<E>(
        head: &response::Head,
        mut next: impl AsyncFnMut() -> Option<Result<Frame<Bytes>, E>>,
    ) -> Made {
        let (status, fields) = (head.status.as_u16(), head.headers.clone().into());
        let mut made = Made { status, fields, body: vec![], trailers: HeaderMap::new(), whole: false };
        loop {
            match next().await {
                Some(Ok(frame)) => made.add(frame),
                None => {
                    made.whole = true;
                    return made;
                }
                Some(Err(_)) => return made,
            }
        }
    }

    fn add(&mut self, frame: Frame<Bytes>) {
        match frame.into_data() {
            Ok(data) => self.body.extend_from_slice(&data),
            Err(frame) => self.trailers = frame.into_trailers().expect("trailers"),
        }
    }
}

/// Lets go of answers before the answer.
struct Unheard;

impl Heads for Unheard {
    fn http1(&self, _: bool) -> Option<RequestHead> {
        None
    }

    fn http2(&self, _: bool) -> Option<request::Head> {
        None
    }

    fn interim(&self, _: response::Head) {}
}

/// One request and the head of its answer.
async fn exchange(
    lease: Lease,
    head: RequestHead,
    payload: Payload,
    repeatable: bool,
) -> Result<Response<Receiving>, Refused> {
    lease.call(head, payload, repeatable).answer(&Unheard).await
}

fn get(method: &Method) -> RequestHead {
    RequestHead::new(method, &PathAndQuery::from_static("/x"))
}

/// Reads a request without a body, and answers in pieces of so many octets.
async fn answer(mut server: UnixStream, octets: Vec<u8>, piece: usize) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") && server.read_buf(&mut request).await.is_ok_and(|read| read > 0) {}
    for piece in octets.chunks(piece) {
        if server.write_all(piece).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// This client. With the answer, the idle connections after it.
async fn ours(method: &Method, octets: &[u8], piece: usize) -> (Option<Made>, usize) {
    let (client, server) = UnixStream::pair().expect("sockets");
    let serving = tokio::task::spawn_local(answer(server, octets.to_vec(), piece));
    let idle = Rc::new(Idle::new());
    let exchange = exchange(idle.open(Io::Unix(client)), get(method), Payload::Empty, false);
    let made = match exchange.await {
        Err(_) => None,
        Ok(answer) => {
            let Response { head, mut body } = answer;
            Some(Made::of(&head, async || poll_fn(|cx| body.poll_frame(cx)).await).await)
        }
    };
    serving.await.expect("served");
    (made, idle.stack.borrow().len())
}

/// hyper's.
async fn theirs(method: &Method, octets: &[u8], piece: usize) -> Option<Made> {
    let (client, server) = UnixStream::pair().expect("sockets");
    let serving = tokio::task::spawn_local(answer(server, octets.to_vec(), piece));
    let client = hyper::client::conn::http1::handshake(TokioIo::new(client)).await;
    let (mut sender, connection) = client.expect("a connection");
    tokio::task::spawn_local(connection);
    let request = Request::builder().method(method).uri("/x").body(Empty::<Bytes>::new()).expect("a request");
    let made = match sender.send_request(request).await {
        Err(_) => None,
        Ok(answer) => {
            let (head, mut body) = answer.into_parts();
            let head = http::Response::from_parts(head, ()).into();
            Some(Made::of(&head, async || body.frame().await).await)
        }
    };
    serving.await.expect("served");
    made
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, future)
}

prop_compose! {
    /// An answer that keeps to the rules, more or less.
    fn an_answer()(
        status in prop::sample::select(vec![200, 201, 204, 304, 404, 500, 103]),
        minor in prop::sample::select(vec!["1.1", "1.1", "1.1", "1.0"]),
        interim in prop::bool::weighted(0.2),
        length in prop::option::of(0_usize..12),
        fields in prop::collection::vec(("[a-z-]{1,6}", "[ -~]{0,9}"), 0..4),
        chunks in prop::option::of(prop::collection::vec("[a-z]{1,9}", 0..4)),
        trailers in prop::collection::vec(("x-[a-z]{1,3}", "[a-z]{0,5}"), 0..3),
        close in any::<bool>(),
        more in prop::bool::weighted(0.2),
        cut in prop::option::weighted(0.3, any::<prop::sample::Index>()),
        change in prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>())),
    ) -> Vec<u8> {
        let mut octets = String::new();
        if interim {
            octets += "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
        }
        octets += &format!("HTTP/{minor} {status} Whatever\r\n");
        for (name, value) in &fields {
            octets += &format!("{name}: {value}\r\n");
        }
        if close {
            octets += "connection: close\r\n";
        }
        if let Some(length) = length {
            octets += &format!("content-length: {length}\r\n");
        }
        if let Some(chunks) = &chunks {
            octets += "transfer-encoding: chunked\r\n\r\n";
            for chunk in chunks {
                octets += &format!("{:x}\r\n{chunk}\r\n", chunk.len());
            }
            octets += "0\r\n";
            for (name, value) in &trailers {
                octets += &format!("{name}: {value}\r\n");
            }
            octets += "\r\n";
        } else {
            octets += "\r\n";
            octets += &"b".repeat(length.unwrap_or(5));
        }
        if more {
            octets += "HTTP/1.1 200 OK\r\n\r\n";
        }
        let mut octets = octets.into_bytes();
        if let Some((at, octet)) = change {
            let at = at.index(octets.len());
            octets[at] = octet;
        }
        if let Some(cut) = cut {
            octets.truncate(cut.index(octets.len() + 1));
        }
        octets
    }
}

proptest! {
    #[test]
    fn what_is_read_is_what_hyper_reads(octets in an_answer(), piece in 1_usize..99, head in prop::bool::weighted(0.2)) {
        let method = if head { Method::HEAD } else { Method::GET };
        let ((ours, idle), theirs) =
            block_on(async { (ours(&method, &octets, piece).await, theirs(&method, &octets, piece).await) });
        // It may be stricter; what it takes for whole is so for hyper, too, to the letter.
        let Some(ours) = ours else { return Ok(()) };
        if ours.whole && ours.status != 101 {
            prop_assert_eq!(Some(&ours), theirs.as_ref());
        }
        prop_assert!(idle == 0 || ours.whole);
    }
}

#[tokio::test]
async fn a_connection_is_used_again_only_after_a_whole_answer_that_does_not_end_it() {
    for (octets, again) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", true),
        ("HTTP/1.1 204 No Content\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx: y\r\n\r\n", true),
        ("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok", true),
        ("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", false),
        ("HTTP/1.1 200 OK\r\nconnection: x, Close\r\ncontent-length: 2\r\n\r\nok", false),
        ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", false),
        ("HTTP/1.1 200 OK\r\n\r\nok", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok", false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", false),
    ] {
        let (made, idle) = LocalSet::new().run_until(ours(&Method::GET, octets.as_bytes(), 1000)).await;
        assert!(made.is_some(), "{octets:?}");
        assert_eq!(idle == 1, again, "{octets:?}");
    }
}

/// A connection on which one answer has come, with what followed it.
async fn used(after: &[u8]) -> (Rc<Idle>, UnixStream) {
    let (client, mut server) = UnixStream::pair().expect("sockets");
    let idle = Rc::new(Idle::new());
    server.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.expect("written");
    let answer = exchange(idle.open(Io::Unix(client)), get(&Method::GET), Payload::Empty, false).await;
    assert!(answer.is_ok_and(|answer| answer.body.is_end_stream()));
    server.write_all(after).await.expect("written");
    (idle, server)
}

#[tokio::test]
async fn what_comes_unasked_ends_a_connection_and_so_does_its_end() {
    let local = LocalSet::new();
    local
        .run_until(async {
            let long = Duration::from_secs(60);
            let (idle, server) = used(b"").await;
            assert!(idle.take(long).is_some(), "it is silent");
            drop(server);
            let (idle, _server) = used(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            tokio::task::yield_now().await;
            assert!(idle.take(long).is_none(), "an answer that nobody asked for would be the next one's");
            let (idle, server) = used(b"").await;
            drop(server);
            tokio::task::yield_now().await;
            idle.sweep(long);
            assert!(idle.stack.borrow().is_empty(), "the other end has gone");
        })
        .await;
}

#[tokio::test]
async fn a_request_that_was_not_written_at_all_comes_back_with_its_body() {
    let (client, server) = UnixStream::pair().expect("sockets");
    drop(server);
    let lease = Rc::new(Idle::new()).open(Io::Unix(client));
    let body = Payload::Whole(Bytes::from_static(b"body"));
    let refused = exchange(lease, get(&Method::POST), body, false).await.err().expect("no answer");
    assert!(matches!(refused.again, Some(Payload::Whole(body)) if body == "body"));
}

#[tokio::test]
async fn a_used_connection_that_ends_without_a_word_may_have_done_nothing() {
    LocalSet::new()
        .run_until(async {
            for (reused, repeatable, comes_back) in
                [(true, true, true), (true, false, false), (false, true, false)]
            {
                let (client, mut server) = UnixStream::pair().expect("sockets");
                let mut lease = Rc::new(Idle::new()).open(Io::Unix(client));
                lease.reused = reused;
                let exchange = exchange(lease, get(&Method::GET), Payload::Empty, repeatable);
                let read = async move {
                    let mut request = [0; 99];
                    server.read(&mut request).await.expect("a request")
                };
                let (refused, _) = tokio::join!(exchange, read);
                let refused = refused.err().expect("no answer");
                assert_eq!(refused.again.is_some(), comes_back, "{reused} {repeatable}");
            }
        })
        .await;
}

#[tokio::test]
async fn who_waits_for_an_answer_holds_no_memory_for_it() {
    let (client, _server) = UnixStream::pair().expect("sockets");
    let lease = Rc::new(Idle::new()).open(Io::Unix(client));
    let wire = Rc::clone(&lease.wire);
    let mut exchange = std::pin::pin!(exchange(lease, get(&Method::GET), Payload::Empty, false));
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..3 {
        assert!(Pin::new(&mut exchange).poll(&mut cx).is_pending());
    }
    assert_eq!(wire.with_read(|read| read.capacity()), 0);
}

#[tokio::test]
async fn a_request_whose_body_breaks_off_is_not_sent_again() {
    let (caller, mut octets) = UnixStream::pair().expect("sockets");
    let request = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nno size\r\n";
    octets.write_all(request).await.expect("written");
    let inbound = Rc::new(Inbound::new(Io::Unix(caller), BytesMut::new()));
    let request = poll_fn(|cx| inbound.poll_request(1024, cx)).await;
    let reader = request.expect("what can be read").expect("a request").body;
    let body = CallerBody::new(None, Arriving::http1(reader));
    let (client, _server) = UnixStream::pair().expect("sockets");
    let lease = Rc::new(Idle::new()).open(Io::Unix(client));
    let refused = exchange(lease, get(&Method::POST), Payload::Streaming(body), false).await;
    let refused = refused.err().expect("no answer");
    assert!(refused.again.is_none(), "what is left of its body looks like a whole one");
    let told = refused.error.to_string();
    assert!(told.starts_with("the request's body broke off"), "{told}");
}
