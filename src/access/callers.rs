//! Callers by name: how each proves who it is, and what it may do. What is configured of a key is its hash: who reads
//! the configuration learns no key.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::policy::Policy;
use super::proof::{Presented, presented};
use super::quota::Quota;
use super::{CallerDenial, PeerProof};
use crate::message::Headers;
use crate::scope::Scope;
use crate::secret::Secret;

/// A caller that proves who it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallerConfig {
    /// What it is called.
    pub name: String,
    /// The SHA-256 of its key, in hexadecimal. The key itself is random, of 32 characters or more.
    #[serde(default)]
    pub key_sha256: Option<String>,
    /// A name in its certificate: DNS, URI or e-mail.
    #[serde(default)]
    pub certificate: Option<String>,
    /// Its user, on a Unix socket.
    #[serde(default)]
    pub uid: Option<u32>,
    /// Its group, on a Unix socket.
    #[serde(default)]
    pub gid: Option<u32>,
    /// The scopes that it may use; all when absent.
    #[serde(default)]
    pub scopes: Option<Vec<Scope>>,
    /// Whether it may only look.
    #[serde(default)]
    pub read_only: bool,
    /// What it may do; everything when empty.
    #[serde(default)]
    pub allow: Vec<String>,
    /// What it may not do, whatever `allow` says.
    #[serde(default)]
    pub deny: Vec<String>,
    /// Requests in a second; as many may come at once.
    #[serde(default)]
    pub rate: Option<u32>,
    /// Requests under way.
    #[serde(default)]
    pub concurrency: Option<u32>,
}

/// Shorter keys are refused even when their hash is configured: a hash without a salt hides only what cannot be guessed.
const SHORTEST: usize = 32;

/// All callers that have a name.
#[derive(Clone, Debug, Default)]
pub struct Callers(Vec<Arc<Caller>>);

/// One of them.
pub struct Caller {
    name: String,
    hash: Option<[u8; 32]>,
    certificate: Option<String>,
    uid: Option<u32>,
    gid: Option<u32>,
    policy: Policy,
    pub(super) quota: Quota,
}

/// A mistake: the caller's place in the list, the field, what is wrong.
pub type CallerMistake = (usize, &'static str, &'static str);

impl Callers {
    /// The configured callers, or all that is wrong with them.
    ///
    /// # Errors
    /// When a name, a proof or a rule cannot be used.
    pub fn new(configured: &[CallerConfig]) -> Result<Callers, Vec<CallerMistake>> {
        let mut mistakes = Vec::new();
        let mut callers: Vec<Arc<Caller>> = Vec::new();
        for (at, config) in configured.iter().enumerate() {
            let mut wrong = |field, what| mistakes.push((at, field, what));
            let name = &config.name;
            if name.is_empty() || name.contains(':') || name.chars().any(char::is_control) {
                wrong("name", "is empty, or holds a colon or a control character");
            }
            if callers.iter().any(|other| other.name == *name) {
                wrong("name", "is another caller's too");
            }
            let hash = config.key_sha256.as_deref().map(hash);
            if hash == Some(None) {
                wrong("key_sha256", "is not a SHA-256 in 64 hexadecimal digits");
            }
            let on_socket = config.uid.is_some() || config.gid.is_some();
            if hash.is_none() && config.certificate.is_none() && !on_socket {
                wrong(
                    "name",
                    "has neither key_sha256 nor certificate, uid or gid: nobody could prove to be it",
                );
            }
            for (field, limit) in [("rate", config.rate), ("concurrency", config.concurrency)] {
                if limit == Some(0) {
                    wrong(field, "is 0: no request could ever come in");
                }
            }
            let policy = Policy::new(config).unwrap_or_else(|fields| {
                fields.into_iter().for_each(|(field, what)| wrong(field, what));
                Policy::default()
            });
            callers.push(Arc::new(Caller {
                name: name.clone(),
                hash: hash.flatten(),
                certificate: config.certificate.clone(),
                uid: config.uid,
                gid: config.gid,
                policy,
                quota: Quota::new(config.rate, config.concurrency),
            }));
        }
        if mistakes.is_empty() { Ok(Callers(callers)) } else { Err(mistakes) }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The caller of this name.
    pub fn named(&self, name: &str) -> Option<&Arc<Caller>> {
        self.0.iter().find(|caller| caller.name == name)
    }

    /// Whose certificate or Unix user this is.
    pub fn of_peer(&self, proof: &PeerProof) -> Option<&Arc<Caller>> {
        self.0.iter().find(|caller| caller.is_proved_by(proof))
    }

    /// Whose key a head brings.
    pub fn of_head(&self, headers: &Headers) -> Option<&Arc<Caller>> {
        presented(headers).find_map(|presented| match presented {
            Presented::Key(key) => self.of_key(&key),
            Presented::NameAndKey(name, key) => self.of_key(&key).filter(|caller| caller.name == name),
        })
    }

    /// Whether this caller has this key, and no rules: who is handed a token on is out of reach of all rules.
    pub fn has(&self, name: &str, key: &Secret) -> bool {
        self.name_of(key) == Some(name)
    }

    /// The name of the caller that has this key, and no rules.
    pub fn name_of(&self, key: &Secret) -> Option<&str> {
        self.of_key(key).filter(|caller| caller.policy.is_free()).map(|caller| caller.name())
    }

    /// Compares all of them, in a time that tells nothing.
    fn of_key(&self, key: &Secret) -> Option<&Arc<Caller>> {
        let hash = digest(&SHA256, key.expose().as_bytes());
        let mut found = None;
        for caller in &self.0 {
            let expected = caller.hash.as_ref();
            if expected.is_some_and(|expected| verify_slices_are_equal(hash.as_ref(), expected).is_ok()) {
                found = Some(caller);
            }
        }
        found.filter(|_| key.expose().len() >= SHORTEST)
    }
}

impl Caller {
    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it may make this request: its scope, its method, and its path below the upstream's base.
    ///
    /// # Errors
    /// With the rule that it breaks.
    pub fn may(&self, scope: Scope, method: &str, path: &str) -> Result<(), CallerDenial> {
        let judged = self.policy.judge(scope, method, path);
        judged
            .map_err(|why| CallerDenial::Denied(format!("the caller `{}` may not do this: {why}", self.name)))
    }

