//! A private key that signs assertions: RS256 or ES256 (RFC 7518 §3), as its type is.

use std::fmt;
use std::hash::{Hash, Hasher};

use aws_lc_rs::digest::{self, SHA256};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256};
use rustls::pki_types::PrivateKeyDer;

use crate::certificate::Certificate;
use crate::key_file::KeyFile;
use crate::secret::Secret;

/// A key with the names that the token endpoint knows it by.
pub struct SigningKey {
    pair: Pair,
    key_id: Option<String>,
    audience: Option<String>,
    certificate: Option<Certificate>,
    secret_digest: Secret,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
}

impl SigningKey {
    /// Takes a file's key and the first of its certificates. `key_id` becomes the assertions' `kid`; `audience` their
    /// `aud`, in place of the token endpoint's URL.
    ///
    /// # Errors
    /// When the key is of another type, too short, or not the certificate's.
    pub fn new(
        file: &KeyFile,
        key_id: Option<String>,
        audience: Option<String>,
    ) -> Result<SigningKey, KeyError> {
        let pair = pair(&file.key)?;
        let certificate = match file.certificates.first() {
            Some(der) => Some(Certificate::read(der).ok_or(KeyError::Certificate)?),
            None => None,
        };
        if certificate.as_ref().is_some_and(|certificate| certificate.public_key != pair.public_key()) {
            return Err(KeyError::Mismatch);
        }
        Ok(SigningKey { pair, key_id, audience, certificate, secret_digest: secret_digest(&file.key) })
    }

    /// The signature's algorithm as JOSE names it.
    pub fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::P256(_) => "ES256",
        }
    }

    /// The assertions' `kid`.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The certificate that the assertions name.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }

    /// A digest of the private key: what only this client has, and as secret as the key.
    pub fn secret_digest(&self) -> &Secret {
        &self.secret_digest
    }

    pub(super) fn audience(&self) -> Option<&str> {
        self.audience.as_deref()
    }

    /// As JOSE wants it: for ES256 both numbers, one behind the other (RFC 7518 §3.4).
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).ok()?;
                Some(signature)
            }
            Pair::P256(pair) => Some(pair.sign(&random, message).ok()?.as_ref().to_vec()),
        }
    }

    fn identity(&self) -> (&[u8], &Option<String>, &Option<String>, &Option<Certificate>) {
        (self.pair.public_key(), &self.key_id, &self.audience, &self.certificate)
    }
}

impl Pair {
    fn public_key(&self) -> &[u8] {
        match self {
            Pair::Rsa(pair) => pair.public_key().as_ref(),
            Pair::P256(pair) => pair.public_key().as_ref(),
        }
    }
}

/// A digest of a private key, as a text.
pub(super) fn secret_digest(key: &PrivateKeyDer<'_>) -> Secret {
    use base64::Engine;
    let digest = digest::digest(&SHA256, key.secret_der());
    base64::engine::general_purpose::STANDARD_NO_PAD.encode(digest).into()
}

fn pair(key: &PrivateKeyDer<'_>) -> Result<Pair, KeyError> {
    let rsa = match key {
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        key => RsaKeyPair::from_pkcs8(key.secret_der()),
    };
    match rsa {
        Ok(pair) => return Ok(Pair::Rsa(pair)),
        Err(error) if error.description_() == "TooSmall" => return Err(KeyError::Short),
        Err(_) => {}
    }
    let p256 = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, key.secret_der());
    p256.map(Pair::P256).map_err(|_| KeyError::Type)
}

// A private key is known by its public one.
impl PartialEq for SigningKey {
    fn eq(&self, other: &SigningKey) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for SigningKey {}

impl Hash for SigningKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = self.certificate.as_ref().map(|certificate| &certificate.subject);
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm())
            .field("key_id", &self.key_id)
            .field("certificate", &subject)
            .finish_non_exhaustive()
    }
}

/// Why a private key is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// Its type or curve signs nothing here.
    Type,
    /// It is an RSA key of fewer than 2048 bits.
    Short,
    /// The certificate beside it cannot be read.
    Certificate,
    /// There is no certificate where one is needed.
    NoCertificate,
    /// The certificate belongs to another key.
    Mismatch,
}

impl KeyError {
    /// What is wrong with a key that nothing can be done with.
    pub(super) fn of(key: &PrivateKeyDer<'_>) -> KeyError {
        pair(key).err().unwrap_or(KeyError::Type)
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyError::Type => "the key is of a type or on a curve that is not used here",
            KeyError::Short => "the RSA key has fewer than 2048 bits",
            KeyError::Certificate => "the certificate cannot be read",
            KeyError::NoCertificate => "there is no certificate for the key",
            KeyError::Mismatch => "the certificate belongs to another key",
        })
    }
}

impl std::error::Error for KeyError {}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::key_file;

    pub(crate) fn key_file(name: &str) -> KeyFile {
        let path = format!("{}/tests/keys/{name}", env!("CARGO_MANIFEST_DIR"));
        KeyFile::parse(&std::fs::read(path).unwrap(), Some(&"canary-password".into()), None).unwrap()
    }

    pub(crate) fn signing_key(name: &str, key_id: Option<&str>) -> SigningKey {
        SigningKey::new(&key_file(name), key_id.map(str::to_owned), None).unwrap()
    }

    #[test]
    fn a_key_is_the_same_in_every_form_and_another_with_another_name() {
        let one = signing_key("rsa.pem", None);
        for name in ["rsa.pkcs1.pem", "rsa.encrypted.pem", "rsa.no-cert.p12"] {
            assert_eq!(signing_key(name, None), one, "{name}");
        }
        assert_eq!(signing_key("ec.pem", None), signing_key("ec.sec1.pem", None));
        let others =
            [signing_key("ec.pem", None), signing_key("rsa.pem", Some("a")), signing_key("rsa.p12", None)];
        for other in others {
            assert_ne!(other, one);
        }
    }

    #[test]
    fn keys_that_sign_nothing_are_refused() {
        for (name, error) in
            [("ed25519.pem", KeyError::Type), ("p384.pem", KeyError::Type), ("rsa1024.pem", KeyError::Short)]
        {
            assert_eq!(SigningKey::new(&key_file(name), None, None).unwrap_err(), error, "{name}");
        }
    }

    #[test]
    fn a_certificate_of_another_key_is_refused() {
        let certificates = key_file::certificates(include_bytes!("../../tests/keys/ec.cert.pem")).unwrap();
        for name in ["rsa.pem", "rsa.p12"] {
            let file = KeyFile { certificates: certificates.clone(), ..key_file(name) };
            assert_eq!(SigningKey::new(&file, None, None).unwrap_err(), KeyError::Mismatch, "{name}");
        }
        let broken = KeyFile { certificates: vec![vec![0x30].into()], ..key_file("rsa.pem") };
        assert_eq!(SigningKey::new(&broken, None, None).unwrap_err(), KeyError::Certificate);
    }

    #[test]
    fn nothing_of_the_key_is_shown() {
        let shown = format!("{:?}", signing_key("rsa.p12", Some("key")));
        let expected = "SigningKey { algorithm: \"RS256\", key_id: Some(\"key\"), \
                        certificate: Some(\"O=Example, CN=rsa client\"), .. }";
        assert_eq!(shown, expected);
    }
}
