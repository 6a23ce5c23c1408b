//! The certificate authority that the sandbox makes at start, and the certificate that its components show.

use std::io;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::client_certificate::AnyCertificate;

/// An authority with one certificate for `localhost`, 127.0.0.1 and ::1.
pub(super) struct Authority {
    ca_pem: String,
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

impl Authority {
    /// Makes the keys and certificates; nothing is written anywhere.
    pub(super) fn new() -> io::Result<Authority> {
        make().map_err(io::Error::other)
    }

    /// The authority's certificate, for a client's list of trusted ones.
    pub(super) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The TLS side of a component that speaks `protocols` (ALPN names).
    pub(super) fn server_config(&self, protocols: &[&[u8]]) -> io::Result<Arc<ServerConfig>> {
        self.config(protocols, WebPkiClientVerifier::no_client_auth())
    }

    /// The same, asking for a client certificate.
    pub(super) fn asking_config(&self, protocols: &[&[u8]]) -> io::Result<Arc<ServerConfig>> {
        self.config(protocols, Arc::new(AnyCertificate(provider())))
    }

    fn config(
        &self,
        protocols: &[&[u8]],
        clients: Arc<dyn ClientCertVerifier>,
    ) -> io::Result<Arc<ServerConfig>> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()));
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .and_then(|config| {
                config.with_client_cert_verifier(clients).with_single_cert(self.chain.clone(), key)
            })
            .map_err(io::Error::other)?;
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Arc::new(config))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn make() -> Result<Authority, rcgen::Error> {
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "camunda-auth-proxy sandbox authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut leaf = CertificateParams::new(names)?;
    leaf.distinguished_name.push(DnType::CommonName, "localhost");
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Python's ssl module refuses a leaf that does not name its issuer's key.
    leaf.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let leaf = leaf.signed_by(&key, &authority)?;
    Ok(Authority { ca_pem: authority.pem(), chain: vec![leaf.der().clone()], key: key.serialize_der() })
}
