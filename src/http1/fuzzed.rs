//! Any octets in the place of an answer, and of what a caller sends.

use bytes::BytesMut;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};

use super::request::take_request;
use super::{Decoder, Framing, Piece, RequestHead, take_answer};
use crate::message::Headers;

/// What was read of one side of a connection.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    messages: Vec<Message>,
    /// What is left of the octets.
    after: Vec<u8>,
}

/// A head, its body, and what came after that.
#[derive(Debug, PartialEq, Eq)]
struct Message {
    /// The first line.
    line: String,
    fields: Headers,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
    ended: bool,
}

/// What follows a head.
enum Next {
    Body(Decoder),
    /// Another head, before the last one.
    Head,
}

/// Nothing that can be read.
#[derive(Debug, PartialEq, Eq)]
struct Unreadable;

/// In the first octet, whether the request was HEAD and how many octets come at a time; then an answer.
///
/// It is the same answer, or none, in however many pieces it comes; it has at most one length; and its body is no longer than
/// what came.
pub(crate) fn answers(octets: &[u8]) {
    let Some((first, octets)) = octets.split_first() else { return };
    let head = first & 1 == 1;
    let take = |read: &mut BytesMut| {
        let Some(answer) = take_answer(read).map_err(|_| Unreadable)? else { return Ok(None) };
        let next = match answer.head.status.is_informational() {
            true => Next::Head,
            false => Next::Body(Decoder::of_answer(&answer, head).map_err(|_| Unreadable)?),
        };
        Ok(Some((answer.head.status.to_string(), answer.head.headers, next)))
    };
    let Some(read) = in_whatever_pieces(octets, usize::from(first >> 1).max(1), false, take) else { return };
    if head {
        assert!(read.messages.iter().all(|answer| answer.body.is_empty() && answer.trailers.is_none()));
    }
}

/// In the first octet, how many octets come at a time; then what a caller sends.
///
/// They are the same requests in however many pieces they come; their bodies are no longer than what came, and end in one way
/// only; and written once more, their heads say the same.
pub(crate) fn inbound(octets: &[u8]) {
    let Some((piece, octets)) = octets.split_first() else { return };
    let take = |read: &mut BytesMut| {
        let Some(head) = take_request(read, MAX_HEAD).map_err(|_| Unreadable)? else { return Ok(None) };
        let fields = &head.request.headers;
        let lengths = fields.get_all(CONTENT_LENGTH).count();
        let codings = fields.get_all(TRANSFER_ENCODING).count();
        assert!(lengths + codings <= 1 && (lengths + codings == 1) == (head.framing != Framing::None));
        // What goes upstream has a target in this form alone.
        let target = &head.request.uri;
        if head.framing != Framing::Chunked && target.path().starts_with('/') && target.authority().is_none()
        {
            let target = target.path_and_query().expect("a path");
            let mut written = RequestHead::new(&head.request.method, target);
            fields.iter().for_each(|(name, value)| written.add(name, value.as_bytes()));
            let mut written = written.finish(head.framing);
            let again = take_request(&mut written, 2 * MAX_HEAD).expect("a head").expect("a whole head");
            assert_eq!((&again.request.method, again.framing), (&head.request.method, head.framing));
            assert_eq!((again.request.uri.path_and_query(), &again.request.headers), (Some(target), fields));
            assert!(written.is_empty());
        }
        let line = format!("{} {target}", head.request.method);
        Ok(Some((line, fields.clone(), Next::Body(Decoder::of_request(head.framing)))))
    };
    in_whatever_pieces(octets, usize::from(*piece).max(1), true, take);
}

const MAX_HEAD: usize = 64 * 1024;

fn in_whatever_pieces(
    octets: &[u8],
    piece: usize,
    more: bool,
    take: impl Fn(&mut BytesMut) -> Result<Option<(String, Headers, Next)>, Unreadable>,
) -> Option<Read> {
    let whole = read(octets, octets.len().max(1), more, &take);
    let in_pieces = read(octets, piece, more, &take);
    // What is wrong is found sooner or later, but found.
    if let (Ok(whole), Ok(in_pieces)) = (&whole, &in_pieces) {
        assert_eq!(whole, in_pieces);
    }
    assert_eq!(whole.is_err(), in_pieces.is_err(), "{whole:?} {in_pieces:?}");
    let read = whole.ok()?;
    let bodies: usize = read.messages.iter().map(|message| message.body.len()).sum();
    assert!(bodies + read.after.len() <= octets.len());
    Some(read)
}

fn read(
    octets: &[u8],
    piece: usize,
    more: bool,
    take: &impl Fn(&mut BytesMut) -> Result<Option<(String, Headers, Next)>, Unreadable>,
) -> Result<Read, Unreadable> {
    let (mut read, mut buffer, mut body) = (Read::default(), BytesMut::new(), None);
    for piece in octets.chunks(piece) {
        buffer.extend_from_slice(piece);
        loop {
            let Some(decoder) = &mut body else {
                let is_over = !more && read.messages.last().is_some_and(|message| message.ended);
                let Some((line, fields, next)) = (if is_over { None } else { take(&mut buffer)? }) else {
                    break;
                };
                if let Next::Body(decoder) = next {
                    read.messages.push(Message { line, fields, body: vec![], trailers: None, ended: false });
                    body = Some(decoder);
                }
                continue;
            };
            let Some(message) = read.messages.last_mut() else { break };
            match decoder.take(&mut buffer).map_err(|_| Unreadable)? {
                Piece::Data(data) => message.body.extend_from_slice(&data),
                Piece::Trailers(trailers) => {
                    message.trailers = Some(trailers);
                    message.ended = true;
                    body = None;
                }
                Piece::End => {
                    message.ended = true;
                    body = None;
                }
                Piece::Partial => break,
            }
        }
    }
    read.after = buffer.to_vec();
    Ok(read)
}
