//! The token endpoint's manners, as sentences. Time is paused: a day takes a millisecond.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, advance};

use super::*;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const DAY: Duration = Duration::from_secs(86_400);
const SECOND: Duration = Duration::from_secs(1);

fn server() -> AuthorizationServer {
    AuthorizationServer::new("client", "s~cret+/=", "https://issuer/")
}

fn form(secret: &str, audience: &str) -> TokenForm {
    TokenForm::client_credentials("client", secret, audience)
}

fn ask(server: &AuthorizationServer, audience: &str) -> Answer {
    server.answer(&form("s~cret+/=", audience), HERE, Instant::now())
}

fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).expect("JSON")
}

fn token(answer: &Answer) -> String {
    body(answer)["access_token"].as_str().expect("a token").to_owned()
}

#[tokio::test(start_paused = true)]
async fn the_same_token_comes_again_until_30_s_before_its_end() {
    let server = server();
    let first = ask(&server, AUDIENCES[0]);
    assert_eq!(body(&first)["expires_in"], 86_400);
    advance(DAY / 2).await;
    let second = ask(&server, AUDIENCES[0]);
    assert_eq!(token(&second), token(&first));
    assert_eq!(body(&second)["expires_in"], 43_200);
    advance(DAY / 2 - Duration::from_secs(31)).await;
    assert_eq!(token(&ask(&server, AUDIENCES[0])), token(&first));
    advance(SECOND).await;
    let third = token(&ask(&server, AUDIENCES[0]));
    assert_ne!(third, token(&first));
    assert!(server.validate(&token(&first), AUDIENCES[0]) && server.validate(&third, AUDIENCES[0]));
    advance(30 * SECOND).await;
    assert!(!server.validate(&token(&first), AUDIENCES[0]));
}

#[tokio::test(start_paused = true)]
async fn a_token_is_for_one_audience_and_can_be_revoked() {
    let server = server();
    let token = token(&ask(&server, AUDIENCES[0]));
    assert!(server.validate(&token, AUDIENCES[0]));
    assert!(!server.validate(&token, AUDIENCES[1]));
    server.revoke_all();
    assert!(!server.validate(&token, AUDIENCES[0]));
}

