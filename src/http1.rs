//! HTTP/1.1 as octets: heads, where bodies end, and how both go out (RFC 9112). What can be read in two ways is refused,
//! never guessed.

use std::fmt;
use std::io;

mod answer;
mod decoder;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzed;
mod head;
mod inbound;
mod outgoing;
mod request;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use answer::{Answer, is_interim, take_answer, write_answer, write_interim};
pub(crate) use decoder::{Decoder, Piece};
pub(crate) use head::{Framing, keeps_connection};
pub(crate) use inbound::{Inbound, Incoming, Reader};
pub(crate) use outgoing::{Outgoing, Stopped, Unsent};
pub use request::RequestHead;
#[cfg(any(test, fuzzing))]
pub(crate) use request::take_request;
pub(crate) use request::{Head, Unreadable};
pub(crate) use wire::Wire;

/// What another server or caller sent cannot be read; why, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}

impl From<Malformed> for io::Error {
    fn from(malformed: Malformed) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, malformed)
    }
}
