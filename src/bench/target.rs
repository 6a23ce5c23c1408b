//! What is loaded: addresses, and the token that requests carry themselves when nobody adds one on the way.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::io::Io;
use crate::secret::Secret;
use crate::tls;
use crate::upstream_address::UpstreamAddress;

/// From starting to connect to a connection that can be used.
const CONNECT: Duration = Duration::from_secs(5);

/// What requests are sent to.
#[derive(Clone, Debug)]
pub struct Target {
    /// What it is called in results.
    pub name: String,
    /// Where REST goes; the path of the request follows the base path.
    pub rest: UpstreamAddress,
    /// Where gRPC goes.
    pub grpc: UpstreamAddress,
    /// The token that requests carry; none where a proxy adds it.
    pub token: Option<Secret>,
    /// TLS towards it.
    pub tls: Option<Arc<ClientConfig>>,
}

impl Target {
    /// A target whose one address takes both.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(name: &str, address: UpstreamAddress, token: Option<Secret>) -> Result<Target, tls::Error> {
        let tls = match address.tls {
            true => Some(Arc::new(tls::client_config(None, &[])?)),
            false => None,
        };
        Ok(Target { name: name.to_owned(), rest: address.clone(), grpc: address, token, tls })
    }

    /// `authorization` as this target is sent it.
    pub(super) fn authorization(&self) -> Option<String> {
        self.token.as_ref().map(|token| format!("Bearer {}", token.expose()))
    }

    /// A new connection to one of its addresses.
    pub(super) async fn connect(&self, address: &UpstreamAddress, http2: bool) -> io::Result<Io> {
        let late = || io::Error::new(io::ErrorKind::TimedOut, "no connection in time");
        tokio::time::timeout(CONNECT, self.open(address, http2)).await.map_err(|_| late())?
    }

    async fn open(&self, address: &UpstreamAddress, http2: bool) -> io::Result<Io> {
        let tcp = TcpStream::connect((address.host_name(), address.port)).await?;
        tcp.set_nodelay(true)?;
        let Some(config) = self.tls.as_ref().filter(|_| address.tls) else { return Ok(Io::Tcp(tcp)) };
        let mut config = ClientConfig::clone(config);
        config.alpn_protocols = vec![if http2 { tls::ALPN_HTTP2 } else { tls::ALPN_HTTP1 }.to_vec()];
        let name = ServerName::try_from(address.host_name().to_owned()).map_err(io::Error::other)?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        Ok(Io::TlsClient(Box::new(stream)))
    }
}
