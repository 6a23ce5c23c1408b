//! Stopping: the drain's configuration and the signal that tells everybody.

use std::time::Duration;

use serde::{Deserialize, Serialize};

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
