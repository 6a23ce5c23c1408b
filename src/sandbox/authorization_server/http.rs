//! The token endpoint over HTTP: reads a request, asks the core, sends the answer in its manner.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::answer::{Answer, Manner};
use super::{AuthorizationServer, TokenForm};
use crate::certificate::Certificate;
use crate::sandbox::body::{Body, Cut};
use crate::sandbox::serve::Connection;

/// What a token request may have in its body.
const LARGEST_BODY: usize = 64 * 1024;

/// Answers one HTTP request.
pub(in crate::sandbox) async fn serve(
    server: AuthorizationServer,
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Cut> {
    let (head, body) = request.into_parts();
    let answer = match (&head.method, head.uri.path().trim_end_matches('/')) {
        (&Method::POST, "/oauth/token") => {
            let body = Limited::new(body, LARGEST_BODY)
                .collect()
                .await
                .map_err(|_| Cut::with_connection(&connection))?;
            let mut form = TokenForm::parse(head.headers, body.to_bytes());
            form.certificate = connection.certificate.as_ref().and_then(Certificate::read);
            let answer = server.answer(&form, connection.peer.ip(), Instant::now());
            tracing::info!(
                target: "sandbox",
                component = "token endpoint",
                audience = form.parameter("audience").unwrap_or_default(),
                status = answer.status.as_u16(),
                "token request"
            );
            answer
        }
        (_, "/oauth/token") => {
            Answer::error(StatusCode::METHOD_NOT_ALLOWED, "invalid_request", "POST is expected")
        }
        _ => Answer::error(StatusCode::NOT_FOUND, "not_found", "Not found"),
    };
    send(answer, &connection).await
}

async fn send(answer: Answer, connection: &Connection) -> Result<Response<Body>, Cut> {
    tokio::time::sleep(answer.delay).await;
    let body = match answer.manner {
        Manner::Whole => Body::whole(answer.body),
        Manner::Slow(interval) => dripping(answer.body, interval),
        // Until the caller leaves: hyper drops this future then.
        Manner::Hang => std::future::pending().await,
        Manner::Close => return Err(Cut::with_connection(connection)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    Ok(response)
}

fn dripping(body: Bytes, interval: Duration) -> Body {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        for at in 0..body.len() {
            // Sleeping for no time takes a millisecond.
            if !interval.is_zero() {
                tokio::time::sleep(interval).await;
            }
            if sender.send(Ok(body.slice(at..at + 1))).await.is_err() {
                return;
            }
        }
    });
    Body::streamed(receiver)
}
