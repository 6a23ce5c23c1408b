//! What heads of requests and of answers have in common: fields, which trailers have too, and what they say of the body.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use httparse::{EMPTY_HEADER, Header, Status};

use super::Malformed;
use crate::message::Headers;

/// So many fields may a head or trailers have.
pub(super) const MAX_FIELDS: usize = 100;
/// Trailers may have so many octets.
const MAX_TRAILERS: usize = 16 * 1024;

/// Fields, a line each.
pub(super) fn write_fields<'a>(
    out: &mut BytesMut,
    fields: impl IntoIterator<Item = (&'a HeaderName, &'a HeaderValue)>,
) {
    for (name, value) in fields {
        write_field(out, name.as_str(), value.as_bytes());
    }
}

/// One field.
pub(super) fn write_field(out: &mut BytesMut, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Takes trailers with the empty line after them out of what was read; `None` while they are not all there.
pub(super) fn take_trailers(read: &mut BytesMut) -> Result<Option<HeaderMap>, Malformed> {
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let (length, places) = match httparse::parse_headers(read, &mut fields).map_err(malformed)? {
        Status::Complete((length, fields)) => (length, places(read, fields)),
        Status::Partial if read.len() > MAX_TRAILERS => return Err(Malformed("the trailers are too large")),
        Status::Partial => return Ok(None),
    };
    let (fields, _) = fields_at(&read.split_to(length).freeze(), places)?;
    Ok(Some(fields.into()))
}

/// How a message tells where its body ends (RFC 9112 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is no body, and nothing is said of it.
    None,
    /// After so many octets.
    Length(u64),
    /// With its last chunk.
    Chunked,
    /// With the connection.
    Close,
}

/// The length that a head tells.
pub(super) fn length(fields: &Headers) -> Result<Option<u64>, Malformed> {
    let mut length = None;
    for value in fields.get_all(CONTENT_LENGTH) {
        for one in value.as_bytes().split(|&octet| octet == b',') {
            let one = number(one.trim_ascii()).ok_or(Malformed("its content-length is no number"))?;
            if length.is_some_and(|length| length != one) {
                return Err(Malformed("it has two lengths"));
            }
            length = Some(one);
        }
    }
    Ok(length)
}

/// The number that these digits are; `None` where there is anything else.
pub(super) fn number(octets: &[u8]) -> Option<u64> {
    let add = |number: u64, &octet: &u8| {
        let digit = octet.is_ascii_digit().then(|| u64::from(octet - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    };
    if octets.is_empty() { None } else { octets.iter().try_fold(0, add) }
}

/// Whether the body comes in chunks. No other coding is known (RFC 9112 §6.1), and none at all to HTTP/1.0.
pub(super) fn is_chunked(version: Version, fields: &Headers) -> Result<bool, Malformed> {
    let mut codings = fields.get_all(TRANSFER_ENCODING);
    let Some(coding) = codings.next() else { return Ok(false) };
    if !coding.as_bytes().eq_ignore_ascii_case(b"chunked") || codings.next().is_some() {
        return Err(Malformed("its transfer-encoding is not `chunked`, once"));
    }
    match version {
        Version::HTTP_10 => Err(Malformed("it has a transfer-encoding, which its version does not have")),
        _ => Ok(true),
    }
}

/// Whether the connection goes on after this message (RFC 9112 §9.3).
pub(crate) fn keeps_connection(version: Version, fields: &Headers) -> bool {
    let mut values = fields.get_all(CONNECTION).filter_map(|value| value.to_str().ok());
    let says =
        |value: &str, option: &str| value.split(',').any(|item| item.trim().eq_ignore_ascii_case(option));
    if version == Version::HTTP_11 {
        return !values.any(|value| says(value, "close"));
    }
    let (mut keeps, mut closes) = (false, false);
    for value in values {
        keeps |= says(value, "keep-alive");
        closes |= says(value, "close");
    }
    keeps && !closes
}

/// Where a field's name and its value stand.
pub(super) type Place = (Range<usize>, Range<usize>);

pub(super) fn places(read: &[u8], fields: &[Header<'_>]) -> Vec<Place> {
    fields.iter().map(|field| (place(read, field.name.as_bytes()), place(read, field.value))).collect()
}

/// Where a part of what was read stands in it.
pub(super) fn place(read: &[u8], part: &[u8]) -> Range<usize> {
    let at = part.as_ptr().addr() - read.as_ptr().addr();
    at..at + part.len()
}

/// Which of the fields that tell of the message and of its connection a head has: one look at each name costs less than a
/// search for each of these.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tells {
    pub(super) length: bool,
    pub(super) coding: bool,
    pub(super) connection: bool,
    pub(super) expect: bool,
}

impl Tells {
    /// [`keeps_connection`], of the head that tells this.
    pub(super) fn keeps_connection(self, version: Version, fields: &Headers) -> bool {
        if self.connection { keeps_connection(version, fields) } else { version == Version::HTTP_11 }
    }
}

/// The values share the octets that were read.
pub(super) fn fields_at(octets: &Bytes, places: Vec<Place>) -> Result<(Headers, Tells), Malformed> {
    let mut fields = Headers::with_capacity(places.len());
    let mut tells = Tells::default();
    for (name, value) in places {
        let name = HeaderName::from_bytes(&octets[name]).map_err(|_| Malformed("a field's name is none"))?;
        let value = HeaderValue::from_maybe_shared(octets.slice(value))
            .map_err(|_| Malformed("a field's value has octets that none may have"))?;
        tells.length |= name == CONTENT_LENGTH;
        tells.coding |= name == TRANSFER_ENCODING;
        tells.connection |= name == CONNECTION;
        tells.expect |= name == EXPECT;
        fields.append(name, value);
    }
    Ok((fields, tells))
}

pub(super) fn malformed(error: httparse::Error) -> Malformed {
    Malformed(match error {
        httparse::Error::HeaderName => "a field's name has octets that none may have",
        httparse::Error::HeaderValue => "a field's value has octets that none may have",
        httparse::Error::NewLine => "a line does not end as lines do",
        httparse::Error::Status => "the status is no number of three digits",
        httparse::Error::Token => "a field's name or the status line is malformed",
        httparse::Error::TooManyHeaders => "there are more than a hundred fields",
        httparse::Error::Version => "its version is none that is known",
    })
}
