//! The record of who was let in and who was not: a line for each decision that is wanted, with the target `audit`.

use http::Method;
use http::uri::PathAndQuery;

use super::error::Error;
use super::exchange::Exchange;
use crate::access::Audit;
use crate::reason::Reason;
use crate::scope::Scope;

/// Somebody was not let in.
pub(super) fn refused(audit: Audit, error: &Error, exchange: &Exchange) {
    let of_caller = matches!(
        error.reason,
        Reason::CallerUnknown
            | Reason::CallerDenied
            | Reason::QuotaExceeded
            | Reason::HostDenied
            | Reason::OriginDenied
    );
    if of_caller && audit != Audit::Off {
        line(exchange, Some(error));
    }
}

/// Somebody was let in.
pub(super) fn let_in(audit: Audit, exchange: &Exchange) {
    if audit == Audit::All {
        line(exchange, None);
    }
}

fn line(exchange: &Exchange, refused: Option<&Error>) {
    tracing::info!(
        target: "audit",
        listener = &*exchange.connection.door.name,
        caller = exchange.caller.as_ref().map(|caller| caller.name()),
        decision = if refused.is_some() { "refused" } else { "let in" },
        reason = refused.map(|error| error.reason.name()),
        detail = refused.map(|error| &*error.detail),
        scope = exchange.scope.map(Scope::name),
        method = exchange.method.as_ref().map(Method::as_str),
        // Never the query: it belongs to the caller.
        path = exchange.path.as_ref().map(PathAndQuery::path),
        "audit"
    );
}
