//! The sandbox over its sockets: gRPC through a bare h2 client, REST through hyper's.

mod grpc;
mod rest;
mod talk;
