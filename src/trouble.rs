//! Something that goes wrong again and again is told twice: when it begins and when it is over. Near a limit every one
//! that ends lets one in and keeps the next one out.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Trouble that did not come back for this long is over.
const CALM: Duration = Duration::from_secs(10);

/// One kind of trouble.
#[derive(Debug, Default)]
pub struct Trouble(Mutex<Option<Instant>>);

impl Trouble {
    /// It happened. True when it had not for a while.
    pub fn begins(&self) -> bool {
        self.last().replace(Instant::now()).is_none()
    }

    /// Whether it is over; true once each time.
    pub fn is_over(&self) -> bool {
        self.last().take_if(|last| last.elapsed() > CALM).is_some()
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_begins_once_and_is_over_once_however_often_it_happens() {
        let trouble = Trouble::default();
        assert!(!trouble.is_over());
        for _ in 0..2 {
            assert!(trouble.begins());
            for _ in 0..50 {
                assert!(!trouble.begins() && !trouble.is_over());
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            tokio::time::sleep(CALM).await;
            assert!(trouble.is_over() && !trouble.is_over());
        }
    }
}
