//! HPACK (RFC 7541): header fields as numbers where both sides remember them.

mod decoder;
mod encoder;
mod fields;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzed;
mod huffman;
mod integer;
mod table;

pub(super) use decoder::Decoder;
pub(super) use encoder::Encoder;
pub(super) use fields::{Fields, Of};

/// A header block that cannot be read. Both sides' tables may differ from here on, so that the connection is lost
/// (RFC 9113 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Corrupt(pub(super) &'static str);

/// What an entry of a table counts besides its name and value (RFC 7541 §4.1).
const ENTRY: usize = 32;
/// The size of a dynamic table that nobody has spoken about (RFC 9113 §6.5.2).
const DEFAULT_TABLE: usize = 4096;

#[cfg(test)]
mod tests;
