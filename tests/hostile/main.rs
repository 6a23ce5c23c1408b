//! Input that nobody honest sends: what is answered, what the upstream sees of it, and whether the connection is
//! still understood alike by both sides afterwards.
//!
//! Each table is a list of a name, the bytes, and what must happen.

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "the vocabulary of another binary")]
mod common;

mod fields;
mod flood;
mod framing;
mod heads;
mod http2;
mod limits;
mod recorder;
mod targets;
mod upstream;

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::common::peer::Talk;
use crate::common::{PATIENCE, World, setup};
use recorder::Recorder;

/// What must happen to a request.
#[derive(Clone, Copy, Debug)]
enum Must {
    /// The proxy answers this status, as `malformed`, and does not listen to the connection any longer.
    End(u16),
    /// The proxy answers this status for this reason, and the connection goes on.
    Answer(u16, &'static str),
    /// It reaches the upstream once, with this body, and the connection goes on.
    Pass(&'static str),
    /// The upstream never sees it whole, and the connection ends.
    Break,
    /// The connection is closed without an answer.
    Close,
}

use Must::{Answer, Break, Close, End, Pass};

type Case = (&'static str, Vec<u8>, Must);

/// What could be taken for a request of its own, behind one that must end its connection.
const SMUGGLED: &str = "GET /v2/smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// An upstream that writes down what it sees, and the proxy in front of it with its token.
async fn recorded() -> (World, Recorder) {
    let upstream = Recorder::start().await;
    let world = setup().zeebe_rest(upstream.at).start().await;
    assert_eq!(world.get("/v2/first").await.status, 200);
    upstream.seen();
    (world, upstream)
}

/// Sends each case on a connection of its own, and a second request behind it.
async fn judge_all(cases: &[Case]) {
    let (world, upstream) = recorded().await;
    let mut wrong = Vec::new();
    for (name, bytes, must) in cases {
        let judging = tokio::time::timeout(PATIENCE, judge(world.proxy, &upstream, bytes, *must));
        let judged = judging.await.unwrap_or_else(|_| Err("nothing comes".to_owned()));
        if let Err(what) = judged.and_then(|()| upstream.is_content()) {
            wrong.push(format!("{name}: must {must:?}, but {what}"));
        }
        upstream.seen();
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert_eq!(world.get("/v2/last").await.status, 200);
}

async fn judge(proxy: SocketAddr, upstream: &Recorder, bytes: &[u8], must: Must) -> Result<(), String> {
    let mut stream = TcpStream::connect(proxy).await.expect("connected");
    if let End(_) | Break | Close = must {
        stream.write_all(&[bytes, SMUGGLED.as_bytes()].concat()).await.expect("written");
        let mut answer = Vec::new();
        // A reset after the answer is as good as an end.
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let whole = upstream.seen();
        let answered = answer.matches("HTTP/1.").count();
        return match must {
            _ if !whole.is_empty() => Err(format!("the upstream saw {whole:?}")),
            End(status) if answered != 1 || !answer[8..].starts_with(&format!(" {status} ")) => {
                Err(format!("the answer is {answer:?}"))
            }
            End(_) if !answer.contains("proxy-status: ") || !answer.contains(r#""reason":"malformed""#) => {
                Err(format!("the answer does not say why: {answer:?}"))
            }
            Break if answered > 1 || answer.contains(" 200 ") => Err(format!("the answer is {answer:?}")),
            Close if !answer.is_empty() => Err(format!("the answer is {answer:?}")),
            _ => Ok(()),
        };
    }
    stream.write_all(bytes).await.expect("written");
    let mut talk = Talk::new(stream);
    let (head, body) = read(&mut talk).await?;
    let seen = upstream.seen();
    match must {
        Answer(status, reason) => {
            let said = body.contains(&format!(r#""reason":"{reason}""#));
            if !head[8..].starts_with(&format!(" {status} ")) || !said || !seen.is_empty() {
                return Err(format!("the answer is {head:?} {body:?}, and the upstream saw {seen:?}"));
            }
        }
        Pass(expected) => {
            if seen.len() != 1 || seen[0].body != expected.as_bytes() || !head[8..].starts_with(" 200 ") {
                return Err(format!("the answer is {head:?}, and the upstream saw {seen:?}"));
            }
        }
        End(_) | Break | Close => {}
    }
    talk.say("GET /v2/second HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let (head, body) = read(&mut talk).await.map_err(|what| format!("of the second request {what}"))?;
    let seen = upstream.seen();
    match seen.len() == 1 && body == "GET /base/v2/second" && head[8..].starts_with(" 200 ") {
        true => Ok(()),
        false => Err(format!("the second answer is {head:?} {body:?}, and the upstream saw {seen:?}")),
    }
}

/// One answer with a length; `100 Continue` before it is passed over.
async fn read(talk: &mut Talk) -> Result<(String, String), String> {
    loop {
        let head = talk.head().await.ok_or("the connection was closed without an answer")?;
        if head[8..].starts_with(" 100 ") {
            continue;
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let body = talk.body(length.and_then(|length| length.parse().ok()).unwrap_or(0)).await;
        return Ok((head, String::from_utf8_lossy(&body).into_owned()));
    }
}

fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n\r\n").into()
}

/// A POST with these field lines, each with its own end, and this body.
fn post(lines: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Vec<u8> {
    [b"POST /v2/x HTTP/1.1\r\nhost: localhost\r\n", lines.as_ref(), b"\r\n", body.as_ref()].concat()
}
