//! Stopping: first a drain, then the end.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// How to stop.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long requests in flight may go on after the signal to stop; connections are cut then.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config { timeout: Duration::from_secs(30) }
    }
}

/// How far the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Serving.
    Running,
    /// No new connections; what is under way goes on.
    Draining,
    /// Everything ends now.
    Stopping,
}

/// Tells everybody.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Sender<Phase>);

impl Default for Shutdown {
    fn default() -> Shutdown {
        Shutdown(watch::Sender::new(Phase::Running))
    }
}

impl Shutdown {
    /// Goes on to `phase`; never back.
    pub fn advance(&self, phase: Phase) {
        self.0.send_if_modified(|now| {
            let later = phase > *now;
            *now = phase.max(*now);
            later
        });
    }

    /// How far it is now.
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Waits until `phase` or a later one is reached.
    pub async fn reached(&self, phase: Phase) {
        // The sender lives in `self`, so that this cannot fail before it is reached.
        let _ = self.0.subscribe().wait_for(|now| *now >= phase).await;
    }
}
