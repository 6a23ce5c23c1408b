//! Upstreams that do what the sandbox cannot: a script for each connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::Request;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A listener whose connections follow a script. Ends with the test's runtime.
pub(crate) struct Peer {
    pub(crate) at: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Peer {
    /// How many connections there have been.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// Runs `script` on each connection.
pub(crate) async fn peer<F>(script: impl Fn(TcpStream) -> F + Send + 'static) -> Peer
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("an address");
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).expect("a socket");
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(script(stream));
        }
    });
    Peer { at, connections }
}

/// An HTTP/1.1 server's end of a connection.
pub(crate) struct Talk(pub(crate) BufReader<TcpStream>);

impl Talk {
    pub(crate) fn new(stream: TcpStream) -> Talk {
        Talk(BufReader::new(stream))
    }

    /// The next request's head as it came; `None` at the connection's end.
    pub(crate) async fn head(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match self.0.read_until(b'\n', &mut head).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
        Some(String::from_utf8_lossy(&head).into_owned())
    }

    /// A body of this length.
    pub(crate) async fn body(&mut self, length: usize) -> Vec<u8> {
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.expect("a body");
        body
    }

    pub(crate) async fn say(&mut self, text: impl AsRef<[u8]>) {
        // The proxy may have closed, which is what some tests are about.
        let _ = self.0.get_mut().write_all(text.as_ref()).await;
    }
}

/// Answers every request on HTTP/1.1 with what `answer` makes of its head. Bodies of requests are not read.
pub(crate) async fn http1_peer(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Peer {
    let answer = Arc::new(answer);
    peer(move |stream| {
        let answer = Arc::clone(&answer);
        async move {
            let mut talk = Talk::new(stream);
            while let Some(head) = talk.head().await {
                let text = answer(&head);
                talk.say(text).await;
            }
        }
    })
    .await
}

/// An HTTP/2 server on each connection, a task for each request.
pub(crate) async fn http2_peer<F>(
    build: impl Fn(&mut h2::server::Builder) + Send + Sync + 'static,
    answer: impl Fn(Request<h2::RecvStream>, h2::server::SendResponse<Bytes>) -> F + Send + Sync + 'static,
) -> Peer
where
    F: Future<Output = ()> + Send + 'static,
{
    let shared = Arc::new((build, answer));
    peer(move |stream| {
        let shared = Arc::clone(&shared);
        async move {
            let mut builder = h2::server::Builder::new();
            (shared.0)(&mut builder);
            let Ok(mut connection) = builder.handshake(stream).await else { return };
            while let Some(Ok((request, respond))) = connection.accept().await {
                tokio::spawn((shared.1)(request, respond));
            }
        }
    })
    .await
}

/// A gRPC answer: a head, one message, trailers.
pub(crate) fn grpc_ok(mut respond: h2::server::SendResponse<Bytes>) {
    let head = http::Response::builder().header("content-type", "application/grpc").body(()).expect("a head");
    let Ok(mut sending) = respond.send_response(head, false) else { return };
    let _ = sending.send_data(super::message(&[]), false);
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
    let _ = sending.send_trailers(trailers);
}
