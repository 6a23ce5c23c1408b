//! A server that answers at once and does nothing else: what the generator reaches against it is the generator's own limit.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio::time::Instant;

use super::cpus::Cpus;
use super::timer::Timer;

/// The answer to every HTTP/1.1 request.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

/// An empty message of gRPC.
const MESSAGE: &[u8] = &[0; 5];

/// Serves until the process ends, on a thread of its own: HTTP/1.1, and HTTP/2 with prior knowledge. Every `delays` of a
/// request is waited for before its answer.
///
/// # Errors
/// When the system has no thread or port to give.
pub fn start(
    at: SocketAddr,
    cpus: Cpus,
    delays: impl Fn() -> Duration + Clone + Send + 'static,
) -> io::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind(at)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    std::thread::Builder::new().name("null-server".to_owned()).spawn(move || {
        cpus.stay();
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        LocalSet::new().block_on(&runtime, async move {
            let Ok(listener) = TcpListener::from_std(listener) else { return };
            while let Ok((stream, _)) = listener.accept().await {
                let delays = delays.clone();
                tokio::task::spawn_local(async move {
                    // A caller that leaves ends its connection and nothing else.
                    let _ = serve(stream, delays).await;
                });
            }
        });
    })?;
    Ok(address)
}

/// Any free port of loopback.
pub fn anywhere() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

async fn serve(stream: TcpStream, delays: impl Fn() -> Duration + Clone + 'static) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut first = [0; 3];
    stream.peek(&mut first).await?;
    match &first {
        b"PRI" => serve_http2(stream, delays).await.map_err(io::Error::other),
        _ => serve_http1(stream, delays).await,
    }
}

/// One request at a time, without bodies: a request ends with its head.
async fn serve_http1(mut stream: TcpStream, delays: impl Fn() -> Duration) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        if buffer[..filled].ends_with(b"\r\n\r\n") {
            filled = 0;
            pause(delays()).await;
            stream.write_all(ANSWER).await?;
        } else if filled == buffer.len() {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

async fn serve_http2(
    stream: TcpStream,
    delays: impl Fn() -> Duration + Clone + 'static,
) -> Result<(), h2::Error> {
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(1 << 20)
        .initial_connection_window_size(16 << 20)
        .max_concurrent_streams(1000);
    let mut connection = builder.handshake::<_, Bytes>(stream).await?;
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted?;
        let delay = delays();
        tokio::task::spawn_local(async move {
            // The caller may leave meanwhile.
            let _ = answer(request, respond, delay).await;
        });
    }
    Ok(())
}

async fn answer(
    request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    delay: Duration,
) -> Result<(), h2::Error> {
    let mut body = request.into_body();
    while let Some(data) = body.data().await {
        let length = data?.len();
        body.flow_control().release_capacity(length)?;
    }
    pause(delay).await;
    let mut head = Response::new(());
    head.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    let mut stream = respond.send_response(head, false)?;
    stream.send_data(Bytes::from_static(MESSAGE), false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    stream.send_trailers(trailers)
}

/// Exactly this long: what is measured against a known delay must not find another.
async fn pause(delay: Duration) {
    if !delay.is_zero()
        && let Ok(timer) = Timer::new()
    {
        // Who cannot be told the time answers at once, and the measurement shows it.
        let _ = timer.until(Instant::now() + delay).await;
    }
}
