//! What is said in the log: one line for each change of state, none for a repetition, nothing secret.

use std::time::Duration;

use super::answer::{Cause, Failure};
use super::request::TokenRequest;

/// A token came: the first, the next, or the first after failures.
pub(super) fn granted(
    request: &TokenRequest,
    generation: u64,
    life: Duration,
    first: bool,
    outage: Option<Duration>,
) {
    let (endpoint, audience, life_seconds) = (request.shown(), &request.audience, life.as_secs());
    match outage.map(|outage| outage.as_secs()) {
        Some(outage_seconds) => {
            tracing::info!(target: "token", endpoint, audience, generation, life_seconds, outage_seconds,
                "token obtained again");
        }
        None if first => {
            tracing::info!(target: "token", endpoint, audience, generation, life_seconds, "token obtained");
        }
        None => {
            tracing::debug!(target: "token", endpoint, audience, generation, life_seconds, "token renewed")
        }
    }
}

/// Another process's token was taken over from the store.
pub(super) fn adopted(request: &TokenRequest, generation: u64, left: Duration, first: bool) {
    let (endpoint, audience, life_seconds) = (request.shown(), &request.audience, left.as_secs());
    if first {
        tracing::info!(target: "token", endpoint, audience, generation, life_seconds, "token taken from the store");
    } else {
        tracing::debug!(target: "token", endpoint, audience, generation, life_seconds,
            "renewed token taken from the store");
    }
}

/// No token came, for another reason than the time before.
pub(super) fn failed(request: &TokenRequest, failure: &Failure, next: Duration) {
    let (endpoint, audience) = (request.shown(), &request.audience);
    let (cause, next_attempt_seconds) = (failure.cause.name(), next.as_secs());
    match failure.cause {
        Cause::Rejected => tracing::error!(target: "token", endpoint, audience, cause, next_attempt_seconds,
            "{failure}: mend the client id or secret in the credentials file; \
             the proxy tries again when the file changes"),
        _ => {
            tracing::warn!(target: "token", endpoint, audience, cause, next_attempt_seconds, "no token: {failure}")
        }
    }
}

/// Token after token was rejected by the upstream.
pub(super) fn renewing_pauses(request: &TokenRequest, pause: Duration) {
    let (endpoint, audience, pause_seconds) = (request.shown(), &request.audience, pause.as_secs());
    tracing::warn!(target: "token", endpoint, audience, pause_seconds,
        "the upstream answers 401 to one new token after the other, so its 401 leads to no renewal for a while: \
         look whether the upstream wants another audience or another token endpoint");
}

/// The upstream accepts tokens again.
pub(super) fn renewing_resumes(request: &TokenRequest) {
    tracing::info!(target: "token", endpoint = request.shown(), audience = request.audience,
        "the upstream accepts the token again, so its 401 leads to a renewal again");
}

/// The renewal task has stopped, which it never should.
pub(super) fn stopped(request: &TokenRequest, why: &str) {
    tracing::error!(target: "token", endpoint = request.shown(), audience = request.audience,
        "the renewal task {why}; it starts again in a second");
}

/// The clocks are too far apart to judge a token's life by ours.
pub(super) fn clocks_differ(request: &TokenRequest, skew_seconds: Option<i64>) {
    tracing::warn!(target: "token", endpoint = request.shown(), skew_seconds,
        "this machine's clock and the token endpoint's differ; set this machine's clock");
}
