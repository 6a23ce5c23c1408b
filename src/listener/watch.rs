//! Deadlines of a worker's connections, kept by one look a second at all of them instead of a timer for each request.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::{Context, Waker};

use tokio::time::Instant;

use super::Limits;
use crate::proxy::Connection;

/// A connection as its deadlines see it.
pub(super) struct Watched {
    connection: Rc<Connection>,
    http2: bool,
    opened: Instant,
    /// Since when a head has been incomplete, and after how many ended requests.
    head_began: Cell<Option<(u64, Instant)>>,
    order: Cell<Option<Order>>,
    waker: Cell<Option<Waker>>,
}

/// What a connection is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Take no more requests, finish those under way.
    Finish,
    /// End at once.
    Cut,
}

impl Watched {
    /// The next order. The task of `cx` is woken by one that comes later.
    pub(super) fn poll_order(&self, cx: &Context<'_>) -> Option<Order> {
        let order = self.order.take();
        if order.is_none() {
            let waker = self.waker.take().filter(|waker| waker.will_wake(cx.waker()));
            self.waker.set(Some(waker.unwrap_or_else(|| cx.waker().clone())));
        }
        order
    }

    fn give(&self, order: Order) {
        self.order.set(Some(order));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn judge(&self, limits: &Limits, now: Instant) -> Option<Order> {
        let open = &self.connection.open;
        if open.count() > 0 {
            return None;
        }
        // HTTP/2 has frames between requests, so that bytes are no sign of a head there.
        if !self.http2 && open.has_unanswered_bytes() {
            let began = match self.head_began.get() {
                Some((ended, began)) if ended == open.ended() => began,
                _ => now,
            };
            self.head_began.set(Some((open.ended(), began)));
            if now - began >= limits.head_timeout {
                return Some(Order::Cut);
            }
        }
        let idle_since = open.last_ended().unwrap_or(self.opened);
        let idle = now.saturating_duration_since(idle_since);
        if idle > limits.idle_timeout + limits.head_timeout {
            return Some(Order::Cut);
        }
        (idle > limits.idle_timeout).then_some(Order::Finish)
    }
}

/// A worker's connections.
#[derive(Default)]
pub(super) struct Watch {
    connections: RefCell<Vec<Weak<Watched>>>,
}

impl Watch {
    pub(super) fn add(&self, connection: Rc<Connection>, http2: bool) -> Rc<Watched> {
        let watched = Rc::new(Watched {
            connection,
            http2,
            opened: Instant::now(),
            head_began: Cell::new(None),
            order: Cell::new(None),
            waker: Cell::new(None),
        });
        self.connections.borrow_mut().push(Rc::downgrade(&watched));
        watched
    }

    /// Looks at all connections, and forgets those that have ended.
    pub(super) fn look(&self, limits: &Limits) {
        let now = Instant::now();
        self.each(|watched| {
            if let Some(order) = watched.judge(limits, now) {
                watched.give(order);
            }
        });
    }

    /// Tells the connections of a protocol, or of any, what to do.
    pub(super) fn order(&self, order: Order, http2_only: bool) {
        self.each(|watched| {
            if watched.http2 || !http2_only {
                watched.give(order);
            }
        });
    }

    /// Cuts the connections that have nothing under way: their callers had their time to notice a drain.
    pub(super) fn cut_idle(&self) {
        self.each(|watched| {
            if watched.connection.open.count() == 0 {
                watched.give(Order::Cut);
            }
        });
    }

    fn each(&self, mut look: impl FnMut(&Watched)) {
        self.connections.borrow_mut().retain(|weak| match weak.upgrade() {
            Some(watched) => {
                look(&watched);
                true
            }
            None => false,
        });
    }
}
