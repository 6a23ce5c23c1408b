//! Zeebe's gRPC side: who may call, and which method it is.

mod descriptor;
mod framing;
mod gateway;
pub(super) mod health;
pub(super) mod messages;
mod reflection;

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;

use self::framing::{Code, Status};
use super::body::{Body, Cut};
use super::cluster::Cluster;
use super::front::{self, Met};
use super::serve::Connection;
use crate::sandbox::authorization_server::AuthorizationServer;
use crate::scope::Scope;

/// Whom tokens for this component are for.
const AUDIENCE: &str = "zeebe.camunda.io";

/// Answers one call.
pub(super) async fn serve(
    server: AuthorizationServer,
    cluster: Cluster,
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Cut> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let mut exchange = cluster.shared.record.arrived(Scope::Zeebe, &head, &connection);
    front::log("zeebe grpc", &head);
    let met = front::meet(&cluster, &connection, path)?;
    let response = match met {
        Met::Page(status) => return Ok(front::page(status).map(|body| body.recorded_by(exchange))),
        _ if !framing::is_grpc(&head.headers) => framing::not_grpc(),
        _ => match path.strip_prefix("/gateway_protocol.Gateway/") {
            Some(method) => match admit(&server, &head.headers, matches!(met, Met::Refused)) {
                Err(status) => {
                    cluster.shared.record.refused();
                    status.into_response()
                }
                Ok(()) => {
                    if matches!(method, "ActivateJobs" | "StreamActivatedJobs") {
                        exchange.stream();
                    }
                    let compressed = framing::Encoding::of(&head.headers);
                    gateway::call(&cluster, method, body, compressed).await
                }
            },
            None => open_services(path, &head.headers, body).await,
        },
    };
    Ok(front::spoil(response, met, &connection).map(|body| body.recorded_by(exchange)))
}

/// Health and reflection, which answer without a token.
async fn open_services(path: &str, headers: &HeaderMap, body: Incoming) -> Response<Body> {
    let compressed = framing::Encoding::of(headers);
    match path {
        "/grpc.health.v1.Health/Check" => health::check(body, compressed).await,
        "/grpc.health.v1.Health/Watch" => health::watch(body, compressed).await,
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
        | "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo" => {
            reflection::info(body, compressed)
        }
        _ => Status::new(Code::Unimplemented, format!("Method not found: {}", &path[1..])).into_response(),
    }
}

/// Refuses a call in the real gateway's words. It reads one field, and compares the scheme with case.
fn admit(server: &AuthorizationServer, headers: &HeaderMap, refused: bool) -> Result<(), Status> {
    let unauthenticated = |message: &str| Err(Status::new(Code::Unauthenticated, message));
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), rest) = (values.next(), values.next()) else {
        return unauthenticated(
            "Expected bearer token at header with key [authorization], but found nothing",
        );
    };
    let token = value.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
    match token {
        Some(token) if rest.is_none() && !refused && server.validate(token, AUDIENCE) => Ok(()),
        _ => unauthenticated("Failed to parse bearer token, see cause for details"),
    }
}
