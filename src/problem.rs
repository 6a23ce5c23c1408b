//! A mistake in the configuration or the credentials: where it is and what to do about it.

use std::fmt;

use serde::Serialize;

/// One mistake. It never holds a configured value, because any value may be a misplaced secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The key, as it is written at its origin. Empty when no single key is meant.
    pub key: String,
    /// File with line and column, variable or flag.
    pub origin: String,
    /// What is wrong: a fact, in lower case.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl Problem {
    /// A mistake at a key.
    pub fn new(
        key: impl Into<String>,
        origin: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Problem {
        Problem { key: key.into(), origin: origin.into(), message: message.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.key.as_str(), self.origin.as_str()) {
            ("", "") => {}
            ("", origin) => write!(f, "{origin}: ")?,
            (key, "") => write!(f, "{key}: ")?,
            (key, origin) => write!(f, "{key} ({origin}): ")?,
        }
        f.write_str(&self.message)?;
        match self.remedy.as_str() {
            "" => Ok(()),
            remedy => write!(f, "; {remedy}"),
        }
    }
}

/// The candidate that `name` was probably meant to be.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_a_sentence() {
        let problem = Problem::new("workers", "proxy.toml:3:8", "expected a number", "write 4");
        assert_eq!(problem.to_string(), "workers (proxy.toml:3:8): expected a number; write 4");
    }

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_nonsense_is_not() {
        assert_eq!(did_you_mean("wrokers", ["workers", "listen"]), Some("workers"));
        assert_eq!(did_you_mean("banana", ["workers", "listen"]), None);
    }
}
