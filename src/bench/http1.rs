//! A client of HTTP/1.1 that costs little: the request is bytes made once, and an answer is read no further than its
//! length and its status.

use std::io;
use std::pin::Pin;
use std::task::{Context, Waker};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};

use super::outcome::Outcome;
use super::target::Target;
use super::work::Work;
use crate::io::Io;

/// What a head may take; beyond, the answer is broken.
const LARGEST_HEAD: usize = 64 * 1024;

/// The bytes of a request.
pub(super) fn request(target: &Target, work: &Work) -> Vec<u8> {
    let (base, authority) = (&target.rest.base_path, target.rest.authority());
    let mut head = match work.body {
        0 => format!("GET {base}/v2/topology HTTP/1.1\r\n"),
        length => format!(
            "POST {base}/v2/process-instances/search HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n"
        ),
    };
    head.push_str(&format!(
        "host: {authority}\r\naccept: application/json\r\nuser-agent: camunda-auth-proxy-bench\r\n"
    ));
    if let Some(authorization) = target.authorization() {
        head.push_str(&format!("authorization: {authorization}\r\n"));
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend(search(work.body));
    bytes
}

/// A search for instances of a process that there is not, in as many bytes as asked for.
fn search(length: usize) -> Vec<u8> {
    let (front, back) = ("{\"filter\":{\"processDefinitionId\":\"", "\"}}");
    match length.checked_sub(front.len() + back.len()) {
        Some(room) => [front.as_bytes(), &vec![b'x'; room], back.as_bytes()].concat(),
        // Blanks around an empty object: the smallest bodies have no room for a filter.
        None => (0..length).map(|at| [b'{', b'}'].get(at).copied().unwrap_or(b' ')).collect(),
    }
}

/// A connection with one request at a time.
pub(super) struct Connection {
    io: Io,
    buffer: Vec<u8>,
    filled: usize,
}

impl Connection {
    pub(super) async fn open(target: &Target) -> io::Result<Connection> {
        let io = target.connect(&target.rest, false).await?;
        Ok(Connection { io, buffer: vec![0; 16 * 1024], filled: 0 })
    }

    /// Whether the peer has closed it while nothing was under way. No request is lost on such a connection: as every
    /// client does, one looks before sending.
    pub(super) fn has_ended(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let mut buffer = ReadBuf::new(&mut self.buffer);
        // Anything that can be read here is the end, an error, or an answer that nobody asked for.
        Pin::new(&mut self.io).poll_read(&mut cx, &mut buffer).is_ready()
    }

    /// Sends a request and reads its answer: how it ended, and whether the connection can take another.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> io::Result<(Outcome, bool)> {
        self.io.write_all(request).await?;
        let head = self.head().await?;
        let keeps = match head.length {
            Length::Known(length) => {
                self.skip(length).await?;
                head.keeps
            }
            Length::Chunked => {
                self.skip_chunks().await?;
                head.keeps
            }
            Length::ToTheEnd => {
                while self.fill().await? > 0 {
                    self.filled = 0;
                }
                false
            }
        };
        Ok((head.outcome, keeps))
    }

    async fn head(&mut self) -> io::Result<Head> {
        loop {
            if self.filled > 0
                && let Some((head, length)) = parse(&self.buffer[..self.filled])?
            {
                self.consume(length);
                if head.interim {
                    continue;
                }
                return Ok(head);
            }
            if self.filled == self.buffer.len() {
                if self.filled >= LARGEST_HEAD {
                    return Err(broken());
                }
                self.buffer.resize(self.filled * 2, 0);
            }
            if self.fill().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        let read = self.io.read(&mut self.buffer[self.filled..]).await?;
        self.filled += read;
        Ok(read)
    }

    fn consume(&mut self, length: usize) {
        self.buffer.copy_within(length..self.filled, 0);
        self.filled -= length;
    }

    async fn skip(&mut self, mut length: u64) -> io::Result<()> {
        loop {
            let here = length.min(self.filled as u64);
            self.consume(here as usize);
            length -= here;
            if length == 0 {
                return Ok(());
            }
            if self.fill().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// RFC 9112 §7.1.
    async fn skip_chunks(&mut self) -> io::Result<()> {
        loop {
            let line = self.line().await?;
            let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
            let size =
                std::str::from_utf8(size).ok().and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
            match size.ok_or_else(broken)? {
                0 => break,
                size => self.skip(size.saturating_add(2)).await?,
            }
        }
        while !self.line().await?.is_empty() {}
        Ok(())
    }

    async fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let end = self.buffer[..self.filled].windows(2).position(|pair| pair == b"\r\n");
            if let Some(end) = end {
                let line = self.buffer[..end].to_vec();
                self.consume(end + 2);
                return Ok(line);
            }
            if self.filled == self.buffer.len() {
                return Err(broken());
            }
            if self.fill().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the answer is no HTTP/1.1")
}

struct Head {
    outcome: Outcome,
    length: Length,
    keeps: bool,
    interim: bool,
}

/// How long an answer's body is (RFC 9112 §6.3).
enum Length {
    Known(u64),
    Chunked,
    ToTheEnd,
}

/// A head and its length, when all of it is there.
fn parse(bytes: &[u8]) -> io::Result<Option<(Head, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut fields);
    let length = match response.parse(bytes).map_err(|_| broken())? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return Ok(None),
    };
    let status = response.code.unwrap_or_default();
    let mut keeps = response.version == Some(1);
    let (mut body, mut proxy_status) = (Length::ToTheEnd, None);
    for field in response.headers.iter() {
        let value = field.value;
        match field.name {
            name if name.eq_ignore_ascii_case("content-length") => {
                let text = std::str::from_utf8(value).ok().and_then(|text| text.trim().parse().ok());
                body = Length::Known(text.ok_or_else(broken)?);
            }
            name if name.eq_ignore_ascii_case("transfer-encoding") => body = Length::Chunked,
            name if name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case(b"close") => {
                keeps = false
            }
            name if name.eq_ignore_ascii_case("proxy-status") => proxy_status = Some(value),
            _ => {}
        }
    }
    let interim = (100..200).contains(&status);
    if interim || matches!(status, 204 | 304) {
        body = Length::Known(0);
    }
    let outcome = Outcome::of_http(status, proxy_status);
    Ok(Some((Head { outcome, length: body, keeps, interim }, length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_json_of_the_length_asked_for() {
        for length in [2, 3, 20, 39, 40, 4096] {
            let body = search(length);
            assert_eq!(body.len(), length);
            assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok(), "{length}");
        }
    }

    #[test]
    fn a_head_says_how_the_answer_ended_and_how_long_it_is() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nconnection: Close\r\n\r\nhello";
        let (head, length) = parse(head).expect("HTTP").expect("whole");
        assert!(matches!(head.length, Length::Known(5)) && !head.keeps && head.outcome == Outcome::Ok);
        assert_eq!(length, 57);
        let head = b"HTTP/1.1 502 Bad Gateway\r\ntransfer-encoding: chunked\r\n\r\n";
        let (head, _) = parse(head).expect("HTTP").expect("whole");
        assert!(matches!(head.length, Length::Chunked) && head.keeps && head.outcome == Outcome::Http(502));
        assert!(parse(b"HTTP/1.1 200 OK\r\ncontent-le").expect("HTTP").is_none());
        assert!(parse(b"\x00\x00\x12\x04\x00\x00").is_err());
    }
}