#[tokio::test(start_paused = true)]
async fn a_token_is_a_signed_jwt_of_about_a_kilobyte() {
    use base64::Engine;
    let token = token(&ask(&server(), AUDIENCES[0]));
    assert!((900..1300).contains(&token.len()), "{}", token.len());
    let parts: Vec<_> = token.split('.').collect();
    let decoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(parts[1]).expect("base64url");
    let claims: Value = serde_json::from_slice(&decoded).expect("claims");
    assert_eq!(claims["aud"], AUDIENCES[0]);
    assert_eq!(claims["exp"].as_u64().zip(claims["iat"].as_u64()).map(|(exp, iat)| exp - iat), Some(86_400));
    assert_eq!(parts.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_second_request_within_a_second_blocks_the_address() {
    let server = server();
    assert_eq!(ask(&server, AUDIENCES[0]).status, 200);
    advance(SECOND / 2).await;
    let limited = ask(&server, AUDIENCES[1]);
    assert_eq!(limited.status, 429);
    assert!(!limited.headers.contains_key("retry-after"));
    assert_eq!(
        server.answer(&form("s~cret+/=", AUDIENCES[1]), [10, 0, 0, 1].into(), Instant::now()).status,
        200
    );
    server.set_retry_after(true);
    advance(9 * SECOND).await;
    assert_eq!(ask(&server, AUDIENCES[1]).headers["retry-after"], "1");
    advance(SECOND).await;
    assert_eq!(ask(&server, AUDIENCES[1]).status, 200);
}

#[tokio::test(start_paused = true)]
async fn rejections_count_against_the_rate() {
    let server = server();
    let wrong = form("wrong", AUDIENCES[0]);
    assert_eq!(server.answer(&wrong, HERE, Instant::now()).status, 401);
    assert_eq!(ask(&server, AUDIENCES[0]).status, 429);
}

#[tokio::test(start_paused = true)]
async fn repeated_rejections_of_one_pair_are_delayed() {
    let server = server();
    server.set_rate_limit(false);
    let wrong = form("wrong", AUDIENCES[0]);
    let first = server.answer(&wrong, HERE, Instant::now());
    assert_eq!((first.status.as_u16(), first.delay), (401, Duration::ZERO));
    assert_eq!(body(&first)["error"], "access_denied");
    assert_eq!(server.answer(&wrong, HERE, Instant::now()).delay, Duration::from_secs(30));
    assert_eq!(ask(&server, "nobody.camunda.io").delay, Duration::ZERO);
    assert_eq!(ask(&server, AUDIENCES[0]).status, 200);
    assert_eq!(server.answer(&wrong, HERE, Instant::now()).delay, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn forms_json_and_basic_are_understood() {
    let server = server();
    server.set_rate_limit(false);
    let typed = |kind: &'static str| {
        HeaderMap::from_iter([(::http::header::CONTENT_TYPE, kind.parse().expect("a value"))])
    };
    let json = r#"{"grant_type":"client_credentials","client_id":"client","client_secret":"s~cret+/=","audience":"zeebe.camunda.io"}"#;
    let json = TokenForm::parse(typed("application/json; charset=utf-8"), json.into());
    assert_eq!(server.answer(&json, HERE, Instant::now()).status, 200);
    let mut headers = typed("application/x-www-form-urlencoded");
    // client:s%7Ecret%2B%2F%3D
    headers.insert("authorization", "Basic Y2xpZW50OnMlN0VjcmV0JTJCJTJGJTNE".parse().expect("a value"));
    let basic = TokenForm::parse(headers, "grant_type=client_credentials&audience=zeebe.camunda.io".into());
    assert_eq!(server.answer(&basic, HERE, Instant::now()).status, 200);
    let other = TokenForm::parse(typed("application/x-www-form-urlencoded"), "grant_type=password".into());
    assert_eq!(server.answer(&other, HERE, Instant::now()).status, 400);

    let seen = server.requests();
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[0].audience.as_deref(), Some("zeebe.camunda.io"));
    assert_eq!(seen[1].client_id.as_deref(), Some("client"));
    assert_eq!(seen[2].status, 400);
}

#[tokio::test(start_paused = true)]
async fn faults_are_what_they_say() {
    let server = server();
    server.set_rate_limit(false);
    let with = |fault: Fault| {
        server.fail_next(1, fault);
        ask(&server, AUDIENCES[0])
    };
    assert_eq!(with(Fault::TooManyRequests(Some(7))).headers["retry-after"], "7");
    assert_eq!(with(Fault::Rejected(SECOND)).delay, SECOND);
    assert_eq!(with(Fault::BadGateway).headers["content-type"], "text/html");
    assert_eq!(with(Fault::HugeBody).body.len(), 10 << 20);
    assert_eq!(with(Fault::Hang).manner, Manner::Hang);
    assert_eq!(body(&with(Fault::ExpiresIn("\"300\"".to_owned())))["expires_in"], "300");
    assert_eq!(body(&with(Fault::ExpiresIn("null".to_owned()))).get("expires_in"), Some(&Value::Null));
    assert_eq!(body(&with(Fault::NoExpiresIn)).get("expires_in"), None);
    assert_eq!(body(&with(Fault::TokenType("mac".to_owned())))["token_type"], "mac");
    assert_eq!(token(&with(Fault::EmptyToken)), "");
    assert_eq!(with(Fault::Gzip).body[..2], [0x1f, 0x8b]);
    assert!(String::from_utf8_lossy(&with(Fault::DuplicateKeys).body).matches("access_token").count() == 2);
    let opaque = token(&with(Fault::OpaqueToken));
    assert!(!opaque.contains('.') && server.validate(&opaque, AUDIENCES[0]));
    let date = |answer: &Answer| {
        httpdate::parse_http_date(answer.headers["date"].to_str().expect("text")).expect("a date")
    };
    let (early, now) = (with(Fault::SkewedDate(-3600)), ask(&server, AUDIENCES[0]));
    assert_eq!(date(&now).duration_since(date(&early)).expect("earlier").as_secs(), 3600);
    assert_eq!(token(&now), token(&early));
}

#[tokio::test(start_paused = true)]
async fn the_same_token_can_come_to_its_very_end() {
    let server = server();
    server.set_token_life(60 * SECOND);
    server.set_fault(Some(Fault::SameToken));
    let first = token(&ask(&server, AUDIENCES[0]));
    advance(59 * SECOND).await;
    assert_eq!(token(&ask(&server, AUDIENCES[0])), first);
    advance(SECOND).await;
    assert_ne!(token(&ask(&server, AUDIENCES[0])), first);
}

#[tokio::test(start_paused = true)]
async fn a_changed_secret_is_asked_for_at_once() {
    let server = server();
    server.set_rate_limit(false);
    server.set_client_secret("new");
    assert_eq!(ask(&server, AUDIENCES[0]).status, 401);
    assert_eq!(server.answer(&form("new", AUDIENCES[0]), HERE, Instant::now()).status, 200);
}
