//! Any octets in the place of an answer.

use bytes::BytesMut;
use http::{HeaderMap, StatusCode};

use super::{Decoder, Malformed, Piece, take_answer};

/// What was read of an answer: its head, its body, and the octets after its end.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    heads: Vec<(StatusCode, HeaderMap)>,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
    /// Whether the answer has ended; `None` if it does when its connection does.
    ended: Option<bool>,
    after: Vec<u8>,
}

/// In the first octet, whether the request was HEAD and how many octets come at a time; then an answer.
///
/// It is the same answer, or none, in however many pieces it comes; it has at most one length; and its body is no longer than
/// what came.
pub(crate) fn answers(octets: &[u8]) {
    let Some((first, octets)) = octets.split_first() else { return };
    let (head, piece) = (first & 1 == 1, usize::from(first >> 1).max(1));
    let whole = read(octets, octets.len().max(1), head);
    let in_pieces = read(octets, piece, head);
    // What is wrong is found sooner or later, but found.
    if let (Ok(whole), Ok(in_pieces)) = (&whole, &in_pieces) {
        assert_eq!(whole, in_pieces);
    }
    assert_eq!(whole.is_err(), in_pieces.is_err(), "{whole:?} {in_pieces:?}");
    let Ok(read) = whole else { return };
    assert!(read.body.len() + read.after.len() <= octets.len());
    if head {
        assert!(read.body.is_empty() && read.trailers.is_none());
    }
}

fn read(octets: &[u8], piece: usize, head: bool) -> Result<Read, Malformed> {
    let mut read = Read { heads: vec![], body: vec![], trailers: None, ended: Some(false), after: vec![] };
    let (mut buffer, mut decoder) = (BytesMut::new(), None);
    for piece in octets.chunks(piece) {
        buffer.extend_from_slice(piece);
        take(&mut read, &mut buffer, &mut decoder, head)?;
    }
    if read.ended == Some(true) {
        read.after = buffer.to_vec();
    }
    Ok(read)
}

fn take(
    read: &mut Read,
    buffer: &mut BytesMut,
    decoder: &mut Option<Decoder>,
    head: bool,
) -> Result<(), Malformed> {
    while read.ended != Some(true) {
        let Some(body) = decoder else {
            let Some(answer) = take_answer(buffer)? else { return Ok(()) };
            read.heads.push((answer.status(), answer.headers().clone()));
            if !answer.status().is_informational() {
                let body = Decoder::of_answer(&answer, head)?;
                read.ended = if body.ends_with_connection() { None } else { Some(false) };
                *decoder = Some(body);
            }
            continue;
        };
        match body.take(buffer)? {
            Piece::Data(data) => read.body.extend_from_slice(&data),
            Piece::Trailers(trailers) => {
                read.trailers = Some(trailers);
                read.ended = Some(true);
            }
            Piece::End => read.ended = Some(true),
            Piece::Partial => return Ok(()),
        }
    }
    Ok(())
}
