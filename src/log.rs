//! Log lines on standard error. A worker's lines are written together when it has nothing else to do, so that an access
//! line costs no system call of its own under load, and waits for nothing when there is none.

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// A thread's lines are written at the latest when they are this long.
const FULL: usize = 32 * 1024;
/// A thread that seldom logs writes at once when it goes to sleep; one that does so all the time, not more often.
const PAUSE: Duration = Duration::from_millis(20);

thread_local! {
    static BUFFERED: Cell<bool> = const { Cell::new(false) };
    static LINES: RefCell<Lines> = const { RefCell::new(Lines { bytes: Vec::new(), written: None }) };
}

struct Lines {
    bytes: Vec<u8>,
    written: Option<Instant>,
}

impl Lines {
    fn write_out(&mut self) {
        if !self.bytes.is_empty() {
            // Nobody is left to be told when standard error is closed.
            let _ = io::stderr().write_all(&self.bytes);
            self.bytes.clear();
            self.written = Some(Instant::now());
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.write_out();
    }
}

/// From now on this thread's lines wait for [`before_sleep`]. For threads whose runtime calls that before it sleeps, and
/// wakes at least once a second.
pub fn buffer_this_thread() {
    BUFFERED.set(true);
}

/// Writes this thread's lines, unless it has just done so.
pub fn before_sleep() {
    LINES.with_borrow_mut(|lines| {
        if !lines.bytes.is_empty() && lines.written.is_none_or(|written| written.elapsed() >= PAUSE) {
            lines.write_out();
        }
    });
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
            lines.bytes.extend_from_slice(line);
            if lines.bytes.len() >= FULL {
                lines.write_out();
            }
        });
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
