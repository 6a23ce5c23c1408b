//! Writing our header blocks. What repeats from call to call goes into the table, towards upstreams the token first of
//! all: it is one octet then instead of a kilobyte.

use std::collections::VecDeque;

use http::header::{CONTENT_TYPE, DATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::{DEFAULT_TABLE, ENTRY, integer};
use crate::message::{Headers, request, response};

/// The largest table that we use, whatever the peer offers.
const MAX_TABLE: usize = 16 * 1024;

/// Our dynamic table, as the peer remembers it. Has the token in it: never to be printed.
pub(in super::super) struct Encoder {
    /// By name: who is looked for is compared with these alone.
    slots: [Slot; Slot::COUNT],
    /// Which slot each entry is in, the oldest in front.
    pub(super) order: VecDeque<(usize, usize)>,
    inserted: u64,
    size: usize,
    max: usize,
    /// Smallest and latest size since the last block, when they are still to be told (RFC 7541 §4.2).
    resized: Option<(usize, usize)>,
}

/// The entries of one name, the oldest in front, with the number under which each was inserted.
#[derive(Default)]
struct Slot(VecDeque<(u64, Box<[u8]>)>);

impl Slot {
    const COUNT: usize = 16;
    const AUTHORITY: Indexed = Indexed { slot: 0, name: Name::Known(1), most: 4 };
    const PATH: Indexed = Indexed { slot: 1, name: Name::Known(4), most: 24 };
    /// RFC 7541 §7.1: a secret is safe in a table unless somebody who can watch the connection can try values for it.
    /// The proxy takes this field out of every request and sets it itself, so that nobody can.
    const AUTHORIZATION: Indexed = Indexed { slot: 2, name: Name::Known(23), most: usize::MAX };
    const CONTENT_TYPE: Indexed = Indexed { slot: 3, name: Name::Known(31), most: 8 };
    const USER_AGENT: Indexed = Indexed { slot: 4, name: Name::Known(58), most: 4 };
    const VIA: Indexed = Indexed { slot: 5, name: Name::Known(60), most: 2 };
    const ACCEPT: Indexed = Indexed { slot: 6, name: Name::Known(19), most: 4 };
    const ACCEPT_ENCODING: Indexed = Indexed { slot: 7, name: Name::Known(16), most: 4 };
    const TE: Indexed = Indexed { slot: 8, name: Name::Text("te"), most: 1 };
    const GRPC_ENCODING: Indexed = Indexed { slot: 9, name: Name::Text("grpc-encoding"), most: 4 };
    const GRPC_ACCEPT_ENCODING: Indexed =
        Indexed { slot: 10, name: Name::Text("grpc-accept-encoding"), most: 4 };
    const GRPC_STATUS: Indexed = Indexed { slot: 11, name: Name::Text("grpc-status"), most: 4 };
    const SERVER: Indexed = Indexed { slot: 12, name: Name::Known(54), most: 2 };
    const VARY: Indexed = Indexed { slot: 13, name: Name::Known(59), most: 4 };
    const CACHE_CONTROL: Indexed = Indexed { slot: 14, name: Name::Known(24), most: 4 };
    const CONTENT_ENCODING: Indexed = Indexed { slot: 15, name: Name::Known(26), most: 4 };
}

/// The statuses of the static table.
const STATUSES: [(StatusCode, usize); 7] = [
    (StatusCode::OK, 8),
    (StatusCode::NO_CONTENT, 9),
    (StatusCode::PARTIAL_CONTENT, 10),
    (StatusCode::NOT_MODIFIED, 11),
    (StatusCode::BAD_REQUEST, 12),
    (StatusCode::NOT_FOUND, 13),
    (StatusCode::INTERNAL_SERVER_ERROR, 14),
];

/// A name whose values repeat. Values beyond `most` at a time are written out, so that a caller with ever new ones
/// cannot drive the others out.
struct Indexed {
    slot: usize,
    name: Name,
    most: usize,
}

/// A name, by its place in the static table or as it is.
#[derive(Clone, Copy)]
enum Name {
    Known(usize),
    Text(&'static str),
}

impl Name {
    fn length(self) -> usize {
        match self {
            Name::Known(index) => super::table::TEXTS[index - 1].0.len(),
            Name::Text(text) => text.len(),
        }
    }
}

impl Encoder {
    pub(in super::super) fn new() -> Encoder {
        Encoder {
            slots: Default::default(),
            order: VecDeque::new(),
            inserted: 0,
            size: 0,
            max: DEFAULT_TABLE,
            resized: None,
        }
    }

    /// The peer said how large the table may be.
    pub(in super::super) fn set_limit(&mut self, limit: usize) {
        let max = limit.min(MAX_TABLE);
        if max == self.max {
            return;
        }
        self.max = max;
        self.evict(max);
        let smallest = self.resized.map_or(max, |(smallest, _)| smallest.min(max));
        self.resized = Some((smallest, max));
    }

    /// A request's head.
    pub(in super::super) fn request(&mut self, out: &mut Vec<u8>, head: &request::Head) {
        self.tell_size(out);
        match head.method {
            Method::GET => out.push(0x82),
            Method::POST => out.push(0x83),
            ref other => literal(out, Name::Known(2), other.as_str().as_bytes(), false),
        }
        match head.uri.scheme_str() {
            Some("http") => out.push(0x86),
            _ => out.push(0x87),
        }
        if let Some(authority) = head.uri.authority() {
            self.indexed(out, Slot::AUTHORITY, authority.as_str().as_bytes());
        }
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).as_bytes();
        // A gRPC path is a method's name and repeats; in REST it has somebody's ids and may be worth guessing.
        match is_grpc(&head.headers) {
            true => self.indexed(out, Slot::PATH, path),
            false => literal(out, Name::Known(4), path, false),
        }
        self.fields(out, head.headers.iter());
    }

    /// An answer's head. RFC 9110 §6.6.1: one without a date gets `date`, the time in which it came.
    pub(in super::super) fn answer(
        &mut self,
        out: &mut Vec<u8>,
        head: &response::Head,
        date: impl FnOnce() -> HeaderValue,
    ) {
        self.interim(out, head);
        if !head.headers.contains(DATE) {
            // New every second: it would drive out of the table what stays.
            literal(out, Name::Known(33), date().as_bytes(), false);
        }
    }

    /// The head of an answer before the answer.
    pub(in super::super) fn interim(&mut self, out: &mut Vec<u8>, head: &response::Head) {
        self.tell_size(out);
        match STATUSES.iter().find(|(status, _)| *status == head.status) {
            Some((_, index)) => integer::put(out, 0x80, 7, *index),
            None => literal(out, Name::Known(8), head.status.as_str().as_bytes(), false),
        }
        self.fields(out, head.headers.iter());
    }

    /// Trailers.
    pub(in super::super) fn trailers(&mut self, out: &mut Vec<u8>, trailers: &HeaderMap) {
        self.tell_size(out);
        self.fields(out, trailers.iter());
    }

    fn fields<'a>(
        &mut self,
        out: &mut Vec<u8>,
        fields: impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>,
    ) {
        for (name, value) in fields {
            let indexed = match name.as_str() {
                "authorization" => Slot::AUTHORIZATION,
                "content-type" => Slot::CONTENT_TYPE,
                "user-agent" => Slot::USER_AGENT,
                "via" => Slot::VIA,
                "accept" => Slot::ACCEPT,
                "accept-encoding" => Slot::ACCEPT_ENCODING,
                "te" => Slot::TE,
                "grpc-encoding" => Slot::GRPC_ENCODING,
                "grpc-accept-encoding" => Slot::GRPC_ACCEPT_ENCODING,
                "grpc-status" => Slot::GRPC_STATUS,
                "server" => Slot::SERVER,
                "vary" => Slot::VARY,
                "cache-control" => Slot::CACHE_CONTROL,
                "content-encoding" => Slot::CONTENT_ENCODING,
                // RFC 9113 §8.2.2: about the connection. Taken out before; never to be seen here.
                "connection" | "host" | "keep-alive" | "proxy-connection" | "transfer-encoding"
                | "upgrade" => {
                    continue;
                }
                other => {
                    written(out, other, value);
                    continue;
                }
            };
            self.indexed(out, indexed, value.as_bytes());
        }
    }

    /// By its number if the peer has it, else written out, to be remembered if it is worth it.
    fn indexed(&mut self, out: &mut Vec<u8>, field: Indexed, value: &[u8]) {
        let Indexed { slot, name, most } = field;
        if let Some((number, _)) = self.slots[slot].0.iter().rev().find(|(_, known)| **known == *value) {
            let age = (self.inserted - number) as usize;
            return integer::put(out, 0x80, 7, super::table::TEXTS.len() + age);
        }
        let size = name.length() + value.len() + ENTRY;
        // One long value must leave room for the others.
        let share = if slot == Slot::AUTHORIZATION.slot { self.max / 4 * 3 } else { self.max / 8 };
        if size > share || self.slots[slot].0.len() >= most {
            return literal(out, name, value, slot == Slot::AUTHORIZATION.slot);
        }
        self.evict(self.max - size);
        self.slots[slot].0.push_back((self.inserted, value.into()));
        self.order.push_back((slot, size));
        self.inserted += 1;
        self.size += size;
        named(out, 0x40, 6, name);
        text(out, value);
    }

    fn evict(&mut self, room: usize) {
        while self.size > room {
            let Some((slot, size)) = self.order.pop_front() else { return };
            self.slots[slot].0.pop_front();
            self.size -= size;
        }
    }

    fn tell_size(&mut self, out: &mut Vec<u8>) {
        if let Some((smallest, latest)) = self.resized.take() {
            if smallest < latest {
                integer::put(out, 0x20, 5, smallest);
            }
            integer::put(out, 0x20, 5, latest);
        }
    }
}

/// A field that has no place in the table. What is secret, or likely to be, is marked as such for whoever forwards it.
fn written(out: &mut Vec<u8>, name: &str, value: &HeaderValue) {
    let secret = value.is_sensitive() || name == "cookie";
    out.push(if secret { 0x10 } else { 0 });
    text(out, name.as_bytes());
    text(out, value.as_bytes());
}

fn literal(out: &mut Vec<u8>, name: Name, value: &[u8], secret: bool) {
    named(out, if secret { 0x10 } else { 0 }, 4, name);
    text(out, value);
}

fn named(out: &mut Vec<u8>, flags: u8, prefix: u32, name: Name) {
    match name {
        Name::Known(index) => integer::put(out, flags, prefix, index),
        Name::Text(name) => {
            out.push(flags);
            text(out, name.as_bytes());
        }
    }
}

/// As it is: what repeats is written out once only, and what does not is short.
fn text(out: &mut Vec<u8>, text: &[u8]) {
    integer::put(out, 0, 7, text.len());
    out.extend_from_slice(text);
}

fn is_grpc(headers: &Headers) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}
