//! gRPC's framing over HTTP/2: messages with a prefix of five bytes, and a status in the trailers.

use std::io::Read;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use prost::Message;

use crate::sandbox::body::Body;
use crate::sandbox::cluster::state::Rejection;

/// The gateway's limit for a message.
const LARGEST_MESSAGE: usize = 4 << 20;

/// What `grpc-message` encodes (gRPC over HTTP/2, "Responses"): all but printable ASCII, and `%`.
const MESSAGE: &AsciiSet = &CONTROLS.add(b'%');

/// The status codes in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Unimplemented = 12,
    Internal = 13,
    Unauthenticated = 16,
}

/// How a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) code: Code,
    pub(super) message: String,
}

impl Status {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Status {
        Status { code, message: message.into() }
    }

    /// Trailers-only: one HEADERS frame with END_STREAM.
    pub(super) fn into_response(self) -> Response<Body> {
        let mut response = head(Body::default());
        let message = utf8_percent_encode(&self.message, MESSAGE).to_string();
        response.headers_mut().insert("grpc-status", HeaderValue::from(self.code as u16));
        if let Ok(message) = HeaderValue::try_from(message) {
            response.headers_mut().insert("grpc-message", message);
        }
        response
    }
}

impl From<Rejection> for Status {
    fn from(rejection: Rejection) -> Status {
        match rejection {
            Rejection::NotFound(message) => Status::new(Code::NotFound, message),
            Rejection::Invalid(message) => Status::new(Code::InvalidArgument, message),
            Rejection::Precondition(message) => Status::new(Code::FailedPrecondition, message),
            Rejection::Exists(message) => Status::new(Code::AlreadyExists, message),
            Rejection::Timeout(message) => Status::new(Code::DeadlineExceeded, message),
        }
    }
}

/// How a caller's messages are compressed, when they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    Other,
}

impl Encoding {
    /// What `grpc-encoding` says.
    pub(super) fn of(headers: &HeaderMap) -> Encoding {
        match headers.get("grpc-encoding").map(HeaderValue::as_bytes) {
            None | Some(b"identity") => Encoding::Identity,
            Some(b"gzip") => Encoding::Gzip,
            Some(_) => Encoding::Other,
        }
    }
}

/// The messages of a request.
pub(super) struct Messages {
    body: Incoming,
    encoding: Encoding,
    buffer: BytesMut,
}

impl Messages {
    pub(super) fn of(body: Incoming, encoding: Encoding) -> Messages {
        Messages { body, encoding, buffer: BytesMut::new() }
    }

    /// The next message; none when the caller has finished or left.
    pub(super) async fn next<M: Message + Default>(&mut self) -> Result<Option<M>, Status> {
        loop {
            if let Some(bytes) = self.whole()? {
                let message = M::decode(bytes);
                return message.map(Some).map_err(|cause| {
                    Status::new(Code::Internal, format!("Invalid protobuf byte sequence: {cause}"))
                });
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.put(data);
                    }
                }
                Some(Err(_)) | None => return Ok(None),
            }
        }
    }

    fn whole(&mut self) -> Result<Option<Bytes>, Status> {
        let Some((prefix, rest)) = self.buffer.split_first_chunk::<5>() else { return Ok(None) };
        let compressed = prefix[0] == 1;
        let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
        if length > LARGEST_MESSAGE {
            let text = format!("gRPC message exceeds maximum size {LARGEST_MESSAGE}: {length}");
            return Err(Status::new(Code::ResourceExhausted, text));
        }
        if rest.len() < length {
            return Ok(None);
        }
        self.buffer.advance(5);
        let bytes = self.buffer.split_to(length).freeze();
        match (compressed, self.encoding) {
            (false, _) => Ok(Some(bytes)),
            (true, Encoding::Gzip) => unzipped(&bytes).map(Some),
            (true, _) => Err(Status::new(Code::Unimplemented, "Can't find decompressor")),
        }
    }
}

/// Answers a call of one message by one message.
pub(super) async fn unary<Q, A, F>(
    body: Incoming,
    encoding: Encoding,
    answer: impl FnOnce(Q) -> F,
) -> Response<Body>
where
    Q: Message + Default,
    A: Message,
    F: Future<Output = Result<A, Status>>,
{
    let asked = match one(body, encoding).await {
        Ok(asked) => asked,
        Err(status) => return status.into_response(),
    };
    match answer(asked).await {
        Ok(message) => head(Body::whole(framed(&message)).with_trailers(ok())),
        Err(status) => status.into_response(),
    }
}

/// The only message of a request.
pub(super) async fn one<Q: Message + Default>(body: Incoming, encoding: Encoding) -> Result<Q, Status> {
    let message = Messages::of(body, encoding).next().await?;
    message.ok_or_else(|| Status::new(Code::Internal, "Half-closed without a request"))
}

/// An answer whose messages arrive over time; its head is sent at once.
pub(super) fn streamed(body: Body) -> Response<Body> {
    head(body.with_trailers(ok()))
}

/// An answer without a message that is no failure.
pub(super) fn empty() -> Response<Body> {
    let mut response = head(Body::default());
    response.headers_mut().extend(ok());
    response
}

/// A message with its prefix.
pub(super) fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(5 + length);
    bytes.put_u8(0);
    bytes.put_u32(length as u32);
    message.encode(&mut bytes).expect("the room was made above");
    bytes.freeze()
}

/// Whether a request is gRPC.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    matches!(kind.strip_prefix(b"application/grpc"), Some([] | [b'+' | b';', ..]))
}

/// What a gateway says to a request that is not gRPC.
pub(super) fn not_grpc() -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response
}

fn head(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn ok() -> HeaderMap {
    HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))])
}

fn unzipped(bytes: &[u8]) -> Result<Bytes, Status> {
    let mut message = Vec::new();
    let read = flate2::read::GzDecoder::new(bytes).take(LARGEST_MESSAGE as u64 + 1).read_to_end(&mut message);
    match read {
        Ok(length) if length <= LARGEST_MESSAGE => Ok(message.into()),
        Ok(_) => Err(Status::new(Code::ResourceExhausted, "Decompressed gRPC message exceeds maximum size")),
        Err(cause) => Err(Status::new(Code::Internal, format!("gzip: {cause}"))),
    }
}
