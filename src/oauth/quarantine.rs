//! The quarantine of a refused client: what its id and secret ask for is refused for every audience alike, so one
//! source probes for all of them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::status::LastError;

/// The longest rest between two probes.
pub(super) const LONGEST: Duration = Duration::from_secs(3600);

/// How long a refused request rests before the next probe: 5, 10, 20, 40, then 60 minutes.
pub(super) fn pause(strikes: u32) -> Duration {
    Duration::from_secs(60 * (5 << strikes.saturating_sub(1).min(4)).min(60))
}

/// One client of one token endpoint: the sources with the same endpoint, id and proof share it.
#[derive(Default)]
pub(super) struct Client {
    refused: Mutex<Option<Refused>>,
}

struct Refused {
    strikes: u32,
    until: Instant,
    prober: Option<u64>,
    error: LastError,
}

/// A source that probes goes on with it when a probe told nothing about the client. If nothing is known after this
/// time, because that source is gone or rests longer, another one may probe.
const PROBE: Duration = Duration::from_secs(120);

impl Client {
    /// Why the client is in quarantine, if it is.
    pub(super) fn refusal(&self) -> Option<LastError> {
        self.refused().as_ref().map(|refused| refused.error.clone())
    }

    /// Until when this source must not ask.
    pub(super) fn until(&self, source: u64) -> Option<Instant> {
        self.refused().as_ref().filter(|refused| refused.prober != Some(source)).map(|refused| refused.until)
    }

    /// Lets this source ask, as the only one if the client is in quarantine.
    pub(super) fn claim(&self, source: u64) -> bool {
        match self.refused().as_mut() {
            Some(refused) if refused.prober == Some(source) => true,
            Some(refused) if refused.until > Instant::now() => false,
            Some(refused) => {
                refused.prober = Some(source);
                refused.until = Instant::now() + PROBE;
                true
            }
            None => true,
        }
    }

    /// The client was refused, again perhaps.
    pub(super) fn refuse(&self, source: u64, error: LastError) {
        let mut refused = self.refused();
        let known = refused.as_ref();
        // Requests that were under way when the first refusal came are part of it.
        let late = known.is_some_and(|known| known.until > Instant::now() && known.prober != Some(source));
        let strikes = known.map_or(0, |known| known.strikes) + u32::from(!late);
        *refused = Some(Refused { strikes, until: Instant::now() + pause(strikes), prober: None, error });
    }

    /// The refusal and how many there have been in a row, for those who share a store.
    pub(super) fn refused_so_far(&self) -> Option<(LastError, u32)> {
        self.refused().as_ref().map(|refused| (refused.error.clone(), refused.strikes))
    }

    /// Another process was refused: goes on from there.
    pub(super) fn go_on(&self, strikes: u32, until: Instant, error: LastError) {
        let mut refused = self.refused();
        let known = refused.as_ref();
        if until > Instant::now() && known.is_none_or(|known| known.until < until) {
            *refused = Some(Refused { strikes, until, prober: None, error });
        } else if let Some(known) = refused.as_mut() {
            known.strikes = known.strikes.max(strikes);
        }
    }

    /// The client was accepted, or is to be tried at once.
    pub(super) fn release(&self) -> bool {
        self.refused().take().is_some()
    }

    fn refused(&self) -> MutexGuard<'_, Option<Refused>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::answer::{Cause, Failure};
    use super::*;

    fn refusal() -> LastError {
        LastError::new(&Failure::new(Cause::Rejected, "no"), SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn probes_grow_rarer_up_to_one_an_hour() {
        let minutes: Vec<u64> = (1..=7).map(|strikes| pause(strikes).as_secs() / 60).collect();
        assert_eq!(minutes, [5, 10, 20, 40, 60, 60, 60]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_source_probes_for_all() {
        let client = Client::default();
        assert!(client.claim(1) && client.claim(2));
        client.refuse(1, refusal());
        client.refuse(2, refusal());
        assert!(!client.claim(1));
        tokio::time::advance(Duration::from_secs(301)).await;
        assert!(client.claim(2));
        assert!(!client.claim(1));
        assert_eq!(client.until(2), None);
        client.refuse(2, refusal());
        tokio::time::advance(Duration::from_secs(599)).await;
        assert!(!client.claim(1));
        assert!(client.release());
        assert!(client.claim(1));
    }
}
