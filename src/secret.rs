//! Secrets: a type that cannot be printed, serialised or compared by accident, and is zeroed when dropped.

use std::fmt;
use std::hash::{Hash, Hasher};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What is shown in a secret's place.
pub const REDACTED: &str = "[redacted]";

/// A client secret or anything else that must not reach a log, an error, a metric or a `Debug`.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// The text itself. Each caller of this is a place to look at in a review.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether both are the same text, found out in a time that tells nothing of either. Never for empty ones.
    pub fn matches(&self, other: &Secret) -> bool {
        let hash = |secret: &Secret| digest(&SHA256, secret.expose().as_bytes());
        verify_slices_are_equal(hash(self).as_ref(), hash(other).as_ref()).is_ok() && !self.is_empty()
    }

    /// Whether the secret is the empty text, which no token endpoint accepts.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(SecretString::from(text))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret(SecretString::from(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// Shows that a secret is set, for fields of a configuration: `#[serde(serialize_with = "redacted")]`.
pub fn redacted<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(|_| REDACTED).serialize(serializer)
}

// Two token requests are the same only when their secrets are; nobody outside measures this comparison.
impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

impl Hash for Secret {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.expose().hash(state);
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        // A number is taken too: a secret of digits alone is a number to TOML when somebody forgot the quotes.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Text {
            Quoted(String),
            Digits(u64),
        }
        match Text::deserialize(deserializer) {
            Ok(Text::Quoted(text)) => Ok(Secret::from(text)),
            Ok(Text::Digits(digits)) => Ok(Secret::from(digits.to_string())),
            // The library's own message would quote the value.
            Err(_) => Err(serde::de::Error::custom("expected a text in quotes")),
        }
    }
}
