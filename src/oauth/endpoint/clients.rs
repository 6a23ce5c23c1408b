//! HTTP clients for token endpoints: a pair for each certificate that a connection can show, and one for none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Error};
use rustls::client::Resumption;

use super::ClientIdentity;

/// All clients of the process.
pub(super) struct Clients {
    tls: rustls::ClientConfig,
    timeout: Duration,
    plain: Pair,
    certified: Mutex<HashMap<Arc<ClientIdentity>, Pair>>,
}

/// For endpoints beyond this machine and for those on it.
#[derive(Clone)]
pub(super) struct Pair {
    pub(super) through_proxies: Client,
    pub(super) direct: Client,
}

const CONNECT: Duration = Duration::from_secs(5);

impl Clients {
    pub(super) fn new(mut tls: rustls::ClientConfig, timeout: Duration) -> Result<Clients, Error> {
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let plain = Pair::new(&tls, timeout)?;
        Ok(Clients { tls, timeout, plain, certified: Mutex::default() })
    }

    /// The clients whose connections show this certificate.
    pub(super) fn showing(&self, certificate: Option<&Arc<ClientIdentity>>) -> Result<Pair, Error> {
        let Some(certificate) = certificate else { return Ok(self.plain.clone()) };
        let mut certified = self.certified.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pair) = certified.get(certificate) {
            return Ok(pair.clone());
        }
        // A certificate that no request has any more was renewed.
        certified.retain(|certificate, _| Arc::strong_count(certificate) > 1);
        let mut tls = self.tls.clone();
        tls.client_auth_cert_resolver = certificate.resolver();
        // All configurations share their sessions, and a resumed one would be that of another certificate.
        tls.resumption = Resumption::disabled();
        let pair = Pair::new(&tls, self.timeout)?;
        certified.insert(Arc::clone(certificate), pair.clone());
        Ok(pair)
    }
}

impl Pair {
    fn new(tls: &rustls::ClientConfig, timeout: Duration) -> Result<Pair, Error> {
        let client = || -> ClientBuilder {
            Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .referer(false)
                .user_agent(concat!("camunda-auth-proxy/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT)
                .timeout(timeout)
                // Kept connections would be closed by the other side long before the next request, and a request that
                // fails because of that counts against the pace.
                .pool_max_idle_per_host(0)
        };
        Ok(Pair { through_proxies: client().build()?, direct: client().no_proxy().build()? })
    }
}
