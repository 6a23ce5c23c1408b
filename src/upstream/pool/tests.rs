use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery};
use http::{Request, Version};
use http_body_util::BodyExt;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};

use super::*;
use crate::message::{request, response};
use crate::upstream::{MAX_AGE, Protocol, RequestHead, ScopeConfig};

/// A server that counts its connections.
async fn server<F: Future<Output = ()> + 'static>(
    serve: impl Fn(TcpStream, Rc<Notify>) -> F + 'static,
) -> (SocketAddr, Rc<Cell<usize>>, Rc<Notify>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("an address");
    let (connections, go) = (Rc::new(Cell::new(0)), Rc::new(Notify::new()));
    let (count, told) = (Rc::clone(&connections), Rc::clone(&go));
    spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.set(count.get() + 1);
            spawn_local(serve(stream, Rc::clone(&told)));
        }
    });
    (at, connections, go)
}

async fn http1(stream: TcpStream, _go: Rc<Notify>) {
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    while matches!(lines.read_line(&mut line).await, Ok(1..)) {
        if std::mem::take(&mut line) == "\r\n" {
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            lines.get_mut().write_all(answer).await.expect("written");
        }
    }
}

/// Ends the answer to `/stays` when it is told to.
async fn http2(stream: TcpStream, go: Rc<Notify>) {
    let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let go = Rc::clone(&go);
        spawn_local(async move {
            let mut sending = respond.send_response(http::Response::new(()), false).expect("sent");
            if request.uri().path() == "/stays" {
                go.notified().await;
            }
            sending.send_data(Bytes::from_static(b"ok"), true).expect("sent");
        });
    }
}

fn pool(at: SocketAddr, protocol: Protocol) -> Pool {
    let address = format!("http://{at}").parse().expect("an address");
    let config = ScopeConfig { protocol, ..ScopeConfig::default() };
    Pool::new(Arc::new(Origin::rest(address, &config).expect("an origin")), Config::default())
}

/// A request for this path at this authority, and whether something was waited for before it was sent.
struct Get(Authority, PathAndQuery, Cell<bool>);

impl Heads for Get {
    fn http1(&self, waited: bool) -> Option<RequestHead> {
        self.2.set(waited);
        Some(RequestHead::new(&Method::GET, &self.1))
    }

    fn http2(&self, waited: bool) -> Option<request::Head> {
        self.2.set(waited);
        Request::builder()
            .uri(format!("http://{}{}", self.0, self.1))
            .version(Version::HTTP_2)
            .body(())
            .ok()
            .map(Into::into)
    }

    fn interim(&self, _: response::Head) {}
}

/// Also tells whether a connection or a place was waited for.
async fn send(pool: &Pool, path: &'static str) -> (Response<AnswerBody>, bool) {
    let heads = Get(pool.origin.authority.clone(), PathAndQuery::from_static(path), Cell::new(false));
    let answer = pool.send(&Method::GET, false, &mut Payload::Empty, &heads).await.expect("an answer");
    (answer, heads.2.get())
}

async fn get(pool: &Pool) -> bool {
    let (answer, waited) = send(pool, "/x").await;
    assert_eq!(answer.body.collect().await.expect("a body").to_bytes(), "ok");
    waited
}

/// Time goes on at once; what waits for a socket does not notice.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn an_http1_connection_that_is_always_in_use_is_renewed_when_it_is_old() {
    let test = async {
        let (at, connections, _) = server(http1).await;
        let pool = pool(at, Protocol::Http1);
        let mut age = Duration::ZERO;
        while age < MAX_AGE {
            get(&pool).await;
            assert_eq!(connections.get(), 1, "after {age:?}");
            let step = Config::default().idle_timeout - Duration::from_secs(1);
            pass(step).await;
            pool.sweep();
            age += step;
        }
        get(&pool).await;
        get(&pool).await;
        assert_eq!(connections.get(), 2);
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn an_http2_connection_that_is_old_takes_nothing_new_and_ends_with_its_last_stream() {
    let test = async {
        let (at, connections, go) = server(http2).await;
        let pool = pool(at, Protocol::Http2);
        let (stays, _) = send(&pool, "/stays").await;
        get(&pool).await;
        assert_eq!(connections.get(), 1);
        pass(MAX_AGE + Duration::from_secs(1)).await;
        pool.sweep();
        get(&pool).await;
        get(&pool).await;
        assert_eq!(connections.get(), 2);
        go.notify_one();
        assert_eq!(stays.body.collect().await.expect("a body").to_bytes(), "ok");
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed() {
    let test = async {
        for (serve_http2, protocol, unused) in
            [(false, Protocol::Http1, Config::default().idle_timeout), (true, Protocol::Http2, UNUSED)]
        {
            let (at, connections, _) = match serve_http2 {
                true => server(http2).await,
                false => server(http1).await,
            };
            let pool = pool(at, protocol);
            get(&pool).await;
            pool.sweep();
            pass(unused - Duration::from_secs(1)).await;
            pool.sweep();
            get(&pool).await;
            assert_eq!(connections.get(), 1, "{protocol:?}");
            pool.sweep();
            pass(unused + Duration::from_secs(1)).await;
            pool.sweep();
            get(&pool).await;
            assert_eq!(connections.get(), 2, "{protocol:?}");
        }
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn who_makes_a_head_is_told_whether_a_connection_was_waited_for() {
    let test = async {
        let (over_http1, _, _) = server(http1).await;
        let (over_http2, _, _) = server(http2).await;
        for pool in [pool(over_http1, Protocol::Http1), pool(over_http2, Protocol::Http2)] {
            assert!(get(&pool).await, "there was none");
            assert!(!get(&pool).await, "there is one");
        }
    };
    LocalSet::new().run_until(test).await;
}
