//! Windows: how much may be under way (RFC 9113 §5.2, §6.9).

/// The largest window there may be.
pub(super) const MAX: u32 = u32::MAX >> 1;
/// What every window has before anybody said otherwise.
pub(super) const DEFAULT: u32 = 65_535;

/// A window that may grow does so after it was consumed so often: by then its reader has shown that it reads, and not
/// only filled the buffers on its way.
const SHOWN: u32 = 4;

/// What the peer may still send.
#[derive(Debug)]
pub(super) struct Inflow {
    size: u32,
    most: u32,
    left: u32,
    /// Consumed here, and not yet told.
    owed: u32,
    /// Consumed since it has this size.
    consumed: u32,
}

impl Inflow {
    pub(super) fn new(size: u32) -> Inflow {
        Inflow::growing(size, size)
    }

    /// One that grows with its reader: the peer needs a large one to send fast, and one that is not read takes memory.
    pub(super) fn growing(size: u32, most: u32) -> Inflow {
        Inflow { size, most, left: size, owed: 0, consumed: 0 }
    }

    /// The peer sent so much; false if it may not have.
    #[must_use]
    pub(super) fn charge(&mut self, octets: usize) -> bool {
        match (self.left as usize).checked_sub(octets) {
            Some(left) => {
                self.left = left as u32;
                true
            }
            None => false,
        }
    }

    /// So much of it is consumed. Says by how much to open the window, once it is worth a frame.
    pub(super) fn consume(&mut self, octets: usize) -> Option<u32> {
        self.owed += octets as u32;
        if self.owed < self.size / 2 {
            return None;
        }
        self.consumed = self.consumed.saturating_add(self.owed);
        if self.size < self.most && self.consumed / SHOWN >= self.size {
            let grown = self.size.saturating_mul(2).min(self.most);
            self.owed += grown - self.size;
            (self.size, self.consumed) = (grown, 0);
        }
        self.left += self.owed;
        Some(std::mem::take(&mut self.owed))
    }
}

/// What we may still send. Less than nothing after the peer made its windows smaller (§6.9.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct Outflow(i64);

impl Outflow {
    pub(super) fn new(size: u32) -> Outflow {
        Outflow(i64::from(size))
    }

    /// The peer changed the window; false if it is too large then.
    #[must_use]
    pub(super) fn change(&mut self, by: i64) -> bool {
        self.0 += by;
        self.0 <= i64::from(MAX)
    }

    pub(super) fn room(self) -> usize {
        self.0.max(0) as usize
    }

    /// So much was sent, no more than there was room for.
    pub(super) fn take(&mut self, octets: usize) {
        self.0 -= octets as i64;
    }
}
