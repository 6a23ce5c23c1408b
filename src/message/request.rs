//! Heads of requests.

use http::{Method, Uri, Version};

use super::Headers;

/// The head of a request.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// What is to be done.
    pub method: Method,
    /// With what.
    pub uri: Uri,
    /// The protocol in which it came, or goes.
    pub version: Version,
    /// All else.
    pub headers: Headers,
}

impl<B> From<http::Request<B>> for Head {
    fn from(request: http::Request<B>) -> Head {
        let http::request::Parts { method, uri, version, headers, .. } = request.into_parts().0;
        Head { method, uri, version, headers: headers.into() }
    }
}
