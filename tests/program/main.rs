//! The real program from outside: command line, files, addresses, signals. Nothing here looks into it.

mod admin;
mod audit;
mod bench;
mod command_line;
mod confinement;
mod credentials;
mod dependencies;
mod descriptors;
mod harness;
mod logs;
mod mistakes;
mod questions;
mod readiness;
mod readme;
mod sandbox;
mod stopping;
