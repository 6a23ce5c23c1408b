//! How much memory a body takes on its way: none that grows with it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use super::harness::{Camunda, Running};

const CHUNK: usize = 64 * 1024;
const CHUNKS: usize = 1024;

/// An upstream that refuses every token, after it has read the whole body.
fn refusing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = BufReader::with_capacity(CHUNK, stream);
            let mut seen = 0;
            let mut end = Vec::new();
            while !(seen > CHUNK * CHUNKS && end.ends_with(b"\r\n0\r\n\r\n")) {
                let Ok(read @ 1..) = stream.fill_buf().map(<[u8]>::len) else { return };
                end.extend_from_slice(stream.buffer());
                end.drain(..end.len().saturating_sub(7));
                stream.consume(read);
                seen += read;
            }
            let answer = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
            stream.get_mut().write_all(answer).expect("answered");
        }
    });
    at
}

/// The most memory that the process has ever had, in KiB.
fn peak(proxy: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", proxy.id())).expect("status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("VmHWM");
    line.split_whitespace().nth(1).expect("KiB").parse().expect("a number")
}

#[test]
fn a_long_upload_is_not_kept_to_be_sent_once_more() {
    let camunda = Camunda::start();
    let address = format!("http://{}", refusing());
    let proxy = camunda.proxy().with("CAMUNDA_PROXY_SCOPES__ZEEBE__ADDRESS", &address).start().complete();
    let before = peak(&proxy);
    let mut upload = TcpStream::connect(proxy.listeners[0]).expect("connected");
    let head = "POST /v2/documents HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    upload.write_all(head.as_bytes()).expect("sent");
    let mut chunk = format!("{CHUNK:x}\r\n").into_bytes();
    chunk.resize(chunk.len() + CHUNK, 7);
    chunk.extend_from_slice(b"\r\n");
    (0..CHUNKS).for_each(|_| upload.write_all(&chunk).expect("sent"));
    upload.write_all(b"0\r\n\r\n").expect("sent");
    let mut status = [0; 12];
    upload.read_exact(&mut status).expect("an answer");
    assert_eq!(&status, b"HTTP/1.1 401");
    let grown = peak(&proxy) - before;
    assert!(grown < 8 * 1024, "{grown} KiB more for an upload of {} MiB", (CHUNK * CHUNKS) >> 20);
}
