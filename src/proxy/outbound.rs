//! A request on its way out: its head is made anew for each connection and token, all else stays.

use std::pin::{Pin, pin};
use std::sync::Arc;

use http::header::CONTENT_LENGTH;
use http::uri::PathAndQuery;
use http::{HeaderValue, StatusCode};
use tokio::time::Instant;

use super::destination::Destination;
use super::error::Error;
use super::rewrite;
use crate::message::{Response, request, response};
use crate::oauth::Token;
use crate::upstream::{self, AnswerBody, Payload, Pool, RequestHead};

/// Where a caller is told what comes before its answer (RFC 9110 §15.2).
pub trait Interims {
    /// Passes a head on, if the caller's protocol can carry it.
    fn tell(&self, head: &response::Head);
}

/// What stays the same however often the request is sent.
pub(super) struct Outbound<'a> {
    pub(super) head: &'a request::Head,
    /// Path and query at the upstream.
    pub(super) target: PathAndQuery,
    pub(super) destination: &'a Destination,
    pub(super) pool: &'a Pool,
    /// The answer may be long in coming.
    pub(super) held: bool,
    /// Where answers before the answer go.
    pub(super) interims: &'a dyn Interims,
    /// When its head has to be there, however often the request is sent.
    pub(super) limit: Option<Instant>,
}

impl Outbound<'_> {
    /// Sends it with this token, which was got just now, or with a newer one when this one ends before there is a connection.
    pub(super) async fn send(
        &self,
        token: &Arc<Token>,
        payload: &mut Payload,
    ) -> Result<Response<AnswerBody>, Error> {
        let heads = Heads { outbound: self, token, protocol: None };
        in_time(self.limit, pin!(self.pool.send(&self.head.method, self.held, payload, &heads))).await
    }

    /// Sends it as one that asks for another protocol.
    pub(super) async fn send_upgrade(
        &self,
        token: &Arc<Token>,
        protocol: &HeaderValue,
    ) -> Result<Response<AnswerBody>, Error> {
        let heads = Heads { outbound: self, token, protocol: Some(protocol) };
        in_time(self.limit, pin!(self.pool.send_upgrade(&heads))).await
    }
}

/// The answer, if it comes by then. What fails later has run out of time, whatever it says itself: a gRPC server that keeps the
/// same deadline resets its stream in that very moment.
// Pinned by the caller: taken as it is, it would lie in this future twice, for as long as the upstream takes.
async fn in_time<T>(
    limit: Option<Instant>,
    answer: Pin<&mut impl Future<Output = Result<T, upstream::Error>>>,
) -> Result<T, Error> {
    let Some(limit) = limit else { return Ok(answer.await?) };
    match tokio::time::timeout_at(limit, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) if Instant::now() < limit => Err(error.into()),
        Ok(Err(_)) | Err(_) => Err(Error::upstream_timeout()),
    }
}

/// Its head, with the token that is good when the head is made.
struct Heads<'a> {
    outbound: &'a Outbound<'a>,
    token: &'a Arc<Token>,
    /// The protocol that is asked for.
    protocol: Option<&'a HeaderValue>,
}

impl Heads<'_> {
    /// The token may have ended while a connection or a free stream was waited for.
    fn token(&self, waited: bool) -> Option<Arc<Token>> {
        match waited {
            true => self.outbound.destination.tokens.current_at(Instant::now()),
            false => Some(Arc::clone(self.token)),
        }
    }
}

impl upstream::Heads for Heads<'_> {
    fn http1(&self, waited: bool) -> Option<RequestHead> {
        let (outbound, token) = (self.outbound, self.token(waited)?);
        let origin = &outbound.destination.origin;
        Some(rewrite::http1(outbound.head, &outbound.target, origin, token.authorization(), self.protocol))
    }

    fn http2(&self, waited: bool) -> Option<request::Head> {
        let (outbound, token) = (self.outbound, self.token(waited)?);
        let origin = &outbound.destination.origin;
        Some(rewrite::http2(outbound.head, &outbound.target, origin, token.authorization()))
    }

    fn interim(&self, mut head: response::Head) {
        // It answers what this hop did not ask: who expects it is told to go on by us (RFC 9110 §10.1.1).
        if head.status == StatusCode::CONTINUE {
            return;
        }
        rewrite::incoming(&mut head.headers);
        head.headers.retain(|name| name != CONTENT_LENGTH);
        self.outbound.interims.tell(&head);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::reason::Reason;

    #[tokio::test(start_paused = true)]
    async fn who_resets_a_call_when_its_time_is_over_has_let_it_run_out() {
        for (passes, told) in
            [(9, Reason::UpstreamReset), (10, Reason::UpstreamTimeout), (11, Reason::UpstreamTimeout)]
        {
            let limit = Instant::now() + Duration::from_millis(10);
            let reset = async {
                tokio::time::advance(Duration::from_millis(passes)).await;
                Err::<(), _>(upstream::Error::Reset("reset".to_owned()))
            };
            let error = in_time(Some(limit), pin!(reset)).await.expect_err("a reset");
            assert_eq!(error.reason, told, "after {passes} ms");
        }
    }
}
