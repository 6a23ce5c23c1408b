//! A worker's connections over hours, in a moment: caller, proxy and upstream share one thread and its paused clock.
//!
//! Loopback sockets whose both ends are on this thread are never waited for, so that the clock only moves on when
//! everybody has nothing left to do.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::time::{Instant, sleep};

use super::Limits;
use super::connection::{self, Shared};
use super::handover::{Entrance, Peer};
use super::places::Places;
use super::watch::Watch;
use crate::access::{self, Access};
use crate::address::Address;
use crate::allowance::Stock;
use crate::metrics::Shard;
use crate::oauth::{self, Answer, Ask, Asked, Authorizer, ClientAuth, Clock, TokenRequest, Tokens};
use crate::proxy::{AccessLog, Destination, Destinations, Door, Proxy, Settings, relay};
use crate::route::{Leg, RouteTable};
use crate::scope::Scope;
use crate::secret::Secret;
use crate::upstream::{self, Origin, ScopeConfig};

const QUARTER: Duration = Duration::from_secs(15 * 60);

struct Granted;

impl Ask for Granted {
    fn ask(&self, _: &TokenRequest) -> Asked {
        let body = r#"{"access_token":"a-token","expires_in":86400,"token_type":"Bearer"}"#;
        Box::pin(async move { Ok(Answer::new(200, body)) })
    }
}

/// Runs a test on a thread whose clock stands still while anybody works.
fn in_paused_time(test: impl Future<Output = ()>) {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().start_paused(true).build_local(LocalOptions::default()).unwrap().block_on(test);
}

/// A worker in front of this upstream.
fn worker(upstream: &TcpListener) -> Rc<Shared> {
    let address = format!("http://{}", upstream.local_addr().unwrap()).parse().unwrap();
    let tokens = Tokens::new(&oauth::Config::default(), Arc::new(Granted), Clock::system());
    let source = tokens.source(TokenRequest {
        endpoint: "http://127.0.0.1/token".to_owned(),
        by_issuer: false,
        client_id: "id".to_owned(),
        certificate: None,
        client_auth: ClientAuth::Post(Secret::from("secret")),
        audience: None,
        oauth_scope: None,
        resource: None,
        extra: Default::default(),
        headers: Default::default(),
    });
    let config = ScopeConfig::default();
    let mut destinations = Destinations::new(RouteTable::new(None));
    let mut insert = |leg, origin| {
        destinations.insert(
            Scope::Zeebe,
            leg,
            Destination { origin: Arc::new(origin), tokens: Authorizer::Tokens(source.clone()) },
        );
    };
    insert(Leg::Grpc, Origin::grpc(Clone::clone(&address), &config).unwrap());
    insert(Leg::Rest, Origin::rest(address, &config).unwrap());
    let settings = Settings {
        upstream: upstream::Config::default(),
        token_wait: Duration::from_secs(10),
        access_log: AccessLog::Off,
        callers: Arc::default(),
        audit: access::Audit::Off,
        requests: Arc::new(Stock::new(1000, 1)),
        replays: Arc::new(Stock::new(1000, 1)),
        body_timeout: Limits::default().body_timeout,
        head_size: Limits::default().head_size,
    };
    let destinations = Arc::new(ArcSwap::from_pointee(destinations));
    let proxy = Rc::new(Proxy::new(destinations, settings, Arc::new(Shard::default())));
    let shared = Rc::new(Shared {
        proxy,
        watch: Watch::default(),
        limits: Limits::default(),
        spare: Default::default(),
    });
    let ticking = Rc::downgrade(&shared);
    tokio::task::spawn_local(async move {
        while let Some(shared) = ticking.upgrade() {
            shared.watch.look(&shared.limits);
            shared.proxy.sweep();
            sleep(Duration::from_secs(1)).await;
        }
    });
    shared
}

/// A caller's connection to the worker.
async fn connect(worker: &Rc<Shared>) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bound = listener.local_addr().unwrap();
    let (caller, accepted) = tokio::join!(TcpStream::connect(bound), listener.accept());
    let (accepted, from) = accepted.unwrap();
    let socket = Peer::Tcp(accepted.into_std().unwrap(), from);
    let places = Arc::new(Places::new(1, 1));
    let mut place = places.seat(&socket, places.free().await.unwrap()).unwrap();
    let access = Access::new(&access::Config::default(), &Address::Tcp(bound)).unwrap();
    let door = Arc::new(Door {
        name: bound.to_string(),
        access,
        anonymous: true,
        scope: None,
        secrets: false,
        relay: relay::Mode::Off,
    });
    let entrance = Arc::new(Entrance { door, tls: None });
    let worker = Rc::clone(worker);
    tokio::task::spawn_local(async move { connection::serve(&worker, entrance, socket, &mut place).await });
    caller.unwrap()
}

