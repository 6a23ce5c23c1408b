//! A token host's turns, for stores that can keep no more than a text: who asks when, by one wall clock.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::record::{millis, until};
use super::{LONGEST_STOP, STARTING, Turn};

/// A host's record. All times are in milliseconds since 1970.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Host {
    /// Whose turn it is or was last.
    id: u64,
    /// When the next turn is there.
    next_at: u64,
    /// Until when the host is left alone.
    stopped_until: u64,
    /// When the last ones started.
    starts: Vec<u64>,
}

/// No turn is held for longer. One that seems to be lies in the future because a clock was set back.
const LONGEST_TURN: Duration = Duration::from_secs(60);
/// More starts are not counted: the delay that is made of them has reached its end long before.
const MOST_STARTS: usize = 1000;

impl Host {
    pub(super) fn arrive(&mut self, now: SystemTime) -> u64 {
        let now = millis(now);
        let oldest = now.saturating_sub(STARTING.as_millis() as u64);
        self.starts.retain(|at| (oldest..=now).contains(at));
        let others = self.starts.len() as u64;
        if self.starts.len() < MOST_STARTS {
            self.starts.push(now);
        }
        others
    }

    pub(super) fn turn(&mut self, now: SystemTime, id: u64, hold: Duration) -> Turn {
        let believed = |at: u64, longest: Duration| Some(until(now, at)).filter(|left| *left <= longest);
        match (believed(self.stopped_until, LONGEST_STOP), believed(self.next_at, LONGEST_TURN)) {
            (Some(left), _) if !left.is_zero() => Turn::Stopped(left),
            // Whoever has it already asks again when the answer was lost.
            (_, Some(left)) if !left.is_zero() && self.id != id => Turn::In(left),
            _ => {
                self.id = id;
                self.next_at = millis(now + hold);
                self.stopped_until = 0;
                Turn::Yours
            }
        }
    }

    pub(super) fn rest(&mut self, now: SystemTime, id: u64, pause: Duration) {
        if self.id == id {
            self.next_at = millis(now + pause);
        }
    }

    pub(super) fn stop(&mut self, now: SystemTime, time: Duration) {
        let longest = millis(now + LONGEST_STOP);
        let before = if self.stopped_until <= longest { self.stopped_until } else { 0 };
        self.stopped_until = before.max(millis(now + time)).min(longest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLD: Duration = Duration::from_secs(3);

    fn at(ms: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_000 + ms)
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn one_has_the_turn_until_it_rests_or_has_held_it_long_enough() {
        let mut host = Host::default();
        assert_eq!(host.turn(at(0), 1, HOLD), Turn::Yours);
        assert_eq!(host.turn(at(0), 1, HOLD), Turn::Yours);
        assert_eq!(host.turn(at(100), 2, HOLD), Turn::In(ms(2900)));
        host.rest(at(200), 1, ms(1000));
        assert_eq!(host.turn(at(300), 2, HOLD), Turn::In(ms(900)));
        assert_eq!(host.turn(at(1200), 2, HOLD), Turn::Yours);
        host.rest(at(1300), 1, ms(0));
        assert_eq!(host.turn(at(1400), 3, HOLD), Turn::In(ms(2800)));
        assert_eq!(host.turn(at(4200), 3, HOLD), Turn::Yours);
    }

    #[test]
    fn a_stop_holds_for_everybody_and_a_shorter_one_does_not_end_it() {
        let mut host = Host::default();
        host.stop(at(0), ms(60_000));
        host.stop(at(0), ms(1000));
        assert_eq!(host.turn(at(1000), 1, HOLD), Turn::Stopped(ms(59_000)));
        assert_eq!(host.turn(at(60_000), 1, HOLD), Turn::Yours);
        host.stop(at(0), Duration::from_secs(1_000_000));
        assert_eq!(host.turn(at(0), 2, HOLD), Turn::Stopped(LONGEST_STOP));
    }

    #[test]
    fn times_that_cannot_be_are_ignored() {
        let mut host = Host { id: 1, next_at: millis(at(61_000)), stopped_until: 0, starts: vec![] };
        assert_eq!(host.turn(at(0), 2, HOLD), Turn::Yours);
        let mut host = Host { stopped_until: millis(at(3_700_000)), ..Host::default() };
        assert_eq!(host.turn(at(0), 2, HOLD), Turn::Yours);
        host.stopped_until = u64::MAX;
        host.stop(at(0), ms(5000));
        assert_eq!(host.turn(at(0), 2, HOLD), Turn::Stopped(ms(5000)));
    }

    #[test]
    fn starts_count_for_ten_seconds() {
        let mut host = Host::default();
        assert_eq!([0, 10, 9000, 10_005].map(|ms| host.arrive(at(ms))), [0, 1, 2, 2]);
    }
}
