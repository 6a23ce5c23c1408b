//! Upstreams that answer what no upstream should: the caller gets what is sound, or hears that it is not.

use std::sync::{Arc, Mutex};

use http::Method;

use crate::common::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, PUSH_PROMISE, RST_STREAM, WINDOW_UPDATE,
    block, frame,
};
use crate::common::peer::{Talk, peer};
use crate::common::{TOPOLOGY, message, setup};

/// What the caller must get.
#[derive(Clone, Copy, Debug)]
enum Must {
    /// This status and body.
    Give(u16, &'static str),
    /// Our own answer that the upstream is not to be understood.
    Refuse,
    /// A body that breaks off.
    Cut,
}

use Must::{Cut, Give, Refuse};

/// Its name, the answer, whether the upstream closes then, and what must happen.
type Case = (&'static str, String, bool, Must);

fn ok(lines: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{lines}\r\n{body}")
}

fn cases() -> Vec<Case> {
    let chunked = |body: &str| ok("transfer-encoding: chunked\r\n", body);
    let line = |line: &str| format!("{line}\r\ncontent-length: 2\r\n\r\nhi");
    let flood = "HTTP/1.1 102 Processing\r\n\r\n".repeat(2_000);
    vec![
        ("a length", ok("content-length: 2\r\n", "hi"), false, Give(200, "hi")),
        ("chunks", chunked("2\r\nhi\r\n0\r\n\r\n"), false, Give(200, "hi")),
        ("until it closes", ok("", "hi"), true, Give(200, "hi")),
        (
            "both, the chunks count",
            ok("content-length: 9\r\ntransfer-encoding: chunked\r\n", "2\r\nhi\r\n0\r\n\r\n"),
            true,
            Give(200, "hi"),
        ),
        (
            "both, in the other order",
            ok("transfer-encoding: chunked\r\ncontent-length: 1\r\n", "2\r\nhi\r\n0\r\n\r\n"),
            true,
            Give(200, "hi"),
        ),
        ("two lengths", ok("content-length: 2\r\ncontent-length: 3\r\n", "hi"), true, Refuse),
        ("a length of no number", ok("content-length: x\r\n", "hi"), true, Refuse),
        ("a negative length", ok("content-length: -2\r\n", "hi"), true, Refuse),
        ("a length past 64 bits", ok("content-length: 18446744073709551618\r\n", "hi"), true, Refuse),
        ("less than its length", ok("content-length: 9\r\n", "hi"), true, Cut),
        ("chunks without the last", chunked("2\r\nhi\r\n"), true, Cut),
        ("a chunk of no size", chunked("x\r\nhi\r\n0\r\n\r\n"), true, Cut),
        ("a chunk past 64 bits", chunked("10000000000000002\r\nhi\r\n0\r\n\r\n"), true, Cut),
        ("a chunk longer than its size", chunked("1\r\nhi\r\n0\r\n\r\n"), true, Cut),
        (
            "a line end in a field",
            ok("x: a\r\nset-cookie: evil=1\r\ncontent-length: 2\r\n", "hi"),
            false,
            Give(200, "hi"),
        ),
        ("a CR in a field", ok("x: a\rset-cookie: evil=1\r\ncontent-length: 2\r\n", "hi"), true, Refuse),
        ("a NUL in a field", ok("x: a\0b\r\ncontent-length: 2\r\n", "hi"), true, Refuse),
        ("a folded field", ok("x: a\r\n b\r\ncontent-length: 2\r\n", "hi"), true, Refuse),
        ("a name with a space", ok("x y: z\r\ncontent-length: 2\r\n", "hi"), true, Refuse),
        ("a space before the colon of the length", ok("content-length : 2\r\n", "hi"), true, Refuse),
        ("a field without a name", ok(": y\r\ncontent-length: 2\r\n", "hi"), true, Refuse),
        ("status 9999", line("HTTP/1.1 9999 No"), true, Refuse),
        ("status 99", line("HTTP/1.1 99 No"), true, Refuse),
        ("status 099", line("HTTP/1.1 099 No"), true, Refuse),
        ("status 1000", line("HTTP/1.1 1000 No"), true, Refuse),
        ("status of letters", line("HTTP/1.1 abc No"), true, Refuse),
        ("status 999", line("HTTP/1.1 999 No"), false, Give(999, "hi")),
        ("no words behind the status", line("HTTP/1.1 200"), false, Give(200, "hi")),
        ("HTTP/2.0", line("HTTP/2.0 200 OK"), true, Refuse),
        ("another protocol", line("ICY 200 OK"), true, Refuse),
        ("noise", "\u{1}\u{2}\u{3}\r\n\r\n".to_owned(), true, Refuse),
        ("nothing", String::new(), true, Refuse),
        ("half a head", "HTTP/1.1 200 OK\r\nx: y".to_owned(), true, Refuse),
        ("a request", "GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), true, Refuse),
        (
            "101 unasked",
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nhi".to_owned(),
            true,
            Refuse,
        ),
        (
            "103 before it",
            format!("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n{}", ok("content-length: 2\r\n", "hi")),
            false,
            Give(200, "hi"),
        ),
        ("2 000 of 102 before it", flood + &ok("content-length: 2\r\n", "hi"), true, Give(200, "hi")),
        ("101 fields", ok(&("x: y\r\n".repeat(101) + "content-length: 2\r\n"), "hi"), true, Refuse),
        (
            "a field of 1 MiB",
            ok(&format!("x: {}\r\ncontent-length: 2\r\n", "y".repeat(1 << 20)), "hi"),
            true,
            Refuse,
        ),
        (
            "204 with a body",
            "HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\nhi".to_owned(),
            true,
            Give(204, ""),
        ),
        ("304 with a body", "HTTP/1.1 304 Not Modified\r\n\r\nhi".to_owned(), true, Give(304, "")),
        (
            "two answers",
            ok("content-length: 2\r\n", "hi") + &ok("content-length: 8\r\n", "smuggled"),
            false,
            Give(200, "hi"),
        ),
        ("an answer and noise", ok("content-length: 2\r\n", "hi") + "smuggled", false, Give(200, "hi")),
        (
            "an answer, and one behind its chunks",
            chunked("2\r\nhi\r\n0\r\n\r\n") + &ok("content-length: 8\r\n", "smuggled"),
            false,
            Give(200, "hi"),
        ),
        (
            "an empty answer and another",
            ok("content-length: 0\r\n", "") + &ok("content-length: 8\r\n", "smuggled"),
            false,
            Give(200, ""),
        ),
    ]
}

#[tokio::test]
async fn an_answer_over_http1_is_passed_on_sound_or_not_at_all() {
    let cases = Arc::new(cases());
    let scripts = Arc::clone(&cases);
    let upstream = peer(move |stream| {
        let cases = Arc::clone(&scripts);
        async move {
            let mut talk = Talk::new(stream);
            while let Some(head) = talk.head().await {
                let case = head.split(['/', ' ']).nth(4).and_then(|number| number.parse::<usize>().ok());
                let Some((_, answer, closes, _)) = case.and_then(|at| cases.get(at)) else {
                    talk.say("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnext").await;
                    continue;
                };
                talk.say(answer).await;
                if *closes {
                    return;
                }
            }
        }
    })
    .await;
    let world = setup().zeebe_rest(upstream.at).start().await;
    let mut wrong = Vec::new();
    for (at, (name, _, _, must)) in cases.iter().enumerate() {
        for version in [1, 2] {
            let mut caller = if version == 1 { world.http1().await } else { world.http2().await };
            // Not one that is repeated when its connection breaks.
            let answer = caller.send(Method::POST, &format!("/v2/{at}"), &[], "").await;
            let good = match (must, &answer) {
                (Give(status, body), Ok(answer)) => {
                    answer.status == *status
                        && answer.body == *body
                        && !answer.headers.contains_key("proxy-status")
                }
                (Refuse, Ok(answer)) => answer.status == 502 && answer.reason() == "upstream_reset",
                (Cut, Err(_)) => true,
                _ => false,
            };
            if !good {
                wrong.push(format!("HTTP/{version}, {name}: must {must:?}, but was {answer:?}"));
            }
            let next = world.http1().await.send(Method::POST, "/v2/next", &[], "").await;
            if !next.as_ref().is_ok_and(|next| next.body == "next") {
                wrong.push(format!("HTTP/{version}, {name}: the next answer is {next:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_an_upstream_says_of_connections_and_other_hosts_does_not_bind_us() {
    let upstream = peer(|stream| async move {
        let mut talk = Talk::new(stream);
        while let Some(head) = talk.head().await {
            let answer = match head.contains("/trailers") {
                true => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-kept\r\n\r\n2\r\nhi\r\n0\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\nconnection: close\r\nx-kept: y\r\n\r\n".to_owned(),
                false => "HTTP/1.1 307 Elsewhere\r\nlocation: https://evil.example/v2/x\r\nconnection: x-named, keep-alive\r\nx-named: y\r\nkeep-alive: timeout=9\r\nproxy-connection: close\r\nupgrade: h2c\r\nx: y\r\ncontent-length: 2\r\n\r\nhi".to_owned(),
            };
            talk.say(answer).await;
        }
    })
    .await;
    let world = setup().zeebe_rest(upstream.at).start().await;
    for version in [1, 2] {
        let mut caller = if version == 1 { world.http1().await } else { world.http2().await };
        let answer = caller.get("/v2/x").await;
        // A redirect is the caller's to follow, without our token.
        assert_eq!((answer.status.as_u16(), answer.header("location")), (307, "https://evil.example/v2/x"));
        assert_eq!(answer.header("x"), "y");
        for gone in ["connection", "x-named", "keep-alive", "proxy-connection", "upgrade"] {
            assert!(!answer.headers.contains_key(gone), "{gone}: {answer:?}");
        }
        let answer =
            caller.send(Method::GET, "/v2/trailers", &[("te", "trailers")], "").await.expect("an answer");
        assert_eq!(answer.body, "hi");
        for gone in ["content-length", "transfer-encoding", "connection"] {
            assert!(!answer.trailers.iter().any(|trailers| trailers.contains_key(gone)), "{answer:?}");
        }
    }
    assert!(upstream.connections() < 4, "they were not used again");
}

/// A name, and what the upstream writes upon a call on this stream.
type Call = (&'static str, Unsound);

/// The frames that answer a stream.
type Unsound = fn(u32) -> Vec<u8>;

const GRPC: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/grpc")];

fn trailers(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(fields))
}

#[tokio::test]
async fn an_answer_over_http2_that_is_unsound_is_never_a_success() {
    let calls: &[Call] = &[
        ("no status", |s| trailers(s, &[("content-type", "application/grpc"), ("grpc-status", "0")])),
        ("two statuses", |s| trailers(s, &[(":status", "200"), (":status", "500"), ("grpc-status", "0")])),
        ("status of letters", |s| trailers(s, &[(":status", "ok"), ("grpc-status", "0")])),
        ("status 9999", |s| trailers(s, &[(":status", "9999"), ("grpc-status", "0")])),
        ("a status behind a field", |s| trailers(s, &[("grpc-status", "0"), (":status", "200")])),
        ("a name in capitals", |s| trailers(s, &[(":status", "200"), ("Grpc-Status", "0")])),
        ("connection", |s| trailers(s, &[(":status", "200"), ("connection", "close"), ("grpc-status", "0")])),
        ("transfer-encoding", |s| {
            trailers(s, &[(":status", "200"), ("transfer-encoding", "chunked"), ("grpc-status", "0")])
        }),
        ("a line end in a value", |s| {
            trailers(s, &[(":status", "200"), ("x", "a\r\nb: c"), ("grpc-status", "0")])
        }),
        ("two lengths", |s| {
            [
                frame(
                    HEADERS,
                    END_HEADERS,
                    s,
                    &block(&[(":status", "200"), ("content-length", "5"), ("content-length", "6")]),
                ),
                frame(DATA, 0, s, &[0; 5]),
                trailers(s, &[("grpc-status", "0")]),
            ]
            .concat()
        }),
        ("more than the length", |s| {
            [
                frame(HEADERS, END_HEADERS, s, &block(&[(":status", "200"), ("content-length", "4")])),
                frame(DATA, 0, s, &[0; 5]),
                trailers(s, &[("grpc-status", "0")]),
            ]
            .concat()
        }),
        ("less than the length", |s| {
            [
                frame(HEADERS, END_HEADERS, s, &block(&[(":status", "200"), ("content-length", "6")])),
                frame(DATA, 0, s, &[0; 5]),
                trailers(s, &[("grpc-status", "0")]),
            ]
            .concat()
        }),
        ("data before the head", |s| frame(DATA, 0, s, &[0; 5])),
        ("a stream that nobody opened", |s| trailers(s + 100, &[(":status", "200"), ("grpc-status", "0")])),
        ("a push", |s| {
            frame(
                PUSH_PROMISE,
                END_HEADERS,
                s,
                &[
                    &[0, 0, 0, 2][..],
                    &block(&[(":method", "GET"), (":path", "/"), (":scheme", "http"), (":authority", "x")]),
                ]
                .concat(),
            )
        }),
        ("101", |s| trailers(s, &[(":status", "101"), ("grpc-status", "0")])),
        ("an index past the table", |s| {
            frame(HEADERS, END_HEADERS | END_STREAM, s, &[0x88, 0xff, 0x80, 0x01])
        }),
        ("a head that goes on and on", |s| {
            [
                frame(HEADERS, 0, s, &block(GRPC)),
                frame(CONTINUATION, 0, s, &block(&[("x", &"y".repeat(16_000))])).repeat(200),
            ]
            .concat()
        }),
        ("a reset", |s| frame(RST_STREAM, 0, s, &[0, 0, 0, 2])),
        ("a window past 31 bits", |s| frame(WINDOW_UPDATE, 0, s, &[0x7f, 0xff, 0xff, 0xff])),
        ("frames of the wrong length", |s| frame(RST_STREAM, 0, s, &[0; 3])),
        ("HTTP/1.1", |_| b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()),
        ("noise", |_| vec![0xfe; 4096]),
    ];
    let current: Arc<Mutex<Option<Unsound>>> = Arc::default();
    let script = Arc::clone(&current);
    let upstream = peer(move |stream| {
        let script = Arc::clone(&script);
        async move {
            let mut frames = Frames::accept(stream, &[]).await;
            while let Some(read) = frames.read().await {
                if read.kind != HEADERS {
                    continue;
                }
                let unsound = *script.lock().expect("a script");
                let bytes = match unsound {
                    Some(answer) => answer(read.stream),
                    None => trailers(read.stream, &[GRPC, &[("grpc-status", "0")]].concat()),
                };
                let _ = tokio::io::AsyncWriteExt::write_all(&mut frames.0, &bytes).await;
            }
        }
    })
    .await;
    let world = setup().zeebe_grpc(upstream.at).start().await;
    let mut wrong = Vec::new();
    for (name, unsound) in calls {
        *current.lock().expect("a script") = Some(*unsound);
        let fields = [("grpc-timeout", "2S")];
        let answer = world.http2().await.grpc(TOPOLOGY, &fields, message(&[])).await;
        if answer.as_ref().is_ok_and(|answer| answer.grpc_status() == Some(0)) {
            wrong.push(format!("{name}: {answer:?}"));
        }
        *current.lock().expect("a script") = None;
        let next = world.http2().await.grpc(TOPOLOGY, &[], message(&[])).await;
        if !next.as_ref().is_ok_and(|answer| answer.grpc_status() == Some(0)) {
            wrong.push(format!("{name}: the next call got {next:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
