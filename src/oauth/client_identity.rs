//! A client certificate with its key, as a connection to the token endpoint shows it (RFC 8705 §2).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::signing_key::{KeyError, secret_digest};
use crate::certificate::Certificate;
use crate::key_file::KeyFile;
use crate::secret::Secret;

/// A certificate, its authorities' and its key.
pub struct ClientIdentity {
    certified: Arc<CertifiedKey>,
    certificate: Certificate,
    secret_digest: Secret,
}

impl ClientIdentity {
    /// Takes a file's key and certificates.
    ///
    /// # Errors
    /// When there is no certificate, or the key is of no use to TLS or not the certificate's.
    pub fn new(file: &KeyFile) -> Result<ClientIdentity, KeyError> {
        let first = file.certificates.first().ok_or(KeyError::NoCertificate)?;
        let certificate = Certificate::read(first).ok_or(KeyError::Certificate)?;
        let key = any_supported_type(&file.key).map_err(|_| KeyError::of(&file.key))?;
        // Not rustls's own comparison, which knows no certificates of version 1. What is compared stands at the end of
        // a SubjectPublicKeyInfo.
        if key.public_key().is_none_or(|public| !public.as_ref().ends_with(&certificate.public_key)) {
            return Err(KeyError::Mismatch);
        }
        Ok(ClientIdentity {
            certified: Arc::new(CertifiedKey::new(file.certificates.clone(), key)),
            certificate,
            secret_digest: secret_digest(&file.key),
        })
    }

    /// What its certificate says.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// A digest of the private key: what only this client has, and as secret as the key.
    pub fn secret_digest(&self) -> &Secret {
        &self.secret_digest
    }

    /// For a TLS configuration.
    pub(super) fn resolver(&self) -> Arc<dyn ResolvesClientCert> {
        Arc::new(SingleCertAndKey::from(self.certified.clone()))
    }

    fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }
}

// Its key is the certificate's, so the certificates say all.
impl PartialEq for ClientIdentity {
    fn eq(&self, other: &ClientIdentity) -> bool {
        self.chain() == other.chain()
    }
}

impl Eq for ClientIdentity {}

impl Hash for ClientIdentity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.chain().hash(state);
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientIdentity({})", self.certificate.subject)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::signing_key::tests::key_file;
    use super::*;
    use crate::key_file;

    #[test]
    fn a_certificate_without_a_fitting_key_is_refused() {
        let of = |name: &str| ClientIdentity::new(&key_file(name));
        assert_eq!(of("rsa.pem").unwrap_err(), KeyError::NoCertificate);
        let certificates = key_file::certificates(include_bytes!("../../tests/keys/ec.cert.pem")).unwrap();
        let mixed = KeyFile { certificates: certificates.clone(), ..key_file("rsa.pem") };
        assert_eq!(ClientIdentity::new(&mixed).unwrap_err(), KeyError::Mismatch);
        let short = KeyFile { certificates, ..key_file("rsa1024.pem") };
        assert_eq!(ClientIdentity::new(&short).unwrap_err(), KeyError::Short);
    }

    #[test]
    fn an_identity_is_its_certificates_and_shows_nothing_else() {
        let of = |name: &str| ClientIdentity::new(&key_file(name)).unwrap();
        assert_eq!(of("rsa.p12"), of("rsa.legacy.p12"));
        assert_ne!(of("rsa.p12"), of("signed.p12"));
        assert_eq!(format!("{:?}", of("signed.p12")), "ClientIdentity(CN=signed client)");
    }
}
