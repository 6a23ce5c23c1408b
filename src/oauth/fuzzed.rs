//! Any answer of a token endpoint, and any metadata of an issuer.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::answer::{Answer, Cause, Failure};
use super::{discovery, life};

const ISSUER: &str = "https://login.example/realms/x";

/// In the first line the status, then fields up to an empty line, then the body.
///
/// What is taken for a token fits its header and lives as long as tokens may; what is not is told in words of our own.
pub(crate) fn token(octets: &[u8]) {
    let (head, body) = match octets.windows(2).position(|end| end == b"\n\n") {
        Some(at) => (&octets[..at], &octets[at + 2..]),
        None => (octets, &b""[..]),
    };
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let Some(Ok(status)) = lines.next().map(str::parse) else { return };
    let headers = crate::guises::fields(lines).into();
    let answer = Answer { status, headers, body: Bytes::copy_from_slice(body) };
    let wall = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    match granted(&answer, wall) {
        Ok(life) => {
            assert_eq!(status, 200, "only 200 brings a token");
            assert!(life.left >= Duration::from_secs(1) && life.left <= Duration::from_secs(7 * 24 * 3600));
            assert!(life.held <= Duration::from_secs(300));
            assert!(life::margin(life.left) < life.left && life::renewal(life.left) < life.left);
            assert!(life::rearm(life.left) >= Duration::from_secs(1));
            assert!(life.since(Duration::from_secs(1000)).left >= Duration::from_secs(1));
        }
        Err(failure) => is_told(&failure, status),
    }
    of_issuer(body);
}

fn granted(answer: &Answer, wall: SystemTime) -> Result<life::Life, Failure> {
    let grant = answer.read(wall)?;
    let token = grant.authorization.to_str().expect("text").strip_prefix("Bearer ").expect("a bearer token");
    assert!(!token.is_empty() && token.bytes().all(|octet| octet.is_ascii_graphic()));
    assert!(grant.authorization.is_sensitive());
    assert!(!format!("{answer:?}").contains(token) || token.len() < 12);
    life::of(&grant, wall)
}

/// Our own words have no capital letters and no digits but the status's, so that whatever else is in them is quoted.
fn is_told(failure: &Failure, status: u16) {
    let code = failure.code.as_deref().unwrap_or_default();
    assert!(code.len() <= 40 && code.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'_'));
    let own = failure.detail.replacen(&status.to_string(), "", 1).replace("JSON", "").replace(code, "");
    let is_own = |letter: char| letter.is_ascii_lowercase() || " '_:(),".contains(letter);
    assert!(own.chars().all(is_own), "{own:?} quotes something");
    let seconds = failure.retry_after.unwrap_or(Duration::from_secs(1)).as_secs();
    assert!((1..=3600).contains(&seconds));
    assert!(failure.retry_after.is_none() || matches!(status, 429 | 503));
    let rejected = matches!(status, 400 | 401 | 403);
    assert_eq!(rejected, failure.cause == Cause::Rejected, "only a refusal is one");
}

/// A secret goes to no endpoint that the issuer did not name, nor in plaintext over a network.
fn of_issuer(body: &[u8]) {
    match discovery::read(body, ISSUER, false) {
        Ok(metadata) => {
            // What is of no use may be no text, and is skipped.
            if let Ok(document) = serde_json::from_slice::<serde_json::Value>(body) {
                assert_eq!(document["issuer"], ISSUER);
            }
            for endpoint in
                [Some(&metadata.token_endpoint), metadata.certified.as_ref()].into_iter().flatten()
            {
                // As the client that is to ask it reads it.
                let Ok(url) = reqwest::Url::parse(endpoint) else { continue };
                let name = url.host_str().unwrap_or_default().trim_end_matches('.').trim_matches(['[', ']']);
                let ip = name.parse::<IpAddr>().map(|ip| ip.to_canonical());
                let local = ip.map_or(name.ends_with("localhost"), |ip| ip.is_loopback());
                assert!(url.scheme() == "https" || url.scheme() == "http" && local, "{endpoint}");
            }
        }
        Err(failure) => {
            assert_eq!(failure.cause, Cause::Malformed);
            assert!(!failure.detail.contains(char::is_control) && failure.detail.chars().count() < 250);
        }
    }
}
