//! A token that the upstream refuses: renewed once, and the request sent once more where that cannot do anything twice.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::common::caller::raw;
use crate::common::peer::{Peer, Talk, grpc_ok, http1_peer, http2_peer, peer};
use crate::common::{Setup, TOPOLOGY, World, in_time, message, setup, until};

const INSTANCES: &str = "/v2/process-instances/search";

/// Zeebe alone, so that no other audience's token requests are in the way.
fn zeebe() -> Setup {
    setup().credentials(|line| !["OPERATE", "TASKLIST", "OPTIMIZE"].iter().any(|name| line.contains(name)))
}

/// Waits for the first token, and sees to it that the next one is another: Camunda hands out the same as long as it is good.
async fn renewable(setup: Setup) -> World {
    let world = setup.start().await;
    while world.admin("/readyz").await.status != 200 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.camunda.authorization_server().revoke_all();
    world
}

fn token_requests(world: &World) -> u64 {
    world.camunda.authorization_server().request_count()
}

#[tokio::test]
async fn a_revoked_token_is_renewed_once_and_no_caller_notices() {
    let world = zeebe().start().await.ready().await;
    world.get("/v2/topology").await;
    let asked = token_requests(&world);
    world.camunda.authorization_server().revoke_all();
    let (mut one, mut two, mut three) = (world.http1().await, world.http1().await, world.http2().await);
    let (mut four, mut five) = (three.clone(), three.clone());
    let json = [("content-type", "application/json")];
    let (get, post, get2, post2, grpc) = tokio::join!(
        one.get("/v2/topology"),
        two.send(Method::POST, INSTANCES, &json, "{}"),
        three.get("/v2/topology"),
        four.send(Method::POST, INSTANCES, &json, "{}"),
        five.grpc(TOPOLOGY, &[], message(&[])),
    );
    for answer in [get, post.unwrap(), get2, post2.unwrap()] {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(grpc.unwrap().grpc_status(), Some(0));
    assert_eq!(token_requests(&world), asked + 1);
    let metrics = String::from_utf8(world.admin("/metrics").await.body.to_vec()).unwrap();
    let replayed = r#"camunda_proxy_upstream_unauthorized_total{scope="zeebe",action="replayed"} 5"#;
    assert!(metrics.contains(replayed), "{metrics}");

    // Within the same minute nothing more is done about it, and Camunda's own answer is passed on.
    world.camunda.authorization_server().revoke_all();
    let refused = world.get("/v2/topology").await;
    assert_eq!((refused.status.as_u16(), refused.header("proxy-status")), (401, ""));
    let mut caller = world.http2().await;
    let refused = caller.grpc(TOPOLOGY, &[], message(&[])).await.unwrap();
    assert_eq!((refused.grpc_status(), refused.head_alone), (Some(16), true));
    assert_eq!(token_requests(&world), asked + 1);
    let status = world.admin("/status").await.json();
    assert!(status.to_string().contains(r#""renew_on_401":"active""#), "{status}");
}

/// An HTTP/1.1 upstream that refuses the first token that it sees and accepts any other.
struct Refusing {
    peer: Peer,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A request's head and body as they came.
type Seen = (String, Vec<u8>);

impl Refusing {
    fn requests(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic").clone()
    }
}

fn authorization(head: &str) -> &str {
    head.lines().find_map(|line| line.strip_prefix("authorization: ")).expect("a token")
}

fn length(head: &str) -> Option<usize> {
    head.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse().ok()
}

/// Chunks up to the last one, joined.
async fn chunked(talk: &mut Talk) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        tokio::io::AsyncBufReadExt::read_line(&mut talk.0, &mut line).await.expect("a size");
        let size = usize::from_str_radix(line.trim(), 16).expect("a size");
        let mut chunk = talk.body(size + 2).await;
        chunk.truncate(size);
        match size {
            0 => return body,
            _ => body.extend(chunk),
        }
    }
}

async fn refusing() -> Refusing {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let first = Arc::new(Mutex::new(None::<String>));
    let kept = Arc::clone(&seen);
    let peer = peer(move |stream| {
        let (kept, first) = (Arc::clone(&kept), Arc::clone(&first));
        async move {
            let mut talk = Talk::new(stream);
            while let Some(head) = talk.head().await {
                let body = match length(&head) {
                    Some(length) => talk.body(length).await,
                    None if head.contains("transfer-encoding: chunked") => chunked(&mut talk).await,
                    None => Vec::new(),
                };
                let token = authorization(&head).to_owned();
                let refused = *first.lock().expect("no panic").get_or_insert_with(|| token.clone()) == token;
                kept.lock().expect("no panic").push((head, body));
                talk.say(if refused {
                    "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer\r\nx-own: yes\r\ncontent-length: 4\r\n\r\nnope"
                } else {
                    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
                })
                .await;
            }
        }
    })
    .await;
    Refusing { peer, seen }
}

#[tokio::test]
async fn the_replay_is_the_same_request_but_for_its_token() {
    for body in ["", "a=1"] {
        let upstream = refusing().await;
        let world = renewable(zeebe().zeebe_rest(upstream.peer.at)).await;
        let fields = [("x-thing", "one"), ("x-thing", "two"), ("content-type", "text/plain")];
        let method = if body.is_empty() { Method::GET } else { Method::POST };
        let answer = world.http1().await.send(method, "/v2/x?q=%20", &fields, body).await.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"ok"[..]));
        let seen = upstream.requests();
        let without =
            |(head, body): &(String, Vec<u8>)| (head.replace(authorization(head), ""), body.clone());
        assert_eq!(without(&seen[0]), without(&seen[1]));
        assert_ne!(authorization(&seen[0].0), authorization(&seen[1].0));
        assert_eq!(seen.len(), 2);
        // The refused one's connection serves on.
        for _ in 0..4 {
            world.get("/v2/x").await;
        }
        assert!(upstream.peer.connections() <= 2, "{} connections", upstream.peer.connections());
    }
}

