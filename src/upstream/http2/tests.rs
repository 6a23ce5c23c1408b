//! The same calls through this client and through the one of the `h2` crate, to the same server: both must be told the
//! same, and the server must see the same of both.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet, LocalSet};

use super::{Conn, Lease};
use crate::http2::Finish;
use crate::http2::tests::script::{
    Call, Told, call_there, compare, connected, fields, octets, random, serve, trailers,
};
use crate::io::Io;

async fn call_here(lease: Lease, n: usize, call: &Call) -> Told {
    let mut told = Told::default();
    let lease = Rc::new(lease);
    lease.open(&call.head(n).into(), call.body.is_none()).expect("a stream");
    let sending = send_here(Rc::clone(&lease), n, call.clone());
    let sender = tokio::task::spawn_local(sending);
    match std::future::poll_fn(|cx| lease.poll_answer(cx)).await {
        Ok(answer) => told.head = Some((answer.status.as_u16(), fields(&answer.headers.into()))),
        Err(failure) => told.reset = failure.code().map(u32::from),
    }
    while told.head.is_some() && told.reset.is_none() {
        match std::future::poll_fn(|cx| lease.poll_frame(cx)).await {
            None => break,
            Some(Err(failure)) => told.reset = Some(failure.code().expect("a code").into()),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => told.body.extend(data),
                Err(frame) => told.trailers = frame.into_trailers().ok().map(|trailers| fields(&trailers)),
            },
        }
    }
    sender.await.expect("sent");
    told
}

async fn send_here(lease: Rc<Lease>, n: usize, call: Call) {
    let sendable = || std::future::poll_fn(|cx| lease.poll_sendable(cx));
    for chunk in call.body.iter().flatten() {
        if !sendable().await {
            return;
        }
        lease.send(octets(n, *chunk), Finish::More);
    }
    if call.body.is_some() && sendable().await {
        let end =
            if call.request_trailers { Finish::Trailers(trailers("x-end", "yes")) } else { Finish::End };
        lease.send(Bytes::new(), end);
    }
    assert!(!sendable().await, "a request that has ended wants more");
}

/// A connection to a server with these calls in its script.
async fn connect(calls: &Rc<Vec<Call>>, windows: (u32, u32, u32)) -> (TcpStream, JoinHandle<()>) {
    let (client, server) = connected().await;
    (client, tokio::task::spawn_local(serve(server, Rc::clone(calls), windows)))
}

async fn both(seed: u64) {
    let (calls, windows) = random(seed);
    let (client, server) = connect(&calls, windows).await;
    let conn = Conn::open(Io::Tcp(client), Rc::new(Notify::new()), Duration::from_secs(45))
        .await
        .expect("a connection");
    let mut here = JoinSet::new();
    for n in 0..calls.len() {
        let (lease, calls) = (conn.lease().expect("a place"), Rc::clone(&calls));
        here.spawn_local(async move { (n, call_here(lease, n, &calls[n]).await) });
    }
    let (client, connection) = h2::client::Builder::new()
        .initial_window_size(1 << 20)
        .initial_connection_window_size(64 << 20)
        .max_header_list_size(1 << 20)
        .handshake(connect(&calls, windows).await.0)
        .await
        .expect("a connection");
    tokio::task::spawn_local(connection);
    let mut there = JoinSet::new();
    for n in 0..calls.len() {
        let (client, calls) = (client.clone(), Rc::clone(&calls));
        there.spawn_local(async move { (n, call_there(client, n, &calls[n]).await) });
    }
    compare(seed, &calls, here.join_all().await, there.join_all().await);
    assert_eq!(conn.in_flight(), 0);
    // Whom nobody holds any more, says goodbye.
    drop(conn);
    server.await.expect("the server's end");
}

#[tokio::test]
async fn both_clients_are_told_the_same() {
    LocalSet::new()
        .run_until(async {
            for seed in 0..8 {
                tokio::time::timeout(Duration::from_secs(60), both(seed)).await.expect("in time");
            }
        })
        .await;
}
