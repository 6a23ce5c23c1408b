//! Callers: an HTTP/1.1 or HTTP/2 connection to anybody, and what came back over it.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::in_time;

/// A connection and its requests.
#[derive(Clone)]
pub(crate) struct Caller(Kind);

enum Kind {
    Http1 { sender: Option<hyper::client::conn::http1::SendRequest<Full<Bytes>>>, at: SocketAddr },
    Http2 { sender: h2::client::SendRequest<Bytes>, authority: String },
}

impl Clone for Kind {
    fn clone(&self) -> Kind {
        match self {
            Kind::Http2 { sender, authority } => {
                Kind::Http2 { sender: sender.clone(), authority: authority.clone() }
            }
            Kind::Http1 { .. } => panic!("an HTTP/1.1 connection has one user"),
        }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
    /// The head was the end of the stream.
    pub(crate) head_alone: bool,
}

/// Nothing whole came back.
#[derive(Debug)]
pub(crate) enum Failed {
    Http1(#[expect(dead_code, reason = "shown when a test fails")] hyper::Error),
    Http2(h2::Error),
}

impl Failed {
    /// The code of a reset.
    pub(crate) fn code(&self) -> Option<h2::Reason> {
        match self {
            Failed::Http1(_) => None,
            Failed::Http2(error) => error.reason(),
        }
    }
}

impl From<h2::Error> for Failed {
    fn from(error: h2::Error) -> Failed {
        Failed::Http2(error)
    }
}

impl From<hyper::Error> for Failed {
    fn from(error: hyper::Error) -> Failed {
        Failed::Http1(error)
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A header's text, empty when it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// The gRPC status, from trailers or from a head alone.
    pub(crate) fn grpc_status(&self) -> Option<i32> {
        let at = self.trailers.as_ref().unwrap_or(&self.headers);
        at.get("grpc-status")?.to_str().ok()?.parse().ok()
    }

    /// The word for why the proxy answered by itself.
    pub(crate) fn reason(&self) -> String {
        match self.header("content-type") {
            "application/problem+json" => self.json()["reason"].as_str().unwrap_or_default().to_owned(),
            _ => self.header("grpc-message").split(':').next().unwrap_or_default().to_owned(),
        }
    }
}

impl Caller {
    pub(crate) async fn http1(at: SocketAddr) -> Caller {
        let stream = TcpStream::connect(at).await.expect("connected");
        Caller::http1_on(stream, at).await
    }

    pub(crate) async fn http1_on(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        at: SocketAddr,
    ) -> Caller {
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.expect("HTTP/1.1");
        tokio::spawn(connection.with_upgrades());
        Caller(Kind::Http1 { sender: Some(sender), at })
    }

    pub(crate) async fn http2(at: SocketAddr) -> Caller {
        let stream = TcpStream::connect(at).await.expect("connected");
        stream.set_nodelay(true).expect("a socket");
        Caller::http2_on(stream, at).await
    }

    pub(crate) async fn http2_on(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        at: SocketAddr,
    ) -> Caller {
        let builder = {
            let mut builder = h2::client::Builder::new();
            builder.initial_max_send_streams(1000).initial_connection_window_size(16 << 20);
            builder
        };
        let (sender, connection) = builder.handshake(stream).await.expect("HTTP/2");
        tokio::spawn(connection);
        Caller(Kind::Http2 { sender, authority: at.to_string() })
    }

    /// A request on this connection. `host` among the fields replaces the authority.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        fields: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, Failed> {
        let body = body.into();
        in_time(path, async {
            match &mut self.0 {
                Kind::Http1 { sender, at } => {
                    let request = head(method, path, fields, &at.to_string());
                    let sender = sender.as_mut().expect("a connection");
                    sender.ready().await?;
                    let response = sender.send_request(request.map(|()| Full::new(body))).await?;
                    let (parts, incoming) = response.into_parts();
                    let head_alone = hyper::body::Body::is_end_stream(&incoming);
                    let collected = incoming.collect().await?;
                    let trailers = collected.trailers().cloned();
                    Ok(Answer {
                        status: parts.status,
                        headers: parts.headers,
                        body: collected.to_bytes(),
                        trailers,
                        head_alone,
                    })
                }
                Kind::Http2 { .. } => {
                    let (response, mut sending) = self.open(method, path, fields, body.is_empty()).await?;
                    if !body.is_empty() {
                        sending.send_data(body, true)?;
                    }
                    Ok(read(response.await?).await?)
                }
            }
        })
        .await
    }

