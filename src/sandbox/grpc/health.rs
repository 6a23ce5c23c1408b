//! `grpc.health.v1.Health`: the gateway and the server as a whole are serving.

use http::Response;
use hyper::body::Incoming;
use tokio::sync::mpsc;

use super::descriptor::described;
use super::framing::{self, Code, Encoding, Status};
use crate::sandbox::body::Body;

described! {
    HealthCheckRequest {
        #[prost(string, tag = "1")] service: String,
    }
    HealthCheckResponse {
        #[prost(enumeration = "ServingStatus", tag = "1")] status: i32,
    }
}

/// Whether a service serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(in crate::sandbox) enum ServingStatus {
    Unknown = 0,
    Serving = 1,
    NotServing = 2,
    ServiceUnknown = 3,
}

/// The enumerations with their values, for the descriptor.
pub(super) const ENUMERATIONS: &[(&str, &[&str])] =
    &[("ServingStatus", &["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"])];

/// Answers once.
pub(super) async fn check(body: Incoming, encoding: Encoding) -> Response<Body> {
    framing::unary(body, encoding, |asked: HealthCheckRequest| async move {
        match known(&asked.service) {
            true => Ok(HealthCheckResponse { status: ServingStatus::Serving as i32 }),
            false => Err(Status::new(Code::NotFound, format!("unknown service {}", asked.service))),
        }
    })
    .await
}

/// Answers, and again at every change: there is none, so the stream stays open.
pub(super) async fn watch(body: Incoming, encoding: Encoding) -> Response<Body> {
    let asked: HealthCheckRequest = match framing::one(body, encoding).await {
        Ok(asked) => asked,
        Err(status) => return status.into_response(),
    };
    let status = match known(&asked.service) {
        true => ServingStatus::Serving as i32,
        false => ServingStatus::ServiceUnknown as i32,
    };
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let first = framing::framed(&HealthCheckResponse { status });
        if sender.send(Ok(first)).await.is_ok() {
            sender.closed().await;
        }
    });
    framing::streamed(Body::streamed(receiver))
}

fn known(service: &str) -> bool {
    matches!(service, "" | "gateway_protocol.Gateway" | "grpc.health.v1.Health")
}
