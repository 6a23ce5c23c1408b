//! Heads, and the fields of trailers, which look the same.

use std::mem::MaybeUninit;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version};
use httparse::{EMPTY_HEADER, Header, Status};
use hyper::ext::ReasonPhrase;

use super::Malformed;

/// So many fields may a head or trailers have,
const MAX_FIELDS: usize = 100;
/// and so many octets.
const MAX_HEAD: usize = 128 * 1024;
const MAX_TRAILERS: usize = 16 * 1024;
/// Room for a head with a token.
const USUAL_HEAD: usize = 2048;

/// How a request tells where its body ends (RFC 9112 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is no body, and nothing is said of it.
    None,
    /// After so many octets.
    Length(u64),
    /// With its last chunk.
    Chunked,
}

/// The head of a request, as it goes out. What it says itself of its length stays as it is.
pub(crate) fn write_request(request: &Request<()>, framing: Framing) -> BytesMut {
    let mut out = BytesMut::with_capacity(USUAL_HEAD);
    out.extend_from_slice(request.method().as_str().as_bytes());
    out.extend_from_slice(b" ");
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    write_fields(&mut out, request.headers());
    match framing {
        Framing::Length(length) if !request.headers().contains_key(CONTENT_LENGTH) => {
            out.extend_from_slice(b"content-length: ");
            out.extend_from_slice(HeaderValue::from(length).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Framing::Length(_) | Framing::None => {}
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// Fields, a line each.
pub(crate) fn write_fields(out: &mut BytesMut, fields: &HeaderMap) {
    for (name, value) in fields {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// Takes the head of an answer out of what was read; `None` while it is not all there.
///
/// # Errors
/// When it is no head, or a larger one than anybody sends.
pub(crate) fn take_answer(read: &mut BytesMut) -> Result<Option<Response<()>>, Malformed> {
    if read.is_empty() {
        return Ok(None);
    }
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut head = httparse::Response::new(&mut []);
    let parsed =
        httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut head, read, &mut fields);
    let length = match parsed.map_err(malformed)? {
        Status::Complete(length) => length,
        Status::Partial if read.len() > MAX_HEAD => return Err(Malformed("the answer's head is too large")),
        Status::Partial => return Ok(None),
    };
    let status = head.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Malformed("the answer's status is none"))?;
    let version = if head.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    let reason =
        head.reason.filter(|&reason| !reason.is_empty() && Some(reason) != status.canonical_reason());
    let reason = reason.and_then(|reason| ReasonPhrase::try_from(reason.as_bytes()).ok());
    let places = places(read, head.headers);

    let mut answer = Response::new(());
    *answer.status_mut() = status;
    *answer.version_mut() = version;
    *answer.headers_mut() = fields_at(&read.split_to(length).freeze(), places)?;
    if let Some(reason) = reason {
        answer.extensions_mut().insert(reason);
    }
    Ok(Some(answer))
}

/// Takes trailers with the empty line after them out of what was read; `None` while they are not all there.
pub(super) fn take_trailers(read: &mut BytesMut) -> Result<Option<HeaderMap>, Malformed> {
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let (length, places) = match httparse::parse_headers(read, &mut fields).map_err(malformed)? {
        Status::Complete((length, fields)) => (length, places(read, fields)),
        Status::Partial if read.len() > MAX_TRAILERS => return Err(Malformed("the trailers are too large")),
        Status::Partial => return Ok(None),
    };
    fields_at(&read.split_to(length).freeze(), places).map(Some)
}

/// How an answer's body ends by what its head says (RFC 9112 §6.3, items 4 to 8).
pub(super) fn framing(answer: &Response<()>) -> Result<Option<Framing>, Malformed> {
    let headers = answer.headers();
    if headers.contains_key(TRANSFER_ENCODING) {
        let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
        let chunked = codings.next().is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
        // No other coding was asked for; and to servers of HTTP/1.0 none is known (§6.1).
        if !chunked || codings.next().is_some() || answer.version() == Version::HTTP_10 {
            return Err(Malformed("the answer's transfer-encoding is not `chunked`, once"));
        }
        return Ok(Some(Framing::Chunked));
    }
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        for one in value.as_bytes().split(|&octet| octet == b',').map(<[u8]>::trim_ascii) {
            let digits = !one.is_empty() && one.iter().all(u8::is_ascii_digit);
            let one = std::str::from_utf8(one).ok().filter(|_| digits).and_then(|one| one.parse().ok());
            let one = one.ok_or(Malformed("the answer's content-length is no number"))?;
            if length.is_some_and(|length| length != one) {
                return Err(Malformed("the answer has two lengths"));
            }
            length = Some(one);
        }
    }
    Ok(length.map(Framing::Length))
}

/// Where a field's name and its value stand.
type Place = (Range<usize>, Range<usize>);

fn places(read: &[u8], fields: &[Header<'_>]) -> Vec<Place> {
    let start = read.as_ptr().addr();
    let place = |part: &[u8]| {
        let at = part.as_ptr().addr() - start;
        at..at + part.len()
    };
    fields.iter().map(|field| (place(field.name.as_bytes()), place(field.value))).collect()
}

/// The values share the octets that were read.
fn fields_at(octets: &Bytes, places: Vec<Place>) -> Result<HeaderMap, Malformed> {
    let mut fields = HeaderMap::with_capacity(places.len());
    for (name, value) in places {
        let name = HeaderName::from_bytes(&octets[name]).map_err(|_| Malformed("a field's name is none"))?;
        let value = HeaderValue::from_maybe_shared(octets.slice(value))
            .map_err(|_| Malformed("a field's value has octets that none may have"))?;
        fields.append(name, value);
    }
    Ok(fields)
}

fn malformed(error: httparse::Error) -> Malformed {
    Malformed(match error {
        httparse::Error::HeaderName => "a field's name has octets that none may have",
        httparse::Error::HeaderValue => "a field's value has octets that none may have",
        httparse::Error::NewLine => "a line does not end as lines do",
        httparse::Error::Status => "the status is no number of three digits",
        httparse::Error::Token => "a field's name or the status line is malformed",
        httparse::Error::TooManyHeaders => "there are more than a hundred fields",
        httparse::Error::Version => "it does not begin as HTTP/1.1 does",
    })
}
