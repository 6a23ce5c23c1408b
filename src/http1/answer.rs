//! Heads of answers: how they are read from upstreams, and how they go out to callers.

use std::mem::MaybeUninit;

use bytes::BytesMut;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE};
use http::{HeaderValue, StatusCode, Version};
use httparse::Status;
use hyper::ext::ReasonPhrase;

use super::Malformed;
use super::head::{self, Framing, MAX_FIELDS, Tells};
use crate::message::response;

/// Room for most heads. More than this takes the allocator far longer to find.
const USUAL_HEAD: usize = 1024;
/// So many octets may the head of an answer have.
const MAX_HEAD: usize = 128 * 1024;

/// An answer's head.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: response::Head,
    pub(super) tells: Tells,
}

impl Answer {
    /// Whether the connection goes on after it.
    pub(crate) fn keeps_connection(&self) -> bool {
        self.tells.keeps_connection(self.head.version, &self.head.headers)
    }
}

/// Takes the head of an answer out of what was read; `None` while it is not all there.
///
/// # Errors
/// When it is no head, or a larger one than anybody sends.
pub(crate) fn take_answer(read: &mut BytesMut) -> Result<Option<Answer>, Malformed> {
    if read.is_empty() {
        return Ok(None);
    }
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut line = httparse::Response::new(&mut []);
    let parsed =
        httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut line, read, &mut fields);
    let length = match parsed.map_err(head::malformed)? {
        Status::Complete(length) => length,
        Status::Partial if read.len() > MAX_HEAD => return Err(Malformed("the answer's head is too large")),
        Status::Partial => return Ok(None),
    };
    let status = line.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Malformed("the answer's status is none"))?;
    let version = if line.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    let reason =
        line.reason.filter(|&reason| !reason.is_empty() && Some(reason) != status.canonical_reason());
    let reason = reason.and_then(|reason| ReasonPhrase::try_from(reason.as_bytes()).ok());
    let places = head::places(read, line.headers);

    let (headers, tells) = head::fields_at(&read.split_to(length).freeze(), places)?;
    Ok(Some(Answer { head: response::Head { status, reason, version, headers }, tells }))
}

/// Says nothing of the request yet (RFC 9110 §15.2).
pub(crate) fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}

/// The head of an answer, as it goes out. `connection` is what is said of the connection's end, if anything is; one without a
/// date gets `date`.
pub(crate) fn write_answer(
    answer: &response::Head,
    framing: Framing,
    connection: Option<&str>,
    date: impl FnOnce() -> HeaderValue,
) -> BytesMut {
    let mut out = BytesMut::with_capacity(USUAL_HEAD);
    write_line(&mut out, answer);
    let (mut has_length, mut has_date) = (false, false);
    for (name, value) in answer.headers.iter() {
        if name == CONTENT_LENGTH {
            match framing {
                Framing::Length(length) if !has_length => {
                    match head::number(value.as_bytes()) == Some(length) {
                        true => head::write_field(&mut out, name.as_str(), value.as_bytes()),
                        false => write_length(&mut out, length),
                    }
                }
                // RFC 9110 §8.6: an answer to HEAD and one of 304 may say what would have come.
                Framing::None if answer.status != StatusCode::NO_CONTENT => {
                    head::write_field(&mut out, name.as_str(), value.as_bytes());
                }
                _ => {}
            }
            has_length = true;
        } else if name != CONNECTION || connection.is_none() {
            has_date |= name == DATE;
            head::write_field(&mut out, name.as_str(), value.as_bytes());
        }
    }
    match framing {
        Framing::Length(length) if !has_length => write_length(&mut out, length),
        Framing::Chunked => head::write_field(&mut out, "transfer-encoding", b"chunked"),
        _ => {}
    }
    if let Some(connection) = connection {
        head::write_field(&mut out, "connection", connection.as_bytes());
    }
    if !has_date {
        head::write_field(&mut out, "date", date().as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// The head of an answer before the answer.
pub(crate) fn write_interim(out: &mut BytesMut, answer: &response::Head) {
    write_line(out, answer);
    head::write_fields(out, answer.headers.iter());
    out.extend_from_slice(b"\r\n");
}

fn write_line(out: &mut BytesMut, answer: &response::Head) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(answer.status.as_str().as_bytes());
    out.extend_from_slice(b" ");
    let reason = answer.reason.as_ref().map(ReasonPhrase::as_bytes);
    let usual = || answer.status.canonical_reason().unwrap_or_default().as_bytes();
    out.extend_from_slice(reason.unwrap_or_else(usual));
    out.extend_from_slice(b"\r\n");
}

fn write_length(out: &mut BytesMut, length: u64) {
    head::write_field(out, "content-length", HeaderValue::from(length).as_bytes());
}
