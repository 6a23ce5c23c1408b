//! Memory that was freed, and that the allocator still holds.

use std::hint::black_box;

/// Larger than what the allocator keeps for the next who wants as much.
const LARGE: usize = 1 << 20;

/// Has the allocator give back to the system what it has not needed for a while. It looks for that only when large pieces are
/// freed; without this, a process would keep for ever what a flood of callers had made it take.
pub fn give_back() {
    drop(black_box(Vec::<u8>::with_capacity(LARGE)));
}
