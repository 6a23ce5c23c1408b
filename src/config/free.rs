//! Free parameters and header fields of token requests: from the keys of `[oauth]` to what can be sent.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};

use crate::oauth::{Config, Free};
use crate::problem::Problem;
use crate::secret::Secret;

use super::merge;

/// Fields that the connection needs as they are, and one that would have the answer compressed.
const REFUSED: [&str; 12] = [
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Parameters and header fields, names in lower case.
pub(super) type Pairs = BTreeMap<String, Secret>;

/// Reads both, or says all that is wrong with them.
pub(super) fn read(
    config: &Config,
    origin: &impl Fn(&str) -> String,
) -> Result<(Pairs, Pairs), Vec<Problem>> {
    let mut problems = Vec::new();
    let parameters = pairs("oauth.parameters", &config.parameters, origin, &mut problems, |name, value| {
        let mut characters = name.chars().chain(value.chars());
        let unfit = name.is_empty() || characters.any(char::is_control);
        unfit.then_some("it has no name, or holds a control character")
    });
    let headers = pairs("oauth.headers", &config.headers, origin, &mut problems, |name, value| {
        match HeaderName::try_from(name) {
            Err(_) => Some("no header field has such a name"),
            Ok(name) if REFUSED.contains(&name.as_str()) => {
                Some("this header field is made by the connection")
            }
            Ok(_) => HeaderValue::from_str(value)
                .err()
                .map(|_| "it holds characters that no header field may have"),
        }
    });
    let headers = headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    if problems.is_empty() { Ok((parameters, headers)) } else { Err(problems) }
}

fn pairs(
    table: &str,
    values: &BTreeMap<String, Free>,
    origin: &impl Fn(&str) -> String,
    problems: &mut Vec<Problem>,
    wrong: impl Fn(&str, &str) -> Option<&'static str>,
) -> Pairs {
    let mut pairs = Pairs::new();
    for (name, value) in values {
        let key = format!("{table}.{name}");
        let read = match value {
            Free::Text(text) => Ok(text.clone()),
            Free::File { file } => merge::secret_of(file, &key, "the value", origin),
        };
        let read = read.and_then(|value| match wrong(name, value.expose()) {
            Some(what) => Err(Problem::new(key.clone(), origin(&key), what, "mend it, or take it out")),
            None => Ok(value),
        });
        match read {
            Ok(value) => _ = pairs.insert(name.clone(), value),
            Err(problem) => problems.push(problem),
        }
    }
    pairs
}

/// The files that hold one value each.
pub(super) fn files(config: &Config) -> impl Iterator<Item = &std::path::PathBuf> {
    config.parameters.values().chain(config.headers.values()).filter_map(Free::file)
}
