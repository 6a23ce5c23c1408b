//! The upstream of a way out: hands each request to a script, which answers as it likes.

use std::cell::Cell;
use std::fmt::Display;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Mutex, Notify};
use tokio::task::spawn_local;

use super::authority;
use super::call::{In, Out, Whole};
use super::cell::Outgoing;
use super::fields::{Fields, headers};
use super::http1::{self, Framing, Io, Reader, Writer};
use crate::common::in_time;

pub(super) struct Upstream {
    pub(super) at: SocketAddr,
    connections: Cell<usize>,
    pub(super) talk: Rc<Talk>,
}

/// What a script and a caller tell each other besides HTTP.
pub(super) struct Talk {
    say: UnboundedSender<String>,
    said: Mutex<UnboundedReceiver<String>>,
    /// A script may go on.
    pub(super) go: Notify,
    /// Every HTTP/2 connection finishes what it has, and takes nothing new.
    pub(super) go_away: Notify,
    /// Every HTTP/2 connection ends without a word.
    pub(super) cut: Notify,
    /// What a script counts.
    pub(super) count: Rc<Cell<u64>>,
}

impl Talk {
    pub(super) fn say(&self, what: impl Display) {
        let _ = self.say.send(what.to_string());
    }

    /// The next thing that was said.
    pub(super) async fn heard(&self) -> String {
        in_time("a word of the upstream", async { self.said.lock().await.recv().await })
            .await
            .expect("a word")
    }
}

/// A request, and the place for its answer. Dropped without one, its connection or stream breaks.
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) fields: Fields,
    pub(super) body: In,
    /// Which connection it came on, from 1.
    pub(super) connection: usize,
    pub(super) outgoing: Outgoing,
    pub(super) talk: Rc<Talk>,
    answering: Answering,
}

enum Answering {
    Http1(Writer),
    Http2(h2::server::SendResponse<Bytes>),
}

impl Asked {
    /// The first segment of the path after what is the same in all cells; says what to do in scripts that do several things.
    pub(super) fn wish(&self) -> &str {
        let path = self.target.split('?').next().unwrap_or_default();
        path.rsplit('/').next().unwrap_or_default()
    }

    /// An answer's head; an [`Framing::Empty`] one is the whole answer. HTTP/1.1 connections end with it.
    pub(super) async fn answer(self, status: u16, fields: &[(&str, &str)], framing: Framing) -> (In, Out) {
        let Asked { body, answering, .. } = self;
        match answering {
            Answering::Http1(mut writer) => {
                let mut fields = fields.to_vec();
                fields.push(("connection", "close"));
                writer.head(&format!("HTTP/1.1 {status} As You Like"), &fields, framing).await;
                (body, Out::Http1(writer))
            }
            Answering::Http2(mut respond) => {
                let mut response = http::Response::new(());
                *response.status_mut() = status.try_into().expect("a status");
                *response.headers_mut() = headers(fields);
                if let Framing::Length(length) = framing {
                    response.headers_mut().insert("content-length", length.into());
                }
                match respond.send_response(response, framing == Framing::Empty) {
                    Ok(stream) => (body, Out::Http2(stream)),
                    Err(_) => (body, Out::Broken),
                }
            }
        }
    }

    /// A whole answer, the request having been read. To HEAD it is what the head of one would be.
    pub(super) async fn answer_whole(mut self, status: u16, fields: &[(&str, &str)], body: &[u8]) {
        self.body.whole().await;
        if self.method == "HEAD" {
            let length = body.len().to_string();
            let fields = [fields, &[("content-length", &length)]].concat();
            self.answer(status, &fields, Framing::Empty).await;
            return;
        }
        let (_body, mut out) = self.answer(status, fields, Framing::Length(body.len() as u64)).await;
        out.data(body.to_vec()).await;
        out.end().await;
    }

    /// Reads all of the request.
    pub(super) async fn whole(&mut self) -> Whole {
        self.body.whole().await
    }

    /// What has no meaning for HTTP/1.1.
    pub(super) async fn raw(&mut self, octets: &[u8]) {
        match &mut self.answering {
            Answering::Http1(writer) => {
                writer.raw(octets).await;
            }
            Answering::Http2(_) => panic!("not over HTTP/2"),
        }
    }

    /// Both directions of a connection that has left HTTP.
    pub(super) fn tunnel(self) -> (Reader, Writer) {
        match (self.body, self.answering) {
            (In::Http1(reader), Answering::Http1(writer)) => (reader, writer),
            _ => panic!("not over HTTP/2"),
        }
    }

