//! An upstream that reads HTTP/1.1 to the letter and writes down what it sees.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt};

use crate::common::peer::{Peer, Talk, peer};

/// A request that came whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
    pub(super) trailers: String,
}

impl Seen {
    /// The values of a field.
    pub(super) fn field(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

#[derive(Default)]
struct Notes {
    seen: Vec<Seen>,
    /// What no upstream may get from this proxy, whatever came in.
    faults: Vec<String>,
}

pub(super) struct Recorder {
    pub(super) at: SocketAddr,
    notes: Arc<Mutex<Notes>>,
    _peer: Peer,
}

impl Recorder {
    /// Answers every whole request with its method and target.
    pub(super) async fn start() -> Recorder {
        let notes = Arc::new(Mutex::new(Notes::default()));
        let noting = Arc::clone(&notes);
        let peer = peer(move |stream| {
            let notes = Arc::clone(&noting);
            async move {
                let at = stream.local_addr().expect("an address");
                let mut talk = Talk::new(stream);
                while let Some(head) = talk.head().await {
                    let mut faults = faults(&head, at);
                    let whole = read(&mut talk, head, &mut faults).await;
                    notes.lock().expect("notes").faults.append(&mut faults);
                    let Some(seen) = whole else { return };
                    let line = seen.head.lines().next().unwrap_or_default().to_owned();
                    notes.lock().expect("notes").seen.push(seen);
                    let body = line.trim_end_matches(" HTTP/1.1");
                    talk.say(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
                        .await;
                }
            }
        })
        .await;
        Recorder { at: peer.at, notes, _peer: peer }
    }

    /// What came since this was last asked.
    pub(super) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.notes.lock().expect("notes").seen)
    }

    /// Whether every head, also of requests that were broken off, was one that this proxy may send.
    pub(super) fn is_content(&self) -> Result<(), String> {
        let faults = std::mem::take(&mut self.notes.lock().expect("notes").faults);
        if faults.is_empty() { Ok(()) } else { Err(faults.join(", ")) }
    }
}

fn faults(head: &str, at: SocketAddr) -> Vec<String> {
    let seen = Seen { head: head.to_owned(), ..Seen::default() };
    let mut faults = Vec::new();
    let mut demand = |so: bool, what: &str| {
        if !so {
            faults.push(format!("{what}: {head:?}"));
        }
    };
    let tokens = seen.field("authorization");
    demand(tokens.len() == 1 && tokens[0].starts_with("Bearer ey"), "not one authorization, ours");
    demand(seen.field("host") == [at.to_string()], "not one host, the upstream's");
    demand(seen.field("content-length").len() + seen.field("transfer-encoding").len() <= 1, "framed twice");
    demand(seen.field("via").last() == Some(&"1.1 camunda-auth-proxy"), "no via");
    demand(head.lines().next().is_some_and(|line| line.contains(" /base/")), "not below the base path");
    demand(
        head.lines().all(|line| line.starts_with(|c: char| c.is_ascii_graphic()) || line.is_empty()),
        "folded",
    );
    demand(!head.contains('\0') && !head.replace("\r\n", "").contains(['\r', '\n']), "controls");
    faults
}

async fn read(talk: &mut Talk, head: String, faults: &mut Vec<String>) -> Option<Seen> {
    let mut seen = Seen { head, ..Seen::default() };
    if let [length] = seen.field("content-length")[..] {
        if length.is_empty() || !length.bytes().all(|digit| digit.is_ascii_digit()) {
            faults.push(format!("a length of {length:?}"));
        }
        let mut body = vec![0; length.parse().ok()?];
        talk.0.read_exact(&mut body).await.ok()?;
        seen.body = body;
    } else if !seen.field("transfer-encoding").is_empty() {
        if seen.field("transfer-encoding") != ["chunked"] {
            faults.push("a coding other than chunked".to_owned());
        }
        loop {
            let size = usize::from_str_radix(&line(talk).await?, 16).ok()?;
            if size == 0 {
                break;
            }
            let mut chunk = vec![0; size + 2];
            talk.0.read_exact(&mut chunk).await.ok()?;
            if chunk.split_off(size) != b"\r\n" {
                faults.push("a chunk without an end".to_owned());
            }
            seen.body.append(&mut chunk);
        }
        loop {
            match &*line(talk).await? {
                "" => break,
                trailer => seen.trailers += &format!("{trailer}\n"),
            }
        }
    }
    Some(seen)
}

async fn line(talk: &mut Talk) -> Option<String> {
    let mut line = String::new();
    talk.0.read_line(&mut line).await.ok()?;
    line.strip_suffix("\r\n").map(str::to_owned)
}
