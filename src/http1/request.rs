//! Heads of requests: how they are read from callers, and how they go out to upstreams.

use std::fmt;
use std::mem::MaybeUninit;

use bytes::BytesMut;
use http::header::{CONTENT_LENGTH, EXPECT};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, Uri, Version};
use httparse::Status;

use super::Malformed;
use super::head::{self, Framing, MAX_FIELDS, Tells};
use crate::message::{Headers, request};

/// Room for a head with a token.
const USUAL_HEAD: usize = 2048;
/// So long may a target be, as the type of targets has it.
const MAX_TARGET: usize = u16::MAX as usize - 1;
/// So long may a body be: more does not fit into the signed numbers in which servers count.
const MAX_LENGTH: u64 = i64::MAX as u64;

/// A request's head, and what it says of the octets after it.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) request: request::Head,
    pub(crate) framing: Framing,
    /// Whether another request may follow on the connection.
    pub(crate) keeps_connection: bool,
    /// Whether the caller waits for `100 Continue` before it sends the body (RFC 9110 §10.1.1).
    pub(crate) expects: bool,
}

/// No request's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is larger than is allowed.
    TooLarge,
    /// It can be read in no way, or in two.
    Malformed(Malformed),
}

impl From<Malformed> for Unreadable {
    fn from(malformed: Malformed) -> Unreadable {
        Unreadable::Malformed(malformed)
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::TooLarge => f.write_str("it is too large"),
            Unreadable::Malformed(malformed) => malformed.fmt(f),
        }
    }
}

/// Takes the head of a request of so many octets at most out of what was read; `None` while it is not all there.
///
/// # Errors
/// When it is no head, or a larger one, or one that says in two ways where its body ends: whoever writes that may want to
/// smuggle another request behind it (RFC 9112 §6.1).
pub(crate) fn take_request(read: &mut BytesMut, max: usize) -> Result<Option<Head>, Unreadable> {
    if read.is_empty() {
        return Ok(None);
    }
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut line = httparse::Request::new(&mut []);
    let length = match line.parse_with_uninit_headers(read, &mut fields) {
        Ok(Status::Complete(length)) if length <= max => length,
        Ok(Status::Partial) if read.len() <= max => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(Unreadable::TooLarge),
        Err(error) => return Err(malformed(error).into()),
    };
    let (Some(method), Some(target), Some(version)) = (line.method, line.path, line.version) else {
        return Ok(None);
    };
    if target.len() > MAX_TARGET {
        return Err(Unreadable::TooLarge);
    }
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| Malformed("its method is none"))?;
    let version = if version == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
    let target = head::place(read, target.as_bytes());
    let places = head::places(read, line.headers);
    let octets = read.split_to(length).freeze();
    let uri = Uri::from_maybe_shared(octets.slice(target)).map_err(|_| Malformed("its target is none"))?;
    let (headers, tells) = head::fields_at(&octets, places)?;
    let framing = framing(version, &headers, tells)?;
    let keeps_connection = tells.keeps_connection(version, &headers);
    let expects = tells.expect
        && version == Version::HTTP_11
        && headers
            .get(EXPECT)
            .is_some_and(|expected| expected.as_bytes().eq_ignore_ascii_case(b"100-continue"));

    let request = request::Head { method, uri, version, headers };
    Ok(Some(Head { request, framing, keeps_connection, expects }))
}

/// RFC 9112 §6.3, items 3 to 7.
fn framing(version: Version, fields: &Headers, tells: Tells) -> Result<Framing, Malformed> {
    if !tells.length {
        let chunked = tells.coding && head::is_chunked(version, fields)?;
        return Ok(if chunked { Framing::Chunked } else { Framing::None });
    }
    if tells.coding {
        return Err(Malformed("it has both content-length and transfer-encoding: send one of them"));
    }
    let mut said = fields.get_all(CONTENT_LENGTH);
    let listed = said.next().is_some_and(|first| first.as_bytes().contains(&b','));
    // More lenient readers take lists and repetitions for one length, and others for their first.
    if listed || said.next().is_some() {
        return Err(Malformed("it tells its content-length more than once"));
    }
    match head::length(fields)? {
        Some(length) if length > MAX_LENGTH => Err(Malformed("its content-length is larger than any body")),
        length => Ok(length.map_or(Framing::None, Framing::Length)),
    }
}

fn malformed(error: httparse::Error) -> Malformed {
    match error {
        httparse::Error::Token => Malformed("its method or its target is malformed"),
        other => head::malformed(other),
    }
}

/// The head of a request on its way out, written field by field.
pub struct RequestHead {
    octets: BytesMut,
    is_head: bool,
    /// Whether it says itself how long its body is.
    has_length: bool,
}

impl RequestHead {
    /// A head without fields.
    pub(crate) fn new(method: &Method, target: &PathAndQuery) -> RequestHead {
        let mut octets = BytesMut::with_capacity(USUAL_HEAD);
        octets.extend_from_slice(method.as_str().as_bytes());
        octets.extend_from_slice(b" ");
        octets.extend_from_slice(target.as_str().as_bytes());
        octets.extend_from_slice(b" HTTP/1.1\r\n");
        RequestHead { octets, is_head: method == Method::HEAD, has_length: false }
    }

    /// Adds a field.
    pub(crate) fn add(&mut self, name: &HeaderName, value: &[u8]) {
        self.has_length |= name == CONTENT_LENGTH;
        head::write_field(&mut self.octets, name.as_str(), value);
    }

    /// Whether its method is HEAD.
    pub(crate) fn is_head(&self) -> bool {
        self.is_head
    }

    /// The whole head. What it says itself of its length stays as it is.
    pub(crate) fn finish(self, framing: Framing) -> BytesMut {
        let mut octets = self.octets;
        match framing {
            Framing::Length(length) if !self.has_length => {
                head::write_field(&mut octets, "content-length", HeaderValue::from(length).as_bytes());
            }
            Framing::Chunked => head::write_field(&mut octets, "transfer-encoding", b"chunked"),
            Framing::Length(_) | Framing::None | Framing::Close => {}
        }
        octets.extend_from_slice(b"\r\n");
        octets
    }
}
