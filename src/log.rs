//! Log lines on standard error. A worker's lines are written together when it has nothing else to do, so that an access
//! line costs no system call of its own under load, and waits for nothing when there is none.

use std::cell::{Cell, RefCell};
use std::io::{self, Write};

/// A thread's lines are written at the latest when they are this long.
const FULL: usize = 32 * 1024;

thread_local! {
    static BUFFERED: Cell<bool> = const { Cell::new(false) };
    static LINES: RefCell<Lines> = const { RefCell::new(Lines(Vec::new())) };
}

struct Lines(Vec<u8>);

impl Lines {
    fn write_out(&mut self) {
        if !self.0.is_empty() {
            // Nobody is left to be told when standard error is closed.
            let _ = io::stderr().write_all(&self.0);
            self.0.clear();
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.write_out();
    }
}

/// From now on this thread's lines wait for [`flush`]. For threads whose runtime calls that before it sleeps.
pub fn buffer_this_thread() {
    BUFFERED.set(true);
}

/// Writes this thread's lines.
pub fn flush() {
    LINES.with_borrow_mut(Lines::write_out);
}

/// Takes whole lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct Writer;

impl Write for Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !BUFFERED.get() {
            return io::stderr().write(line);
        }
        LINES.with_borrow_mut(|lines| {
            lines.0.extend_from_slice(line);
            if lines.0.len() >= FULL {
                lines.write_out();
            }
        });
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
