//! What a caller's HTTP/1.1 socket gave: how often, and the bytes of the head that is being read.
//!
//! hyper gives a head as fields, and has by then decided what two framing fields at once mean. Whoever wants to refuse
//! such a request has to see its bytes. They are kept from the end of an exchange to the beginning of the next, which
//! costs a copy of a few hundred bytes and no look at them.

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use http::request::Parts;

/// So much of what comes is kept; no head may be longer.
const KEPT: usize = 64 * 1024;
/// An idle connection keeps no more memory than this for its next head.
const IDLE: usize = 2048;

/// Shared with the socket, which must be `Send` for hyper's upgrades.
#[derive(Clone, Default)]
pub struct Reads(Arc<Shared>);

#[derive(Default)]
struct Shared {
    count: AtomicU32,
    /// One of the constants below.
    keeping: AtomicU8,
    head: Mutex<Vec<u8>>,
}

/// What comes is the beginning of a head: forget what was kept before.
const ANEW: u8 = 0;
/// What comes belongs to the head that is being kept.
const ON: u8 = 1;
/// What comes belongs to an exchange's body.
const OFF: u8 = 2;

impl Reads {
    /// These bytes came.
    pub fn heard(&self, bytes: &[u8]) {
        let shared = &*self.0;
        shared.count.store(shared.count.load(Relaxed).wrapping_add(1), Relaxed);
        let keeping = shared.keeping.load(Relaxed);
        if keeping == OFF {
            return;
        }
        let mut head = shared.head.lock().unwrap_or_else(PoisonError::into_inner);
        if keeping == ANEW {
            head.clear();
            head.shrink_to(IDLE);
            shared.keeping.store(ON, Relaxed);
        }
        let room = KEPT - head.len();
        head.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Nothing has come for a while: keeps no memory for what may.
    pub fn forget(&self) {
        *self.0.head.lock().unwrap_or_else(PoisonError::into_inner) = Vec::new();
    }

    /// How often bytes came.
    pub(super) fn count(&self) -> u32 {
        self.0.count.load(Relaxed)
    }

    /// A head is complete: what comes until [`Reads::ended`] is no head.
    pub(super) fn began(&self) {
        self.0.keeping.store(OFF, Relaxed);
    }

    /// No exchange is under way: what comes next is a head.
    pub(super) fn ended(&self) {
        self.0.keeping.store(ANEW, Relaxed);
    }

    /// Whether the head of this request, as it came, has a field of this name. `None` when its bytes are not known,
    /// because it came before the answer to the request before it had been sent.
    pub(super) fn head_has(&self, parts: &Parts, name: &str) -> Option<bool> {
        let kept = self.0.head.lock().unwrap_or_else(PoisonError::into_inner);
        // Empty lines before a request are to be ignored (RFC 9112 §2.2).
        let mut lines = kept.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end);
        let first = lines.find(|line| !line.is_empty())?;
        let target = first.strip_prefix(parts.method.as_str().as_bytes())?.strip_prefix(b" ")?;
        let target = target.rsplit(|&byte| byte == b' ').nth(1)?;
        if target != parts.uri.path_and_query()?.as_str().as_bytes() {
            return None;
        }
        let names = lines.take_while(|line| !line.is_empty());
        let mut names = names.filter_map(|line| line.split(|&byte| byte == b':').next());
        Some(names.any(|found| found.eq_ignore_ascii_case(name.as_bytes())))
    }
}

// Not derived: a head holds what callers send as credentials.
impl fmt::Debug for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reads").field("count", &self.count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head_has(kept: &[&str], method: &str, target: &str) -> Option<bool> {
        let reads = Reads::default();
        kept.iter().for_each(|bytes| reads.heard(bytes.as_bytes()));
        reads.began();
        let request = http::Request::builder().method(method).uri(target).body(()).unwrap();
        reads.head_has(&request.into_parts().0, "content-length")
    }

    #[test]
    fn a_field_is_found_by_its_name_in_the_head_and_nowhere_else() {
        for (kept, has) in [
            (&["POST /x?y HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n"][..], Some(true)),
            (&["\r\n\r\nPOST /x?y HTTP/1.1\r\nhost: a\r\nContent-LENGTH: 5\r\n\r\n"], Some(true)),
            (&["POST /x?y HTTP/1.1\nhost: a\ncontent-length: 5\n\n"], Some(true)),
            (&["POST /x?y HTTP/1.1\r\nhost: a\r\nconte", "nt-length: 5\r\n\r\n"], Some(true)),
            (&["POST /x?y HTTP/1.1\r\nx: content-length: 5\r\n\r\n"], Some(false)),
            (&["POST /x?y HTTP/1.1\r\nhost: a\r\n\r\ncontent-length: 5\r\n"], Some(false)),
            (&["POST /x?y HTTP/1.1\r\nx-content-length: 5\r\n\r\n"], Some(false)),
            (&["POST /other HTTP/1.1\r\ncontent-length: 5\r\n\r\n"], None),
            (&["content-length: 5\r\n\r\n"], None),
            (&[""], None),
            (&[], None),
        ] {
            assert_eq!(head_has(kept, "POST", "/x?y"), has, "{kept:?}");
        }
    }

    #[test]
    fn what_comes_during_an_exchange_is_no_head_and_what_comes_after_it_is_the_next() {
        let reads = Reads::default();
        let request = http::Request::get("/two").body(()).unwrap().into_parts().0;
        reads.heard(b"GET /one HTTP/1.1\r\n\r\n");
        reads.began();
        reads.heard(b"GET /two HTTP/1.1\r\nx: 1\r\n\r\n");
        assert_eq!(reads.head_has(&request, "x"), None);
        reads.ended();
        reads.heard(b"GET /two HTTP/1.1\r\n");
        reads.heard(b"x: 1\r\n\r\n");
        reads.began();
        assert_eq!(reads.head_has(&request, "x"), Some(true));
        assert_eq!(reads.count(), 4);
    }
}
