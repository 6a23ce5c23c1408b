//! Callers with a key of their own. What is configured is the key's hash: who reads the configuration learns no key.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// A caller that proves who it is with a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallerConfig {
    /// What it is called.
    pub name: String,
    /// The SHA-256 of its key, in hexadecimal. The key itself is random, of 32 characters or more.
    pub key_sha256: String,
}

/// Shorter keys are refused even when their hash is configured: a hash without a salt hides only what cannot be guessed.
const SHORTEST: usize = 32;

/// All callers that have a key.
#[derive(Clone, Default)]
pub struct Callers(Vec<(String, [u8; 32])>);

impl Callers {
    /// The configured callers. All mistakes come at once: the caller's place in the list, the field, what is wrong.
    ///
    /// # Errors
    /// When a name or a hash cannot be used.
    pub fn new(configured: &[CallerConfig]) -> Result<Callers, Vec<(usize, &'static str, &'static str)>> {
        let mut mistakes = Vec::new();
        let mut callers: Vec<(String, [u8; 32])> = Vec::new();
        for (at, CallerConfig { name, key_sha256 }) in configured.iter().enumerate() {
            if name.is_empty() || name.contains(':') || name.chars().any(char::is_control) {
                mistakes.push((at, "name", "is empty, or holds a colon or a control character"));
            }
            if callers.iter().any(|(other, _)| other == name) {
                mistakes.push((at, "name", "is another caller's too"));
            }
            let hash = hash(key_sha256);
            if hash.is_none() {
                mistakes.push((at, "key_sha256", "is not a SHA-256 in 64 hexadecimal digits"));
            }
            callers.push((name.clone(), hash.unwrap_or_default()));
        }
        if mistakes.is_empty() { Ok(Callers(callers)) } else { Err(mistakes) }
    }

    /// Whether this caller has this key.
    pub fn has(&self, name: &str, key: &Secret) -> bool {
        self.name_of(key) == Some(name)
    }

    /// The caller that has this key. Compares all of them in a time that tells nothing.
    pub fn name_of(&self, key: &Secret) -> Option<&str> {
        let hash = digest(&SHA256, key.expose().as_bytes());
        let mut found = None;
        for (name, expected) in &self.0 {
            if verify_slices_are_equal(hash.as_ref(), expected).is_ok() {
                found = Some(name.as_str());
            }
        }
        found.filter(|_| key.expose().len() >= SHORTEST)
    }
}

impl fmt::Debug for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

fn hash(hexadecimal: &str) -> Option<[u8; 32]> {
    let digits = hexadecimal.trim().as_bytes();
    let digit = |octet: u8| (octet as char).to_digit(16);
    let mut hash = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (octet, pair) in hash.iter_mut().zip(digits.chunks(2)) {
        *octet = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "3eb0e3ff8ca3bb1d4cf2e5d1bdb1e1a1d6e0c1ae2ba5ea2ea5e0f0d0e0d0c0b0";

    fn caller(name: &str, key_sha256: &str) -> CallerConfig {
        CallerConfig { name: name.to_owned(), key_sha256: key_sha256.to_owned() }
    }

    fn hash_of(key: &str) -> String {
        digest(&SHA256, key.as_bytes()).as_ref().iter().map(|octet| format!("{octet:02x}")).collect()
    }

    #[test]
    fn a_key_proves_its_own_caller_alone() {
        let (one, other) = ("0123456789abcdef0123456789abcdef", "another-key-of-the-same-length!!");
        let callers =
            Callers::new(&[caller("pods", &hash_of(one)), caller("build", &hash_of(other).to_uppercase())])
                .unwrap();
        assert!(callers.has("pods", &one.into()) && callers.has("build", &other.into()));
        assert!(!callers.has("build", &one.into()) && !callers.has("", &one.into()));
        assert_eq!(callers.name_of(&one.into()), Some("pods"));
        assert_eq!(callers.name_of(&hash_of(one).as_str().into()), None, "the hash is no key");
    }

    #[test]
    fn a_key_that_could_be_guessed_proves_nothing() {
        let callers = Callers::new(&[caller("pods", &hash_of("secret"))]).unwrap();
        assert_eq!(callers.name_of(&"secret".into()), None);
    }

    #[test]
    fn all_mistakes_come_at_once() {
        let mistakes =
            Callers::new(&[caller("", "abc"), caller("a:b", HASH), caller("a", HASH), caller("a", "é")]);
        let places: Vec<_> = mistakes.unwrap_err().into_iter().map(|(at, field, _)| (at, field)).collect();
        assert_eq!(places, [(0, "name"), (0, "key_sha256"), (1, "name"), (3, "name"), (3, "key_sha256")]);
    }
}
