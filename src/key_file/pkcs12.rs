//! PKCS#12 (RFC 7292), as openssl, Java's keytool and Windows write it.

use p12_keystore::{CertificateBag, Pkcs12Archive, PrivateKeyBag};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{Error, KeyFile};
use crate::secret::Secret;

pub(super) fn parse(bytes: &[u8], password: Option<&Secret>, alias: Option<&str>) -> Result<KeyFile, Error> {
    let archive = open(bytes, password)?;
    let names = || archive.keys.iter().filter_map(|key| key.friendly_name.clone()).collect::<Vec<String>>();
    // Java compares aliases without case.
    let named = |key: &&PrivateKeyBag| {
        let name = key.friendly_name.as_deref().unwrap_or_default();
        alias.is_none_or(|alias| name.eq_ignore_ascii_case(alias))
    };
    let mut keys = archive.keys.iter().filter(named);
    let key = match (keys.next(), keys.next()) {
        (Some(key), None) => key,
        (Some(_), Some(_)) => return Err(Error::SeveralKeys(names())),
        (None, _) if archive.keys.is_empty() => return Err(Error::NoKey),
        (None, _) => return Err(Error::NoSuchAlias(names())),
    };
    Ok(KeyFile {
        key: PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.key.as_der().to_vec())).into(),
        certificates: chain(key, &archive.certs),
        alias: key.friendly_name.clone(),
    })
}

fn open(bytes: &[u8], password: Option<&Secret>) -> Result<Pkcs12Archive, Error> {
    use p12_keystore::error::Error as Cause;
    let text = password.map(Secret::expose).unwrap_or_default();
    Pkcs12Archive::from_pkcs12(bytes, text).map_err(|cause| match cause {
        // Without a MAC, a wrong password shows as padding or plaintext that makes no sense.
        Cause::MacError(_) | Cause::UnpadError | Cause::Pkcs5Error(_) => match password {
            Some(_) => Error::Password,
            None => Error::PasswordMissing,
        },
        Cause::UnsupportedEncryptionScheme | Cause::UnsupportedMacAlgorithm => Error::Encryption,
        _ => Error::Broken,
    })
}

/// The key's certificate, then the one that issued it, and so on; roots are of no use to the other side.
fn chain(key: &PrivateKeyBag, certificates: &[CertificateBag]) -> Vec<CertificateDer<'static>> {
    let of_key = |bag: &&CertificateBag| match (&key.local_key_id, &bag.local_key_id) {
        (Some(key), Some(certificate)) => key.as_ref() == certificate.as_slice(),
        _ => certificates.len() == 1,
    };
    let mut next = certificates.iter().find(of_key);
    let mut chain = Vec::new();
    while let Some(bag) = next.take() {
        chain.push(CertificateDer::from(bag.cert.as_der().to_vec()));
        let issued = bag.cert.issuer() != bag.cert.subject();
        let issuer = |other: &&CertificateBag| other.cert.subject() == bag.cert.issuer();
        let is_root = |other: &CertificateBag| other.cert.issuer() == other.cert.subject();
        // As long as the file: a circle of issuers ends as well.
        if issued && chain.len() < certificates.len() {
            next = certificates.iter().find(issuer).filter(|issuer| !is_root(issuer));
        }
    }
    chain
}