#[tokio::test]
async fn a_body_is_sent_once_more_up_to_the_limit_and_not_beyond() {
    const LIMIT: usize = 64 * 1024;
    for http2 in [false, true] {
        for (length, replayed) in [(LIMIT, true), (LIMIT + 1, false)] {
            let upstream = refusing().await;
            let world = renewable(zeebe().zeebe_rest(upstream.peer.at)).await;
            let body: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let mut caller = if http2 { world.http2().await } else { world.http1().await };
            let answer = caller.send(Method::POST, "/v2/x", &[], body.clone()).await.unwrap();
            let seen = upstream.requests();
            assert_eq!(answer.status, if replayed { 200 } else { 401 }, "{length} {http2}");
            assert_eq!(seen.len(), if replayed { 2 } else { 1 });
            assert!(seen.iter().all(|(_, seen)| *seen == body));
            if !replayed {
                // Passed on as it was; and the next request has another token all the same.
                assert_eq!((answer.header("x-own"), &answer.body[..]), ("yes", &b"nope"[..]));
                until("the renewal", || token_requests(&world) == 2).await;
            }
        }
    }
}

#[tokio::test]
async fn a_chunked_body_is_sent_once_more_and_one_without_a_buffer_is_not() {
    let text = "POST /v2/x HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n\
                3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    for (buffer, status, times) in [("65536", "200", 2), ("4", "401", 1), ("0", "401", 1)] {
        let upstream = refusing().await;
        let world =
            renewable(zeebe().zeebe_rest(upstream.peer.at).with("upstream.replay_buffer", buffer)).await;
        let answer = raw(world.proxy, text.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        let seen = upstream.requests();
        assert_eq!(seen.len(), times);
        assert!(seen.iter().all(|(_, body)| body == b"abcde"));
        // Without a body nothing need be kept.
        assert_eq!(world.get("/v2/x").await.status, 200);
    }
}

