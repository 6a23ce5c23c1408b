//! Which token endpoint belongs to an issuer: its metadata, as they are published (OpenID Connect Discovery 1.0 §4,
//! RFC 8414 §3), and how long they count.
//!
//! What was read once counts until something better is read: an issuer that is out of order stops nobody.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Uri;
use serde::Deserialize;
use tokio::time::Instant;

use super::answer::{Cause, Failure};
use super::endpoint::is_loopback;
use super::request::shown;

/// Providers hardly ever move their token endpoint, and each look is a request.
const FRESH: Duration = Duration::from_secs(6 * 3600);
/// So many failures in a row may mean that the token endpoint has moved.
const FAILURES: u32 = 3;
/// Not looked again sooner than this because of failures.
const BETWEEN_LOOKS: Duration = Duration::from_secs(300);

/// What is known of all issuers.
pub(super) struct Discovery {
    allow_plaintext: bool,
    issuers: Mutex<HashMap<String, Issuer>>,
}

#[derive(Default)]
struct Issuer {
    metadata: Option<Metadata>,
    looked_at: Option<Instant>,
    /// The token endpoint's, since it last answered as one.
    failures: u32,
    /// The log has been told that the metadata cannot be read any more.
    told: bool,
}

/// Where an issuer's token endpoint is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) token_endpoint: String,
    /// The one for connections that show a certificate (RFC 8705 §5), where it is another.
    pub(super) certified: Option<String>,
}

impl Metadata {
    pub(super) fn token_endpoint(&self, shows_certificate: bool) -> &str {
        self.certified.as_ref().filter(|_| shows_certificate).unwrap_or(&self.token_endpoint)
    }
}

impl Discovery {
    pub(super) fn new(allow_plaintext: bool) -> Discovery {
        Discovery { allow_plaintext, issuers: Mutex::default() }
    }

    /// What was read last, however old.
    pub(super) fn known(&self, issuer: &str) -> Option<Metadata> {
        self.issuers().get(issuer)?.metadata.clone()
    }

    /// The same, unless it is time to look again.
    pub(super) fn fresh(&self, issuer: &str) -> Option<Metadata> {
        let issuers = self.issuers();
        let known = issuers.get(issuer)?;
        let age = known.looked_at?.elapsed();
        let doubted = known.failures >= FAILURES && age >= BETWEEN_LOOKS;
        known.metadata.clone().filter(|_| age < FRESH && !doubted)
    }

    /// Takes down the body that was read; the old metadata go on to count when it is of no use.
    pub(super) fn keep(&self, issuer: &str, body: Result<Vec<u8>, Failure>) -> Result<Metadata, Failure> {
        let read = body.and_then(|body| read(&body, issuer, self.allow_plaintext));
        let mut issuers = self.issuers();
        let known = issuers.entry(issuer.to_owned()).or_default();
        known.looked_at = Some(Instant::now());
        known.failures = 0;
        match (read, &known.metadata) {
            (Ok(metadata), before) => {
                if before.as_ref() != Some(&metadata) {
                    tracing::info!(target: "token", issuer, endpoint = shown(&metadata.token_endpoint),
                        "the issuer has told its token endpoint");
                }
                (known.metadata, known.told) = (Some(metadata.clone()), false);
                Ok(metadata)
            }
            (Err(failure), Some(before)) => {
                if !std::mem::replace(&mut known.told, true) {
                    tracing::warn!(target: "token", issuer, "{failure}; the token endpoint that it told before is used");
                }
                Ok(before.clone())
            }
            (Err(failure), None) => Err(failure),
        }
    }

    /// Takes down how a token request went. What is no answer of a token endpoint speaks against the metadata.
    pub(super) fn note(&self, issuer: &str, status: Option<u16>) {
        let answered = matches!(status, Some(200 | 400 | 401 | 403 | 429));
        if let Some(known) = self.issuers().get_mut(issuer) {
            known.failures = if answered { 0 } else { known.failures.saturating_add(1) };
        }
    }

