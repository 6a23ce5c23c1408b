//! Clocks: the monotonic one, which stands still while a laptop sleeps, and the wall clock, which jumps.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::wall;

/// The wall clock, beside tokio's monotonic one. Tests make one that follows tokio's paused time and can be stepped.
#[derive(Clone, Debug)]
pub struct Clock(Wall);

#[derive(Clone, Debug)]
enum Wall {
    System,
    Steered(Arc<Steering>),
}

#[derive(Debug)]
struct Steering {
    origin: SystemTime,
    since: Instant,
    stepped: AtomicI64,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Clock {
        Clock(Wall::System)
    }

    /// A clock for tests: shows `origin` now, follows tokio's time from here on, and obeys [`Clock::step`].
    pub fn steered(origin: SystemTime) -> Clock {
        Clock(Wall::Steered(Arc::new(Steering { origin, since: Instant::now(), stepped: AtomicI64::new(0) })))
    }

    /// Steps a steered clock by some seconds, back when negative, as somebody who sets the time does. Forward is also
    /// what a suspended machine sees: its monotonic clock stood still meanwhile. The system's clock is left alone.
    pub fn step(&self, seconds: i64) {
        if let Wall::Steered(steering) = &self.0 {
            steering.stepped.fetch_add(seconds, Ordering::Relaxed);
        }
    }

    /// The wall clock's time.
    pub fn wall(&self) -> SystemTime {
        match &self.0 {
            Wall::System => SystemTime::now(),
            Wall::Steered(steering) => {
                let followed = steering.origin + steering.since.elapsed();
                let stepped = steering.stepped.load(Ordering::Relaxed);
                let by = Duration::from_secs(stepped.unsigned_abs());
                if stepped < 0 { followed - by } else { followed + by }
            }
        }
    }

    /// The moment `after` from now, on both clocks.
    pub(super) fn deadline(&self, after: Duration) -> Deadline {
        Deadline { monotonic: Instant::now() + after, wall: self.wall() + after }
    }

    /// What is left until a deadline by the clock that reaches it first; zero once it has passed.
    pub(super) fn left(&self, deadline: &Deadline) -> Duration {
        let monotonic = deadline.monotonic.saturating_duration_since(Instant::now());
        monotonic.min(deadline.wall.duration_since(self.wall()).unwrap_or_default())
    }

    /// Whether a deadline lies ahead by both clocks, for who has read the monotonic one just now.
    pub(super) fn is_ahead(&self, deadline: &Deadline, now: Instant) -> bool {
        let wall = if let Wall::System = self.0 { wall::now() } else { self.wall() };
        now < deadline.monotonic && wall < deadline.wall
    }
}

/// A moment on both clocks. It has passed as soon as either clock says so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    monotonic: Instant,
    /// The same moment as the wall clock will show it, unless it is stepped.
    pub(super) wall: SystemTime,
}

impl Deadline {
    /// The moment this much earlier.
    pub(super) fn earlier(self, by: Duration) -> Deadline {
        Deadline {
            monotonic: self.monotonic.checked_sub(by).unwrap_or(self.monotonic),
            wall: self.wall.checked_sub(by).unwrap_or(self.wall),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_passes_by_the_clock_that_reaches_it_first() {
        let clock = Clock::steered(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
        let deadline = clock.deadline(Duration::from_secs(3600));
        clock.step(-7200);
        tokio::time::advance(Duration::from_secs(3599)).await;
        assert_eq!(clock.left(&deadline), Duration::from_secs(1));
        assert!(clock.is_ahead(&deadline, Instant::now()));
        clock.step(9000);
        assert_eq!(clock.left(&deadline), Duration::ZERO);
        assert!(!clock.is_ahead(&deadline, Instant::now()));
        clock.step(-9000);
        assert!(!clock.is_ahead(&deadline, Instant::now() + Duration::from_secs(1)));
    }
}
