//! Calls whose heads both sides must understand alike: this client, and the server of the `h2` crate.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::connection::Connection;
use super::super::stream::Finish;
use super::all_written;

/// The size of the server's table in the first line. Then calls, with an empty line before each: `METHOD PATH STATUS`, and
/// fields, which go both ways, in the head and in the trailers.
///
/// Both sides understand what the other one has said.
pub(crate) fn calls(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    let mut blocks = text.split("\n\n");
    let table = blocks.next().and_then(|first| first.trim().parse().ok()).unwrap_or(4096u16);
    let calls: Vec<Call> = blocks.take(20).filter_map(Call::read).collect();
    let wire = Wire::default();
    let mut cx = Context::from_waker(Waker::noop());
    let mut builder = h2::server::Builder::new();
    builder.header_table_size(table.into());
    let mut handshake = pin!(builder.handshake::<_, Bytes>(wire.clone()));
    let mut client = Connection::client();
    let mut buffer = BytesMut::new();
    wire.0.borrow_mut().to_server.extend_from_slice(&all_written(&mut client));
    let Poll::Ready(server) = handshake.as_mut().poll(&mut cx) else { panic!("no handshake") };
    let mut server = server.expect("a server");
    for call in calls {
        let stream = client.open(&call.request.clone().into(), false).expect("a stream");
        client.send(stream, Bytes::from_static(b"question"), Finish::Trailers(call.fields.clone()));
        let mut exchange = |client: &mut Connection, cx: &mut Context<'_>| {
            wire.0.borrow_mut().to_server.extend_from_slice(&all_written(client));
            let accepted = server.poll_accept(cx);
            buffer.extend_from_slice(&std::mem::take(&mut wire.0.borrow_mut().to_client));
            client.receive(&mut buffer).expect("frames that this client takes");
            accepted
        };
        let Poll::Ready(Some(accepted)) = exchange(&mut client, &mut cx) else { panic!("no request") };
        let (request, mut respond) = accepted.expect("a request");
        assert_eq!(request.method(), call.request.method());
        assert_eq!(request.uri(), call.request.uri());
        assert_eq!(request.headers(), call.request.headers());
        let mut body = request.into_body();
        let Poll::Ready(Some(Ok(data))) = body.poll_data(&mut cx) else { panic!("no data") };
        assert_eq!(&data[..], b"question");
        assert!(matches!(body.poll_data(&mut cx), Poll::Ready(None)));
        let trailers = body.poll_trailers(&mut cx);
        assert!(matches!(trailers, Poll::Ready(Ok(Some(trailers))) if trailers == call.fields));

        let mut response = Response::new(());
        *response.status_mut() = call.status;
        *response.headers_mut() = call.fields.clone();
        let mut sending = respond.send_response(response, false).expect("sent");
        sending.send_trailers(call.fields.clone()).expect("sent");
        let _ = exchange(&mut client, &mut cx);
        let Poll::Ready(Ok(answer)) = client.poll_answer(stream, &mut cx) else { panic!("no answer") };
        assert_eq!((answer.status, HeaderMap::from(answer.headers)), (call.status, call.fields.clone()));
        let Poll::Ready(Some(Ok(trailers))) = client.poll_frame(stream, &mut cx) else {
            panic!("no trailers")
        };
        assert_eq!(trailers.into_trailers().expect("trailers"), call.fields);
        client.release(stream);
    }
}

struct Call {
    request: Request<()>,
    fields: HeaderMap,
    status: StatusCode,
}

impl Call {
    fn read(block: &str) -> Option<Call> {
        let mut lines = block.lines();
        let mut words = lines.next()?.split(' ');
        let (method, path, status) = (words.next()?, words.next()?, words.next()?.parse().ok()?);
        let mut fields = HeaderMap::from(crate::guises::fields(lines));
        // About the connection or its framing: the proxy takes them out, and both sides refuse them.
        for name in [
            "connection",
            "te",
            "transfer-encoding",
            "content-length",
            "keep-alive",
            "proxy-connection",
            "upgrade",
            "host",
        ] {
            fields.remove(name);
        }
        let uri = format!("http://upstream.example{path}");
        let mut request = Request::builder().method(method).uri(uri).body(()).ok()?;
        *request.headers_mut() = fields.clone();
        let possible = (200..600).contains(&status)
            && path.starts_with('/')
            && !path.contains('#')
            && method != "CONNECT";
        let status = StatusCode::from_u16(status).ok()?;
        possible.then_some(Call { request, fields, status })
    }
}

/// Both directions; nothing waits on it.
#[derive(Clone, Default)]
struct Wire(Rc<RefCell<Directions>>);

#[derive(Default)]
struct Directions {
    to_server: BytesMut,
    to_client: BytesMut,
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let octets = &mut self.0.borrow_mut().to_server;
        let length = octets.len().min(into.remaining());
        if length == 0 {
            return Poll::Pending;
        }
        into.put_slice(&octets[..length]);
        octets.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().to_client.extend_from_slice(octets);
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
