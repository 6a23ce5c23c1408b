//! The proxy over real sockets, in front of the embedded Camunda or of peers that misbehave on purpose.

mod common;

mod cancellation;
mod routes;
mod streaming;
