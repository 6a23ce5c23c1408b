//! Measures what the proxy costs, on this machine, beside the same load without it.
//!
//! [`run`] does what is asked for: it puts load on every target of a [`World`] in turn, and keeps
//! a [`Measurement`]. That is written as JSON, and told as a [`table`] or a [`report`]; two can be compared.

pub mod compare;
mod cpus;
mod generator;
mod grpc;
mod http1;
mod latencies;
mod limits;
mod machine;
mod measure;
mod meter;
pub mod null_server;
mod outcome;
mod process;
mod progress;
pub mod report;
pub mod result;
pub mod run;
mod sample;
pub mod scenario;
pub mod statistics;
mod streams;
pub mod table;
mod target;
mod tickets;
mod timer;
mod work;
mod world;

pub use cpus::Cpus;
pub use generator::{Block, Loading};
pub use latencies::Latencies;
pub use limits::limits;
pub use outcome::Errors;
pub use process::end_all;
pub use progress::Progress;
pub use result::Measurement;
pub use sample::{Moment, Sample};
pub use target::Target;
pub use work::{Load, Protocol, Work};
pub use world::World;
