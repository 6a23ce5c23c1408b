//! An embedded Camunda: a token endpoint with the real manners, Zeebe over gRPC and REST, Operate,
//! Tasklist and Optimize, each on its own loopback port, over one in-memory engine.
//!
//! It is what users try their clients on, what the tests talk to and what the benchmark loads. Nothing
//! is written to disk; dropping [`Sandbox`] stops everything.

mod authority;
pub mod authorization_server;
mod body;
mod client_certificate;
pub mod cluster;
mod front;
mod grpc;
mod hosted;
mod rest;
mod serve;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use self::authority::Authority;
pub use self::authorization_server::AuthorizationServer;
pub use self::cluster::Cluster;
pub use self::hosted::{Files, Hosted};
use self::rest::Component;
use self::serve::{Connections, Speech};
use crate::secret::Secret;

/// The version that the components say they are.
const VERSION: &str = "8.8.0";

/// How a sandbox is set up. What changes while it runs is a method of [`AuthorizationServer`] or [`Cluster`].
#[derive(Clone, Debug)]
pub struct Config {
    /// The cluster's id: the first segment of every REST path.
    pub cluster_id: String,
    /// The client that the token endpoint knows.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// Speaks TLS on every port, with an authority made at start; plaintext otherwise.
    pub tls: bool,
    /// MAX_CONCURRENT_STREAMS of the gRPC side.
    pub gateway_max_streams: u32,
    /// Streams that a caller may reset before the gateway has looked at them; it ends the connection beyond.
    pub gateway_max_pending_resets: usize,
    /// One token request per second and source address, with a block for those that come too early.
    pub token_rate_limit: bool,
    /// How many requests [`Cluster::requests`] keeps, at some 6 KiB each; beyond, they are only counted.
    /// Under load zero is right.
    pub requests_kept: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            cluster_id: "5a4db0c5-0b0e-4c8a-9f51-73616e64626f".to_owned(),
            client_id: "sandbox.Client~Id-0123456789_abc".to_owned(),
            client_secret: Secret::from("sandbox-secret.ABCDEFGHIJKLMNOPQRSTUVWXYZ~0123456789_-.abcdefghi"),
            tls: true,
            gateway_max_streams: 100,
            gateway_max_pending_resets: 20,
            token_rate_limit: true,
            requests_kept: 20_000,
        }
    }
}

/// Where the components are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The token endpoint.
    pub token_endpoint: String,
    /// Zeebe's gateway: `grpcs://localhost:PORT`, or `grpc://` without TLS.
    pub grpc: String,
    /// Zeebe's REST base.
    pub zeebe_rest: String,
    /// Operate's base.
    pub operate: String,
    /// Tasklist's base.
    pub tasklist: String,
    /// Optimize's base.
    pub optimize: String,
}

/// A running sandbox.
pub struct Sandbox {
    config: Config,
    addresses: Addresses,
    ca_pem: String,
    authorization_server: AuthorizationServer,
    cluster: Cluster,
    // Aborting an accept loop ends its connections.
    listening: Vec<AbortHandle>,
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.listening.iter().for_each(AbortHandle::abort);
    }
}

impl Sandbox {
    /// Binds a free loopback port for each component and serves on the current runtime.
    pub async fn start(config: Config) -> io::Result<Sandbox> {
        let authority = Authority::new()?;
        let tls = |protocols: &[&[u8]]| config.tls.then(|| authority.server_config(protocols)).transpose();
        let (web, h2) = (tls(&[b"h2", b"http/1.1"])?, tls(&[b"h2"])?);
        let asking = config.tls.then(|| authority.asking_config(&[b"h2", b"http/1.1"])).transpose()?;
        let ports = Ports::bind()?;
        let addresses = ports.addresses(&config)?;
        let issuer = addresses.token_endpoint.trim_end_matches("oauth/token");
        let server = AuthorizationServer::new(&config.client_id, config.client_secret.expose(), issuer);
        server.set_rate_limit(config.token_rate_limit);
        let connections = Arc::new(Connections::default());
        let cluster = Cluster::new(config.requests_kept, connections.clone());

        // A REST port has room for more streams than the gateway: a load balancer stands before the real one.
        let web = Speech { tls: web, max_streams: 1000, max_pending_resets: 1000 };
        let gateway = Speech {
            tls: h2,
            max_streams: config.gateway_max_streams,
            max_pending_resets: config.gateway_max_pending_resets,
        };
        let mut listening = Vec::new();
        let tokens = server.clone();
        listening.push(serve::serve(
            ports.token,
            Speech { tls: asking, ..web.clone() },
            connections.clone(),
            move |connection, request| authorization_server::http::serve(tokens.clone(), connection, request),
        ));
        let shared = (server.clone(), cluster.clone());
        listening.push(serve::serve(ports.grpc, gateway, connections.clone(), move |connection, request| {
            grpc::serve(shared.0.clone(), shared.1.clone(), connection, request)
        }));
        for (component, port) in ports.rest {
            let front = Arc::new(rest::Front {
                component,
                base: format!("/{}", config.cluster_id),
                server: server.clone(),
                cluster: cluster.clone(),
            });
            listening.push(serve::serve(
                port,
                web.clone(),
                connections.clone(),
                move |connection, request| rest::serve(front.clone(), connection, request),
            ));
        }
        let ca_pem = authority.ca_pem().to_owned();
        Ok(Sandbox { config, addresses, ca_pem, authorization_server: server, cluster, listening })
    }

