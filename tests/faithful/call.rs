//! One exchange as a caller has it, and what both ends are made of: frames and octets that go, and those that come.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use tokio::net::TcpStream;

use super::authority;
use super::cell::{Cell, Incoming};
use super::fields::{Fields, headers};
use super::http1::{self, Framing, Io, Reader, Writer};
use super::upstream::{Talk, Upstream};
use crate::common::in_time;

/// A cell, as far as a caller can see.
pub(super) struct To {
    pub(super) cell: Cell,
    pub(super) at: SocketAddr,
    pub(super) upstream: Rc<Upstream>,
}

/// What is sent.
pub(super) enum Out {
    Http1(Writer),
    Http2(h2::SendStream<Bytes>),
    /// Nobody takes anything any more.
    Broken,
}

/// What is received.
pub(super) enum In {
    Http1(Reader),
    Http2(h2::RecvStream),
}

/// A message broke off, with this code where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken(pub(super) Option<u32>);

/// A message that has come to its end, or broke off.
#[derive(Debug, Default)]
pub(super) struct Whole {
    pub(super) body: Bytes,
    pub(super) trailers: Option<Fields>,
    pub(super) broken: Option<Broken>,
    /// The head was the end.
    pub(super) head_alone: bool,
}

/// An answer's head, and its body.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) fields: Fields,
    pub(super) body: In,
    /// Statuses of the answers before the answer. The HTTP/2 of these callers does not tell.
    /// Status and `link` of each answer before it.
    pub(super) interim: Vec<(u16, String)>,
}

/// A request under way, on a connection of its own.
pub(super) struct Call {
    pub(super) out: Out,
    answer: Pending,
    head_only: bool,
}

enum Pending {
    Http1(Option<Reader>),
    Http2(h2::client::ResponseFuture),
}

impl To {
    /// What the upstream's scripts say.
    pub(super) fn talk(&self) -> &Talk {
        &self.upstream.talk
    }

    /// A connection.
    pub(super) async fn connect(&self) -> Io {
        let tcp = TcpStream::connect(self.at).await.expect("connected");
        tcp.set_nodelay(true).expect("a socket");
        match (self.cell.incoming.is_tls(), self.cell.incoming.is_http2()) {
            (false, _) => Box::new(tcp),
            (true, true) => authority::connect(tcp, b"h2").await,
            (true, false) => authority::connect(tcp, b"http/1.1").await,
        }
    }

    /// A request's path that wishes something of the upstream.
    pub(super) fn path(&self, wish: &str) -> String {
        match self.cell.incoming.is_grpc() {
            true => format!("/gateway_protocol.Gateway/{wish}"),
            false => format!("/v2/{wish}"),
        }
    }

    /// A request with a body to come: POST, since gRPC has nothing else.
    pub(super) async fn post(&self, wish: &str, fields: &[(&str, &str)], framing: Framing) -> Call {
        self.open("POST", &self.path(wish), fields, framing).await
    }

