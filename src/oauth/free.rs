//! Values that a provider wants and nobody else knows.

use std::path::PathBuf;

use serde::{Deserialize, Serialize, Serializer};

use crate::secret::{REDACTED, Secret};

/// A value as it is, or the file that holds it. It may be a secret.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "a text, or { file = \"…\" }")]
pub enum Free {
    /// The value.
    Text(Secret),
    /// The file; spaces and line ends around the value are cut.
    File {
        /// Its path.
        file: PathBuf,
    },
}

impl Free {
    /// The file, if there is one.
    pub fn file(&self) -> Option<&PathBuf> {
        match self {
            Free::Text(_) => None,
            Free::File { file } => Some(file),
        }
    }
}

impl Serialize for Free {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Free::Text(_) => REDACTED.serialize(serializer),
            Free::File { file } => serializer.collect_map([("file", file)]),
        }
    }
}
