//! The record of what arrived at the components, and of what is under way.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use http::request::Parts;
use http::{HeaderMap, Method, Version};
use tokio::time::Instant;

use crate::sandbox::lock;
use crate::sandbox::serve::Connection;
use crate::scope::Scope;

/// A request as it arrived at a component.
#[derive(Clone, Debug)]
pub struct RequestSeen {
    /// When its head had arrived.
    pub at: Instant,
    /// The component; gRPC and REST of Zeebe are told apart by the content type.
    pub component: Scope,
    /// The protocol version.
    pub version: Version,
    /// The method.
    pub method: Method,
    /// The path and query, untouched.
    pub target: String,
    /// `:authority` or `host`.
    pub authority: Option<String>,
    /// The header fields, repeated ones kept.
    pub headers: HeaderMap,
    /// The connection it came on, counted from 1 in the whole sandbox.
    pub connection: u64,
    /// The name that the connection's TLS handshake asked for (SNI).
    pub server_name: Option<String>,
}

#[derive(Debug, Default)]
pub(in crate::sandbox) struct Record {
    capacity: usize,
    seen: Mutex<VecDeque<RequestSeen>>,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    refused: AtomicU64,
    open: AtomicU64,
    cancelled: AtomicU64,
    open_streams: AtomicU64,
    cancelled_streams: AtomicU64,
}

impl Record {
    /// Keeps the last `capacity` requests; beyond, it only counts.
    pub(in crate::sandbox) fn new(capacity: usize) -> Record {
        Record { capacity, ..Record::default() }
    }

    /// Notes a request that arrived. The exchange ends with its answer.
    pub(in crate::sandbox) fn arrived(
        &self,
        component: Scope,
        head: &Parts,
        connection: &Connection,
    ) -> Exchange {
        self.counters.requests.fetch_add(1, Ordering::Relaxed);
        self.counters.open.fetch_add(1, Ordering::Relaxed);
        if self.capacity > 0 {
            let host = || head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
            let request = RequestSeen {
                at: Instant::now(),
                component,
                version: head.version,
                method: head.method.clone(),
                target: head.uri.path_and_query().map_or("", |target| target.as_str()).to_owned(),
                authority: head.uri.authority().map(|name| name.as_str()).or_else(host).map(str::to_owned),
                headers: head.headers.clone(),
                connection: connection.id,
                server_name: connection.server_name.clone(),
            };
            let mut seen = lock(&self.seen);
            if seen.len() == self.capacity {
                seen.pop_front();
            }
            seen.push_back(request);
        }
        Exchange { counters: self.counters.clone(), streams: false, ended: false }
    }

    pub(in crate::sandbox) fn refused(&self) {
        self.counters.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::sandbox) fn seen(&self) -> Vec<RequestSeen> {
        lock(&self.seen).iter().cloned().collect()
    }

    pub(in crate::sandbox) fn clear(&self) {
        lock(&self.seen).clear();
        let counters = &self.counters;
        for counter in
            [&counters.requests, &counters.refused, &counters.cancelled, &counters.cancelled_streams]
        {
            counter.store(0, Ordering::Relaxed);
        }
    }

    pub(in crate::sandbox) fn counts(&self) -> Counts {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            requests: value(&self.counters.requests),
            refused: value(&self.counters.refused),
            open: value(&self.counters.open),
            cancelled: value(&self.counters.cancelled),
            open_streams: value(&self.counters.open_streams),
            cancelled_streams: value(&self.counters.cancelled_streams),
        }
    }
}

/// How much has arrived at the components, and what is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that arrived.
    pub requests: u64,
    /// Requests refused for want of a valid token.
    pub refused: u64,
    /// Requests whose answers have not ended.
    pub open: u64,
    /// Requests whose callers left, or whose connections broke, before the answer's end.
    pub cancelled: u64,
    /// Of `open`: server streams of gRPC.
    pub open_streams: u64,
    /// Of `cancelled`: server streams of gRPC.
    pub cancelled_streams: u64,
}

/// A request under way. One that is dropped before its answer's end was cancelled.
#[derive(Debug)]
pub(in crate::sandbox) struct Exchange {
    counters: Arc<Counters>,
    streams: bool,
    ended: bool,
}

impl Exchange {
    /// Marks a server stream.
    pub(in crate::sandbox) fn stream(&mut self) {
        self.streams = true;
        self.counters.open_streams.fetch_add(1, Ordering::Relaxed);
    }

    /// The answer's body is gone, after its end or before.
    pub(in crate::sandbox) fn end(&mut self, ended: bool) {
        self.ended = ended;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let counters = &self.counters;
        counters.open.fetch_sub(1, Ordering::Relaxed);
        if self.streams {
            counters.open_streams.fetch_sub(1, Ordering::Relaxed);
        }
        if !self.ended {
            counters.cancelled.fetch_add(1, Ordering::Relaxed);
            if self.streams {
                counters.cancelled_streams.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
