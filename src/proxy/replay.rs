//! The guarded replay: a request that the upstream refused because of its token is sent once more with another one.
//!
//! Only what nobody has begun to handle may be sent twice. A refusal is taken for one of the token when it can only
//! have come from what stands before the handler:
//!
//! - HTTP 401 (RFC 9110 §15.5.2), also for gRPC, where an ingress may answer so. Camunda's components answer it from
//!   their filter chain and for nothing else. A 401 of another proxy of this kind that does not know this one as a
//!   caller is no word about the token.
//! - gRPC's `UNAUTHENTICATED` as the only frame of the answer. After an open head a handler has run.
//!
//! And the request must be here in full, still, which streams and long bodies are not.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, StatusCode};
use http_body::Body as _;
use tokio::time::Instant;

use super::error::Error;
use super::exchange::Exchange;
use super::outbound::Outbound;
use super::reply::{Dialect, GRPC_MESSAGE, GRPC_STATUS, NAME, PROXY_STATUS};
use crate::message::{Headers, Response};
use crate::metrics::Unauthorized;
use crate::oauth::{Authorizer, Token, TokenSource, Verdict};
use crate::reason::Reason;
use crate::upstream::{AnswerBody, Payload};

const TENANT: HeaderName = HeaderName::from_static("camunda-physical-tenant");
/// How Zeebe's gateway begins when it means the token.
const ABOUT_THE_TOKEN: [&str; 2] = ["Expected bearer token", "Failed to parse bearer token"];
/// So much of the refusal is read, for so long, so that its connection can be used again.
const DRAINED: u64 = 64 * 1024;
const DRAIN_WAIT: Duration = Duration::from_secs(1);

/// Why the upstream refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// Because of the token.
    Token,
    /// Because of the token, or because there is no such physical tenant, which is answered alike. Must not make token
    /// requests: a typing error would make one a minute.
    TokenOrTenant,
}

/// An answer that refuses its request because of the token.
pub(super) struct Refused<'a> {
    refusal: Refusal,
    tokens: &'a TokenSource,
    generation: u64,
}

/// What an answer says of the token that its request was sent with: noted when it is good news.
pub(super) fn refused<'a>(
    answer: &Response<AnswerBody>,
    outbound: &Outbound<'a>,
    token: &Token,
    exchange: &Exchange,
) -> Option<Refused<'a>> {
    let names_tenant = || outbound.head.headers.contains(TENANT);
    let refusal = refusal(answer, names_tenant, exchange.dialect);
    let Authorizer::Tokens(tokens) = &outbound.destination.tokens else {
        // There is no other field to send.
        if refusal.is_some() {
            exchange.unauthorized(Unauthorized::Passed);
        }
        return None;
    };
    let generation = token.generation();
    if refusal.is_none() && is_accepted(answer, exchange.dialect) {
        tokens.accepted(generation);
    }
    Some(Refused { refusal: refusal?, tokens, generation })
}

impl Refused<'_> {
    /// The answer to the request's replay, or the refusal when that could not be made.
    ///
    /// # Errors
    /// When the replay gets no answer.
    pub(super) async fn settle(
        self,
        answer: Response<AnswerBody>,
        outbound: &Outbound<'_>,
        again: Option<Payload>,
        wait: Duration,
        exchange: &mut Exchange,
    ) -> Result<Response<AnswerBody>, Error> {
        let until = Instant::now() + wait;
        let until = outbound.limit.map_or(until, |limit| until.min(limit));
        let (next, action) = self.next_token(again.is_some(), until).await;
        let (Some(next), Some(mut payload)) = (next, again) else {
            exchange.unauthorized(action);
            return Ok(answer);
        };
        exchange.unauthorized(Unauthorized::Replayed);
        exchange.attempts = 2;
        exchange.generation = next.generation();
        tokio::task::spawn_local(drain(answer.body));
        let answer = outbound.send(&next, &mut payload).await?;
        if refusal(&answer, || false, exchange.dialect) == Some(Refusal::Token) {
            if self.refusal == Refusal::Token {
                // Nothing comes of it now, but it counts.
                let _ = self.tokens.rejected(next.generation());
            }
        } else if is_accepted(&answer, exchange.dialect) {
            self.tokens.helped(next.generation());
        }
        Ok(answer)
    }

    /// The token to replay with, or else what came of the refusal.
    async fn next_token(&self, replayable: bool, until: Instant) -> (Option<Arc<Token>>, Unauthorized) {
        let (tokens, generation) = (self.tokens, self.generation);
        if self.refusal == Refusal::TokenOrTenant {
            return (tokens.other_than(generation), Unauthorized::Passed);
        }
        match tokens.rejected(generation) {
            Verdict::Newer(token) => (Some(token), Unauthorized::Passed),
            Verdict::Renewing if replayable => {
                (tokens.renewed(generation, until).await, Unauthorized::RenewedOnly)
            }
            Verdict::Renewing => (None, Unauthorized::RenewedOnly),
            Verdict::TooSoon => (None, Unauthorized::Passed),
            Verdict::Paused => (None, Unauthorized::BreakerOpen),
        }
    }
}

fn refusal(
    answer: &Response<AnswerBody>,
    names_tenant: impl FnOnce() -> bool,
    dialect: Dialect,
) -> Option<Refusal> {
    let headers = &answer.head.headers;
    if answer.head.status == StatusCode::UNAUTHORIZED {
        return (!is_about_caller(headers)).then_some(Refusal::Token);
    }
    let alone = dialect == Dialect::Grpc && answer.body.is_end_stream();
    if !alone || headers.get(GRPC_STATUS).is_none_or(|status| status != "16") || is_about_caller(headers) {
        return None;
    }
    let told = headers.get(GRPC_MESSAGE).and_then(|message| message.to_str().ok()).unwrap_or_default();
    let told = percent_encoding::percent_decode_str(told).decode_utf8_lossy();
    let named = ABOUT_THE_TOKEN.iter().any(|beginning| told.starts_with(beginning));
    Some(if !named && names_tenant() { Refusal::TokenOrTenant } else { Refusal::Token })
}

/// Whether it is another proxy of this kind that does not know us as a caller.
fn is_about_caller(headers: &Headers) -> bool {
    headers
        .get_all(PROXY_STATUS)
        .filter_map(|status| status.to_str().ok())
        .any(|status| status.contains(NAME) && status.contains(Reason::CallerUnknown.name()))
}

/// Whether the upstream took the token. A gRPC call whose answer has an open head has reached its handler.
fn is_accepted(answer: &Response<AnswerBody>, dialect: Dialect) -> bool {
    let passed = || answer.head.headers.get(GRPC_STATUS).is_none_or(|status| status == "0");
    answer.head.status.is_success() && (dialect == Dialect::Rest || passed())
}

/// Reads a refusal to its end, within bounds, so that its connection is not lost with it.
async fn drain(mut body: AnswerBody) {
    let read = async {
        let mut left = DRAINED;
        while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let read = frame.data_ref().map_or(0, |data| data.len() as u64);
            match left.checked_sub(read) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    let _ = tokio::time::timeout(DRAIN_WAIT, read).await;
}
