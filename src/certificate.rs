//! What a certificate says of itself, for people and for headers that name it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;

/// A certificate's facts. None of them is secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Certificate {
    /// Whose it is: `CN=client, O=Example`.
    pub subject: String,
    /// Its end.
    pub expires_at: SystemTime,
    /// Its public key as the certificate holds it: a point, or an RSAPublicKey (RFC 8017 §A.1.1).
    pub public_key: Vec<u8>,
    /// The SHA-1 thumbprint as a JOSE header names it (`x5t`, RFC 7515 §4.1.7). A name, not a protection.
    pub sha1: String,
    /// The SHA-256 thumbprint as a JOSE header names it (`x5t#S256`, RFC 7515 §4.1.8).
    pub sha256: String,
}

impl Certificate {
    /// Reads a certificate; nothing when it is none.
    pub fn read(der: &CertificateDer<'_>) -> Option<Certificate> {
        let (_, parsed) = x509_parser::parse_x509_certificate(der).ok()?;
        let end = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or_default();
        let thumbprint = |algorithm| URL_SAFE_NO_PAD.encode(digest::digest(algorithm, der));
        Some(Certificate {
            subject: parsed.subject().to_string(),
            expires_at: UNIX_EPOCH + Duration::from_secs(end),
            public_key: parsed.public_key().subject_public_key.data.to_vec(),
            sha1: thumbprint(&SHA1_FOR_LEGACY_USE_ONLY),
            sha256: thumbprint(&SHA256),
        })
    }
}

/// The names by which a certificate can be told: DNS, URI and e-mail (RFC 5280 §4.2.1.6). Its subject is none.
pub fn names(der: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(der) else { return Vec::new() };
    let Ok(Some(extension)) = parsed.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) | GeneralName::RFC822Name(name) => {
            Some((*name).to_owned())
        }
        _ => None,
    };
    extension.value.general_names.iter().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_file::certificates;

    #[test]
    fn a_certificate_says_whose_it_is_and_until_when() {
        let pem = include_bytes!("../tests/keys/rsa.cert.pem");
        let certificate = Certificate::read(&certificates(pem).unwrap()[0]).unwrap();
        assert_eq!(certificate.subject, "O=Example, CN=rsa client");
        assert!(certificate.expires_at > SystemTime::now() + Duration::from_secs(50 * 365 * 86_400));
        assert_eq!((certificate.sha1.len(), certificate.sha256.len()), (27, 43));
        assert_eq!(Certificate::read(&CertificateDer::from(vec![0x30])), None);
    }
}
