//! The private key and its certificate, from the files that `[oauth]` names, and what may be wrong with them.

use std::path::Path;

use secrecy::zeroize::Zeroizing;

use crate::config::file;
use crate::key_file::{self, KeyFile};
use crate::oauth::{ClientAuthMethod, Config, KeyError};
use crate::problem::Problem;
use crate::secret::Secret;

/// Reads the key with its certificates.
pub(super) fn read(
    config: &Config,
    path: &Path,
    origin: &impl Fn(&str) -> String,
) -> Result<KeyFile, Problem> {
    let bytes = |key: &str, path: &Path| {
        let bytes = std::fs::read(path).map(Zeroizing::new);
        bytes.map_err(|error| file::unreadable(key, &origin(key), &error))
    };
    let password = match (&config.key_password, &config.key_password_file) {
        (Some(password), _) => Some(password.clone()),
        (None, Some(path)) => {
            let text = bytes("oauth.key_password_file", path)?;
            Some(Secret::from(String::from_utf8_lossy(&text).trim_end_matches(['\r', '\n'])))
        }
        (None, None) => None,
    };
    let file = bytes("oauth.key_file", path)?;
    let mut key = KeyFile::parse(&file, password.as_ref(), config.key_alias.as_deref())
        .map_err(|error| broken("oauth.key_file", config, &error, origin))?;
    if let Some(path) = &config.cert_file {
        key.certificates = key_file::certificates(&bytes("oauth.cert_file", path)?)
            .map_err(|error| broken("oauth.cert_file", config, &error, origin))?;
    }
    Ok(key)
}

fn broken(key: &str, config: &Config, error: &key_file::Error, origin: &impl Fn(&str) -> String) -> Problem {
    use key_file::Error;
    let password = match config.key_password {
        Some(_) => "oauth.key_password",
        None => "oauth.key_password_file",
    };
    let one_of = |names: &[String], otherwise: &str| match names {
        [] => otherwise.to_owned(),
        names => format!("set oauth.key_alias to one of {}", names.join(", ")),
    };
    let (key, remedy) = match error {
        Error::Unknown => (key, "name a file that begins with -----BEGIN, or a .p12 or .pfx file".to_owned()),
        Error::Broken => {
            let convert = "or convert a PKCS#12 file: openssl pkcs12 -in old.p12 -out key.pem";
            (key, format!("copy it once more, {convert}"))
        }
        Error::NoKey => {
            (key, "name the file with the private key; the certificate is oauth.cert_file".to_owned())
        }
        Error::NoCertificate => (key, "name the PEM file with the certificate".to_owned()),
        Error::SeveralKeys(found) => (key, one_of(found, "keep one of them in it")),
        Error::NoSuchAlias(found) => ("oauth.key_alias", one_of(found, "take it out")),
        Error::PasswordMissing => (key, "set oauth.key_password_file".to_owned()),
        Error::Password => (password, "give the password that the file was made with".to_owned()),
        Error::OldEncryption => {
            (key, "encrypt it anew: openssl pkcs8 -topk8 -in old.pem -out new.pem".to_owned())
        }
        Error::Encryption => {
            (key, "encrypt it anew, with openssl pkcs8 -topk8 or openssl pkcs12 -export".to_owned())
        }
    };
    Problem::new(key, origin(key), error.to_string(), remedy)
}

/// A key that can be read and not be used.
pub(super) fn unusable(config: &Config, error: KeyError, origin: &impl Fn(&str) -> String) -> Problem {
    let beside = config.cert_file.is_some();
    let certificate = if beside { "oauth.cert_file" } else { "oauth.key_file" };
    let (key, remedy) = match error {
        KeyError::Type if config.client_auth == ClientAuthMethod::PrivateKeyJwt => {
            ("oauth.key_file", "use an RSA key, or one on the curve P-256")
        }
        KeyError::Type => ("oauth.key_file", "use an RSA key, or one on the curve P-256 or P-384"),
        KeyError::Short => ("oauth.key_file", "make a longer one: openssl genrsa -out key.pem 3072"),
        KeyError::Certificate => (certificate, "name the file with the certificate that belongs to the key"),
        KeyError::NoCertificate => ("oauth.key_file", "name the certificate's PEM file in oauth.cert_file"),
        KeyError::Mismatch => {
            (certificate, "name the certificate that was issued for this key, first in its file")
        }
    };
    Problem::new(key, origin(key), error.to_string(), remedy)
}
