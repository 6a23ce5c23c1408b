//! HTTP/1.1 as octets: heads, and where bodies end (RFC 9112). What can be read in two ways is refused, never guessed.

use std::fmt;
use std::io;

mod decoder;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzed;
mod head;
#[cfg(test)]
mod tests;

pub(crate) use decoder::{Decoder, Piece};
pub(crate) use head::{Framing, take_answer, write_fields, write_request};

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
