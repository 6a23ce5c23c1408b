//! Deadlines of a worker's connections, kept by one look a second at all of them instead of a timer for each request.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::Instant;

use super::Limits;
use crate::proxy::Connection;

/// A connection whose caller has as many as it may is ended this long after it was opened, and cut as long after that.
pub(super) const PARTING: Duration = Duration::from_secs(1);
/// An HTTP/2 caller that has requests under way and says nothing for so long is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(60);
/// It has so long to answer.
const PONG_WAIT: Duration = Duration::from_secs(20);

/// A connection as its deadlines see it.
pub(super) struct Watched {
    connection: Rc<Connection>,
    http2: bool,
    opened: Instant,
    /// Whether a head has begun and is not all here, and since when. For HTTP/1.1 alone, like the next: HTTP/2 has frames
    /// between requests, and windows.
    head_begun: Cell<bool>,
    head_since: Cell<Option<Instant>>,
    /// Since when the caller has read nothing of what there is for it.
    unread_since: Cell<Option<Instant>>,
    /// Whether something has come since the last look, and since when nothing has. For HTTP/2 alone, like the next.
    heard: Cell<bool>,
    silent_since: Cell<Instant>,
    /// When it was asked whether it is still there, until it has answered.
    asked: Cell<Option<Instant>>,
    order: Cell<Option<Order>>,
    waker: Cell<Option<Waker>>,
}

/// What a connection is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Take no more requests, finish those under way.
    Finish,
    /// Ask the caller whether it is still there.
    Ask,
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

    /// Says whether a head has begun and is not all here.
    pub(super) fn set_head_begun(&self, begun: bool) {
        if self.head_begun.replace(begun) != begun {
            self.head_since.set(None);
        }
    }

    /// Says since when the caller has read nothing of what there is for it.
    pub(super) fn set_unread_since(&self, since: Option<Instant>) {
        self.unread_since.set(since);
    }

    /// Something came; whether it is all that was asked for.
    pub(super) fn heard(&self, answered: bool) {
        self.heard.set(true);
        if answered {
            self.asked.set(None);
        }
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
            return match self.http2 {
                true => self.judge_silence(now),
                false => {
                    let unread = self.unread_since.get().map_or(Duration::ZERO, |since| now - since);
                    (unread >= limits.body_timeout).then_some(Order::Cut)
                }
            };
        }
        // It was told by now that it has no place.
        let age = now - self.opened;
        if self.connection.turned_away && age > PARTING {
            return Some(if age > 2 * PARTING { Order::Cut } else { Order::Finish });
        }
        if self.head_begun.get() {
            // Counted from the first look that sees it.
            let since = self.head_since.get().unwrap_or(now);
            self.head_since.set(Some(since));
            if now - since >= limits.head_timeout {
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

    fn judge_silence(&self, now: Instant) -> Option<Order> {
        if self.heard.take() {
            self.silent_since.set(now);
        }
        match self.asked.get() {
            Some(asked) => (now - asked >= PONG_WAIT).then_some(Order::Cut),
            None if now - self.silent_since.get() < SILENCE => None,
            None => {
                self.asked.set(Some(now));
                Some(Order::Ask)
            }
        }
    }
}

/// A worker's connections.
#[derive(Default)]
pub(super) struct Watch {
    connections: RefCell<Vec<Weak<Watched>>>,
}

impl Watch {
    pub(super) fn add(&self, connection: Rc<Connection>, http2: bool) -> Rc<Watched> {
        let now = Instant::now();
        let watched = Rc::new(Watched {
            connection,
            http2,
            opened: now,
            head_begun: Cell::new(false),
            head_since: Cell::new(None),
            unread_since: Cell::new(None),
            heard: Cell::new(false),
            silent_since: Cell::new(now),
            asked: Cell::new(None),
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
