//! HTTP/2 by hand: frames as they are on the wire (RFC 9113 §4.1).

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::in_time;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// A connection on which frames are written and read one by one.
pub(crate) struct Frames(pub(crate) TcpStream);

impl Frames {
    /// A client's connection: preface, empty SETTINGS, and theirs acknowledged.
    pub(crate) async fn connect(at: SocketAddr) -> Frames {
        let mut frames = Frames(TcpStream::connect(at).await.expect("connected"));
        frames.0.write_all(PREFACE).await.expect("written");
        frames.write(SETTINGS, 0, 0, &[]).await;
        frames
    }

    /// A server's end of an accepted connection.
    pub(crate) async fn accept(mut stream: TcpStream, settings: &[(u16, u32)]) -> Frames {
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await.expect("a preface");
        assert_eq!(preface, PREFACE);
        let mut frames = Frames(stream);
        let mut payload = Vec::new();
        for (name, value) in settings {
            payload.extend(name.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        frames.write(SETTINGS, 0, 0, &payload).await;
        frames
    }

    pub(crate) async fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        // The other side may have closed: what it wrote before is still to be read.
        let _ = self.0.write_all(&frame(kind, flags, stream, payload)).await;
    }

    /// A head, its fields written out without compression.
    pub(crate) async fn head(&mut self, stream: u32, flags: u8, fields: &[(&str, &str)]) {
        let block = block(fields);
        self.write(HEADERS, flags | END_HEADERS, stream, &block).await;
    }

    /// The next frame, SETTINGS acknowledged on the way; `None` when the connection is closed.
    pub(crate) async fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        let mut payload = Vec::new();
        let read = async {
            self.0.read_exact(&mut head).await.ok()?;
            payload.resize(u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize, 0);
            self.0.read_exact(&mut payload).await.ok()
        };
        in_time("a frame", read).await?;
        let frame = Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff,
            payload,
        };
        if frame.kind == SETTINGS && frame.flags & 1 == 0 {
            self.write(SETTINGS, 1, 0, &[]).await;
        }
        if frame.kind == 6 && frame.flags & 1 == 0 {
            let payload = frame.payload.clone();
            self.write(6, 1, 0, &payload).await;
        }
        Some(frame)
    }

    /// The next frame of a stream other than a window update.
    pub(crate) async fn of(&mut self, stream: u32) -> Option<Frame> {
        loop {
            let frame = self.read().await?;
            if frame.stream == stream && frame.kind != WINDOW_UPDATE {
                return Some(frame);
            }
        }
    }
}

/// A frame's bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Fields written out without compression (RFC 7541 §6.2.2).
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            match text.len() {
                short @ 0..127 => block.push(short as u8),
                long => {
                    let mut rest = long - 127;
                    block.push(127);
                    while rest >= 128 {
                        block.push((rest % 128) as u8 | 128);
                        rest /= 128;
                    }
                    block.push(rest as u8);
                }
            }
            block.extend(text.as_bytes());
        }
    }
    block
}

/// A gRPC request's head, to this authority.
pub(crate) fn grpc_head<'a>(authority: &'a str, path: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", authority),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    ]
}
