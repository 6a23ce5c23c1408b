//! Answers of the REST components.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, UPGRADE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::sandbox::body::{Body, Cut};
use crate::sandbox::cluster::state::Rejection;

/// What a component answers.
pub(super) enum Reply {
    /// 200 with JSON.
    Json(Value),
    /// 200 with JSON that is written already.
    Written(Bytes),
    /// 204.
    Done,
    /// 200 with bytes.
    Bytes(Bytes),
    /// 200 with pieces that come over time.
    Stream(mpsc::Receiver<Result<Bytes, Cut>>),
    /// 101.
    Upgrade,
    /// RFC 9457: status, title, detail.
    Problem(StatusCode, &'static str, String),
}

/// A problem with a fixed text.
pub(super) fn problem(status: StatusCode, title: &'static str, detail: &str) -> Reply {
    Reply::Problem(status, title, detail.to_owned())
}

impl Reply {
    /// Nothing is at this path, with this method.
    pub(super) fn nothing() -> Reply {
        Reply::Problem(StatusCode::NOT_FOUND, "Not Found", "No static resource".to_owned())
    }

    /// A thing that is looked for is not there.
    pub(super) fn missing(what: &str, key: &str) -> Reply {
        Reply::Problem(StatusCode::NOT_FOUND, "NOT_FOUND", format!("{what} with key '{key}' not found"))
    }

    /// The request is not what is expected.
    pub(super) fn invalid(detail: &str) -> Reply {
        Reply::Problem(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", detail.to_owned())
    }

    pub(super) fn into_response(self, path: &str) -> Response<Body> {
        let (status, kind, body) = match self {
            Reply::Json(value) => (StatusCode::OK, "application/json", Body::whole(value.to_string())),
            Reply::Written(text) => (StatusCode::OK, "application/json", Body::whole(text)),
            Reply::Bytes(bytes) => (StatusCode::OK, "application/octet-stream", Body::whole(bytes)),
            Reply::Stream(pieces) => (StatusCode::OK, "text/event-stream", Body::streamed(pieces)),
            Reply::Problem(status, title, detail) => {
                let (title, detail, instance) = (Value::from(title), Value::from(detail), Value::from(path));
                // Written out, because the members come in this order from the real thing.
                let problem = format!(
                    r#"{{"type":"about:blank","title":{title},"status":{},"detail":{detail},"instance":{instance}}}"#,
                    status.as_u16()
                );
                (status, "application/problem+json", Body::whole(problem))
            }
            Reply::Done => return with_status(StatusCode::NO_CONTENT),
            Reply::Upgrade => {
                let mut response = with_status(StatusCode::SWITCHING_PROTOCOLS);
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
                response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
                return response;
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    }
}

fn with_status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = status;
    response
}

impl From<Rejection> for Reply {
    fn from(rejection: Rejection) -> Reply {
        match rejection {
            Rejection::NotFound(detail) => Reply::Problem(StatusCode::NOT_FOUND, "NOT_FOUND", detail),
            Rejection::Invalid(detail) => Reply::Problem(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", detail),
            Rejection::Precondition(detail) => Reply::Problem(StatusCode::CONFLICT, "INVALID_STATE", detail),
            Rejection::Exists(detail) => Reply::Problem(StatusCode::CONFLICT, "ALREADY_EXISTS", detail),
            Rejection::Timeout(detail) => {
                Reply::Problem(StatusCode::GATEWAY_TIMEOUT, "DEADLINE_EXCEEDED", detail)
            }
        }
    }
}
