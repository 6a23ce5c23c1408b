//! What every component does first: the log line, the faults that are switched on, refusals.

use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use tokio::sync::mpsc;

use super::body::{Body, Cut};
use super::cluster::{Cluster, Fault};
use super::serve::Connection;
use crate::sandbox::authorization_server::AuthorizationServer;

/// The first bytes of an answer get this long to leave before their connection is closed.
const MIDWAY: Duration = Duration::from_millis(20);

/// What a request meets.
pub(super) enum Met {
    /// Nothing out of the way.
    Nothing,
    /// A page instead of an answer.
    Page(u16),
    /// A refusal, whatever its token is.
    Refused,
    /// A fault after the answer's first bytes.
    Midway(Fault),
}

/// One line for a request, without its token.
pub(super) fn log(component: &str, head: &Parts) {
    tracing::info!(
        target: "sandbox",
        component,
        method = %head.method,
        path = head.uri.path(),
        version = ?head.version,
        user_agent = head.headers.get(http::header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or(""),
        authorized = head.headers.contains_key(http::header::AUTHORIZATION),
        "request"
    );
}

/// Meets a request with the fault that is switched on.
pub(super) fn meet(cluster: &Cluster, connection: &Connection, path: &str) -> Result<Met, Cut> {
    Ok(match cluster.shared.faults.meet(path) {
        None => Met::Nothing,
        Some(Fault::Close) => return Err(Cut::with_connection(connection)),
        Some(Fault::Reset(code)) => return Err(Cut::with(code)),
        Some(Fault::Html(status)) => Met::Page(status),
        Some(Fault::Unauthorized) => Met::Refused,
        Some(fault) => Met::Midway(fault),
    })
}

/// Spoils an answer by the fault that its request met.
pub(super) fn spoil(response: Response<Body>, met: Met, connection: &Arc<Connection>) -> Response<Body> {
    let (sender, rest) = mpsc::channel(1);
    match met {
        Met::Midway(Fault::GoAway) => {
            connection.go_away();
            return response;
        }
        Met::Midway(Fault::ResetMidway(code)) => {
            // The channel was made above and has room for one.
            let _ = sender.try_send(Err(Cut::with(code)));
        }
        Met::Midway(Fault::CloseMidway) => {
            let connection = connection.clone();
            tokio::spawn(async move {
                tokio::time::sleep(MIDWAY).await;
                let _ = sender.try_send(Err(Cut::with_connection(&connection)));
            });
        }
        _ => return response,
    }
    response.map(|body| body.continued_by(rest))
}

/// Whether a REST request has exactly one `authorization`, with a token for one of the audiences.
pub(super) fn bears_token(server: &AuthorizationServer, headers: &HeaderMap, audience: &str) -> bool {
    let mut values = headers.get_all(http::header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let token = value.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
    token.is_some_and(|token| server.validate(token, audience))
}

/// The page of a load balancer.
pub(super) fn page(status: u16) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let text = format!(
        "<html><head><title>{status}</title></head><body><center><h1>{status}</h1></center><hr></body></html>\n"
    );
    let mut response = Response::new(Body::whole(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}
