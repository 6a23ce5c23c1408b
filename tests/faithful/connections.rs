//! Upstream connections that go away, refuse, die or are shared: who loses what.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Method;
use tokio::sync::Barrier;

use super::call::{Call, To};
use super::cell::{Cell, Incoming, Outgoing, all, grpc, in_each};
use super::http1::Framing;
use super::upstream::Asked;
use crate::common::peer::{Talk, peer};
use crate::common::{in_time, message, setup};

fn over_http2() -> Vec<Cell> {
    all().into_iter().filter(|cell| cell.outgoing.is_http2()).collect()
}

/// Where a request came in.
async fn whereabouts(asked: Asked) {
    let connection = asked.connection.to_string();
    asked.answer_whole(200, &[("x-connection", &connection)], b"here").await;
}

async fn connection_of(to: &To, wish: &str) -> String {
    let (answer, _) = to.ask("POST", wish, &[], &message(&[])).await;
    assert_eq!(answer.status, 200, "{:?}", answer.fields);
    answer.fields.one("x-connection").to_owned()
}

#[tokio::test]
async fn what_is_under_way_survives_a_goaway_and_what_is_new_goes_elsewhere() {
    let script = async |asked: Asked| {
        if asked.wish() != "stays" {
            return whereabouts(asked).await;
        }
        let (talk, connection) = (Rc::clone(&asked.talk), asked.connection.to_string());
        let (mut body, mut out) = asked.answer(200, &[("x-connection", &connection)], Framing::Unknown).await;
        out.data("before").await;
        talk.go.notified().await;
        let seen = body.whole().await;
        out.data(seen.body).await;
        out.end().await;
    };
    in_each(over_http2(), script, async |to| {
        let mut call = to.post("stays", &[], Framing::Unknown).await;
        call.out.data("part, ").await;
        let mut answer = call.answer().await.expect("an answer");
        answer.body.octets(6).await;
        to.talk().go_away.notify_waiters();
        // Those that cross the GOAWAY are above its last stream, and go out again.
        for _ in 0..10 {
            connection_of(&to, "new").await;
        }
        assert_ne!(connection_of(&to, "new").await, answer.fields.one("x-connection"));
        call.out.data("rest").await;
        call.out.end().await;
        to.talk().go.notify_one();
        let whole = in_time("the end", answer.body.whole()).await;
        assert_eq!((&whole.body[..], whole.broken), (&b"part, rest"[..], None));
    })
    .await;
}

