//! How much one caller may take: requests in a second, and requests under way. Shared by all workers.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Caller, CallerDenial};

/// A caller's limits and what it has taken of them.
pub(super) struct Quota {
    rate: Option<Bucket>,
    concurrency: u32,
    under_way: AtomicU32,
}

/// Fills by `rate` a second and holds as many: so many may come at once.
struct Bucket {
    rate: f64,
    level: Mutex<(f64, Instant)>,
}

/// A request's place; free again when dropped.
#[derive(Debug)]
pub struct Pass(Arc<Caller>);

/// A place becomes free when some request ends, which nobody knows beforehand.
const SOON: Duration = Duration::from_secs(1);

impl Quota {
    pub(super) fn new(rate: Option<u32>, concurrency: Option<u32>) -> Quota {
        let bucket =
            |rate: u32| Bucket { rate: rate.into(), level: Mutex::new((rate.into(), Instant::now())) };
        Quota {
            rate: rate.map(bucket),
            concurrency: concurrency.unwrap_or(u32::MAX),
            under_way: AtomicU32::new(0),
        }
    }
}

impl Caller {
    /// Takes a place for a request.
    ///
    /// # Errors
    /// When the caller has taken all that it may, with the time after which another try makes sense.
    pub fn enter(self: &Arc<Caller>) -> Result<Pass, CallerDenial> {
        let exceeded = |what, retry_after| {
            let limit = format!("the caller `{}` has taken all of its {what}", self.name());
            CallerDenial::Exceeded { limit, retry_after }
        };
        let quota = &self.quota;
        if quota.under_way.fetch_add(1, Relaxed) >= quota.concurrency {
            quota.under_way.fetch_sub(1, Relaxed);
            return Err(exceeded("`concurrency`", SOON));
        }
        // Gives the place back when the rate says no.
        let pass = Pass(Arc::clone(self));
        match quota.rate.as_ref().map(Bucket::take) {
            Some(Err(wait)) => Err(exceeded("`rate`", wait)),
            Some(Ok(())) | None => Ok(pass),
        }
    }
}

impl Pass {
    /// Whose request it is.
    pub fn caller(&self) -> &Caller {
        &self.0
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.quota.under_way.fetch_sub(1, Relaxed);
    }
}

impl Bucket {
    fn take(&self) -> Result<(), Duration> {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let filled = (level.0 + (now - level.1).as_secs_f64() * self.rate).min(self.rate);
        let taken = filled - 1.0;
        *level = (if taken < 0.0 { filled } else { taken }, now);
        if taken < 0.0 { Err(Duration::from_secs_f64(-taken / self.rate)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CallerConfig, Callers};
    use super::*;

    fn caller(rate: Option<u32>, concurrency: Option<u32>) -> Arc<Caller> {
        let config =
            CallerConfig { name: "a".into(), uid: Some(1), rate, concurrency, ..CallerConfig::default() };
        Arc::clone(Callers::new(&[config]).unwrap().named("a").unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_lets_so_many_in_at_once_and_then_as_time_goes_by() {
        let caller = caller(Some(10), None);
        for _ in 0..3 {
            for _ in 0..10 {
                caller.enter().unwrap();
            }
            let Err(CallerDenial::Exceeded { retry_after, .. }) = caller.enter() else { panic!("let in") };
            assert!(retry_after <= Duration::from_millis(101), "{retry_after:?}");
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        for _ in 0..10 {
            caller.enter().unwrap();
        }
        tokio::time::sleep(Duration::from_millis(101)).await;
        caller.enter().unwrap();
        assert!(caller.enter().is_err());
    }

    #[tokio::test]
    async fn a_place_is_free_again_when_its_request_has_ended() {
        let caller = caller(None, Some(2));
        let passes = [caller.enter().unwrap(), caller.enter().unwrap()];
        assert!(caller.enter().is_err() && caller.enter().is_err());
        drop(passes);
        let again = [caller.enter().unwrap(), caller.enter().unwrap()];
        assert_eq!(again[0].caller().name(), "a");
    }
}
