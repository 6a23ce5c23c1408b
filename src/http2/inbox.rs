//! What has arrived of an answer's data and was not read yet.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Data shorter than this are put together while nobody reads: a stalled reader of tiny messages must not hold a
/// piece of bookkeeping for each of them.
const SMALL: usize = 1024;
/// As much is put together.
const TOGETHER: usize = 16 * 1024;

#[derive(Debug, Default)]
pub(super) struct Inbox {
    first: Option<Bytes>,
    rest: VecDeque<Bytes>,
    /// After all of `rest`.
    small: BytesMut,
    octets: usize,
    waits: Waits,
}

/// Where what waits lies, and since when.
#[derive(Debug, Default)]
enum Waits {
    /// Something has come or was read since the last look.
    #[default]
    Fresh,
    ForAWhile,
    /// In memory of its own.
    Apart,
}

impl Inbox {
    pub(super) fn push(&mut self, data: Bytes) {
        self.octets += data.len();
        self.waits = Waits::Fresh;
        if self.octets == data.len() {
            self.first = Some(data);
        } else if data.len() < SMALL {
            self.small.extend_from_slice(&data);
            if self.small.len() >= TOGETHER {
                self.rest.push_back(self.small.split().freeze());
            }
        } else {
            if !self.small.is_empty() {
                self.rest.push_back(self.small.split().freeze());
            }
            self.rest.push_back(data);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Bytes> {
        let next = match self.first.take().or_else(|| self.rest.pop_front()) {
            Some(next) => next,
            None if self.small.is_empty() => return None,
            None => self.small.split().freeze(),
        };
        self.octets -= next.len();
        self.waits = Waits::Fresh;
        Some(next)
    }

    /// Looks at it, now and then: what has waited since the last look is put into memory of its own. As it came it is a
    /// part of the buffer that it was read into, and holds on to all of that.
    pub(super) fn settle(&mut self) {
        if self.is_empty() {
            return;
        }
        self.waits = match self.waits {
            Waits::Fresh => Waits::ForAWhile,
            Waits::Apart => Waits::Apart,
            Waits::ForAWhile => {
                let mut all = Vec::with_capacity(self.octets);
                while let Some(data) = self.pop() {
                    all.extend_from_slice(&data);
                }
                self.push(all.into());
                Waits::Apart
            }
        };
    }

    /// How many octets there are.
    pub(super) fn len(&self) -> usize {
        self.octets
    }

    pub(super) fn is_empty(&self) -> bool {
        self.octets == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_come_out_in_the_order_in_which_they_went_in() {
        let mut inbox = Inbox::default();
        let mut expected: Vec<u8> = Vec::new();
        for n in 0..2000 {
            let length = [3, 2000, 700, 1, 9, 1023, 1024][n % 7];
            let data = vec![n as u8; length];
            expected.extend(&data);
            inbox.push(data.into());
        }
        let all: Vec<u8> = std::iter::from_fn(|| inbox.pop()).flatten().collect();
        assert_eq!(all, expected);
        assert!(inbox.is_empty());
    }

    #[test]
    fn what_waits_for_long_holds_on_to_no_more_than_itself() {
        let read: Bytes = vec![7; 4000].into();
        let mut inbox = Inbox::default();
        inbox.push(read.slice(..1500));
        inbox.push(read.slice(2000..3500));
        inbox.settle();
        assert!(!read.is_unique(), "it may be read at any moment");
        inbox.settle();
        assert!(read.is_unique());
        inbox.push(read.slice(..10));
        inbox.settle();
        assert_eq!((inbox.len(), inbox.pop().unwrap().len()), (3010, 3000));
    }

    #[test]
    fn tiny_pieces_are_held_together() {
        let mut inbox = Inbox::default();
        for _ in 0..100_000 {
            inbox.push(Bytes::from_static(b"x"));
        }
        assert!(inbox.rest.len() < 10);
    }
}