    /// A whole request and its whole answer.
    pub(super) async fn ask(
        &self,
        method: &str,
        wish: &str,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> (Answer, Whole) {
        let framing = match (body.len() as u64, self.cell.incoming.is_grpc()) {
            (_, true) => Framing::Unknown,
            (0, false) => Framing::Empty,
            (length, false) => Framing::Length(length),
        };
        let mut call = self.open(method, &self.path(wish), fields, framing).await;
        if framing != Framing::Empty {
            call.out.data(body.to_vec()).await;
            call.out.end().await;
        }
        let mut answer = call.answer().await.expect("an answer");
        let whole = answer.body.whole().await;
        (answer, whole)
    }

    /// A request as far as its head.
    pub(super) async fn open(
        &self,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        framing: Framing,
    ) -> Call {
        if self.cell.incoming.is_http2() {
            let mut sender = self.sender().await;
            return self.open_on(&mut sender, method, target, fields, framing).await;
        }
        let (reader, mut writer) = http1::split(self.connect().await);
        let mut all = vec![("host", "localhost")];
        all.extend(fields);
        writer.head(&format!("{method} {target} HTTP/1.1"), &all, framing).await;
        Call { out: Out::Http1(writer), answer: Pending::Http1(Some(reader)), head_only: method == "HEAD" }
    }

    /// An HTTP/2 connection.
    pub(super) async fn sender(&self) -> h2::client::SendRequest<Bytes> {
        let mut builder = h2::client::Builder::new();
        // Of tiny messages this crate takes no more than some part of the window.
        builder.initial_connection_window_size(64 << 20).initial_max_send_streams(1000);
        let (sender, connection) = builder.handshake(self.connect().await).await.expect("HTTP/2");
        tokio::spawn(connection);
        sender
    }

    /// A request as far as its head, on a connection that may have others.
    pub(super) async fn open_on(
        &self,
        sender: &mut h2::client::SendRequest<Bytes>,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        framing: Framing,
    ) -> Call {
        let mut request = http::Request::new(());
        *request.method_mut() = method.parse().expect("a method");
        let scheme = if self.cell.incoming.is_tls() { "https" } else { "http" };
        *request.uri_mut() = format!("{scheme}://localhost{target}").parse().expect("a URL");
        let mut fields = fields.to_vec();
        if self.cell.incoming.is_grpc() {
            fields.extend([("content-type", "application/grpc"), ("te", "trailers")]);
        }
        *request.headers_mut() = headers(&fields);
        if let Framing::Length(length) = framing {
            request.headers_mut().insert("content-length", length.into());
        }
        let mut sender = sender.clone().ready().await.expect("a stream");
        let (answer, out) = sender.send_request(request, framing == Framing::Empty).expect("sent");
        Call { out: Out::Http2(out), answer: Pending::Http2(answer), head_only: method == "HEAD" }
    }
}

impl Call {
    /// The answer's head. Comes once.
    pub(super) async fn answer(&mut self) -> Result<Answer, Broken> {
        in_time("a head", async {
            match &mut self.answer {
                Pending::Http1(reader) => {
                    let mut reader = reader.take().expect("one answer");
                    let mut interim = Vec::new();
                    loop {
                        let (first, fields) = reader.head().await.ok_or(Broken(None))?;
                        let status: u16 = first[9..12].parse().expect("a status");
                        if status < 200 && status != 101 {
                            interim.push((status, fields.one("link").to_owned()));
                            continue;
                        }
                        reader.expect(&fields, true, self.head_only || matches!(status, 101 | 204 | 304));
                        return Ok(Answer { status, fields, body: In::Http1(reader), interim });
                    }
                }
                Pending::Http2(answer) => {
                    let mut interim = Vec::new();
                    let answered = poll_fn(|cx| {
                        while let Poll::Ready(Some(Ok(head))) = answer.poll_informational(cx) {
                            let link = Fields::from(head.headers()).one("link").to_owned();
                            interim.push((head.status().as_u16(), link));
                        }
                        Pin::new(&mut *answer).poll(cx)
                    });
                    let (head, body) = answered.await.map_err(Broken::from)?.into_parts();
                    Ok(Answer {
                        status: head.status.as_u16(),
                        fields: (&head.headers).into(),
                        body: In::Http2(body),
                        interim,
                    })
                }
            }
        })
        .await
    }

    /// The head of what comes before the answer, over HTTP/1.1.
    pub(super) async fn interim(&mut self) -> String {
        match &mut self.answer {
            Pending::Http1(Some(reader)) => {
                in_time("an interim answer", reader.head()).await.expect("a head").0
            }
            _ => panic!("not over HTTP/2"),
        }
    }

    /// The caller gives up: CANCEL, or the connection's end once nothing of the answer is held any more either.
    pub(super) fn cancel(mut self) {
        self.out.reset(8);
    }
}

impl Out {
    /// Sends as the window allows. False when nobody takes it any more.
    pub(super) async fn data(&mut self, data: impl Into<Bytes>) -> bool {
        let mut data = data.into();
        match self {
            Out::Http1(writer) => writer.data(&data).await,
            Out::Http2(stream) => {
                while !data.is_empty() {
                    stream.reserve_capacity(data.len());
                    if stream.capacity() == 0 {
                        let more = poll_fn(|cx| stream.poll_capacity(cx)).await;
                        if !matches!(more, Some(Ok(_))) {
                            return false;
                        }
                    }
                    let piece = data.split_to(stream.capacity().min(data.len()));
                    if stream.send_data(piece, false).is_err() {
                        return false;
                    }
                }
                true
            }
            Out::Broken => false,
        }
    }