#[tokio::test]
async fn a_refusal_before_the_end_of_the_body_is_passed_on() {
    let upstream = http1_peer(|_| "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n".to_owned()).await;
    let world = renewable(zeebe().zeebe_rest(upstream.at)).await;
    let mut caller = world.http2().await;
    let (response, mut sending) = caller.open(Method::POST, "/v2/x", &[], false).await.unwrap();
    sending.send_data(Bytes::from_static(b"the beginning"), false).unwrap();
    assert_eq!(in_time("the refusal", response).await.unwrap().status(), 401);
    until("the renewal for the next one", || token_requests(&world) == 2).await;
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn a_request_that_is_refused_twice_is_not_sent_a_third_time() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heads);
    let upstream = http1_peer(move |head| {
        kept.lock().unwrap().push(authorization(head).to_owned());
        "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n".to_owned()
    })
    .await;
    let world = renewable(zeebe().zeebe_rest(upstream.at)).await;
    assert_eq!(world.get("/v2/x").await.status, 401);
    assert_eq!(heads.lock().unwrap().len(), 2);
    assert_eq!(world.get("/v2/x").await.status, 401);
    let heads = heads.lock().unwrap();
    assert_eq!((heads.len(), token_requests(&world)), (3, 2));
    assert_eq!(heads[1], heads[2]);
}

#[tokio::test]
async fn neither_an_upgrade_nor_a_403_nor_another_proxys_own_401_is_about_the_token() {
    let answers = [
        "401 Unauthorized\r\nproxy-status: camunda-auth-proxy; error=http_request_denied; details=\"caller_unknown\"",
        "403 Forbidden",
    ];
    for answer in answers {
        let upstream = http1_peer(move |_| format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n")).await;
        let world = renewable(zeebe().zeebe_rest(upstream.at)).await;
        assert!(answer.starts_with(world.get("/v2/x").await.status.as_str()));
        assert_eq!((upstream.connections(), token_requests(&world)), (1, 1));
    }
    let upstream = refusing().await;
    let world = renewable(zeebe().zeebe_rest(upstream.peer.at)).await;
    let upgrade =
        "GET /v2/x HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let mut stream = TcpStream::connect(world.proxy).await.unwrap();
    stream.write_all(upgrade.as_bytes()).await.unwrap();
    let head = in_time("the refusal", Talk::new(stream).head()).await.unwrap();
    assert!(head.starts_with("HTTP/1.1 401"), "{head}");
    assert_eq!((upstream.requests().len(), token_requests(&world)), (1, 1));
}

/// What a gRPC upstream says to the first token that it sees.
#[derive(Clone, Copy)]
struct Refusal {
    message: &'static str,
    /// The head alone, or an open head and then trailers.
    head_alone: bool,
}

/// A gRPC upstream that refuses the first token that it sees, once it is let.
async fn refusing_grpc(refusal: Refusal, go: watch::Receiver<bool>) -> (Peer, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::<String>::new()));
    let kept = Arc::clone(&seen);
    let upstream = http2_peer(
        |builder| {
            builder.max_concurrent_streams(5000);
        },
        move |request, mut respond| {
            let (kept, mut go) = (Arc::clone(&kept), go.clone());
            async move {
                let token = request.headers()["authorization"].to_str().expect("text").to_owned();
                let refused = {
                    let mut kept = kept.lock().expect("no panic");
                    kept.push(token.clone());
                    kept[0] == token
                };
                let held = request.headers().contains_key("x-held");
                if !refused {
                    return grpc_ok(respond);
                }
                if held {
                    go.wait_for(|go| *go).await.expect("the test goes on");
                }
                let mut status = HeaderMap::new();
                status.insert("grpc-status", HeaderValue::from_static("16"));
                status.insert("grpc-message", HeaderValue::from_static(refusal.message));
                let mut head = Response::new(());
                head.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
                if refusal.head_alone {
                    head.headers_mut().extend(status);
                    let _ = respond.send_response(head, true);
                } else if let Ok(mut sending) = respond.send_response(head, false) {
                    let _ = sending.send_trailers(status);
                }
            }
        },
    )
    .await;
    (upstream, seen)
}

