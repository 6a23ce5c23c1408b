//! A copy of a short body, kept while the body goes out, so that the request can be sent once more. All copies together
//! have a limit, too: where that is reached, no copy is made.

use std::cell::RefCell;

use bytes::{Bytes, BytesMut};

use crate::allowance::Held;

/// The copy. Shared by the body, which fills it, and by whoever may want the body again.
#[derive(Debug)]
pub struct Copy {
    limit: usize,
    so_far: RefCell<SoFar>,
    /// Its share of what all copies may take.
    held: RefCell<Held>,
}

/// What has been copied.
#[derive(Debug)]
enum SoFar {
    /// One chunk at most, which costs no copying.
    Chunk(Bytes),
    /// Several: joined, because chunks of a byte each would hold on to much more than they say.
    Joined(BytesMut),
    /// The end has been seen.
    Whole(Bytes),
    /// Nothing: the body is too long or has trailers, or nobody wants it any more.
    Given,
}

impl Copy {
    /// Of a body of so many bytes at most; of a longer one nothing is kept. `held` grows with the copy.
    pub fn new(limit: usize, held: Held) -> Copy {
        Copy { limit, so_far: RefCell::new(SoFar::Chunk(Bytes::new())), held: RefCell::new(held) }
    }

    /// The whole body, if it has ended within the limit. From now on nothing is kept.
    pub fn take(&self) -> Option<Bytes> {
        match self.so_far.replace(SoFar::Given) {
            SoFar::Whole(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// What has gone by so far, if all of that is here; it begins anew.
    pub(super) fn rewind(&self) -> Option<Bytes> {
        let mut so_far = self.so_far.borrow_mut();
        let bytes = match std::mem::replace(&mut *so_far, SoFar::Given) {
            SoFar::Chunk(bytes) | SoFar::Whole(bytes) => bytes,
            SoFar::Joined(bytes) => bytes.freeze(),
            SoFar::Given => return None,
        };
        self.held.borrow_mut().shrink(bytes.len());
        *so_far = SoFar::Chunk(Bytes::new());
        Some(bytes)
    }

    /// Another chunk has gone by.
    pub(super) fn add(&self, chunk: &Bytes) {
        let mut so_far = self.so_far.borrow_mut();
        if matches!(*so_far, SoFar::Given) {
            return;
        }
        if !self.held.borrow_mut().grow(chunk.len()) {
            *so_far = SoFar::Given;
        }
        match &mut *so_far {
            SoFar::Chunk(kept) if kept.len() + chunk.len() <= self.limit => {
                if kept.is_empty() {
                    *kept = chunk.clone();
                } else {
                    let mut joined = BytesMut::with_capacity(kept.len() + chunk.len());
                    joined.extend_from_slice(kept);
                    joined.extend_from_slice(chunk);
                    *so_far = SoFar::Joined(joined);
                }
            }
            SoFar::Joined(kept) if kept.len() + chunk.len() <= self.limit => kept.extend_from_slice(chunk),
            SoFar::Whole(_) if chunk.is_empty() => {}
            _ => *so_far = SoFar::Given,
        }
    }

    /// The body has ended with the last chunk.
    pub(super) fn end(&self) {
        let mut so_far = self.so_far.borrow_mut();
        *so_far = match std::mem::replace(&mut *so_far, SoFar::Given) {
            SoFar::Chunk(bytes) | SoFar::Whole(bytes) => SoFar::Whole(bytes),
            SoFar::Joined(bytes) => SoFar::Whole(bytes.freeze()),
            SoFar::Given => SoFar::Given,
        };
    }

    /// Something came that no copy can hold.
    pub(super) fn give_up(&self) {
        *self.so_far.borrow_mut() = SoFar::Given;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::allowance::{Allowance, Stock};

    fn held(stock: usize) -> Held {
        Allowance::new(Arc::new(Stock::new(stock, 1))).take(0).unwrap()
    }

    fn copied(limit: usize, chunks: &[&'static str]) -> Option<Bytes> {
        let copy = Copy::new(limit, held(100));
        for chunk in chunks {
            copy.add(&Bytes::from_static(chunk.as_bytes()));
        }
        copy.end();
        copy.take()
    }

    #[test]
    fn a_body_within_the_limit_is_kept_whole() {
        assert_eq!(copied(6, &[]).unwrap(), "");
        assert_eq!(copied(6, &["abc"]).unwrap(), "abc");
        assert_eq!(copied(6, &["a", "", "bc", "def"]).unwrap(), "abcdef");
    }

    #[test]
    fn nothing_is_kept_of_a_longer_one() {
        assert!(copied(6, &["abcdefg"]).is_none());
        assert!(copied(6, &["abc", "defg"]).is_none());
        assert!(copied(6, &["a", "b", "cdefg", ""]).is_none());
        assert!(copied(0, &["a"]).is_none());
    }

    #[test]
    fn nothing_is_kept_where_all_copies_together_have_had_their_share() {
        let allowance = Allowance::new(Arc::new(Stock::new(10, 1)));
        let copy = || Copy::new(8, allowance.take(0).unwrap());
        let (one, two) = (copy(), copy());
        one.add(&Bytes::from_static(b"sixsix"));
        two.add(&Bytes::from_static(b"sixsix"));
        one.end();
        two.end();
        assert!(one.take().is_some() && two.take().is_none());
        drop((one, two));
        assert!(allowance.take(10).is_some());
    }

    #[test]
    fn a_single_chunk_is_not_copied() {
        let chunk = Bytes::from("abc".to_owned());
        let copy = Copy::new(3, held(100));
        copy.add(&chunk);
        copy.end();
        assert_eq!(copy.take().unwrap().as_ptr(), chunk.as_ptr());
    }

    #[test]
    fn it_begins_anew_with_all_that_has_gone_by() {
        let copy = Copy::new(6, held(6));
        assert_eq!(copy.rewind().unwrap(), "");
        copy.add(&Bytes::from_static(b"ab"));
        copy.add(&Bytes::from_static(b"c"));
        assert_eq!(copy.rewind().unwrap(), "abc");
        copy.add(&Bytes::from_static(b"abc"));
        copy.end();
        assert_eq!(copy.rewind().unwrap(), "abc");
        copy.add(&Bytes::from_static(b"abcdefg"));
        assert!(copy.rewind().is_none(), "it was too long");
    }

    #[test]
    fn it_is_given_once_and_only_after_the_end() {
        let copy = Copy::new(6, held(100));
        copy.add(&Bytes::from_static(b"a"));
        assert!(copy.take().is_none());
        copy.add(&Bytes::from_static(b"b"));
        copy.end();
        assert!(copy.take().is_none(), "nobody wanted it when it was taken before");
    }
}
