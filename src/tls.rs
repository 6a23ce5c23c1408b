//! TLS on every leg: one provider, the system's roots, and what is configured besides.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// ALPN name of HTTP/2 over TLS (RFC 9113 §3.2).
pub const ALPN_HTTP2: &[u8] = b"h2";
/// ALPN name of HTTP/1.1 (RFC 7301 §6).
pub const ALPN_HTTP1: &[u8] = b"http/1.1";

/// TLS towards an upstream or a token endpoint: the system's roots (`SSL_CERT_FILE` and `SSL_CERT_DIR` are
/// obeyed) and those of `ca_file`. Peers are always verified.
pub fn client_config(ca_file: Option<&Path>, alpn: &[&[u8]]) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    for root in native_roots() {
        // A root that cannot be parsed is some other program's; the rest stay useful.
        let _ = roots.add(root.clone());
    }
    if let Some(path) = ca_file {
        add_file(&mut roots, path)?;
    }
    if roots.is_empty() {
        return Err(Error::NoRoots);
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(Error::Provider)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

/// Whether a `ca_file` holds certificates, and nothing but those that can be used.
pub fn check_ca_file(path: &Path) -> Result<(), Error> {
    add_file(&mut RootCertStore::empty(), path)
}

/// For a client that speaks plaintext and yet wants a configuration: it trusts nobody, so nothing needs to be read.
pub fn plain_client_config() -> Result<ClientConfig, Error> {
    Ok(ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(Error::Provider)?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

/// TLS towards callers, with ALPN for HTTP/2 and HTTP/1.1.
pub fn server_config(
    cert_file: &Path,
    key_file: &Path,
    client_ca_file: Option<&Path>,
) -> Result<ServerConfig, Error> {
    let key = PrivateKeyDer::from_pem_file(key_file)
        .map_err(|cause| Error::Pem { path: key_file.into(), cause: cause.to_string() })?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(Error::Provider)?;
    let builder = match client_ca_file {
        Some(path) => builder.with_client_cert_verifier(client_verifier(path)?),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(certificates(cert_file)?, key)
        .map_err(|cause| Error::Certificate { path: cert_file.into(), cause })?;
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec(), ALPN_HTTP1.to_vec()];
    Ok(config)
}

/// Who shows no certificate may have another proof; who shows a wrong one is not let in.
fn client_verifier(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    add_file(&mut roots, path)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let unusable = |cause: VerifierBuilderError| Error::Provider(rustls::Error::General(cause.to_string()));
    verifier.allow_unauthenticated().build().map_err(unusable)
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), Error> {
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|cause| Error::Certificate { path: path.into(), cause })?;
    }
    Ok(())
}

/// The provider of this build, named wherever it is used: a process-wide default can be anybody's, or missing.
pub fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    static PROVIDER: OnceLock<Arc<rustls::crypto::CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider())).clone()
}

/// Read once: parsing a system's 140 roots takes longer than starting everything else.
fn native_roots() -> &'static [CertificateDer<'static>] {
    static ROOTS: OnceLock<Vec<CertificateDer<'static>>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(target: "tls", %error, "a system root certificate could not be read");
        }
        found.certs
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let pem =
        |cause: rustls::pki_types::pem::Error| Error::Pem { path: path.into(), cause: cause.to_string() };
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(pem)?.collect();
    match found.map_err(pem)? {
        none if none.is_empty() => {
            Err(Error::Pem { path: path.into(), cause: "it holds no certificate".to_owned() })
        }
        some => Ok(some),
    }
}

/// TLS cannot be set up as configured.
#[derive(Debug)]
pub enum Error {
    /// Neither the system nor `ca_file` has a root certificate.
    NoRoots,
    /// A PEM file cannot be read.
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A certificate cannot be used.
    Certificate {
        /// The file that it came from.
        path: PathBuf,
        /// What is wrong with it.
        cause: rustls::Error,
    },
    /// The cryptography provider lacks what TLS needs.
    Provider(rustls::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoRoots => f.write_str(
                "no root certificate found: install the system's ca-certificates, point SSL_CERT_FILE at a bundle or set ca_file",
            ),
            Error::Pem { path, cause } => {
                write!(f, "{} cannot be read as PEM: {cause}", path.display())
            }
            Error::Certificate { path, cause } => {
                write!(f, "a certificate of {} cannot be used: {cause}", path.display())
            }
            Error::Provider(cause) => write!(f, "TLS cannot be set up: {cause}"),
        }
    }
}

impl std::error::Error for Error {}
