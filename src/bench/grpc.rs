//! A client of gRPC: unary calls over HTTP/2 connections that several slots share.

use std::cell::RefCell;
use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::{Builder, ResponseFuture, SendRequest};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, TE, USER_AGENT};
use http::{Method, Request, StatusCode, Uri, Version};

use super::outcome::Outcome;
use super::target::Target;
use super::work::Work;

/// What a unary call asks for: it changes nothing, and every gateway knows it.
const TOPOLOGY: &str = "/gateway_protocol.Gateway/Topology";

/// A call, made once and sent often.
#[derive(Clone)]
pub(super) struct Call {
    head: Request<()>,
    message: Bytes,
}

impl Call {
    /// The unary call of a block.
    pub(super) fn unary(target: &Target, work: &Work) -> io::Result<Call> {
        Call::new(target, TOPOLOGY, &padding(work.body))
    }

    /// Any call with one message.
    pub(super) fn new(target: &Target, path: &str, message: &[u8]) -> io::Result<Call> {
        let address = &target.grpc;
        let uri: Uri = format!("{}://{}{path}", address.scheme(), address.authority())
            .parse()
            .map_err(io::Error::other)?;
        let mut head = Request::new(());
        *head.method_mut() = Method::POST;
        *head.uri_mut() = uri;
        *head.version_mut() = Version::HTTP_2;
        let fields = head.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        fields.insert(TE, HeaderValue::from_static("trailers"));
        fields.insert(USER_AGENT, HeaderValue::from_static("camunda-auth-proxy-bench"));
        if let Some(authorization) = target.authorization() {
            let mut value = HeaderValue::try_from(authorization).map_err(io::Error::other)?;
            value.set_sensitive(true);
            fields.insert(AUTHORIZATION, value);
        }
        Ok(Call { head, message: framed(message) })
    }

    /// Another message in the same call.
    pub(super) fn with(&self, message: &[u8]) -> Call {
        Call { head: self.head.clone(), message: framed(message) }
    }
}

/// A message with its prefix of five bytes.
fn framed(message: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(5 + message.len());
    bytes.put_u8(0);
    bytes.put_u32(message.len() as u32);
    bytes.put_slice(message);
    bytes.freeze()
}

/// A message of this length with one field that no gateway knows; protobuf skips such fields.
fn padding(length: usize) -> Vec<u8> {
    if length < 4 {
        return Vec::new();
    }
    // Field 1000, length-delimited; its own prefix is taken off.
    let mut message = vec![0xc2, 0x3e];
    let mut left = length - 3;
    while left + message.len() + varint(left).len() > length {
        left -= 1;
    }
    message.extend(varint(left));
    message.extend(std::iter::repeat_n(b'x', left));
    message
}

/// A number as protobuf writes it.
pub(super) fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// A connection that is opened anew when it has broken.
pub(super) struct Connection {
    target: std::sync::Arc<Target>,
    open: RefCell<Option<SendRequest<Bytes>>>,
    opening: tokio::sync::Mutex<()>,
}

impl Connection {
    pub(super) fn new(target: std::sync::Arc<Target>) -> Connection {
        Connection { target, open: RefCell::new(None), opening: tokio::sync::Mutex::new(()) }
    }

    /// Room for one more call, on the connection that is open or on a new one.
    pub(super) async fn ready(&self) -> Result<SendRequest<Bytes>, Outcome> {
        for _ in 0..2 {
            let sender = self.sender().await?;
            match sender.ready().await {
                Ok(sender) => return Ok(sender),
                // It broke, or its peer takes nothing more: nothing was sent.
                Err(_) => *self.open.borrow_mut() = None,
            }
        }
        Err(Outcome::Connect)
    }

    async fn sender(&self) -> Result<SendRequest<Bytes>, Outcome> {
        let current = || self.open.borrow().clone();
        if let Some(sender) = current() {
            return Ok(sender);
        }
        let _one_at_a_time = self.opening.lock().await;
        if let Some(sender) = current() {
            return Ok(sender);
        }
        let io = self.target.connect(&self.target.grpc, true).await.map_err(|_| Outcome::Connect)?;
        let mut builder = Builder::new();
        builder.initial_window_size(1 << 20).initial_connection_window_size(16 << 20).enable_push(false);
        let (sender, connection) = builder.handshake(io).await.map_err(|_| Outcome::Connect)?;
        tokio::task::spawn_local(async move {
            // Its end shows in the calls that are on it.
            let _ = connection.await;
        });
        *self.open.borrow_mut() = Some(sender.clone());
        Ok(sender)
    }

    /// Sends a call; the answer is still to come.
    pub(super) async fn send(&self, call: &Call) -> Result<ResponseFuture, Outcome> {
        let mut sender = self.ready().await?;
        let (response, mut stream) =
            sender.send_request(call.head.clone(), false).map_err(|_| Outcome::Reset)?;
        stream.send_data(call.message.clone(), true).map_err(|_| Outcome::Reset)?;
        Ok(response)
    }

    /// A unary call to its end.
    pub(super) async fn call(&self, call: &Call) -> Outcome {
        match self.send(call).await {
            Ok(response) => ended(response).await.unwrap_or(Outcome::Reset),
            Err(outcome) => outcome,
        }
    }
}

/// Reads an answer to its end: the status is in the trailers, or in the head when there is nothing else.
async fn ended(response: ResponseFuture) -> Result<Outcome, h2::Error> {
    let response = response.await?;
    if response.status() != StatusCode::OK {
        let proxy_status = response.headers().get("proxy-status").map(HeaderValue::as_bytes);
        return Ok(Outcome::of_http(response.status().as_u16(), proxy_status));
    }
    let (head, mut body) = response.into_parts();
    while let Some(data) = body.data().await {
        let length = data?.len();
        body.flow_control().release_capacity(length)?;
    }
    Ok(match body.trailers().await? {
        Some(trailers) => Outcome::of_grpc(&trailers),
        None => Outcome::of_grpc(&head.headers),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_one_unknown_field_of_the_length_asked_for() {
        for length in [4, 100, 130, 131, 132, 4096, 70_000] {
            let message = padding(length);
            assert!(message.len().abs_diff(length) <= 1, "{length}: {}", message.len());
            let head = 2 + varint(message.len()).len();
            assert_eq!(message[..2], [0xc2, 0x3e]);
            assert!(message[head..].iter().all(|byte| *byte == b'x'), "{length}");
        }
        assert!(padding(0).is_empty());
    }
}