#[tokio::test]
async fn a_grpc_refusal_is_one_of_the_token_when_nothing_else_can_have_made_it() {
    let tenant = [("camunda-physical-tenant", "typo")];
    let token = "Failed to parse bearer token, see cause for details";
    let none = &[][..];
    let cases = [
        (token, true, none, 0, 2, 2),
        ("anything", true, none, 0, 2, 2),
        // A handler has run.
        (token, false, none, 16, 1, 1),
        // An unknown tenant is answered alike, and must not cost token requests.
        ("Physical tenant 'typo' does not exist", true, &tenant[..], 16, 1, 1),
        (token, true, &tenant[..], 0, 2, 2),
    ];
    for (message_text, head_alone, fields, status, sent, asked) in cases {
        let (_go, gone) = watch::channel(true);
        let (upstream, seen) = refusing_grpc(Refusal { message: message_text, head_alone }, gone).await;
        let world = renewable(zeebe().zeebe_grpc(upstream.at)).await;
        let answer = world.http2().await.grpc(TOPOLOGY, fields, message(&[])).await.unwrap();
        assert_eq!(answer.grpc_status(), Some(status), "{message_text} {head_alone} {fields:?}");
        assert_eq!((seen.lock().unwrap().len(), token_requests(&world)), (sent, asked), "{message_text}");
    }
}

#[tokio::test]
async fn a_burst_of_a_thousand_late_refusals_after_a_renewal_asks_for_no_token() {
    const BURST: usize = 1000;
    let (go, gone) = watch::channel(false);
    let (upstream, seen) = refusing_grpc(Refusal { message: "late", head_alone: true }, gone).await;
    let world = renewable(zeebe().zeebe_grpc(upstream.at)).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let mut caller = world.http2().await;
        for _ in 0..BURST / 10 {
            let response = caller.begin(TOPOLOGY, &[("x-held", "yes")], message(&[])).await;
            calls.spawn(async move {
                let answer = crate::common::caller::read(response.await.expect("an answer")).await;
                answer.expect("a whole answer").grpc_status()
            });
        }
    }
    until("a thousand calls upstream", || seen.lock().unwrap().len() == BURST).await;
    // One that is refused at once has the token renewed.
    let answer = world.http2().await.grpc(TOPOLOGY, &[], message(&[])).await.unwrap();
    assert_eq!((answer.grpc_status(), token_requests(&world)), (Some(0), 2));
    go.send_replace(true);
    let statuses = tokio::time::timeout(Duration::from_secs(20), calls.join_all()).await.expect("in time");
    assert!(statuses.iter().all(|status| *status == Some(0)));
    assert_eq!((statuses.len(), token_requests(&world)), (BURST, 2));
}

#[tokio::test]
async fn a_stream_that_is_still_open_is_refused_as_it_is() {
    let (_go, gone) = watch::channel(true);
    let (upstream, seen) = refusing_grpc(Refusal { message: "open", head_alone: true }, gone).await;
    let world = renewable(zeebe().zeebe_grpc(upstream.at)).await;
    let mut caller = world.http2().await;
    let fields = [("content-type", "application/grpc")];
    let (response, mut sending) = caller.open(Method::POST, TOPOLOGY, &fields, false).await.unwrap();
    sending.send_data(message(b"first"), false).unwrap();
    let response = in_time("the refusal", response).await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "16");
    assert_eq!(seen.lock().unwrap().len(), 1);
    until("the renewal for the next one", || token_requests(&world) == 2).await;
}