    /// An HTTP/2 stream, as far as the request's head.
    pub(crate) async fn open(
        &mut self,
        method: Method,
        path: &str,
        fields: &[(&str, &str)],
        end: bool,
    ) -> Result<(h2::client::ResponseFuture, h2::SendStream<Bytes>), h2::Error> {
        let Kind::Http2 { sender, authority } = &mut self.0 else { panic!("not over HTTP/1.1") };
        let mut fields = fields.to_vec();
        let own = fields.iter().position(|(name, _)| *name == ":authority").map(|at| fields.remove(at).1);
        let mut request = head(method, path, &fields, "");
        request.headers_mut().remove("host");
        let url = format!("http://{}{path}", own.unwrap_or(authority));
        *request.uri_mut() = url.parse().expect("a URL");
        *request.version_mut() = Version::HTTP_2;
        for value in fields.iter().filter(|(name, _)| *name == "host") {
            request.headers_mut().append("host", value.1.parse().expect("a value"));
        }
        let mut sender = in_time("a stream", sender.clone().ready()).await?;
        sender.send_request(request, end)
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], "").await.unwrap_or_else(|error| panic!("{path}: {error:?}"))
    }

    /// A gRPC call with one message.
    pub(crate) async fn grpc(
        &mut self,
        path: &str,
        fields: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, Failed> {
        let mut all = vec![("content-type", "application/grpc"), ("te", "trailers")];
        all.extend(fields);
        self.send(Method::POST, path, &all, body).await
    }

    /// A gRPC call whose answer is not waited for.
    pub(crate) async fn begin(
        &mut self,
        path: &str,
        fields: &[(&str, &str)],
        body: Bytes,
    ) -> h2::client::ResponseFuture {
        let mut all = vec![("content-type", "application/grpc"), ("te", "trailers")];
        all.extend(fields);
        let (response, mut sending) = self.open(Method::POST, path, &all, false).await.expect("a stream");
        sending.send_data(body, true).expect("sent");
        response
    }
}

/// Reads an HTTP/2 answer to its end.
pub(crate) async fn read(response: Response<h2::RecvStream>) -> Result<Answer, h2::Error> {
    let (parts, mut stream) = response.into_parts();
    let head_alone = stream.is_end_stream();
    let mut body = BytesMut::new();
    while let Some(data) = stream.data().await {
        let data = data?;
        let _ = stream.flow_control().release_capacity(data.len());
        body.extend_from_slice(&data);
    }
    let trailers = stream.trailers().await?;
    let body = body.freeze();
    Ok(Answer { status: parts.status, headers: parts.headers, body, trailers, head_alone })
}

fn head(method: Method, path: &str, fields: &[(&str, &str)], host: &str) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().expect("a path");
    for (name, value) in fields {
        let name: http::HeaderName = name.parse().expect("a name");
        request.headers_mut().append(name, value.parse().expect("a value"));
    }
    if !request.headers().contains_key("host") {
        request.headers_mut().insert("host", host.parse().unwrap_or(http::HeaderValue::from_static("")));
    }
    request
}

/// Sends text on a connection of its own and reads until the other side closes it.
pub(crate) async fn raw(at: SocketAddr, text: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(at).await.expect("connected");
    let answer = async {
        stream.write_all(text.as_ref()).await.expect("written");
        let mut answer = Vec::new();
        // A reset after the answer is as good as an end.
        let _ = stream.read_to_end(&mut answer).await;
        answer
    };
    let what = String::from_utf8_lossy(&text.as_ref()[..text.as_ref().len().min(200)]).into_owned();
    String::from_utf8_lossy(&in_time(&format!("closed after {what:?}"), answer).await).into_owned()
}
