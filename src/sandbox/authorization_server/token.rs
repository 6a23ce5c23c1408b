//! Tokens: signed JWTs of a real one's size, and the register of those that are valid.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tokio::time::Instant;

/// OAuth's own scope, as the tokens and answers name it.
pub(super) const OAUTH_SCOPE: &str = "6a1d7a4e-sandbox";

/// The service drops its cached copy of a token this long before the end.
const DROPPED: Duration = Duration::from_secs(30);

/// Signs tokens with a key made at start.
pub(super) struct Mint {
    key: EcdsaKeyPair,
    issuer: String,
    started: (Instant, SystemTime),
}

impl Mint {
    pub(super) fn new(issuer: &str) -> Mint {
        let key =
            EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("the system gives randomness");
        Mint { key, issuer: issuer.to_owned(), started: (Instant::now(), SystemTime::now()) }
    }

    /// The tokens' `iss`.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The wall clock at `now`. It follows tokio's clock, so that a test can pause and move it.
    pub(super) fn wall_clock(&self, now: Instant) -> SystemTime {
        let (instant, clock) = self.started;
        clock + now.saturating_duration_since(instant)
    }

    fn sign(&self, client_id: &str, audience: &str, life: Duration, now: Instant) -> String {
        let iat = self.wall_clock(now).duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": "sandbox" });
        let claims = json!({
            "iss": self.issuer,
            "sub": format!("{client_id}@clients"),
            "aud": audience,
            "iat": iat,
            "exp": iat + life.as_secs(),
            "jti": format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..)),
            "azp": client_id,
            "gty": "client-credentials",
            "scope": OAUTH_SCOPE,
            "https://camunda.com/clusterId": OAUTH_SCOPE,
            "https://camunda.com/orgId": "11111111-2222-4333-8444-555555555555",
            // A real token has about a kilobyte, and budgets for header fields are to be tested with that.
            "permissions": PERMISSIONS,
        });
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).expect("a P-256 key signs");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

const PERMISSIONS: [&str; 8] = [
    "cluster:process-definition:read",
    "cluster:process-definition:create",
    "cluster:process-instance:read",
    "cluster:process-instance:create",
    "cluster:user-task:update",
    "cluster:message:publish",
    "cluster:job:activate",
    "cluster:variable:update",
];

/// The tokens that are valid.
#[derive(Default)]
pub(super) struct Registry {
    issued: HashMap<String, Issued>,
    current: HashMap<(String, String), String>,
}

struct Issued {
    audience: String,
    expires_at: Instant,
}

impl Registry {
    /// The token for a client and audience with the time it has left: the current one until 30 s before
    /// its end (to its very end with `again`), else a new one.
    pub(super) fn issue(
        &mut self,
        mint: &Mint,
        client_id: &str,
        audience: &str,
        life: Duration,
        again: bool,
        now: Instant,
    ) -> (String, Duration) {
        let pair = (client_id.to_owned(), audience.to_owned());
        if let Some((token, issued)) =
            self.current.get(&pair).and_then(|token| self.issued.get_key_value(token))
        {
            let left = issued.expires_at.saturating_duration_since(now);
            if left > if again { Duration::ZERO } else { DROPPED } {
                return (token.clone(), left);
            }
        }
        self.issued.retain(|_, issued| issued.expires_at > now);
        let token = mint.sign(client_id, audience, life, now);
        let issued = Issued { audience: audience.to_owned(), expires_at: now + life };
        self.issued.insert(token.clone(), issued);
        self.current.insert(pair, token.clone());
        (token, life)
    }

    /// Makes `other` valid for as long as `token` is.
    pub(super) fn admit(&mut self, other: &str, token: &str, audience: &str) {
        if let Some(expires_at) = self.issued.get(token).map(|issued| issued.expires_at) {
            let issued = Issued { audience: audience.to_owned(), expires_at };
            self.issued.insert(other.to_owned(), issued);
        }
    }

    pub(super) fn holds(&self, token: &str, audience: &str, now: Instant) -> bool {
        self.issued.get(token).is_some_and(|issued| issued.audience == audience && now < issued.expires_at)
    }

    pub(super) fn clear(&mut self) {
        self.issued.clear();
        self.current.clear();
    }
}