    pub(super) async fn end(&mut self) {
        match self {
            Out::Http1(writer) => writer.end(&[]).await,
            Out::Http2(stream) => drop(stream.send_data(Bytes::new(), true)),
            Out::Broken => {}
        }
    }

    pub(super) async fn trailers(&mut self, fields: &[(&str, &str)]) {
        match self {
            Out::Http1(writer) => writer.end(fields).await,
            Out::Http2(stream) => drop(stream.send_trailers(headers(fields))),
            Out::Broken => {}
        }
    }

    /// Over HTTP/1.1: the other half stays open.
    pub(super) async fn shut(&mut self) {
        if let Out::Http1(writer) = self {
            writer.shut().await;
        }
    }

    /// Over HTTP/1.1 whoever drops both directions has said it.
    pub(super) fn reset(&mut self, code: u32) {
        if let Out::Http2(stream) = self {
            stream.send_reset(code.into());
        }
    }

    /// Waits until the other side has given up, and says with which code. `body` is the other direction.
    pub(super) async fn given_up(&mut self, body: &mut In) -> Option<u32> {
        match self {
            Out::Http1(_) => {
                if let In::Http1(reader) = body {
                    while reader.piece(u64::MAX).await.is_some() {}
                }
                None
            }
            Out::Http2(stream) => poll_fn(|cx| stream.poll_reset(cx)).await.ok().map(u32::from),
            Out::Broken => None,
        }
    }
}

impl In {
    /// The next piece; `None` at the end.
    pub(super) async fn data(&mut self) -> Option<Result<Bytes, Broken>> {
        match self {
            In::Http1(reader) => reader.data().await.map(|piece| piece.map_err(|()| Broken(None))),
            In::Http2(stream) => {
                let data = stream.data().await?;
                if let Ok(data) = &data {
                    let _ = stream.flow_control().release_capacity(data.len());
                }
                Some(data.map_err(Broken::from))
            }
        }
    }

    /// So many octets, whatever pieces they come in.
    pub(super) async fn octets(&mut self, n: usize) -> Bytes {
        let mut octets = BytesMut::new();
        while octets.len() < n {
            let piece = in_time("more", self.data()).await.expect("more").expect("more");
            octets.extend_from_slice(&piece);
        }
        assert_eq!(octets.len(), n, "{octets:?}");
        octets.freeze()
    }

    /// All that still comes.
    pub(super) async fn whole(&mut self) -> Whole {
        let mut whole = Whole { head_alone: self.is_over(), ..Whole::default() };
        let mut body = BytesMut::new();
        while let Some(data) = self.data().await {
            match data {
                Ok(data) => body.extend_from_slice(&data),
                Err(broken) => {
                    whole.broken = Some(broken);
                    break;
                }
            }
        }
        whole.body = body.freeze();
        if whole.broken.is_none() {
            match self {
                In::Http1(reader) => {
                    whole.trailers = Some(reader.trailers()).filter(|fields| !fields.0.is_empty())
                }
                In::Http2(stream) => match stream.trailers().await {
                    Ok(trailers) => whole.trailers = trailers.as_ref().map(Fields::from),
                    Err(error) => whole.broken = Some(error.into()),
                },
            }
        }
        whole
    }

    pub(super) fn is_over(&self) -> bool {
        match self {
            In::Http1(reader) => reader.is_over(),
            In::Http2(stream) => stream.is_end_stream(),
        }
    }
}

impl From<h2::Error> for Broken {
    fn from(error: h2::Error) -> Broken {
        Broken(error.reason().map(u32::from))
    }
}

impl Incoming {
    /// For what a caller must send to be allowed trailers in its answer (RFC 9110 §6.5.1).
    pub(super) fn wants_trailers(self) -> &'static [(&'static str, &'static str)] {
        if self.is_grpc() { &[] } else { &[("te", "trailers")] }
    }
}