    /// The text of the file that Console would hand out for this cluster (the keys of 8.6 to 8.8, in order).
    pub fn credentials_file(&self) -> String {
        let Addresses { token_endpoint, grpc, zeebe_rest, operate, tasklist, optimize } = &self.addresses;
        let Config { cluster_id, client_id, .. } = &self.config;
        let secret = self.config.client_secret.expose();
        // As in the real file this one key has no scheme, which means TLS; in plaintext it must have one.
        let zeebe_address = if self.config.tls { grpc.trim_start_matches("grpcs://") } else { grpc };
        let lines = [
            ("ZEEBE_ADDRESS", zeebe_address),
            ("ZEEBE_CLIENT_ID", client_id),
            ("ZEEBE_CLIENT_SECRET", secret),
            ("ZEEBE_AUTHORIZATION_SERVER_URL", token_endpoint),
            ("ZEEBE_REST_ADDRESS", zeebe_rest),
            ("ZEEBE_GRPC_ADDRESS", grpc),
            ("ZEEBE_TOKEN_AUDIENCE", "zeebe.camunda.io"),
            ("CAMUNDA_CLUSTER_ID", cluster_id),
            ("CAMUNDA_CLIENT_ID", client_id),
            ("CAMUNDA_CLIENT_SECRET", secret),
            ("CAMUNDA_CLUSTER_REGION", "local-1"),
            ("CAMUNDA_CREDENTIALS_SCOPES", "Zeebe,Tasklist,Operate,Optimize"),
            ("CAMUNDA_TASKLIST_BASE_URL", tasklist),
            ("CAMUNDA_OPTIMIZE_BASE_URL", optimize),
            ("CAMUNDA_OPERATE_BASE_URL", operate),
            ("CAMUNDA_OAUTH_URL", token_endpoint),
            ("CAMUNDA_CLIENT_MODE", "saas"),
            ("CAMUNDA_CLIENT_AUTH_CLIENTID", client_id),
            ("CAMUNDA_CLIENT_AUTH_CLIENTSECRET", secret),
            ("CAMUNDA_CLIENT_CLOUD_CLUSTERID", cluster_id),
            ("CAMUNDA_CLIENT_CLOUD_REGION", "local-1"),
        ];
        lines.map(|(key, value)| format!("export {key}='{value}'\n")).concat()
    }

    /// The authority that signed the components' certificate, as PEM. Made at start in any case.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The token endpoint.
    pub fn authorization_server(&self) -> &AuthorizationServer {
        &self.authorization_server
    }

    /// The components and their engine.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Where the components are.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The cluster's id.
    pub fn cluster_id(&self) -> &str {
        &self.config.cluster_id
    }

    /// The client that the token endpoint knows.
    pub fn client_id(&self) -> &str {
        &self.config.client_id
    }

    /// Its secret.
    pub fn client_secret(&self) -> &Secret {
        &self.config.client_secret
    }
}

/// The components' ports, bound.
struct Ports {
    token: TcpListener,
    grpc: TcpListener,
    rest: [(Component, TcpListener); 4],
}

impl Ports {
    fn bind() -> io::Result<Ports> {
        let rest = [
            (Component::Zeebe, serve::bind()?),
            (Component::Operate, serve::bind()?),
            (Component::Tasklist, serve::bind()?),
            (Component::Optimize, serve::bind()?),
        ];
        Ok(Ports { token: serve::bind()?, grpc: serve::bind()?, rest })
    }

    fn addresses(&self, config: &Config) -> io::Result<Addresses> {
        let secure = if config.tls { "s" } else { "" };
        let at = |listener: &TcpListener| {
            Ok::<_, io::Error>(format!("localhost:{}", listener.local_addr()?.port()))
        };
        let base =
            |listener| Ok::<_, io::Error>(format!("http{secure}://{}/{}", at(listener)?, config.cluster_id));
        let [zeebe, operate, tasklist, optimize] = &self.rest;
        Ok(Addresses {
            token_endpoint: format!("http{secure}://{}/oauth/token", at(&self.token)?),
            grpc: format!("grpc{secure}://{}", at(&self.grpc)?),
            zeebe_rest: base(&zeebe.1)?,
            operate: base(&operate.1)?,
            tasklist: base(&tasklist.1)?,
            optimize: base(&optimize.1)?,
        })
    }
}

// A test that panics while it holds a lock fails by itself; the others need not fail with it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
