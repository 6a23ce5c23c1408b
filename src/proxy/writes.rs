//! What a caller's HTTP/1.1 socket took: how often, whether it takes more, and how much still waits for it.
//!
//! hyper asks for more of an answer until its own buffer is full, also when the caller does not read. Where thousands do
//! not, that is the memory that they take; so an answer does not go on while much of it waits.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// So much of an answer may wait for its caller.
const WAITING: usize = 16 * 1024;

/// Shared with the socket, which must be `Send` for hyper's upgrades.
#[derive(Clone, Debug, Default)]
pub struct Writes(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    count: AtomicU32,
    blocked: AtomicBool,
    /// Given to hyper and not taken by the socket, as far as known: heads and framing are taken, too.
    waiting: AtomicUsize,
    held_up: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Writes {
    /// The socket took so much.
    pub fn took(&self, bytes: usize) {
        let shared = &*self.0;
        shared.count.store(shared.count.load(Relaxed).wrapping_add(1), Relaxed);
        shared.blocked.store(false, Relaxed);
        shared.waiting.store(shared.waiting.load(Relaxed).saturating_sub(bytes), Relaxed);
        self.go_on();
    }

    /// The socket takes no more for now.
    pub fn blocked(&self) {
        self.0.blocked.store(true, Relaxed);
    }

    /// Nothing is left that it could take.
    pub fn flushed(&self) {
        self.0.blocked.store(false, Relaxed);
        self.go_on();
    }

    fn go_on(&self) {
        let shared = &*self.0;
        if shared.held_up.load(Relaxed) {
            shared.held_up.store(false, Relaxed);
            if let Some(waker) = shared.waker.lock().unwrap_or_else(PoisonError::into_inner).take() {
                waker.wake();
            }
        }
    }

    /// How often it took something.
    pub fn count(&self) -> u32 {
        self.0.count.load(Relaxed)
    }

    /// Whether something waits that it does not take.
    pub fn is_blocked(&self) -> bool {
        self.0.blocked.load(Relaxed)
    }

    /// So much of an answer is given to hyper.
    pub(super) fn give(&self, bytes: usize) {
        self.0.waiting.store(self.0.waiting.load(Relaxed) + bytes, Relaxed);
    }

    /// Ready when an answer may go on.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let shared = &*self.0;
        let waiting = shared.waiting.load(Relaxed);
        if waiting == 0 || waiting < WAITING && !self.is_blocked() {
            return Poll::Ready(());
        }
        shared.held_up.store(true, Relaxed);
        *shared.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        Poll::Pending
    }

    /// An answer is over. What its framing added must not count for the next one.
    pub(super) fn ended(&self) {
        self.0.waiting.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_goes_on_when_the_socket_took_enough_of_it() {
        let writes = Writes::default();
        let cx = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            writes.give(10_000);
            assert!(writes.poll_room(&cx).is_ready());
            writes.give(10_000);
            assert!(writes.poll_room(&cx).is_pending());
            writes.took(10_000);
            assert!(writes.poll_room(&cx).is_ready());
            writes.blocked();
            assert!(writes.poll_room(&cx).is_pending());
            writes.flushed();
            writes.ended();
        }
        writes.blocked();
        assert!(writes.is_blocked());
        writes.took(100_000);
        assert!(!writes.is_blocked() && writes.count() == 4);
    }
}
