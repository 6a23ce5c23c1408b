//! HTTP/1.1 by hand (RFC 9112): what goes over the wire is what a test says, and what came is what it sees.

use bytes::Bytes;
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadHalf, WriteHalf,
};

use super::fields::{Fields, latin1, octets};

pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

pub(super) type Io = Box<dyn Stream>;

/// How much of a body there is, as its head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// None, and no word about it.
    Empty,
    /// So many octets.
    Length(u64),
    /// It ends when it ends: chunks in HTTP/1.1.
    Unknown,
    /// An answer that ends with its connection; in HTTP/2 the same as the one before.
    UntilClose,
}

/// What is read of a connection.
pub(super) struct Reader {
    io: BufReader<ReadHalf<Io>>,
    left: Left,
    trailers: Fields,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Left {
    Octets(u64),
    Chunks,
    UntilClose,
}

/// What is written to it.
pub(super) struct Writer {
    io: WriteHalf<Io>,
    pub(super) framing: Framing,
}

pub(super) fn split(io: Io) -> (Reader, Writer) {
    let (reading, writing) = tokio::io::split(io);
    let reader = Reader { io: BufReader::new(reading), left: Left::Octets(0), trailers: Fields::default() };
    (reader, Writer { io: writing, framing: Framing::Empty })
}

impl Writer {
    /// A head with its framing last. False when nobody listens any more.
    pub(super) async fn head(&mut self, first: &str, fields: &[(&str, &str)], framing: Framing) -> bool {
        self.framing = framing;
        let mut head = octets(&format!("{first}\r\n"));
        for (name, value) in fields {
            head.extend(octets(&format!("{name}: {value}\r\n")));
        }
        match framing {
            Framing::Empty => {}
            Framing::Length(length) => head.extend(format!("content-length: {length}\r\n").into_bytes()),
            Framing::Unknown => head.extend(b"transfer-encoding: chunked\r\n"),
            Framing::UntilClose => {}
        }
        head.extend(b"\r\n");
        self.raw(&head).await
    }

    pub(super) async fn data(&mut self, data: &[u8]) -> bool {
        // A chunk with nothing in it would be the last.
        if self.framing != Framing::Unknown || data.is_empty() {
            return self.raw(data).await;
        }
        let head = format!("{:x}\r\n", data.len());
        self.raw(&[head.as_bytes(), data, b"\r\n"].concat()).await
    }

    pub(super) async fn end(&mut self, trailers: &[(&str, &str)]) {
        match self.framing {
            Framing::Unknown => {
                let mut end = b"0\r\n".to_vec();
                for (name, value) in trailers {
                    end.extend(octets(&format!("{name}: {value}\r\n")));
                }
                end.extend(b"\r\n");
                self.raw(&end).await;
            }
            Framing::UntilClose => {
                let _ = self.io.shutdown().await;
            }
            _ => {}
        }
    }

    pub(super) async fn raw(&mut self, octets: &[u8]) -> bool {
        self.io.write_all(octets).await.is_ok() && self.io.flush().await.is_ok()
    }

    /// Nothing more is written, and the other side is told.
    pub(super) async fn shut(&mut self) {
        let _ = self.io.shutdown().await;
    }
}

impl Reader {
    /// The first line and the fields; `None` at the connection's end.
    pub(super) async fn head(&mut self) -> Option<(String, Fields)> {
        let first = self.line().await?;
        let mut fields = Fields::default();
        loop {
            let line = self.line().await?;
            match line.split_once(": ") {
                _ if line.is_empty() => break,
                Some((name, value)) => fields.0.push((name.to_ascii_lowercase(), value.to_owned())),
                None => {
                    let name = line.strip_suffix(':').unwrap_or_else(|| panic!("a field is {line:?}"));
                    fields.0.push((name.to_ascii_lowercase(), String::new()));
                }
            }
        }
        Some((first, fields))
    }

    /// What follows a head; `answers` is whether a head without a length may be followed by something.
    pub(super) fn expect(&mut self, fields: &Fields, answers: bool, none: bool) {
        let codings = fields.all("transfer-encoding");
        let lengths = fields.all("content-length");
        assert!(codings.len() + lengths.len() <= 1, "framed twice: {fields:?}");
        self.left = match (none, &codings[..], &lengths[..]) {
            (true, ..) => Left::Octets(0),
            (_, ["chunked"], _) => Left::Chunks,
            (_, _, [length]) => Left::Octets(length.parse().expect("a length")),
            _ if answers => Left::UntilClose,
            _ => Left::Octets(0),
        };
    }

    /// Whether the head said that nothing follows, or all of it was read.
    pub(super) fn is_over(&self) -> bool {
        self.left == Left::Octets(0)
    }

    /// The next piece of the body. `None` at its end, an error when it broke off before.
    pub(super) async fn data(&mut self) -> Option<Result<Bytes, ()>> {
        let read = match self.left {
            Left::Octets(0) => return None,
            Left::Octets(left) => match self.piece(left).await {
                Some(piece) => {
                    self.left = Left::Octets(left - piece.len() as u64);
                    Ok(piece)
                }
                None => Err(()),
            },
            Left::UntilClose => match self.piece(u64::MAX).await {
                Some(piece) => Ok(piece),
                None => {
                    self.left = Left::Octets(0);
                    return None;
                }
            },
            Left::Chunks => match self.chunk().await {
                Some(Some(chunk)) => Ok(chunk),
                Some(None) => return None,
                None => Err(()),
            },
        };
        Some(read)
    }

    pub(super) fn trailers(&mut self) -> Fields {
        std::mem::take(&mut self.trailers)
    }

    /// Whatever comes, without a meaning; `None` at the end.
    pub(super) async fn piece(&mut self, most: u64) -> Option<Bytes> {
        let buffer = self.io.fill_buf().await.ok().filter(|buffer| !buffer.is_empty())?;
        let n = buffer.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        let piece = Bytes::copy_from_slice(&buffer[..n]);
        self.io.consume(n);
        Some(piece)
    }

    async fn chunk(&mut self) -> Option<Option<Bytes>> {
        let size = usize::from_str_radix(&self.line().await?, 16).expect("a chunk's size");
        if size > 0 {
            let mut chunk = vec![0; size + 2];
            self.io.read_exact(&mut chunk).await.ok()?;
            assert_eq!(chunk.split_off(size), b"\r\n");
            return Some(Some(chunk.into()));
        }
        self.left = Left::Octets(0);
        loop {
            let line = self.line().await?;
            match line.split_once(": ") {
                Some((name, value)) => self.trailers.0.push((name.to_ascii_lowercase(), value.to_owned())),
                None => break,
            }
        }
        Some(None)
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        self.io.read_until(b'\n', &mut line).await.ok()?;
        let text = line.strip_suffix(b"\r\n")?;
        Some(latin1(text))
    }
}
