//! The time by a token endpoint's clock, which judges assertions, as far as its answers have told it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, header};

use super::Clock;

/// What all endpoints have told.
pub(super) struct EndpointTime {
    clock: Clock,
    /// By how many seconds each endpoint's clock is ahead of ours, at least.
    ahead: Mutex<HashMap<String, i64>>,
}

impl EndpointTime {
    pub(super) fn new(clock: Clock) -> EndpointTime {
        EndpointTime { clock, ahead: Mutex::default() }
    }

    /// Now by this endpoint's clock, or a little earlier; by ours until it has shown its own.
    pub(super) fn now(&self, endpoint: &str) -> SystemTime {
        let ahead = self.ahead().get(endpoint).copied().unwrap_or_default();
        let (wall, by) = (self.clock.wall(), Duration::from_secs(ahead.unsigned_abs()));
        if ahead < 0 { wall.checked_sub(by).unwrap_or(wall) } else { wall + by }
    }

    /// Takes down the time of an answer: also, and above all, of one that refused an assertion because of its times.
    pub(super) fn note(&self, endpoint: &str, answer: &HeaderMap) {
        let date = answer.get(header::DATE).and_then(|date| date.to_str().ok());
        let Some(date) = date.and_then(|date| httpdate::parse_http_date(date).ok()) else { return };
        let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        // Rounded down: an assertion must not come from the future.
        let ahead = (seconds(date) - seconds(self.clock.wall())).floor() as i64;
        self.ahead().insert(endpoint.to_owned(), ahead);
    }

    fn ahead(&self) -> MutexGuard<'_, HashMap<String, i64>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_time_is_the_endpoints_once_it_has_shown_it() {
        let wall = UNIX_EPOCH + Duration::from_millis(1_800_000_000_700);
        let time = EndpointTime::new(Clock::steered(wall));
        let answered = |at: Duration| {
            let date = httpdate::fmt_http_date(UNIX_EPOCH + at).parse().unwrap();
            HeaderMap::from_iter([(header::DATE, date)])
        };
        assert_eq!(time.now("a"), wall);
        time.note("a", &answered(Duration::from_secs(1_800_003_600)));
        assert_eq!(time.now("a"), wall + Duration::from_secs(3599));
        time.note("a", &answered(Duration::from_secs(1_799_999_000)));
        assert_eq!(time.now("a"), wall - Duration::from_secs(1001));
        time.note("a", &HeaderMap::from_iter([(header::DATE, "yesterday".parse().unwrap())]));
        assert_eq!(time.now("a"), wall - Duration::from_secs(1001));
        assert_eq!(time.now("b"), wall);
    }
}