#[test]
fn a_job_stream_that_is_silent_for_a_quarter_of_an_hour_goes_on() {
    in_paused_time(async {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let worker = worker(&upstream);
        tokio::task::spawn_local(async move {
            let socket = upstream.accept().await.unwrap().0;
            // Or the kernel would hold small frames back for milliseconds, in which this clock runs for minutes.
            socket.set_nodelay(true).unwrap();
            let mut connection = h2::server::handshake(socket).await.unwrap();
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                tokio::task::spawn_local(async move {
                    let head =
                        Response::builder().header("content-type", "application/grpc").body(()).unwrap();
                    let mut stream = respond.send_response(head, false).unwrap();
                    sleep(QUARTER).await;
                    stream.send_data(Bytes::from_static(b"job"), false).unwrap();
                    sleep(QUARTER).await;
                    let trailers =
                        HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
                    stream.send_trailers(trailers).unwrap();
                });
            }
        });
        let (sender, connection) = h2::client::handshake(connect(&worker).await).await.unwrap();
        tokio::task::spawn_local(connection);
        let request = Request::post("http://localhost/gateway_protocol.Gateway/StreamActivatedJobs")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let begun = Instant::now();
        let (answer, _sending) = sender.ready().await.unwrap().send_request(request, true).unwrap();
        let mut body = answer.await.unwrap().into_body();
        assert!(begun.elapsed() < Duration::from_secs(5), "the head comes at once");
        assert_eq!(body.data().await.unwrap().unwrap(), "job");
        let trailers = body.trailers().await.unwrap().unwrap();
        assert_eq!(trailers["grpc-status"], "0", "{trailers:?} after {:?}", begun.elapsed());
        assert!(begun.elapsed() >= 2 * QUARTER);
    });
}

#[test]
fn a_long_poll_over_http1_may_take_a_quarter_of_an_hour() {
    in_paused_time(async {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let worker = worker(&upstream);
        tokio::task::spawn_local(async move {
            let mut socket = upstream.accept().await.unwrap().0;
            let mut head = [0; 2048];
            let n = socket.read(&mut head).await.unwrap();
            assert!(String::from_utf8_lossy(&head[..n]).contains("authorization: Bearer a-token"));
            sleep(QUARTER).await;
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\njobs").await.unwrap();
        });
        let mut caller = connect(&worker).await;
        caller.write_all(b"GET /v2/x HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let mut answer = [0; 1024];
        let n = caller.read(&mut answer).await.unwrap();
        assert!(answer[..n].starts_with(b"HTTP/1.1 200 OK"), "{}", String::from_utf8_lossy(&answer[..n]));
    });
}

/// Until the proxy closes the connection.
async fn closed_after(caller: &mut TcpStream) -> Duration {
    let begun = Instant::now();
    let mut rest = Vec::new();
    let _ = caller.read_to_end(&mut rest).await;
    begun.elapsed()
}

#[test]
fn an_http2_caller_that_waits_and_is_gone_is_found_out() {
    in_paused_time(async {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let worker = worker(&upstream);
        let held = tokio::task::spawn_local(async move { upstream.accept().await.unwrap().0 });
        let mut caller = connect(&worker).await;
        caller.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        // `GET /v2/x` at `localhost`, and not a word more.
        let head = [&b"\x82\x86\x04\x05/v2/x\x01\x09"[..], b"localhost"].concat();
        caller.write_all(&[&[0, 0, head.len() as u8, 1, 5, 0, 0, 0, 1], &head[..]].concat()).await.unwrap();
        let after = closed_after(&mut caller).await;
        // A minute of silence, and as long as a pong may take.
        assert!((Duration::from_secs(80)..Duration::from_secs(85)).contains(&after), "{after:?}");
        held.await.unwrap();
    });
}

#[test]
fn a_request_over_http2_may_come_in_pieces_of_an_octet() {
    in_paused_time(async {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let worker = worker(&upstream);
        let mut caller = connect(&worker).await;
        caller.set_nodelay(true).unwrap();
        let head = [&b"\x82\x86\x04\x08/nowhere\x01\x09"[..], b"localhost"].concat();
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        for octet in [&preface[..], &[0, 0, head.len() as u8, 1, 5, 0, 0, 0, 1], &head].concat() {
            caller.write_all(&[octet]).await.unwrap();
            sleep(Duration::from_millis(1)).await;
        }
        let mut answer = Vec::new();
        while !answer.windows(8).any(|window| window == b"no_route") {
            assert!(caller.read_buf(&mut answer).await.unwrap() > 0, "{}", String::from_utf8_lossy(&answer));
        }
    });
}

#[test]
fn a_connection_without_a_whole_head_or_a_request_is_closed_in_time() {
    in_paused_time(async {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let worker = worker(&upstream);
        let Limits { head_timeout, idle_timeout, .. } = worker.limits.clone();
        let slack = Duration::from_secs(2);

        for beginning in ["", "G", "PRI * HT", "GET /v2/x HTTP/1.1\r\nhost: local"] {
            let mut caller = connect(&worker).await;
            caller.write_all(beginning.as_bytes()).await.unwrap();
            let after = closed_after(&mut caller).await;
            assert!((head_timeout..head_timeout + slack).contains(&after), "{beginning:?}: {after:?}");
        }

        let mut idle = connect(&worker).await;
        idle.write_all(b"GET /nowhere HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let after = closed_after(&mut idle).await;
        assert!((idle_timeout..idle_timeout + slack).contains(&after), "{after:?}");
    });
}

#[test]
fn a_connection_that_has_rested_is_served_like_any_other() {
    in_paused_time(async {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let worker = worker(&upstream);
        let mut caller = connect(&worker).await;
        // Or the second part would wait for the first one's acknowledgement, in which this clock runs for minutes.
        caller.set_nodelay(true).unwrap();
        for pause in [0, 1, 30, 70, 3] {
            sleep(Duration::from_secs(pause)).await;
            // In two parts, as large heads come.
            caller.write_all(b"GET /nowhere HTTP/1.1\r\nho").await.unwrap();
            sleep(Duration::from_secs(3)).await;
            caller.write_all(b"st: localhost\r\n\r\n").await.unwrap();
            let mut answer = [0; 4096];
            let n = caller.read(&mut answer).await.unwrap();
            assert!(
                answer[..n].starts_with(b"HTTP/1.1 404"),
                "{pause}: {:?}",
                String::from_utf8_lossy(&answer[..n])
            );
        }
    });
}
