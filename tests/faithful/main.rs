//! What passes through is not changed: each kind of exchange over each way in and each way out, over real sockets.
//!
//! A cell is a way in and a way out. A test is a topic: what the upstream does with a request, and what the caller must
//! see of it, in every cell in which it can happen at all. What cannot be: gRPC and WebSocket over the other's protocol
//! (gRPC needs HTTP/2, an upgrade needs HTTP/1.1); `tunnels` and `grpc` say what is answered then.

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "the vocabulary of another binary")]
mod common;

mod authority;
mod call;
mod cell;
mod fields;
mod http1;
mod upstream;

mod bodies;
mod breaks;
mod connections;
mod early;
mod grpc;
mod heads;
mod interim;
mod pressure;
mod trailers;
mod tunnels;
