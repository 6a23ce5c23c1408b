//! A private key and its certificates as a file holds them: PEM (PKCS#8, PKCS#1, SEC1) or PKCS#12.

use std::fmt;

use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use secrecy::zeroize::Zeroizing;

use crate::secret::Secret;

mod pkcs12;

/// What a file holds. The key is zeroed when this is dropped.
pub struct KeyFile {
    /// The private key.
    pub key: Zeroizing<PrivateKeyDer<'static>>,
    /// The key's own certificate first, then its authorities'. Empty when the file holds none.
    pub certificates: Vec<CertificateDer<'static>>,
    /// The name that a PKCS#12 file gives the key.
    pub alias: Option<String>,
}

impl KeyFile {
    /// Reads a file's bytes. `alias` says which key of a PKCS#12 file is meant.
    ///
    /// # Errors
    /// When there is not exactly one usable private key, or the password does not fit.
    pub fn parse(bytes: &[u8], password: Option<&Secret>, alias: Option<&str>) -> Result<KeyFile, Error> {
        match std::str::from_utf8(bytes) {
            Ok(text) if text.contains("-----BEGIN ") => pem(text, password),
            // ASN.1: a SEQUENCE.
            _ if bytes.first() == Some(&0x30) => pkcs12::parse(bytes, password, alias),
            _ => Err(Error::Unknown),
        }
    }
}

/// Certificates of a PEM file, in its order.
///
/// # Errors
/// When there is none, or one that is cut off.
pub fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    match found {
        Ok(found) if found.is_empty() => Err(Error::NoCertificate),
        Ok(found) => Ok(found),
        Err(_) => Err(Error::Broken),
    }
}

fn pem(text: &str, password: Option<&Secret>) -> Result<KeyFile, Error> {
    // RFC 1421 §4.6: the encryption that openssl used before PKCS#8, with a key made by MD5.
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(Error::OldEncryption);
    }
    let (mut keys, mut certificates) = (Vec::new(), Vec::new());
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()) {
        match section.map_err(|_| Error::Broken)? {
            (SectionKind::Certificate, der) => certificates.push(CertificateDer::from(der)),
            (kind, der) => keys.extend(PrivateKeyDer::from_pem(kind, der)),
        }
    }
    if let Some(encrypted) = encrypted_section(text) {
        keys.push(decrypted(encrypted, password.ok_or(Error::PasswordMissing)?)?);
    }
    match (keys.len(), keys.pop()) {
        (1, Some(key)) => Ok(KeyFile { key: key.into(), certificates, alias: None }),
        (0, _) | (_, None) => Err(Error::NoKey),
        _ => Err(Error::SeveralKeys(Vec::new())),
    }
}

fn encrypted_section(text: &str) -> Option<&str> {
    const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
    let start = text.find("-----BEGIN ENCRYPTED PRIVATE KEY-----")?;
    let end = start + text[start..].find(END)? + END.len();
    Some(&text[start..end])
}

/// PKCS#8 encrypted with PBES2 (RFC 8018 §6.2).
fn decrypted(section: &str, password: &Secret) -> Result<PrivateKeyDer<'static>, Error> {
    let (_, document) = pkcs8::SecretDocument::from_pem(section).map_err(|_| Error::Broken)?;
    let encrypted =
        pkcs8::EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|_| Error::Encryption)?;
    let key = encrypted.decrypt(password.expose()).map_err(|_| Error::Password)?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}

/// Why a file is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// It is neither PEM nor PKCS#12.
    Unknown,
    /// It is cut off or damaged.
    Broken,
    /// It holds no private key.
    NoKey,
    /// It holds no certificate.
    NoCertificate,
    /// It holds several private keys; their names, where they have any.
    SeveralKeys(Vec<String>),
    /// No key has the name that was asked for; the names that there are.
    NoSuchAlias(Vec<String>),
    /// It is encrypted and there is no password.
    PasswordMissing,
    /// The password does not fit.
    Password,
    /// It is encrypted in a way that nobody should use any more.
    OldEncryption,
    /// It is encrypted in a way that is not known here.
    Encryption,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::Unknown => "the file is neither PEM nor PKCS#12",
            Error::Broken => "the file is cut off or damaged",
            Error::NoKey => "the file holds no private key",
            Error::NoCertificate => "the file holds no certificate",
            Error::SeveralKeys(_) => "the file holds several private keys",
            Error::NoSuchAlias(_) => "the file holds no private key of this name",
            Error::PasswordMissing => "the file is encrypted and there is no password for it",
            Error::Password => "the password does not fit the file",
            Error::OldEncryption => "the key is encrypted in openssl's old way, which is not safe",
            Error::Encryption => "the key is encrypted in a way that this proxy does not know",
        })
    }
}

impl std::error::Error for Error {}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyFile({} certificates)", self.certificates.len())
    }
}

#[cfg(test)]
mod tests;
