//! How far a run has come, for whoever sits at a terminal.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

const WIDTH: usize = 28;

/// A line that is written over and over, on standard error. Nothing at all where that is no terminal.
pub struct Progress {
    shown: bool,
    began: Instant,
    expected: Duration,
    what: String,
}

impl Progress {
    /// Begins; `expected` is how long it will take.
    pub fn new(expected: Duration) -> Progress {
        let shown = std::io::stderr().is_terminal();
        Progress { shown, began: Instant::now(), expected, what: String::new() }
    }

    /// What comes now.
    pub fn step(&mut self, what: &str) {
        what.clone_into(&mut self.what);
        self.tick();
    }

    /// Time has passed.
    pub fn tick(&self) {
        if !self.shown {
            return;
        }
        let gone = self.began.elapsed().as_secs_f64();
        let part = (gone / self.expected.as_secs_f64().max(0.001)).min(1.0);
        let full = (part * WIDTH as f64) as usize;
        let left = (self.expected.as_secs_f64() - gone).max(0.0).ceil();
        let bar = "━".repeat(full) + &"─".repeat(WIDTH - full);
        // A terminal that is gone is no reason to stop.
        let _ = write!(
            std::io::stderr(),
            "\r\x1b[K  {bar} {:3.0} %  {left:.0} s left  {}",
            part * 100.0,
            self.what
        );
    }

    /// Sleeps until then.
    pub(super) fn sleep_until(&self, until: tokio::time::Instant) {
        loop {
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(Duration::from_millis(200)));
            // Drawing takes time of the load's CPU; not for the last bit.
            if left > Duration::from_millis(200) {
                self.tick();
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
