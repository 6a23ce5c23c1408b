//! Connecting to an upstream: name look-up, TCP, TLS and its ALPN.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::Origin;
use crate::io::Io;
use crate::tls::ALPN_HTTP2;

/// Connects, within `timeout`. Says which protocol TLS negotiated: true for HTTP/2.
pub(super) async fn connect(
    origin: &Origin,
    tls: Option<&Arc<ClientConfig>>,
    timeout: Duration,
) -> Result<(Io, bool), Error> {
    match tokio::time::timeout(timeout, open(origin, tls, timeout)).await {
        Ok(result) => result,
        Err(_) => Err(Error::new(format!("no connection within {timeout:?}"))),
    }
}

async fn open(
    origin: &Origin,
    tls: Option<&Arc<ClientConfig>>,
    timeout: Duration,
) -> Result<(Io, bool), Error> {
    let tcp = open_tcp(origin, timeout).await?;
    let Some(config) = tls else { return Ok((Io::Tcp(tcp), false)) };
    let name = ServerName::try_from(origin.address.host_name().to_owned())
        .map_err(|_| Error::new("the host is no name that TLS can verify".to_owned()))?;
    let stream = TlsConnector::from(Arc::clone(config))
        .connect(name, tcp)
        .await
        .map_err(|cause| Error::new(format!("TLS: {cause}")))?;
    let http2 = stream.get_ref().1.alpn_protocol() == Some(ALPN_HTTP2);
    Ok((Io::TlsClient(Box::new(stream)), http2))
}

/// Tries the addresses of a name side by side (RFC 8305).
async fn open_tcp(origin: &Origin, timeout: Duration) -> Result<TcpStream, Error> {
    let mut connector = HttpConnector::new();
    // TLS is added here, on top.
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(timeout));
    connector.set_keepalive(Some(Duration::from_secs(60)));
    let stream = connector.call(origin.base_uri.clone()).await.map_err(|error| {
        // The outer text is a stage ("dns error", "tcp connect error"); the cause tells the rest.
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        Error::new(format!("{error}{cause}"))
    })?;
    Ok(stream.into_inner())
}

/// No connection; nothing was sent. Shared by all who waited for the same attempt.
#[derive(Clone, Debug)]
pub(super) struct Error(Rc<str>);

impl Error {
    pub(super) fn new(text: String) -> Error {
        Error(text.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}
