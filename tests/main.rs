//! The proxy over real sockets, in front of the embedded Camunda or of peers that misbehave on purpose.

mod common;

mod routes;
mod streaming;