    fn is_proved_by(&self, proof: &PeerProof) -> bool {
        match proof {
            PeerProof::Certificate(names) => {
                self.certificate.as_ref().is_some_and(|name| names.contains(name))
            }
            PeerProof::Unix { uid, gid } => {
                (self.uid.is_some() || self.gid.is_some())
                    && self.uid.is_none_or(|own| own == *uid)
                    && self.gid.is_none_or(|own| own == *gid)
            }
        }
    }
}

// Not derived: a hash of a key is nobody's business in a log.
impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
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
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";
    const OTHER: &str = "another-key-of-the-same-length!!";

    fn hash_of(key: &str) -> String {
        digest(&SHA256, key.as_bytes()).as_ref().iter().map(|octet| format!("{octet:02x}")).collect()
    }

    fn keyed(name: &str, key: &str) -> CallerConfig {
        CallerConfig { name: name.to_owned(), key_sha256: Some(hash_of(key)), ..CallerConfig::default() }
    }

    fn found(callers: &Callers, name: http::HeaderName, value: &str) -> Option<String> {
        let mut headers = Headers::default();
        headers.insert(name, value.parse().unwrap());
        callers.of_head(&headers).map(|caller| caller.name().to_owned())
    }

    #[test]
    fn a_key_proves_its_own_caller_in_every_form_that_clients_know() {
        use http::header::{AUTHORIZATION, PROXY_AUTHORIZATION};
        let callers = Callers::new(&[keyed("pods", KEY), keyed("build", OTHER)]).unwrap();
        let basic = |name: &str, key: &str| format!("Basic {}", STANDARD.encode(format!("{name}:{key}")));
        for (name, value, caller) in [
            (AUTHORIZATION, format!("Bearer {KEY}"), Some("pods")),
            (AUTHORIZATION, format!("bearer  {OTHER} "), Some("build")),
            (PROXY_AUTHORIZATION, format!("Bearer {KEY}"), Some("pods")),
            (AUTHORIZATION, basic("pods", KEY), Some("pods")),
            (PROXY_AUTHORIZATION, basic("build", OTHER), Some("build")),
            (AUTHORIZATION, basic("build", KEY), None),
            (AUTHORIZATION, basic("", KEY), None),
            (AUTHORIZATION, "Basic !".to_owned(), None),
            (AUTHORIZATION, KEY.to_owned(), None),
            (AUTHORIZATION, format!("Bearer {}", hash_of(KEY)), None),
            (AUTHORIZATION, format!("Bearer {KEY}x"), None),
            (AUTHORIZATION, "Bearer".to_owned(), None),
        ] {
            assert_eq!(found(&callers, name, &value).as_deref(), caller, "{value}");
        }
        assert!(callers.has("pods", &KEY.into()) && !callers.has("build", &KEY.into()));
        let limited = Callers::new(&[CallerConfig { read_only: true, ..keyed("pods", KEY) }]).unwrap();
        assert!(!limited.has("pods", &KEY.into()), "no token in the hands of one with rules");
    }

    #[test]
    fn a_key_that_could_be_guessed_proves_nothing() {
        let callers = Callers::new(&[keyed("pods", "secret")]).unwrap();
        assert_eq!(callers.name_of(&"secret".into()), None);
    }

    #[test]
    fn a_certificate_or_a_unix_user_proves_its_caller() {
        let caller = |name: &str| CallerConfig { name: name.to_owned(), ..CallerConfig::default() };
        let callers = Callers::new(&[
            CallerConfig { certificate: Some("spiffe://example/worker".to_owned()), ..caller("worker") },
            CallerConfig { uid: Some(7), gid: Some(8), ..caller("both") },
            CallerConfig { gid: Some(8), ..caller("group") },
        ])
        .unwrap();
        let unix = |uid, gid| PeerProof::Unix { uid, gid };
        let names = |name: &str| PeerProof::Certificate(vec!["x".to_owned(), name.to_owned()]);
        for (proof, name) in [
            (names("spiffe://example/worker"), Some("worker")),
            (names("spiffe://example/work"), None),
            (unix(7, 8), Some("both")),
            (unix(9, 8), Some("group")),
            (unix(7, 9), None),
        ] {
            assert_eq!(callers.of_peer(&proof).map(|caller| caller.name()), name, "{proof:?}");
        }
    }

    #[test]
    fn all_mistakes_come_at_once() {
        let mut wrong = [
            keyed("", KEY),
            keyed("a:b", KEY),
            keyed("a", KEY),
            keyed("a", OTHER),
            CallerConfig { name: "b".to_owned(), rate: Some(0), ..CallerConfig::default() },
            CallerConfig { allow: vec!["GET v2".to_owned()], ..keyed("c", KEY) },
        ];
        wrong[0].key_sha256 = Some("abc".to_owned());
        let mistakes = Callers::new(&wrong).unwrap_err();
        let places: Vec<_> = mistakes.into_iter().map(|(at, field, _)| (at, field)).collect();
        assert_eq!(
            places,
            [
                (0, "name"),
                (0, "key_sha256"),
                (1, "name"),
                (3, "name"),
                (4, "name"),
                (4, "rate"),
                (5, "allow")
            ]
        );
    }
}
