//! Client assertions as a strict provider reads them (RFC 7523 §3).

use std::collections::HashSet;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::certificate::Certificate;

/// The assertions that have been used.
#[derive(Default)]
pub(super) struct Assertions {
    used: HashSet<String>,
}

/// Used assertions remembered; all are forgotten beyond, so that a scan cannot fill the memory.
const REMEMBERED: usize = 100_000;

/// An assertion that is made for longer is not for one request.
const LONGEST: u64 = 3600;

/// By how many seconds the client's clock may be ahead.
const TOLERANCE: u64 = 10;

impl Assertions {
    /// Whether this assertion proves that the client sent it who holds the certificate's key; else why not.
    pub(super) fn accept(
        &mut self,
        assertion: &str,
        client_id: &str,
        certificate: &Certificate,
        audiences: [&str; 2],
        now: u64,
    ) -> Result<(), &'static str> {
        let (signed, signature) = assertion.rsplit_once('.').ok_or("not a JWT")?;
        let (header, claims) = signed.split_once('.').ok_or("not a JWT")?;
        let (header, claims) = (part(header).ok_or("not a JWT")?, part(claims).ok_or("not a JWT")?);
        for (name, thumbprint) in [("x5t", &certificate.sha1), ("x5t#S256", &certificate.sha256)] {
            if header.get(name).is_some_and(|named| named != thumbprint.as_str()) {
                return Err("unknown certificate");
            }
        }
        let algorithm: &dyn VerificationAlgorithm = match header["alg"].as_str() {
            Some("RS256") => &RSA_PKCS1_2048_8192_SHA256,
            Some("ES256") => &ECDSA_P256_SHA256_FIXED,
            _ => return Err("unknown algorithm"),
        };
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| "not a JWT")?;
        UnparsedPublicKey::new(algorithm, &certificate.public_key)
            .verify(signed.as_bytes(), &signature)
            .map_err(|_| "wrong signature")?;
        let time = |name: &str| claims[name].as_u64();
        let text = |name: &str| claims[name].as_str().unwrap_or_default();
        match (time("exp"), time("iat")) {
            _ if text("iss") != client_id || text("sub") != client_id => Err("wrong issuer or subject"),
            _ if !audiences.contains(&text("aud")) => Err("wrong audience"),
            (Some(exp), _) if exp <= now => Err("expired"),
            (Some(exp), _) if exp > now + LONGEST => Err("valid for too long"),
            (None, _) | (_, None) => Err("no exp or iat"),
            (_, Some(iat)) if iat > now + TOLERANCE => Err("from the future"),
            _ if text("jti").is_empty() => Err("no jti"),
            _ if !self.first_use(text("jti")) => Err("used before"),
            _ => Ok(()),
        }
    }

    fn first_use(&mut self, jti: &str) -> bool {
        if self.used.len() >= REMEMBERED {
            self.used.clear();
        }
        self.used.insert(jti.to_owned())
    }
}

fn part(text: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok().filter(Value::is_object)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    use serde_json::json;

    use super::*;
    use crate::key_file;

    const NOW: u64 = 1_800_000_000;

    fn certificate(pem: &[u8]) -> Certificate {
        Certificate::read(&key_file::certificates(pem).expect("certificates")[0]).expect("a certificate")
    }

    fn ec() -> Certificate {
        certificate(include_bytes!("../../../tests/keys/ec.cert.pem"))
    }

    /// Signed with the key of [`ec`]; `change` makes it wrong.
    fn assertion(change: impl FnOnce(&mut Value, &mut Value)) -> String {
        let file = key_file::KeyFile::parse(include_bytes!("../../../tests/keys/ec.pem"), None, None);
        let file = file.expect("a key");
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, file.key.secret_der());
        let mut header = json!({ "alg": "ES256", "typ": "JWT" });
        let mut claims = json!({
            "iss": "client", "sub": "client", "aud": "token", "exp": NOW + 300, "iat": NOW, "jti": "1",
        });
        change(&mut header, &mut claims);
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = key.expect("P-256").sign(&SystemRandom::new(), signed.as_bytes()).expect("signed");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn accept(assertion: &str, certificate: &Certificate) -> Result<(), &'static str> {
        Assertions::default().accept(assertion, "client", certificate, ["issuer", "token"], NOW)
    }

    #[test]
    fn a_right_assertion_is_taken_once() {
        let mut assertions = Assertions::default();
        let right = assertion(|_, _| ());
        let mut accept = || assertions.accept(&right, "client", &ec(), ["issuer", "token"], NOW);
        assert_eq!((accept(), accept()), (Ok(()), Err("used before")));
        assert_eq!(
            super::tests::accept(&assertion(|_, claims| claims["aud"] = "issuer".into()), &ec()),
            Ok(())
        );
    }

    #[test]
    fn a_wrong_assertion_is_refused_and_why_is_told() {
        let claim = |name: &str, value: Value| assertion(|_, claims| claims[name] = value);
        for (assertion, why) in [
            ("one.two".to_owned(), "not a JWT"),
            (assertion(|header, _| header["alg"] = "none".into()), "unknown algorithm"),
            (assertion(|header, _| header["x5t"] = "AAAA".into()), "unknown certificate"),
            (claim("iss", "other".into()), "wrong issuer or subject"),
            (claim("sub", "other".into()), "wrong issuer or subject"),
            (claim("aud", "other".into()), "wrong audience"),
            (claim("exp", NOW.into()), "expired"),
            (claim("exp", (NOW + 86_400).into()), "valid for too long"),
            (claim("exp", Value::Null), "no exp or iat"),
            (claim("iat", (NOW + 11).into()), "from the future"),
            (claim("jti", "".into()), "no jti"),
        ] {
            assert_eq!(accept(&assertion, &ec()), Err(why));
        }
        let other = certificate(include_bytes!("../../../tests/keys/rsa.cert.pem"));
        assert_eq!(accept(&assertion(|_, _| ()), &other), Err("wrong signature"));
        let right = assertion(|_, _| ());
        let (signed, signature) = right.rsplit_once('.').expect("parts");
        let flipped = if signature.starts_with('A') { "B" } else { "A" };
        assert_eq!(accept(&format!("{signed}.{flipped}{}", &signature[1..]), &ec()), Err("wrong signature"));
    }
}
