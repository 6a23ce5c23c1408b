//! What all workers may have under way together: each counts for itself, out of a stock that they share.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::trouble::Trouble;

/// Of the whole, so much may lie with workers that do not use it.
const IDLE_SHARE: usize = 8;

/// What there is in all.
#[derive(Debug)]
pub struct Stock {
    left: AtomicUsize,
    size: usize,
    /// How much a worker takes for later, so that most requests do not touch what all share.
    reserve: usize,
    /// It was not enough.
    pub trouble: Trouble,
}

impl Stock {
    /// So much for so many workers.
    pub fn new(size: usize, workers: usize) -> Stock {
        // A worker has two reserves at most.
        let reserve = size / (2 * IDLE_SHARE * workers.max(1));
        Stock { left: AtomicUsize::new(size), size, reserve, trouble: Trouble::default() }
    }

    /// How much there is when nobody uses any.
    pub fn size(&self) -> usize {
        self.size
    }

    fn take(&self, amount: usize) -> bool {
        self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(amount)).is_ok()
    }

    fn give(&self, amount: usize) {
        self.left.fetch_add(amount, Relaxed);
    }
}

/// A worker's way to it.
#[derive(Debug)]
pub struct Allowance {
    stock: Arc<Stock>,
    spare: Cell<usize>,
}

impl Allowance {
    /// Of this stock.
    pub fn new(stock: Arc<Stock>) -> Rc<Allowance> {
        Rc::new(Allowance { stock, spare: Cell::new(0) })
    }

    /// What it comes from.
    pub fn stock(&self) -> &Stock {
        &self.stock
    }

    /// Takes so much; `None` when there is not enough.
    pub fn take(self: &Rc<Allowance>, amount: usize) -> Option<Held> {
        self.draw(amount).then(|| Held { allowance: Rc::clone(self), amount })
    }

    fn draw(&self, amount: usize) -> bool {
        if let Some(rest) = self.spare.get().checked_sub(amount) {
            self.spare.set(rest);
            return true;
        }
        let short = amount - self.spare.get();
        let reserve = self.stock.reserve;
        let rest = if self.stock.take(short + reserve) {
            reserve
        } else if self.stock.take(short) {
            0
        } else {
            return false;
        };
        self.spare.set(rest);
        true
    }

    fn put_back(&self, amount: usize) {
        let spare = self.spare.get() + amount;
        let reserve = self.stock.reserve;
        if spare > 2 * reserve {
            self.stock.give(spare - reserve);
            self.spare.set(reserve);
        } else {
            self.spare.set(spare);
        }
    }
}

impl Drop for Allowance {
    fn drop(&mut self) {
        self.stock.give(self.spare.get());
    }
}

/// What was taken; given back when dropped.
#[derive(Debug)]
pub struct Held {
    allowance: Rc<Allowance>,
    amount: usize,
}

impl Held {
    /// Takes more; false, and as much as before, when there is not enough.
    #[must_use]
    pub fn grow(&mut self, by: usize) -> bool {
        let grown = self.allowance.draw(by);
        self.amount += if grown { by } else { 0 };
        grown
    }

    /// Gives so much of it back.
    pub fn shrink(&mut self, by: usize) {
        let by = by.min(self.amount);
        self.amount -= by;
        self.allowance.put_back(by);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.allowance.put_back(self.amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workers(size: usize, workers: usize) -> Vec<Rc<Allowance>> {
        let stock = Arc::new(Stock::new(size, workers));
        (0..workers).map(|_| Allowance::new(Arc::clone(&stock))).collect()
    }

    /// How often it can be taken, one by one, until there is no more.
    fn all(allowance: &Rc<Allowance>) -> Vec<Held> {
        std::iter::from_fn(|| allowance.take(1)).collect()
    }

    #[test]
    fn no_more_is_taken_than_there_is_and_all_of_it_comes_back() {
        for size in [0, 1, 7, 100, 10_000] {
            let workers = workers(size, 3);
            for _ in 0..3 {
                let held: Vec<Held> = workers.iter().flat_map(all).collect();
                assert!(held.len() <= size && held.len() * IDLE_SHARE >= size * (IDLE_SHARE - 1), "{size}");
            }
            let stock = Arc::clone(&workers[0].stock);
            drop(workers);
            assert_eq!(stock.left.load(Relaxed), size);
        }
    }

    #[test]
    fn a_worker_alone_may_have_nearly_all_of_it_while_the_others_have_been_busy_before() {
        let workers = workers(1000, 4);
        for worker in &workers {
            drop((0..100).map(|_| worker.take(1).unwrap()).collect::<Vec<_>>());
        }
        assert!(all(&workers[0]).len() >= 875);
    }

    #[test]
    fn most_requests_leave_the_stock_alone() {
        let workers = workers(1000, 1);
        let _some = workers[0].take(10);
        let left = workers[0].stock.left.load(Relaxed);
        for _ in 0..1000 {
            let _held = (workers[0].take(1).unwrap(), workers[0].take(1).unwrap());
            assert_eq!(workers[0].stock.left.load(Relaxed), left);
        }
    }

    #[test]
    fn what_is_held_can_grow_as_far_as_there_is_more_and_shrink() {
        let workers = workers(100, 1);
        let mut held = workers[0].take(0).unwrap();
        assert!(held.grow(60) && !held.grow(60) && held.grow(40));
        assert!(workers[0].take(1).is_none());
        held.shrink(50);
        assert!(held.grow(50) && workers[0].take(1).is_none());
        drop(held);
        assert!(workers[0].take(100).is_some());
    }
}
