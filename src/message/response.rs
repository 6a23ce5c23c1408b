//! Heads of answers.

use http::{StatusCode, Version};
use hyper::ext::ReasonPhrase;

use super::Headers;

/// The head of an answer.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// What has come of the request.
    pub status: StatusCode,
    /// The words behind the status, where they are not the usual ones (RFC 9112 §4).
    pub reason: Option<ReasonPhrase>,
    /// The protocol in which it came, or goes.
    pub version: Version,
    /// All else.
    pub headers: Headers,
}

impl<B> From<http::Response<B>> for Head {
    fn from(response: http::Response<B>) -> Head {
        let http::response::Parts { status, version, headers, mut extensions, .. } = response.into_parts().0;
        Head { status, reason: extensions.remove(), version, headers: headers.into() }
    }
}
