//! Token requests that know the issuer alone, over the network.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::over_tcp::endpoint_at;
use super::*;

/// An issuer with metadata at this path, and what it was asked.
struct Issuer {
    url: String,
    seen: Arc<Mutex<Vec<(String, Instant)>>>,
}

impl Issuer {
    async fn start(published_at: &'static str) -> Issuer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/realms/x", listener.local_addr().unwrap());
        let (seen, issuer) = (Arc::<Mutex<Vec<_>>>::default(), url.clone());
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let head = request_of(&mut stream).await;
                let first = head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
                let metadata =
                    format!(r#"{{"issuer":"{issuer}","token_endpoint":"{issuer}/token?key=canary"}}"#);
                let (status, body) = match first.as_str() {
                    "POST /realms/x/token?key=canary" => ("200 OK", r#"{"access_token":"t"}"#),
                    get if get == format!("GET {published_at}") => ("200 OK", metadata.as_str()),
                    _ => ("404 Not Found", ""),
                };
                log.lock().unwrap().push((first, Instant::now()));
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Issuer { url, seen }
    }

    fn seen(&self) -> Vec<(String, Instant)> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

/// A whole request: a connection that is closed over unread bytes is broken off.
async fn request_of(stream: &mut TcpStream) -> String {
    let (mut seen, mut piece) = (String::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut piece).await.unwrap();
        seen += &String::from_utf8_lossy(&piece[..length]);
        if let Some((head, body)) = seen.split_once("\r\n\r\n") {
            let stated = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if length == 0 || body.len() >= stated.unwrap_or("0").parse().unwrap() {
                return seen;
            }
        }
    }
}

const POST: &str = "POST /realms/x/token?key=canary";

#[tokio::test]
async fn the_endpoint_is_looked_up_once_and_a_second_before_it_is_asked() {
    for (published_at, places) in [
        ("/realms/x/.well-known/openid-configuration", 1),
        ("/.well-known/oauth-authorization-server/realms/x", 2),
    ] {
        let issuer = Issuer::start(published_at).await;
        let endpoint = endpoint_at(secs(5), Clock::system());
        let request = TokenRequest { endpoint: issuer.url.clone(), by_issuer: true, ..request("a") };
        assert_eq!(endpoint.shown(&request), issuer.url);
        assert_eq!(endpoint.ask(&request).await.unwrap().status, 200);
        let seen = issuer.seen();
        assert_eq!(seen.len(), places + 1);
        assert_eq!(seen[places - 1].0, format!("GET {published_at}"));
        assert_eq!(seen[places].0, POST);
        assert!(seen.windows(2).all(|pair| pair[1].1 - pair[0].1 >= secs(1)), "{seen:?}");
        assert_eq!(endpoint.shown(&request), format!("{}/token", issuer.url), "and no query");
        assert_eq!(endpoint.ask(&request).await.unwrap().status, 200);
        assert_eq!(issuer.seen().len(), 1, "nothing but the token request");
    }
}

#[tokio::test]
async fn an_issuer_that_is_not_there_or_says_nothing_is_a_failure_like_others() {
    let endpoint = endpoint_at(secs(5), Clock::system());
    let ask = async |url: &str| {
        let request = TokenRequest { endpoint: url.to_owned(), by_issuer: true, ..request("a") };
        endpoint.ask(&request).await.unwrap_err()
    };
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let failure = ask(&format!("http://{gone}/realms/x")).await;
    assert_eq!(failure.cause, Cause::Transient);
    assert!(failure.detail.starts_with("the issuer cannot be reached"), "{failure}");
    let silent = Issuer::start("/elsewhere").await;
    let failure = ask(&silent.url).await;
    assert_eq!(failure.cause, Cause::Malformed);
    assert!(failure.detail.starts_with("the issuer publishes no metadata"), "{failure}");
}
