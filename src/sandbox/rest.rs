//! The REST components: who may call, and what each answers under `/<cluster id>`.

mod multipart;
mod operate;
mod optimize;
mod reply;
mod tasklist;
mod upgrade;
mod zeebe;

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use self::reply::{Reply, problem};
use super::authorization_server::AuthorizationServer;
use super::body::{Body, Cut};
use super::cluster::Cluster;
use super::front::{self, Met};
use super::serve::Connection;
use crate::scope::Scope;

/// The largest body that a component takes.
const LARGEST_BODY: usize = 64 << 20;

/// A REST component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Component {
    Zeebe,
    Operate,
    Tasklist,
    Optimize,
}

impl Component {
    fn scope(self) -> Scope {
        match self {
            Component::Zeebe => Scope::Zeebe,
            Component::Operate => Scope::Operate,
            Component::Tasklist => Scope::Tasklist,
            Component::Optimize => Scope::Optimize,
        }
    }

    fn audience(self) -> &'static str {
        match self {
            Component::Zeebe => "zeebe.camunda.io",
            Component::Operate => "operate.camunda.io",
            Component::Tasklist => "tasklist.camunda.io",
            Component::Optimize => "optimize.camunda.io",
        }
    }
}

/// A component's port.
pub(super) struct Front {
    pub(super) component: Component,
    pub(super) base: String,
    pub(super) server: AuthorizationServer,
    pub(super) cluster: Cluster,
}

/// Answers one request.
pub(super) async fn serve(
    front: Arc<Front>,
    connection: Arc<Connection>,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Cut> {
    let upgraded = upgrade::wanted(&mut request);
    let (head, body) = request.into_parts();
    let cluster = &front.cluster;
    let exchange = cluster.shared.record.arrived(front.component.scope(), &head, &connection);
    front::log(front.component.scope().name(), &head);
    let met = front::meet(cluster, &connection, head.uri.path())?;
    if let Met::Page(status) = met {
        return Ok(front::page(status).map(|body| body.recorded_by(exchange)));
    }
    let path = head.uri.path();
    let inside = path.strip_prefix(&front.base).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let reply = match inside {
        None => problem(StatusCode::NOT_FOUND, "Not Found", "No such cluster"),
        Some(rest) => {
            let open = front.component == Component::Zeebe && zeebe::is_open(rest);
            let admitted = front::bears_token(&front.server, &head.headers, front.component.audience());
            if !open && (!admitted || matches!(met, Met::Refused)) {
                cluster.shared.record.refused();
                problem(StatusCode::UNAUTHORIZED, "Unauthorized", "Access Denied")
            } else {
                front.answer(rest, &head, body, upgraded).await
            }
        }
    };
    let mut response = reply.into_response(path);
    if head.method == Method::HEAD {
        *response.body_mut() = Body::default();
    }
    Ok(front::spoil(response, met, &connection).map(|body| body.recorded_by(exchange)))
}

/// A request to a component, its body read.
pub(super) struct Asked<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) head: &'a Parts,
    /// The path's segments after the cluster id.
    pub(super) segments: &'a [&'a str],
    pub(super) body: Bytes,
}

impl Front {
    async fn answer(
        &self,
        rest: &str,
        head: &Parts,
        body: Incoming,
        upgraded: Option<hyper::upgrade::OnUpgrade>,
    ) -> Reply {
        let segments: Vec<&str> = rest.split('/').skip(1).collect();
        if segments == ["v2", "websocket"] {
            return upgrade::echo(upgraded);
        }
        let Ok(body) = Limited::new(body, LARGEST_BODY).collect().await else {
            return Reply::Problem(
                StatusCode::PAYLOAD_TOO_LARGE,
                "Content Too Large",
                "the body could not be read".to_owned(),
            );
        };
        let asked = Asked { cluster: &self.cluster, head, segments: &segments, body: body.to_bytes() };
        let polls = matches!(segments[..], ["v2", "jobs", "activation"]);
        let reply = match self.component {
            Component::Zeebe => zeebe::answer(&asked).await,
            Component::Operate => operate::answer(&asked),
            Component::Tasklist => tasklist::answer(&asked),
            Component::Optimize => optimize::answer(&asked),
        };
        if !polls {
            self.cluster.held().await;
        }
        reply
    }
}

impl Asked<'_> {
    /// The body as JSON; none is an empty object.
    fn json(&self) -> Result<serde_json::Value, Reply> {
        if self.body.is_empty() {
            return Ok(serde_json::json!({}));
        }
        serde_json::from_slice(&self.body).map_err(|_| {
            Reply::Problem(
                StatusCode::BAD_REQUEST,
                "Bad Request",
                "Request property [body] cannot be parsed".to_owned(),
            )
        })
    }

    /// A number in the query.
    fn query(&self, name: &str) -> Option<u64> {
        let pairs = self.head.uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(key, _)| *key == name).find_map(|(_, value)| value.parse().ok())
    }
}
