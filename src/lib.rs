//! An authenticating reverse proxy for Camunda 8.
//!
//! A request's path is short and fixed. [`listener`] accepts a connection and hands it to a worker
//! thread; there [`proxy`] admits the request ([`access`]), finds its scope and upstream
//! ([`route`]), takes the cached token ([`oauth`]), rewrites the head, sends it over a pooled
//! connection ([`upstream`]) and streams the answer back. What goes wrong on the way becomes an
//! answer in one place, `proxy::reply`.
//!
//! Imports go down only; modules stand here in floor order, the highest first.

pub mod cli;

pub mod bench;

pub mod app;
pub mod sandbox;

pub mod config;

pub mod admin;
pub mod listener;

pub mod proxy;

pub mod access;
pub mod route;

pub mod credentials;
pub mod oauth;
pub mod tls;
pub mod upstream;

pub mod address;
pub mod body;
pub mod certificate;
pub mod confine;
pub mod descriptors;
pub mod io;
pub mod key_file;
pub mod log;
pub mod memory;
pub mod message;
pub mod metrics;
pub mod problem;
pub mod reason;
pub mod scope;
pub mod secret;
pub mod shutdown;
pub mod upstream_address;

pub mod allowance;
pub mod trouble;
pub mod turn;
pub mod wall;

mod http1;
mod http2;

#[cfg(any(test, fuzzing))]
pub mod fuzzed;
#[cfg(any(test, fuzzing))]
mod guises;
