//! Tickets: each is a request that should start at a certain time, taken by the first slot that is free.
//!
//! The schedule does not wait for answers. A request that finds every slot busy starts late, and its latency counts from
//! when it should have started: what stops sending while a server is slow does not see how slow it was.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::timer::Timer;
use super::work::Load;

/// The tickets of one thread.
pub(super) struct Tickets {
    pub(super) began: Instant,
    end: Instant,
    /// None in a closed loop.
    every: Option<Duration>,
    /// Offsets this thread's schedule against those of others.
    shift: Duration,
    taken: Cell<u64>,
    closed: Cell<bool>,
    free: Notify,
}

/// A request to make.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    /// Counts from 0.
    pub(super) number: u64,
    /// When it should start.
    pub(super) intended: Instant,
    /// By how much the generator itself was late: the slot had waited for it.
    pub(super) late: Option<Duration>,
}

impl Tickets {
    /// For the thread `index` of `threads`, which share the rate.
    pub(super) fn new(began: Instant, end: Instant, load: Load, index: usize, threads: usize) -> Rc<Tickets> {
        let (every, shift) = match load {
            Load::Saturate => (None, Duration::ZERO),
            Load::Rate(rate) => {
                let of_all = Duration::from_secs_f64(1.0 / rate.max(0.001));
                (Some(of_all * threads as u32), of_all * index as u32)
            }
        };
        let tickets = Tickets {
            began,
            end,
            every,
            shift,
            taken: Cell::new(0),
            closed: Cell::new(false),
            free: Notify::new(),
        };
        Rc::new(tickets)
    }

    /// The next ticket, when it is due and the caller is free; none when there are no more.
    pub(super) async fn next(&self) -> Option<Ticket> {
        let mut waited = false;
        loop {
            if self.closed.get() {
                return None;
            }
            let (number, now) = (self.taken.get(), Instant::now());
            let intended = match self.every {
                None if now >= self.end => return None,
                None => now,
                Some(_) => self.intended(number),
            };
            if intended >= self.end {
                return None;
            }
            if intended <= now {
                self.taken.set(number + 1);
                return Some(Ticket { number, intended, late: waited.then(|| now - intended) });
            }
            waited = true;
            self.free.notified().await;
        }
    }

    /// Wakes a free slot for each ticket that falls due, until the end.
    pub(super) async fn fall_due(&self, timer: &Timer) {
        let mut woken = 0;
        while self.every.is_some() {
            let at = self.intended(woken);
            if at >= self.end {
                break;
            }
            // Who cannot be told the time goes on without it, and shows as late.
            let _ = timer.until(at).await;
            self.free.notify_one();
            woken += 1;
        }
        // Slots that are still free wait for nothing more.
        self.free.notify_waiters();
    }

    /// Nobody gets a ticket any more.
    pub(super) fn close(&self) {
        self.closed.set(true);
        self.free.notify_waiters();
    }

    /// When the ticket `number` is due.
    pub(super) fn intended(&self, number: u64) -> Instant {
        let every = self.every.unwrap_or_default().as_secs_f64();
        self.began + self.shift + Duration::from_secs_f64(every * number as f64)
    }

    /// The due times of tickets that nobody took.
    pub(super) fn untaken(&self) -> impl Iterator<Item = Instant> {
        let open = self.every.is_some();
        let due = (self.taken.get()..).map(|number| self.intended(number));
        due.take_while(move |at| open && *at < self.end)
    }
}
