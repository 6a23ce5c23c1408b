//! What we take for requests, hyper's server takes for the same.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming as Body;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::super::*;
use crate::io::Io;
use crate::message::request;

/// A request as its server has it.
#[derive(Clone, Debug, PartialEq)]
struct Had {
    line: String,
    fields: HeaderMap,
    /// `None` when it broke off.
    body: Option<Vec<u8>>,
    trailers: HeaderMap,
}

impl Had {
    fn new(request: &request::Head) -> Had {
        let line = format!("{} {} {:?}", request.method, request.uri, request.version);
        let mut fields = HeaderMap::from(request.headers.clone());
        // What frames a body is not what it says: hyper takes some of it away.
        fields.remove("transfer-encoding");
        Had { line, fields, body: None, trailers: HeaderMap::new() }
    }
}

/// What this reads until it can't.
async fn ours(octets: Vec<u8>) -> Vec<Had> {
    let (mut caller, ours) = UnixStream::pair().expect("sockets");
    let inbound = Rc::new(Inbound::new(Io::Unix(ours), BytesMut::new()));
    caller.write_all(&octets).await.expect("written");
    drop(caller);
    let mut had = Vec::new();
    while let Ok(Some(Incoming { head, body })) = poll_fn(|cx| inbound.poll_request(64 * 1024, cx)).await {
        let mut request = Had::new(&head.request);
        let mut whole = Some(Vec::new());
        if let Some(mut body) = body {
            while let Some(frame) = poll_fn(|cx| body.poll_frame(cx)).await {
                match frame.map(|frame| frame.into_data()) {
                    Ok(Ok(data)) => whole.iter_mut().for_each(|whole| whole.extend_from_slice(&data)),
                    Ok(Err(frame)) => request.trailers = frame.into_trailers().expect("trailers"),
                    Err(_) => {
                        whole = None;
                        break;
                    }
                }
            }
        }
        request.body = whole;
        let goes_on = request.body.is_some() && head.keeps_connection;
        had.push(request);
        if !goes_on {
            break;
        }
    }
    had
}

/// What hyper's server reads.
async fn theirs(octets: Vec<u8>) -> Vec<Had> {
    let (mut caller, server) = UnixStream::pair().expect("sockets");
    caller.write_all(&octets).await.expect("written");
    let mut answers = Vec::new();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let see = Rc::clone(&seen);
    let serve = hyper::service::service_fn(move |request: Request<Body>| {
        let see = Rc::clone(&see);
        async move {
            let (head, body) = request.into_parts();
            let mut had = Had::new(&Request::from_parts(head, ()).into());
            if let Ok(whole) = body.collect().await {
                had.trailers = whole.trailers().cloned().unwrap_or_default();
                had.body = Some(whole.to_bytes().to_vec());
            }
            see.borrow_mut().push(had);
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(server), serve);
    caller.shutdown().await.expect("shut");
    let read = async { caller.read_to_end(&mut answers).await };
    let _ = tokio::join!(serving, read);
    seen.take()
}

/// One of the good ones as a rule, and one of the others now and then.
fn mostly(
    good: &'static [&'static str],
    other: &'static [&'static str],
) -> impl Strategy<Value = &'static str> {
    prop_oneof![12 => prop::sample::select(good), 1 => prop::sample::select(other)]
}

/// What frames a body, and the body.
fn a_body() -> impl Strategy<Value = (&'static str, &'static str)> {
    let chunked = "transfer-encoding: chunked";
    let good = vec![
        ("", ""),
        ("content-length: 5", "hello"),
        ("Content-Length:5", "hello"),
        ("content-length: 0", ""),
        (chunked, "5\r\nhello\r\n0\r\n\r\n"),
        ("Transfer-Encoding: Chunked", "5;x=y\r\nhello\r\n05\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n"),
        (chunked, "0\r\n\r\n"),
    ];
    let other = vec![
        ("content-length: 7", "hello"),
        ("content-length: +5", "hello"),
        ("content-length: 5\r\ncontent-length: 6", "hello!"),
        ("transfer-encoding: gzip", ""),
        ("transfer-encoding: gzip, chunked", "0\r\n\r\n"),
        ("", "hello"),
        (chunked, "5\r\nhell"),
        (chunked, "5\r\nhello!\r\n0\r\n\r\n"),
        (chunked, "x\r\n"),
        (chunked, "5\nhello\r\n0\r\n\r\n"),
    ];
    prop_oneof![5 => prop::sample::select(good), 1 => prop::sample::select(other)]
}

prop_compose! {
    /// A request that keeps to the rules, more or less.
    fn a_request()(
        method in mostly(&["GET", "POST", "HEAD", "DELETE", "frob"], &["G T", ""]),
        target in mostly(&["/", "/a?b=c", "*", "http://h/x", "/%2e"], &["/a b", "", "/\u{e9}", "h:1"]),
        version in mostly(&["HTTP/1.1"], &["HTTP/1.0", "HTTP/1.2"]),
        end in mostly(&["\r\n"], &["\n", "\r", "\r\n "]),
        fields in prop::collection::vec(mostly(
            &["host: h", "x: y", "X-Y:z ", "x:", "connection: keep-alive", "expect: else", "x: \u{e9}", "te: trailers"],
            &["connection: close", "x y: z", ": y", "x: \u{1}"],
        ), 0..4),
        (framing, body) in a_body(),
    ) -> String {
        let mut head = format!("{method} {target} {version}{end}");
        for field in fields.iter().chain((!framing.is_empty()).then_some(&framing)) {
            head.push_str(field);
            head.push_str(end);
        }
        format!("{head}\r\n{body}")
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_taken_for_a_request_is_one_to_hyper(requests in prop::collection::vec(a_request(), 1..4)) {
        let octets = requests.concat().into_bytes();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (ours, theirs) = runtime.block_on(async { tokio::join!(ours(octets.clone()), theirs(octets)) });
        // It may be stricter, and then sees fewer; what it has whole, hyper has whole, too, to the letter.
        let whole = ours.iter().filter(|request| request.body.is_some()).count();
        prop_assert!(whole <= theirs.len(), "{ours:?} {theirs:?}");
        prop_assert_eq!(&ours[..whole], &theirs[..whole]);
    }
}
