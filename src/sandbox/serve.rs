//! A component's port: accepts, speaks TLS, tells HTTP/1.1 from HTTP/2, and hands requests to a service.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::body::{Body, Cut};
use super::lock;

/// How a component's port speaks.
#[derive(Clone)]
pub(super) struct Speech {
    /// TLS, or plaintext.
    pub(super) tls: Option<Arc<rustls::ServerConfig>>,
    /// MAX_CONCURRENT_STREAMS of HTTP/2.
    pub(super) max_streams: u32,
    /// Streams reset by the peer before they were looked at, beyond which the connection is ended.
    pub(super) max_pending_resets: usize,
}

/// A connection to a component.
#[derive(Debug)]
pub(super) struct Connection {
    /// Counts from 1 in the whole sandbox.
    pub(super) id: u64,
    /// The other end.
    pub(super) peer: SocketAddr,
    /// The name that TLS was asked for.
    pub(super) server_name: Option<String>,
    /// The certificate that the other end has shown.
    pub(super) certificate: Option<CertificateDer<'static>>,
    command: AtomicU8,
    commanded: Notify,
}

/// From accepting a connection to the end of its TLS handshake.
const OPENING: Duration = Duration::from_secs(10);

/// Longer than any client keeps an idle connection: the sandbox is not what closes first.
const IDLE: Duration = Duration::from_secs(300);

const CLOSE: u8 = 1;
const GO_AWAY: u8 = 2;

impl Connection {
    /// Closes the connection, whatever is on it.
    pub(super) fn close(&self) {
        self.obey(CLOSE);
    }

    /// Lets what is on the connection finish, and takes nothing more: GOAWAY or `connection: close`.
    pub(super) fn go_away(&self) {
        self.obey(GO_AWAY);
    }

    fn obey(&self, command: u8) {
        self.command.store(command, Ordering::Release);
        self.commanded.notify_one();
    }
}

/// The open connections of a sandbox's components.
#[derive(Debug, Default)]
pub(super) struct Connections {
    last: AtomicU64,
    open: Mutex<HashMap<u64, Arc<Connection>>>,
}

impl Connections {
    /// Those that are open now.
    pub(super) fn open(&self) -> Vec<Arc<Connection>> {
        lock(&self.open).values().cloned().collect()
    }

    /// How many there have been.
    pub(super) fn total(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }

    fn enter(
        self: &Arc<Self>,
        peer: SocketAddr,
        server_name: Option<String>,
        certificate: Option<CertificateDer<'static>>,
    ) -> Entered {
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let command = AtomicU8::new(0);
        let connection = Connection { id, peer, server_name, certificate, command, commanded: Notify::new() };
        let connection = Arc::new(connection);
        lock(&self.open).insert(id, connection.clone());
        Entered { connections: self.clone(), connection }
    }
}

/// Leaves the list when dropped: a connection's task can be aborted anywhere.
struct Entered {
    connections: Arc<Connections>,
    connection: Arc<Connection>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        lock(&self.connections.open).remove(&self.connection.id);
    }
}

/// Binds a free port on loopback.
pub(super) fn bind() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    socket.listen(4096)
}

/// Serves a port until the handle is aborted, which ends its connections too.
pub(super) fn serve<S, F>(
    listener: TcpListener,
    speech: Speech,
    connections: Arc<Connections>,
    service: S,
) -> AbortHandle
where
    S: Fn(Arc<Connection>, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response<Body>, Cut>> + Send + 'static,
{
    let accepting = async move {
        let mut tasks = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let one = open(stream, peer, speech.clone(), connections.clone(), service.clone());
                        tasks.spawn(one);
                    }
                    // Out of descriptors, most likely: some connection will end.
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                },
                Some(_) = tasks.join_next() => {}
            }
        }
    };
    tokio::spawn(accepting).abort_handle()
}

async fn open<S, F>(
    stream: TcpStream,
    peer: SocketAddr,
    speech: Speech,
    connections: Arc<Connections>,
    service: S,
) where
    S: Fn(Arc<Connection>, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response<Body>, Cut>> + Send + 'static,
{
    // Small answers must not wait for an acknowledgement; a socket without the option still works.
    let _ = stream.set_nodelay(true);
    match &speech.tls {
        Some(config) => {
            let handshake = TlsAcceptor::from(config.clone()).accept(stream);
            let Ok(Ok(stream)) = timeout(OPENING, handshake).await else { return };
            let session = stream.get_ref().1;
            let http2 = session.alpn_protocol() == Some(b"h2");
            let certificate = session.peer_certificates().and_then(|chain| chain.first());
            let certificate = certificate.map(|certificate| certificate.clone().into_owned());
            let entered = connections.enter(peer, session.server_name().map(str::to_owned), certificate);
            drive(stream, http2, &speech, entered, service).await;
        }
        None => {
            // Idle connections are fine here, so a silent caller waits as long as one between two requests.
            let Ok(Ok(http2)) = timeout(IDLE, starts_with_preface(&stream)).await else { return };
            drive(stream, http2, &speech, connections.enter(peer, None, None), service).await;
        }
    }
}

/// Whether an HTTP/2 client speaks (RFC 9113 §3.4); no HTTP/1.1 method is called PRI.
async fn starts_with_preface(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; 4];
    loop {
        let read = stream.peek(&mut first).await?;
        if read == first.len() || read == 0 || !b"PRI ".starts_with(&first[..read]) {
            return Ok(&first == b"PRI ");
        }
        // Peeking leaves the socket readable, so there is nothing to wait on but time.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn drive<I, S, F>(io: I, http2: bool, speech: &Speech, entered: Entered, service: S)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Fn(Arc<Connection>, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response<Body>, Cut>> + Send + 'static,
{
    let connection = entered.connection.clone();
    let service = {
        let connection = connection.clone();
        service_fn(move |request| service(connection.clone(), request))
    };
    // One loop for both protocols: runs the connection until it ends or is told to.
    macro_rules! run {
        ($serving:expr) => {{
            let mut serving = pin!($serving);
            loop {
                tokio::select! {
                    _ = serving.as_mut() => return,
                    () = connection.commanded.notified() => match connection.command.load(Ordering::Acquire) {
                        CLOSE => return,
                        _ => serving.as_mut().graceful_shutdown(),
                    },
                }
            }
        }};
    }
    let io = TokioIo::new(io);
    match http2 {
        true => run!(
            http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(speech.max_streams)
                .max_pending_accept_reset_streams(speech.max_pending_resets)
                .initial_stream_window_size(256 * 1024)
                .initial_connection_window_size(32 * 1024 * 1024)
                .max_header_list_size(64 * 1024)
                .serve_connection(io, service)
        ),
        false => run!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(IDLE)
                .serve_connection(io, service)
                .with_upgrades()
        ),
    }
}
