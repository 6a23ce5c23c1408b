//! The assertion that a client signs to prove who it is (RFC 7523 §3; OpenID Connect Core 1.0 §9).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::answer::{Cause, Failure};
use super::signing_key::SigningKey;
use crate::secret::Secret;

/// Five minutes: what providers expect, and enough for clocks that differ a little.
const LIFE: Duration = Duration::from_secs(300);

/// What an assertion says.
pub(super) struct Assertion<'a> {
    /// The client, which is the assertion's issuer and its subject.
    pub(super) client_id: &'a str,
    /// The token endpoint, or the name by which its owner wants to be called.
    pub(super) audience: &'a str,
    /// Unlike that of every other assertion: an endpoint takes each once.
    pub(super) jti: &'a str,
    /// The moment it is made, by the endpoint's clock.
    pub(super) now: SystemTime,
}

impl Assertion<'_> {
    /// As it is sent (RFC 7515 §7.1).
    pub(super) fn signed(&self, key: &SigningKey) -> Result<Secret, Failure> {
        let from = self.now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let claims = json!({
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.audience,
            "jti": self.jti,
            "iat": from.as_secs(),
            "nbf": from.as_secs(),
            "exp": (from + LIFE).as_secs(),
        });
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header(key)), part(claims));
        let signature = key
            .sign(signed.as_bytes())
            .ok_or_else(|| Failure::new(Cause::Transient, "the client assertion could not be signed"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)).into())
    }
}

fn header(key: &SigningKey) -> Value {
    let mut header = json!({ "typ": "JWT", "alg": key.algorithm() });
    if let Some(key_id) = key.key_id() {
        header["kid"] = key_id.into();
    }
    if let Some(certificate) = key.certificate() {
        header["x5t"] = certificate.sha1.as_str().into();
        header["x5t#S256"] = certificate.sha256.as_str().into();
    }
    header
}

/// 128 random bits.
pub(super) fn jti() -> Result<String, Failure> {
    let mut bits = [0; 16];
    aws_lc_rs::rand::fill(&mut bits)
        .map_err(|_| Failure::new(Cause::Transient, "the system has no random numbers to give"))?;
    Ok(URL_SAFE_NO_PAD.encode(bits))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
    };

    use super::super::signing_key::tests::signing_key;
    use super::*;
    use crate::certificate::Certificate;
    use crate::key_file;

    const AT: u64 = 1_800_000_000;

    fn assertion() -> Assertion<'static> {
        Assertion {
            client_id: "id",
            audience: "https://login.example/token",
            jti: "once",
            now: UNIX_EPOCH + Duration::from_millis(AT * 1000 + 900),
        }
    }

    /// Header and claims, once the signature has been verified with the public key of `certificate`.
    fn verified(token: &str, certificate: &str, by: &'static dyn VerificationAlgorithm) -> [String; 2] {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let path = format!("{}/tests/keys/{certificate}", env!("CARGO_MANIFEST_DIR"));
        let certificates = key_file::certificates(&std::fs::read(path).unwrap()).unwrap();
        let public_key = Certificate::read(&certificates[0]).unwrap().public_key;
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(by, public_key).verify(signed.as_bytes(), &signature).unwrap();
        let part = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        [part(header), part(claims)]
    }

    #[test]
    fn an_assertion_says_exactly_this() {
        let claims = "{\"aud\":\"https://login.example/token\",\"exp\":1800000300,\"iat\":1800000000,\"iss\":\"id\",\
                      \"jti\":\"once\",\"nbf\":1800000000,\"sub\":\"id\"}";
        let token = assertion().signed(&signing_key("rsa.pem", Some("key 1"))).unwrap();
        let said = verified(token.expose(), "rsa.cert.pem", &RSA_PKCS1_2048_8192_SHA256);
        assert_eq!(said, [r#"{"alg":"RS256","kid":"key 1","typ":"JWT"}"#, claims]);
        let token = assertion().signed(&signing_key("ec.sec1.pem", None)).unwrap();
        let said = verified(token.expose(), "ec.cert.pem", &ECDSA_P256_SHA256_FIXED);
        assert_eq!(said, [r#"{"alg":"ES256","typ":"JWT"}"#, claims]);
    }

    #[test]
    fn a_certificate_is_named_by_both_of_its_thumbprints() {
        let key = signing_key("rsa.p12", None);
        let token = assertion().signed(&key).unwrap();
        let [header, _] = verified(token.expose(), "rsa.cert.pem", &RSA_PKCS1_2048_8192_SHA256);
        let Certificate { sha1, sha256, .. } = key.certificate().unwrap();
        let expected = format!(r#"{{"alg":"RS256","typ":"JWT","x5t":"{sha1}","x5t#S256":"{sha256}"}}"#);
        assert_eq!(header, expected);
    }

    #[test]
    fn no_two_assertions_have_the_same_jti() {
        let seen: std::collections::HashSet<String> = (0..1000).map(|_| jti().unwrap()).collect();
        assert_eq!(seen.len(), 1000);
        assert!(seen.iter().all(|jti| jti.len() == 22));
    }
}
