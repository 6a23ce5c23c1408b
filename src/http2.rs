//! HTTP/2 as both legs speak it (RFC 9113, RFC 7541): a connection's state without its socket, octets in and octets out.
//!
//! Of our own, because a proxy knows what a general library cannot: which fields repeat and may be remembered by the
//! other side, that one thread owns all of a connection, and that bodies only pass through.

mod connection;
mod failure;
mod flow;
mod frame;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzed;
mod hpack;
mod inbox;
mod outbox;
mod place;
mod request;
mod stream;
mod streams;

pub(crate) use connection::{Connection, Opened};
pub(crate) use failure::{Failure, Fault};
pub(crate) use place::{Place, Reader, Shared};
pub(crate) use stream::Finish;

/// Our own limit of streams on a connection that we opened, whatever the peer allows: what a lost connection takes
/// with it.
pub(crate) const MAX_STREAMS: usize = 128;

#[cfg(test)]
pub(crate) mod tests;