#[tokio::test]
async fn a_refused_stream_is_sent_again_with_its_body() {
    let script = async |mut asked: Asked| {
        let count = &asked.talk.count;
        count.set(count.get() + 1);
        if count.get() % 2 == 1 {
            // Not processed, as the code says, however much of it has come (RFC 9113 §8.7).
            if asked.wish() == "late" {
                asked.whole().await;
            }
            return asked.break_off(7);
        }
        let body = asked.whole().await.body;
        asked.answer_whole(200, &[], &body).await;
    };
    in_each(over_http2(), script, async |to| {
        for wish in ["at-once", "late"] {
            for body in [&b"hello"[..], &[7; 60_000]] {
                let (answer, whole) = to.ask("POST", wish, &[], body).await;
                assert_eq!(answer.status, 200, "{wish} {} {:?}", body.len(), answer.fields);
                assert!(whole.body == body, "{wish}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_is_refused_again_and_again_is_given_up() {
    let script = async |asked: Asked| {
        asked.talk.count.set(asked.talk.count.get() + 1);
        asked.break_off(7);
    };
    in_each(over_http2(), script, async |to| {
        to.talk().count.set(0);
        let (answer, _) = to.ask("POST", "x", &[], b"body").await;
        match to.cell.incoming.is_grpc() {
            true => assert_eq!((answer.status, answer.fields.one("grpc-status")), (200, "14")),
            false => assert_eq!(answer.status, 502),
        }
        assert_eq!(to.talk().count.get(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_used_connection_that_dies_with_a_request_loses_none_that_may_be_repeated() {
    let script = async |mut asked: Asked| {
        let (talk, connection) = (Rc::clone(&asked.talk), asked.connection as u64);
        asked.whole().await;
        if asked.wish() == "dies" && talk.count.get() != connection {
            talk.count.set(connection + 1);
            return talk.cut.notify_waiters();
        }
        whereabouts(asked).await;
    };
    let cells = over_http2().into_iter().filter(|cell| !cell.incoming.is_grpc()).collect();
    in_each(cells, script, async |to| {
        for method in ["GET", "HEAD", "OPTIONS", "DELETE"] {
            connection_of(&to, "lives").await;
            // From now on the next connection is the one that lives.
            to.talk().count.set(0);
            let (answer, _) = to.ask(method, "dies", &[], b"").await;
            assert_eq!(answer.status, 200, "{method}");
        }
        // Something may have come of it (RFC 9110 §9.2.2).
        connection_of(&to, "lives").await;
        to.talk().count.set(0);
        let (answer, _) = to.ask("POST", "dies", &[], b"").await;
        assert_eq!(answer.status, 502);
    })
    .await;
}

#[tokio::test]
async fn of_idle_http1_connections_that_die_with_their_next_request_one_is_enough() {
    let (lost, both) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(2)));
    let count = Arc::clone(&lost);
    // Each is good for one request.
    let upstream = peer(move |stream| {
        let (count, both) = (Arc::clone(&count), Arc::clone(&both));
        async move {
            let mut talk = Talk::new(stream);
            let Some(head) = talk.head().await else { return };
            if head.contains("/pair") {
                both.wait().await;
            }
            talk.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            if talk.head().await.is_some() {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    })
    .await;
    let world = setup().zeebe_rest(upstream.at).start().await.ready().await;
    let (mut one, mut two) = (world.http1().await, world.http2().await);
    for (method, body, status) in [
        (Method::GET, "", 200),
        (Method::OPTIONS, "", 200),
        (Method::PUT, "", 200),
        (Method::DELETE, "", 200),
        // Something may have come of these (RFC 9110 §9.2.2), or the body is gone.
        (Method::POST, "", 502),
        (Method::POST, "body", 502),
        (Method::PUT, "body", 502),
    ] {
        // Two idle connections at least.
        let (pair, other) = tokio::join!(one.get("/v2/pair"), two.get("/v2/pair"));
        assert_eq!((pair.status.as_u16(), other.status.as_u16()), (200, 200));
        lost.store(0, Ordering::Relaxed);
        let answer = one.send(method.clone(), "/v2/x", &[], body).await.expect("an answer");
        assert_eq!(answer.status, status, "{method} {body}");
        assert_eq!(lost.load(Ordering::Relaxed), 1, "{method} {body}");
    }
}

#[tokio::test]
async fn streams_that_live_long_have_connections_of_their_own() {
    in_each(grpc(), whereabouts, async |to| {
        let call = connection_of(&to, "Topology").await;
        let held = connection_of(&to, "StreamActivatedJobs").await;
        assert_ne!(call, held);
        assert_eq!(
            (connection_of(&to, "Topology").await, connection_of(&to, "ActivateJobs").await),
            (call, held)
        );
    })
    .await;
}

async fn hold(to: &To, wish: &str, how_many: usize) -> Vec<Call> {
    let mut calls = Vec::new();
    for _ in 0..how_many {
        let mut call = to.post(wish, &[], Framing::Unknown).await;
        call.out.data(message(&[])).await;
        calls.push(call);
    }
    calls
}

#[tokio::test]
async fn streams_are_spread_and_connections_added_before_the_upstreams_limit_is_reached() {
    // The upstream takes 100 at a time.
    let script = async |mut asked: Asked| {
        asked.talk.say(asked.connection);
        asked.given_up().await;
    };
    let cells = vec![Cell { incoming: Incoming::Grpc, outgoing: Outgoing::Http2 }];
    in_each(cells, script, async |to| {
        let _held = hold(&to, "ActivateJobs", 250).await;
        let mut streams: HashMap<String, usize> = HashMap::new();
        for _ in 0..250 {
            *streams.entry(to.talk().heard().await).or_default() += 1;
        }
        println!("streams of each connection: {streams:?}");
        assert!(streams.len() >= 3 && streams.values().all(|streams| *streams <= 100), "{streams:?}");
    })
    .await;
}

#[tokio::test]
async fn a_stalled_reader_of_tiny_messages_stops_nobody_else() {
    let script = async |asked: Asked| {
        if asked.wish() != "StreamActivatedJobs" || asked.fields.has("x-neighbour") {
            return whereabouts(asked).await;
        }
        let count = Rc::clone(&asked.talk.count);
        let (_body, mut out) = asked.answer(200, &[], Framing::Unknown).await;
        while count.get() < 200_000 && out.data(message(&[1, 2, 3, 4])).await {
            count.set(count.get() + 1);
        }
        out.end().await;
    };
    let cells = vec![Cell { incoming: Incoming::Grpc, outgoing: Outgoing::Http2 }];
    in_each(cells, script, async |to| {
        let mut stalled = Vec::new();
        for mut call in hold(&to, "StreamActivatedJobs", 3).await {
            stalled.push(call.answer().await.expect("an answer"));
        }
        let mut before = u64::MAX;
        while to.talk().count.get() != before {
            before = to.talk().count.get();
            let mut neighbour =
                to.post("StreamActivatedJobs", &[("x-neighbour", "1")], Framing::Unknown).await;
            neighbour.out.end().await;
            assert_eq!(neighbour.answer().await.expect("an answer").status, 200);
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        println!("{before} messages were taken for three readers that do not read");
        let mut read = 0;
        for answer in &mut stalled {
            let whole = in_time("the rest", answer.body.whole()).await;
            assert_eq!(whole.broken, None);
            read += whole.body.len();
        }
        assert_eq!(read as u64, to.talk().count.get() * 9);
    })
    .await;
}

#[tokio::test]
async fn five_thousand_cancellations_take_no_other_callers_stream_with_them() {
    let script = async |mut asked: Asked| {
        if asked.fields.has("x-keeper") {
            let (mut body, mut out) = asked.answer(200, &[], Framing::Unknown).await;
            while let Some(Ok(piece)) = body.data().await {
                out.data(piece).await;
            }
            return out.end().await;
        }
        let count = Rc::clone(&asked.talk.count);
        count.set(count.get() + 1);
        asked.given_up().await;
        count.set(count.get() - 1);
    };
    let cells = vec![Cell { incoming: Incoming::Grpc, outgoing: Outgoing::Http2 }];
    in_each(cells, script, async |to| {
        let mut keepers = Vec::new();
        for wish in ["ActivateJobs", "Topology", "ActivateJobs", "Topology", "StreamActivatedJobs"] {
            let mut call = to.post(wish, &[("x-keeper", "1")], Framing::Unknown).await;
            let answer = call.answer().await.expect("an answer");
            keepers.push((call, answer));
        }
        for burst in 0..10 {
            let wish = if burst % 2 == 0 { "ActivateJobs" } else { "Topology" };
            let calls = burst_of(&to, wish).await;
            assert_eq!(calls.len(), 500);
            drop(calls);
            for (call, answer) in &mut keepers {
                call.out.data("still there").await;
                assert_eq!(answer.body.octets(11).await, "still there");
            }
        }
        let gone = async {
            while to.talk().count.get() > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        in_time("all of them are gone", gone).await;
        for (mut call, mut answer) in keepers {
            call.out.end().await;
            assert_eq!(answer.body.whole().await.broken, None);
        }
    })
    .await;
}

/// Calls on one connection of their own.
async fn burst_of(to: &To, wish: &str) -> Vec<Call> {
    let mut sender = to.sender().await;
    let mut calls = Vec::new();
    for _ in 0..500 {
        let mut call = to.open_on(&mut sender, "POST", &to.path(wish), &[], Framing::Unknown).await;
        call.out.data(message(&[])).await;
        calls.push(call);
    }
    calls
}
