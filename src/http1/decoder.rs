//! Where a body ends, and what of it has come.

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, StatusCode};

use super::Malformed;
use super::answer::Answer;
use super::head::{self, Framing};

/// The line before a chunk, with its extensions, which nobody reads.
const MAX_LINE: usize = 4096;

/// What is still to come of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoder {
    /// So many octets.
    Length(u64),
    /// Chunks.
    Chunked(Chunk),
    /// All until the connection ends.
    Close,
}

/// What comes next in a chunked body (RFC 9112 §7.1).
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    /// The line that tells the next chunk's size.
    Size,
    /// So many octets of the chunk.
    Data(u64),
    /// The end of its last line.
    End,
    /// Trailers, or the line that ends all.
    Trailers,
    /// Nothing.
    Over,
}

/// What was found in the octets that have come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Some of the body.
    Data(Bytes),
    /// The body has ended, with these.
    Trailers(HeaderMap),
    /// The body has ended.
    End,
    /// Not enough to tell.
    Partial,
}

impl Decoder {
    /// Of the answer to a request, whose method was HEAD if `head`.
    ///
    /// # Errors
    /// When the answer says nothing that can be relied on.
    pub(crate) fn of_answer(answer: &Answer, head: bool) -> Result<Decoder, Malformed> {
        let Answer { head: told, tells } = answer;
        let chunked = tells.coding && head::is_chunked(told.version, &told.headers)?;
        let status = told.status;
        let none = head
            || status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        // RFC 9112 §6.3: where both are said, the coding counts.
        let length = if tells.length && !chunked { head::length(&told.headers)? } else { None };
        Ok(match length {
            _ if none => Decoder::Length(0),
            _ if chunked => Decoder::Chunked(Chunk::Size),
            Some(length) => Decoder::Length(length),
            None => Decoder::Close,
        })
    }

    /// Of a request that is framed like this.
    pub(crate) fn of_request(framing: Framing) -> Decoder {
        match framing {
            Framing::Length(length) => Decoder::Length(length),
            Framing::Chunked => Decoder::Chunked(Chunk::Size),
            Framing::None | Framing::Close => Decoder::Length(0),
        }
    }

    /// Whether the body is whole when the connection ends now.
    pub(crate) fn ends_with_connection(&self) -> bool {
        *self == Decoder::Close
    }

    /// Whether nothing more comes.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self, Decoder::Length(0) | Decoder::Chunked(Chunk::Over))
    }

    /// The octets that are still to come, where that is known.
    pub(crate) fn left(&self) -> Option<u64> {
        match self {
            Decoder::Length(left) => Some(*left),
            Decoder::Chunked(Chunk::Over) => Some(0),
            Decoder::Chunked(_) | Decoder::Close => None,
        }
    }

    /// Takes what comes next out of what was read.
    ///
    /// # Errors
    /// When it is no body; nothing after it can be relied on.
    pub(crate) fn take(&mut self, read: &mut BytesMut) -> Result<Piece, Malformed> {
        match self {
            Decoder::Length(0) => Ok(Piece::End),
            Decoder::Length(left) => Ok(data(read, left)),
            Decoder::Close if read.is_empty() => Ok(Piece::Partial),
            Decoder::Close => Ok(Piece::Data(read.split().freeze())),
            Decoder::Chunked(chunk) => chunk.take(read),
        }
    }
}

impl Chunk {
    fn take(&mut self, read: &mut BytesMut) -> Result<Piece, Malformed> {
        loop {
            match self {
                Chunk::Size => {
                    let Some((size, line)) = chunk_size(read)? else { return Ok(Piece::Partial) };
                    read.advance(line);
                    *self = if size == 0 { Chunk::Trailers } else { Chunk::Data(size) };
                }
                Chunk::Data(0) => *self = Chunk::End,
                Chunk::Data(left) => return Ok(data(read, left)),
                Chunk::End => match read.get(..2) {
                    Some(b"\r\n") => {
                        read.advance(2);
                        *self = Chunk::Size;
                    }
                    None if b"\r".starts_with(&read[..]) => return Ok(Piece::Partial),
                    _ => return Err(Malformed("a chunk does not end where its size says")),
                },
                Chunk::Trailers => {
                    let Some(trailers) = head::take_trailers(read)? else { return Ok(Piece::Partial) };
                    *self = Chunk::Over;
                    return Ok(if trailers.is_empty() { Piece::End } else { Piece::Trailers(trailers) });
                }
                Chunk::Over => return Ok(Piece::End),
            }
        }
    }
}

/// A chunk's size, and how many octets the line has that tells it; `None` while that is not all there.
fn chunk_size(read: &[u8]) -> Result<Option<(u64, usize)>, Malformed> {
    let (mut size, mut digits) = (0_u64, 0);
    while let Some(digit) = read.get(digits).and_then(|&octet| char::from(octet).to_digit(16)) {
        let more = size.checked_mul(16).map(|size| size + u64::from(digit));
        size = more.filter(|_| digits < MAX_LINE).ok_or(Malformed("a chunk is larger than any body"))?;
        digits += 1;
    }
    let rest = &read[digits..];
    let blank = rest.iter().take_while(|octet| matches!(octet, b' ' | b'\t')).count();
    let extension = match rest.get(blank) {
        Some(b';') => {
            rest[blank..].iter().take_while(|&&octet| octet == b'\t' || octet >= b' ' && octet != 127).count()
        }
        _ => 0,
    };
    let line = digits + blank + extension;
    let end = &read[line..];
    match end.get(..2) {
        _ if line > MAX_LINE => Err(Malformed("the line before a chunk is too long")),
        _ if digits == 0 && !read.is_empty() => Err(Malformed("a chunk's size is no number")),
        Some(b"\r\n") => Ok(Some((size, line + 2))),
        None if b"\r".starts_with(end) => Ok(None),
        _ => Err(Malformed("the line before a chunk has octets that none may have")),
    }
}

/// What has come of `left` octets.
fn data(read: &mut BytesMut, left: &mut u64) -> Piece {
    if read.is_empty() {
        return Piece::Partial;
    }
    let length = usize::try_from(*left).map_or(read.len(), |left| left.min(read.len()));
    *left -= length as u64;
    Piece::Data(read.split_to(length).freeze())
}
