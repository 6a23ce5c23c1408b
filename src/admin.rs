//! The admin address: probes, metrics and status.

use serde::{Deserialize, Serialize};

use crate::address::Address;

/// Where the admin address is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where probes, metrics and status are served.
    pub address: Address,
}

impl Default for Config {
    fn default() -> Config {
        Config { address: Address::Tcp(([127, 0, 0, 1], 9600).into()) }
    }
}
