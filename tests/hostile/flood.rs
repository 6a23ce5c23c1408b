//! Callers who want more than there is: an honest one is served all the while, and who goes too far is shown out.

use std::cell::Cell;
use std::time::Duration;

use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::common::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, PING, PRIORITY, RST_STREAM,
    SETTINGS, WINDOW_UPDATE, block, frame,
};
use crate::common::{World, in_time, setup, until};

/// No honest request takes longer while somebody floods; the machine of a test has other work too.
const BEARABLE: Duration = Duration::from_secs(3);

/// The fields of a request that the upstream answers at once.
const REQUEST: &[(&str, &str)] =
    &[(":method", "GET"), (":scheme", "http"), (":path", "/v2/topology"), (":authority", "localhost")];

fn open(stream: u32, flags: u8) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | flags, stream, &block(REQUEST))
}

/// What is sent for each odd number, and how often.
type Flood = (&'static str, fn(u32) -> Vec<u8>, u32, Fate);

/// What becomes of the connection that floods.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// It is told why, and ended.
    Ended,
    /// It costs little and may go on.
    Borne,
}

use Fate::{Borne, Ended};

#[tokio::test]
async fn a_flood_of_frames_is_ended_or_costs_little_and_others_are_served_meanwhile() {
    let floods: &[Flood] = &[
        (
            "streams opened and reset",
            |s| [open(s, END_STREAM), frame(RST_STREAM, 0, s, &[0, 0, 0, 8])].concat(),
            5_000,
            Ended,
        ),
        ("streams opened and never ended", |s| open(s, 0), 5_000, Ended),
        (
            "streams made to be reset by their window",
            |s| [open(s, 0), frame(WINDOW_UPDATE, 0, s, &[0x7f, 0xff, 0xff, 0xff])].concat(),
            5_000,
            Ended,
        ),
        (
            "streams made to be reset by what follows their end",
            |s| [open(s, END_STREAM), frame(DATA, 0, s, b"x")].concat(),
            5_000,
            Ended,
        ),
        (
            "streams made to be reset by their length",
            |s| {
                [
                    frame(HEADERS, END_HEADERS, s, &block(&[REQUEST, &[("content-length", "1")]].concat())),
                    frame(DATA, END_STREAM, s, b"xy"),
                ]
                .concat()
            },
            5_000,
            Ended,
        ),
        (
            "streams made to be reset by their fields",
            |s| {
                frame(
                    HEADERS,
                    END_HEADERS | END_STREAM,
                    s,
                    &block(&[REQUEST, &[("connection", "x")]].concat()),
                )
            },
            5_000,
            Ended,
        ),
        (
            "streams made to be reset by what they depend on",
            |s| {
                frame(
                    HEADERS,
                    END_HEADERS | END_STREAM | 0x20,
                    s,
                    &[&s.to_be_bytes()[..], &[7], &block(REQUEST)].concat(),
                )
            },
            5_000,
            Ended,
        ),
        (
            "a head that goes on",
            |s| {
                if s == 1 {
                    frame(HEADERS, 0, 1, &block(REQUEST))
                } else {
                    frame(CONTINUATION, 0, 1, &block(&[("x", "y")]))
                }
            },
            5_000,
            Ended,
        ),
        (
            "a head that goes on with nothing",
            |s| if s == 1 { frame(HEADERS, 0, 1, &block(REQUEST)) } else { frame(CONTINUATION, 0, 1, &[]) },
            5_000,
            Ended,
        ),
        (
            "fields by the thousand from one index",
            |s| {
                // A field of 3 000 letters goes into the table once, and is then named by one octet each.
                let known = [&[0x40, 1, b'x', 0x7f, 0xb9, 0x16][..], &[b'y'; 3_000]].concat();
                frame(
                    HEADERS,
                    END_HEADERS | END_STREAM,
                    s,
                    &[&block(REQUEST)[..], &known, &[0xbe; 10_000]].concat(),
                )
            },
            20,
            Ended,
        ),
        ("PINGs", |_| frame(PING, 0, 0, &[7; 8]), 20_000, Borne),
        ("SETTINGS", |_| frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]), 20_000, Borne),
        (
            "windows opened",
            |s| if s < 20_000 { frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]) } else { Vec::new() },
            5_000,
            Borne,
        ),
        ("priorities", |s| frame(PRIORITY, 0, s, &[0, 0, 0, 0, 7]), 20_000, Borne),
        ("unknown frames", |_| frame(0x42, 0, 0, &[0; 100]), 20_000, Borne),
        ("empty data", |s| if s == 1 { open(1, 0) } else { frame(DATA, 0, 1, &[]) }, 20_000, Ended),
    ];
    let world = setup().start().await.ready().await;
    let mut wrong = Vec::new();
    for (name, of, times, fate) in floods {
        let (ended, slowest) = served_while(&world, flood(&world, *of, *times)).await;
        if slowest > BEARABLE || (*fate == Ended) != ended {
            wrong
                .push(format!("{name}: ended {ended}, must be {fate:?}; an honest request took {slowest:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Sends as fast as it is read, and reads what comes; true when it was ended.
async fn flood(world: &World, of: fn(u32) -> Vec<u8>, times: u32) -> bool {
    let frames = Frames::connect(world.proxy).await;
    let (mut reading, mut writing) = frames.0.into_split();
    let reader = tokio::spawn(async move {
        let mut read = Vec::new();
        let _ = reading.read_to_end(&mut read).await;
        read
    });
    let writer = async {
        for burst in 0..times / 100 + 1 {
            let ids = (burst * 100..times.min(burst * 100 + 100)).map(|n| 2 * n + 1);
            let bytes: Vec<u8> = ids.flat_map(of).collect();
            if writing.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    // One that does not read on is as good as ended once it closes.
    let _ = tokio::time::timeout(Duration::from_secs(5), writer).await;
    let _ = writing.shutdown().await;
    let read = tokio::time::timeout(Duration::from_secs(2), reader).await.expect("closed").expect("read");
    has_goaway(&read)
}

/// Whether these frames hold a GOAWAY that names an error.
fn has_goaway(mut frames: &[u8]) -> bool {
    while let Some((head, rest)) = frames.split_at_checked(9) {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let Some((payload, rest)) = rest.split_at_checked(length) else { return false };
        if head[3] == GOAWAY && payload[4..8] != [0; 4] {
            return true;
        }
        frames = rest;
    }
    false
}

/// The slowest of the requests that an honest caller makes in both protocols until the attack is over.
async fn served_while<T>(world: &World, attack: impl Future<Output = T>) -> (T, Duration) {
    let (mut one, mut two) = (world.http1().await, world.http2().await);
    let over = Cell::new(false);
    let honest = async {
        let mut slowest = Duration::ZERO;
        let mut rounds = 0;
        while !over.get() || rounds < 5 {
            for caller in [&mut one, &mut two] {
                let began = Instant::now();
                let answer = caller.send(Method::GET, "/v2/topology", &[], "").await.expect("an answer");
                assert_eq!(answer.status, 200, "{answer:?}");
                slowest = slowest.max(began.elapsed());
            }
            rounds += 1;
        }
        slowest
    };
    let attack = async {
        let result = attack.await;
        over.set(true);
        result
    };
    tokio::join!(attack, honest)
}

#[tokio::test]
async fn a_flood_of_silent_connections_passes_and_who_waited_is_served() {
    let world = setup().with("limits.connections", "40").with("limits.head_timeout", "500ms").start().await;
    let mut silent = Vec::new();
    for n in 0..80 {
        let mut stream = TcpStream::connect(world.proxy).await.expect("connected");
        let begun: &[u8] = [&b""[..], b"G", b"PRI * HT", b"GET / HTTP/1.1\r\nx: "][n % 4];
        stream.write_all(begun).await.expect("written");
        silent.push(stream);
    }
    let began = Instant::now();
    assert_eq!(world.get("/v2/topology").await.status, 200);
    assert!(began.elapsed() > Duration::from_millis(300), "nothing was waited for");
    for mut stream in silent {
        let _ = in_time("the door", stream.read_to_end(&mut Vec::new())).await;
    }
}

#[tokio::test]
async fn callers_who_do_not_read_or_do_not_write_hold_nobody_up() {
    let world = setup().start().await.ready().await;
    let mut held = Vec::new();
    for n in 0..100 {
        let mut stream = TcpStream::connect(world.proxy).await.expect("connected");
        if n % 2 == 0 {
            // A body that does not come.
            stream
                .write_all(b"POST /v2/documents HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\nx")
                .await
                .expect("written");
            held.push(stream);
        } else {
            // Requests, and a window in which no answer fits.
            let mut frames = Frames(stream);
            frames.0.write_all(crate::common::frames::PREFACE).await.expect("written");
            frames.write(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]).await;
            for id in 0..50 {
                frames.0.write_all(&open(2 * id + 1, END_STREAM)).await.expect("written");
            }
            held.push(frames.0);
        }
    }
    let counts = world.camunda.cluster();
    until("the requests under way", || counts.counts().requests >= 50 * 50).await;
    let (_, slowest) = served_while(&world, tokio::time::sleep(Duration::from_millis(300))).await;
    assert!(slowest < BEARABLE, "{slowest:?}");
    drop(held);
    assert_eq!(world.get("/v2/topology").await.status, 200);
}
