//! The same calls of the same client to this server and to the one of the `h2` crate: both clients must be told the
//! same, and both servers must see the same.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use http::HeaderValue;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};

use super::super::stream::Finish;
use super::super::{Place, Reader, Shared};
use super::script::{Call, Ending, call_there, compare, connected, fields, octets, random, serve};
use super::*;

/// Serves calls as the script's own server does.
async fn serve_here(mut io: TcpStream, calls: Rc<Vec<Call>>) {
    let state: Shared = Rc::new(RefCell::new(Connection::server(1000, 64 * 1024)));
    let mut buffer = BytesMut::new();
    poll_fn(|cx| {
        loop {
            state.borrow_mut().watch(cx);
            let written = state.borrow_mut().poll_write(&mut io, cx);
            assert!(!matches!(written, Poll::Ready(Err(_))), "{written:?}");
            match std::task::ready!(pin!(io.read_buf(&mut buffer)).poll(cx)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => state.borrow_mut().receive(&mut buffer).expect("a client that keeps the rules"),
            }
            loop {
                let Some(opened) = state.borrow_mut().accept() else { break };
                let place = Place::new(Rc::clone(&state), opened.stream);
                let calls = Rc::clone(&calls);
                tokio::task::spawn_local(async move {
                    answer(&place, &opened.head.expect("a head"), &calls).await;
                });
            }
        }
    })
    .await;
    assert!(!state.borrow().has_streams());
}

async fn answer(place: &Rc<Place>, request: &request::Head, calls: &[Call]) {
    assert!(place.begin());
    let n: usize = request.uri.path().rsplit('/').next().expect("a number").parse().expect("a number");
    let call = &calls[n];
    let mut head = Response::builder().status([200, 201, 206, 404, 503][n % 5]).header("x-n", n.to_string());
    for (name, value) in fields(&request.headers.clone().into()) {
        if value.len() < 1000 {
            head = head.header(format!("seen-{name}"), value);
        }
    }
    head = head.header("seen-uri", request.uri.to_string());
    let mut body = place.reader();
    if !call.early {
        head = head.header("seen-body", read(&mut body).await);
    }
    let head = head.body(()).expect("a head").into();
    place.answer(&head, call.end == Ending::Alone, || HeaderValue::from_static("now"));
    if call.end == Ending::Alone {
        read(&mut body).await;
        return;
    }
    let sendable = || poll_fn(|cx| place.poll_sendable(cx));
    for chunk in &call.chunks {
        if !sendable().await {
            return;
        }
        place.send(octets(n, *chunk), Finish::More);
    }
    let seen = if call.early { read(&mut body).await } else { String::new() };
    if !sendable().await {
        return;
    }
    match call.end {
        Ending::Clean => place.send(Bytes::new(), Finish::End),
        Ending::Reset(code) => return place.reset(Failure::ours(code.into(), "as the script has it")),
        _ => {
            let mut trailers = HeaderMap::new();
            trailers.insert("seen-body", seen.parse().expect("a value"));
            place.send(Bytes::new(), Finish::Trailers(trailers));
        }
    }
    assert!(!sendable().await, "an answer that has ended wants more");
}

/// Length, sum and trailers of a request's body, as the script's own server writes them.
async fn read(body: &mut Reader) -> String {
    let (mut length, mut sum, mut trailers) = (0, 0u64, None);
    while let Some(frame) = poll_fn(|cx| body.poll_frame(cx)).await {
        let Ok(frame) = frame else { return "broken".to_owned() };
        match frame.into_data() {
            Ok(data) => {
                length += data.len();
                sum =
                    data.iter().fold(sum, |sum, octet| sum.wrapping_mul(31).wrapping_add(u64::from(*octet)));
            }
            Err(frame) => trailers = frame.into_trailers().ok().map(|trailers| fields(&trailers)),
        }
    }
    format!("{length} {sum} {trailers:?}")
}

async fn both(seed: u64) {
    let (calls, windows) = random(seed);
    let mut told = Vec::new();
    for ours in [true, false] {
        let (client, server) = connected().await;
        match ours {
            true => tokio::task::spawn_local(serve_here(server, Rc::clone(&calls))),
            false => {
                tokio::task::spawn_local(serve(server, Rc::clone(&calls), (256 * 1024, 64 << 20, 16_384)))
            }
        };
        let (client, connection) = h2::client::Builder::new()
            .initial_window_size(windows.0)
            .initial_connection_window_size(windows.1)
            .max_frame_size(windows.2)
            .max_header_list_size(1 << 20)
            .handshake(client)
            .await
            .expect("a connection");
        tokio::task::spawn_local(connection);
        let mut asking = JoinSet::new();
        for n in 0..calls.len() {
            let (client, calls) = (client.clone(), Rc::clone(&calls));
            asking.spawn_local(async move { (n, call_there(client, n, &calls[n]).await) });
        }
        told.push(asking.join_all().await);
    }
    for (_, told) in &mut told[0] {
        // The script's own server adds none.
        if let Some((_, fields)) = &mut told.head {
            fields.retain(|(name, _)| name != "date");
        }
    }
    let there = told.pop().expect("two");
    compare(seed, &calls, told.pop().expect("two"), there);
}

#[tokio::test]
async fn clients_of_both_servers_are_told_the_same() {
    LocalSet::new()
        .run_until(async {
            for seed in 0..8 {
                tokio::time::timeout(Duration::from_secs(60), both(seed)).await.expect("in time");
            }
        })
        .await;
}