    /// Before an answer: a reset with this code, or the connection's end.
    pub(super) fn break_off(self, code: u32) {
        if let Answering::Http2(mut respond) = self.answering {
            respond.send_reset(code.into());
        }
    }

    /// Waits until the caller has given up, and says with which code.
    pub(super) async fn given_up(&mut self) -> Option<u32> {
        match &mut self.answering {
            Answering::Http1(_) => {
                while let Some(Ok(_)) = self.body.data().await {}
                if let In::Http1(reader) = &mut self.body {
                    while reader.piece(u64::MAX).await.is_some() {}
                }
                None
            }
            Answering::Http2(respond) => {
                std::future::poll_fn(|cx| respond.poll_reset(cx)).await.ok().map(u32::from)
            }
        }
    }
}

impl Upstream {
    pub(super) async fn start(outgoing: Outgoing, script: Rc<impl AsyncFn(Asked) + 'static>) -> Rc<Upstream> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("an address");
        let (say, said) = unbounded_channel();
        let talk = Talk {
            say,
            said: Mutex::new(said),
            go: Notify::new(),
            go_away: Notify::new(),
            cut: Notify::new(),
            count: Rc::default(),
        };
        let upstream = Rc::new(Upstream { at, connections: Cell::new(0), talk: Rc::new(talk) });
        let shared = Rc::clone(&upstream);
        spawn_local(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tcp.set_nodelay(true).expect("a socket");
                shared.connections.set(shared.connections.get() + 1);
                spawn_local(Rc::clone(&shared).serve(outgoing, tcp, Rc::clone(&script)));
            }
        });
        upstream
    }

    /// How many there have been.
    pub(super) fn connections(&self) -> usize {
        self.connections.get()
    }

    async fn serve(
        self: Rc<Upstream>,
        outgoing: Outgoing,
        tcp: TcpStream,
        script: Rc<impl AsyncFn(Asked) + 'static>,
    ) {
        let connection = self.connections();
        let accepted = match outgoing {
            Outgoing::Http1 => Some((Box::new(tcp) as Io, false)),
            Outgoing::Http2 => Some((Box::new(tcp) as Io, true)),
            Outgoing::Http1Tls => authority::accept(tcp, &[b"http/1.1"]).await,
            Outgoing::Http2Tls => authority::accept(tcp, &[b"h2", b"http/1.1"]).await,
        };
        let Some((io, http2)) = accepted else { return };
        if http2 {
            return self.serve_http2(outgoing, connection, io, script).await;
        }
        let (mut reader, mut writer) = http1::split(io);
        let Some((first, fields)) = reader.head().await else { return };
        if first == "PRI * HTTP/2.0" {
            writer.raw(b"HTTP/1.1 505 HTTP Version Not Supported\r\ncontent-length: 0\r\n\r\n").await;
            return;
        }
        reader.expect(&fields, false, false);
        let [method, target, "HTTP/1.1"] = first.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{first}")
        };
        let asked = Asked {
            method: method.to_owned(),
            target: target.to_owned(),
            fields,
            body: In::Http1(reader),
            connection,
            outgoing,
            talk: Rc::clone(&self.talk),
            answering: Answering::Http1(writer),
        };
        script(asked).await;
    }

    async fn serve_http2(
        self: Rc<Upstream>,
        outgoing: Outgoing,
        connection: usize,
        io: Io,
        script: Rc<impl AsyncFn(Asked) + 'static>,
    ) {
        let mut builder = h2::server::Builder::new();
        builder.initial_connection_window_size(1 << 20).max_concurrent_streams(100);
        let Ok(mut accepting) = builder.handshake(io).await else { return };
        loop {
            let accepted = tokio::select! {
                // Before anything else is written.
                biased;
                () = self.talk.cut.notified() => return,
                () = self.talk.go_away.notified() => {
                    accepting.graceful_shutdown();
                    continue;
                }
                accepted = accepting.accept() => accepted,
            };
            let Some(Ok((request, respond))) = accepted else { return };
            let (head, body) = request.into_parts();
            let asked = Asked {
                method: head.method.to_string(),
                target: head.uri.path_and_query().map_or("", |target| target.as_str()).to_owned(),
                fields: (&head.headers).into(),
                body: In::Http2(body),
                connection,
                outgoing,
                talk: Rc::clone(&self.talk),
                answering: Answering::Http2(respond),
            };
            let script = Rc::clone(&script);
            spawn_local(async move { script(asked).await });
        }
    }
}
