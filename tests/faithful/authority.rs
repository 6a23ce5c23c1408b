//! TLS on both legs: one authority for all, and a certificate for the address of this machine.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use camunda_auth_proxy::tls;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::http1::Io;

struct Authority {
    ca_pem: String,
    root: CertificateDer<'static>,
    certificate: CertificateDer<'static>,
    key: rcgen::KeyPair,
    certificate_pem: String,
}

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let mut ca = rcgen::CertificateParams::new(Vec::<String>::new()).expect("parameters");
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_key = rcgen::KeyPair::generate().expect("a key");
    let root = ca.self_signed(&ca_key).expect("a certificate");
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().expect("a key");
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let leaf = rcgen::CertificateParams::new(names).expect("parameters");
    let leaf = leaf.signed_by(&key, &issuer).expect("a certificate");
    Authority {
        ca_pem: root.pem(),
        root: root.der().clone(),
        certificate: leaf.der().clone(),
        certificate_pem: leaf.pem(),
        key,
    }
});

/// What the proxy has to trust.
pub(super) fn ca_pem() -> &'static str {
    &AUTHORITY.ca_pem
}

/// Writes what a listener needs.
pub(super) fn write(folder: &Path) {
    let write = |name: &str, text: &str| {
        let mut file = std::fs::File::create(folder.join(name)).expect("a file");
        file.write_all(text.as_bytes()).expect("written");
    };
    write("cert.pem", &AUTHORITY.certificate_pem);
    write("key.pem", &AUTHORITY.key.serialize_pem());
}

/// A caller's TLS. The listener speaks this protocol or none.
pub(super) async fn connect(tcp: TcpStream, alpn: &[u8]) -> Io {
    let mut roots = RootCertStore::empty();
    roots.add(AUTHORITY.root.clone()).expect("a root");
    let mut config = ClientConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.expect("TLS");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(alpn));
    Box::new(stream)
}

/// An upstream's TLS, and whether it came to be HTTP/2; `None` when the other side gave up.
pub(super) async fn accept(tcp: TcpStream, alpn: &[&[u8]]) -> Option<(Io, bool)> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(AUTHORITY.key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![AUTHORITY.certificate.clone()], key)
        .expect("a certificate");
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let stream = TlsAcceptor::from(Arc::new(config)).accept(tcp).await.ok()?;
    let http2 = stream.get_ref().1.alpn_protocol() == Some(tls::ALPN_HTTP2);
    Some((Box::new(stream), http2))
}