    fn issuers(&self) -> MutexGuard<'_, HashMap<String, Issuer>> {
        self.issuers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the metadata may lie: OpenID Connect's place, then OAuth's own.
pub(super) fn places(issuer: &str) -> [String; 2] {
    let issuer = issuer.trim_end_matches('/');
    let path =
        issuer.parse::<Uri>().map(|uri| uri.path().trim_end_matches('/').to_owned()).unwrap_or_default();
    let origin = issuer.strip_suffix(&path).unwrap_or(issuer);
    [
        format!("{issuer}/.well-known/openid-configuration"),
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
    ]
}

#[derive(Deserialize)]
struct Document {
    issuer: Option<String>,
    token_endpoint: Option<String>,
    #[serde(default)]
    mtls_endpoint_aliases: Aliases,
}

#[derive(Default, Deserialize)]
struct Aliases {
    token_endpoint: Option<String>,
}

pub(super) fn read(body: &[u8], issuer: &str, allow_plaintext: bool) -> Result<Metadata, Failure> {
    let malformed = |what: String| Failure::new(Cause::Malformed, format!("the issuer's metadata {what}"));
    let document: Document = serde_json::from_slice(body)
        .map_err(|_| malformed("are not what they should be: no JSON object".into()))?;
    // A document of somebody else's would send the secret there (RFC 8414 §3.3).
    if document.issuer.as_deref() != Some(issuer) {
        let other = document.issuer.unwrap_or_else(|| "nobody".to_owned());
        let other: String = other.chars().filter(|c| !c.is_control()).take(100).collect();
        return Err(malformed(format!("are {other}'s; write that as oauth.issuer if it is meant")));
    }
    let sound = |url: &String| {
        let parsed = url.parse::<Uri>().ok();
        let scheme = parsed.as_ref().and_then(|uri| uri.scheme_str()).unwrap_or_default();
        match scheme {
            "https" => Ok(()),
            "http" if allow_plaintext || is_loopback(url) => Ok(()),
            "http" => Err(malformed(
                "name a token endpoint in plaintext; set oauth.allow_plaintext = true to use it".into(),
            )),
            _ => Err(malformed("name a token endpoint that is no URL".into())),
        }
    };
    let token_endpoint = document.token_endpoint.ok_or_else(|| malformed("name no token endpoint".into()))?;
    let certified = document.mtls_endpoint_aliases.token_endpoint;
    [Some(&token_endpoint), certified.as_ref()].into_iter().flatten().try_for_each(sound)?;
    Ok(Metadata { token_endpoint, certified })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://login.example/realms/x";

    fn body(endpoint: &str) -> Result<Vec<u8>, Failure> {
        Ok(format!(r#"{{"issuer":"{ISSUER}","token_endpoint":"{endpoint}"}}"#).into_bytes())
    }

    #[test]
    fn metadata_lie_in_two_places() {
        let [first, second] = places(ISSUER);
        assert_eq!(first, "https://login.example/realms/x/.well-known/openid-configuration");
        assert_eq!(second, "https://login.example/.well-known/oauth-authorization-server/realms/x");
        let [first, second] = places("https://login.example/");
        assert_eq!(first, "https://login.example/.well-known/openid-configuration");
        assert_eq!(second, "https://login.example/.well-known/oauth-authorization-server");
    }

    #[test]
    fn metadata_of_somebody_else_or_in_plaintext_are_refused() {
        let refused = |body: &str, what: &str| {
            let failure = read(body.as_bytes(), ISSUER, false).unwrap_err();
            assert!(failure.cause == Cause::Malformed && failure.detail.contains(what), "{failure}");
        };
        let with = |rest: &str| format!(r#"{{"issuer":"{ISSUER}"{rest}}}"#);
        refused("<html>", "no JSON object");
        refused(r#"{"token_endpoint":"https://login.example/token"}"#, "are nobody's");
        refused(&with("").replace("/x", "/x/"), "are https://login.example/realms/x/'s");
        refused(&with(""), "name no token endpoint");
        refused(&with(r#","token_endpoint":"http://login.example/t""#), "in plaintext");
        refused(&with(r#","token_endpoint":"login.example/t""#), "no URL");
        let alias =
            r#","token_endpoint":"https://a/t","mtls_endpoint_aliases":{"token_endpoint":"http://b/t"}"#;
        refused(&with(alias), "in plaintext");
        let alias = with(&alias.replace("http:", "https:"));
        let metadata = read(alias.as_bytes(), ISSUER, false).unwrap();
        assert_eq!(metadata.token_endpoint(false), "https://a/t");
        assert_eq!(metadata.token_endpoint(true), "https://b/t");
        let near = with(r#","token_endpoint":"http://127.0.0.1:1/t""#);
        assert!(read(near.as_bytes(), ISSUER, false).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_read_counts_until_something_better_is_read() {
        let discovery = Discovery::new(false);
        let failure = || Err(Failure::new(Cause::Transient, "the issuer cannot be reached"));
        assert!(discovery.keep(ISSUER, failure()).is_err() && discovery.fresh(ISSUER).is_none());
        let old = discovery.keep(ISSUER, body("https://login.example/old")).unwrap();
        assert_eq!(discovery.fresh(ISSUER).as_ref(), Some(&old));
        // Refusals are answers; whatever else comes may mean that it has moved, and is looked into now and then.
        for _ in 0..9 {
            discovery.note(ISSUER, Some(401));
        }
        tokio::time::advance(BETWEEN_LOOKS).await;
        assert!(discovery.fresh(ISSUER).is_some());
        for status in [None, Some(404), Some(502)] {
            discovery.note(ISSUER, status);
        }
        assert!(discovery.fresh(ISSUER).is_none());
        assert_eq!(discovery.keep(ISSUER, failure()).unwrap(), old);
        assert!(discovery.fresh(ISSUER).is_some(), "not looked into again at once");
        tokio::time::advance(FRESH).await;
        assert!(discovery.fresh(ISSUER).is_none());
        let new = discovery.keep(ISSUER, body("https://login.example/new")).unwrap();
        assert_eq!(discovery.known(ISSUER), Some(new));
    }
}
