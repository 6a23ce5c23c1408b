//! More requests under way than there may be: refused before anything is done for them, and told when it begins and ends.

use super::error::Error;
use crate::allowance::Stock;

/// A request for which there is no place.
pub(super) fn refuse(requests: &Stock) -> Error {
    if requests.trouble.begins() {
        tracing::warn!(
            target: "proxy", limit = requests.size(),
            "as many requests are under way as may be (limits.requests): more are refused for now"
        );
    }
    Error::too_many_requests()
}

/// Says so when nothing has been refused for a while.
pub(super) fn look(requests: &Stock) {
    if requests.trouble.is_over() {
        tracing::info!(target: "proxy", "no request is refused for want of a place any more");
    }
}
