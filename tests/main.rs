//! The proxy over real sockets, in front of the embedded Camunda or of peers that misbehave on purpose.

#[allow(dead_code, reason = "a part of the vocabulary is another binary's")]
mod common;

mod admin;
mod answers;
mod authorization;
mod bench;
mod callers;
mod cancellation;
mod client_auth;
mod doors;
mod drain;
mod relay;
mod replay;
mod routes;
mod scopes;
mod secrets;
mod streaming;
