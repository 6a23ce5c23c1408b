//! A request's head from its fields (RFC 9113 §8.3.1, §8.5).

use http::{Method, Uri, Version, uri};

use super::failure::Fault;
use super::hpack::Fields;
use crate::message::request::Head;

/// The head, or what makes it malformed.
pub(super) fn request_of(fields: Fields) -> Result<Head, Fault> {
    if let Some(what) = fields.malformed {
        return Err(Fault::protocol(what));
    }
    let method = fields.method.ok_or(Fault::protocol("a request has no method"))?;
    let mut parts = uri::Parts::default();
    if method == Method::CONNECT {
        if fields.scheme.is_some() || fields.path.is_some() {
            return Err(Fault::protocol("a CONNECT has a scheme or a path"));
        }
    } else {
        let scheme = fields.scheme.ok_or(Fault::protocol("a request has no scheme"))?;
        parts.path_and_query = Some(fields.path.ok_or(Fault::protocol("a request has no path"))?);
        // A target has both or none of them.
        parts.scheme = fields.authority.is_some().then_some(scheme);
    }
    parts.authority = fields.authority;
    let uri = Uri::from_parts(parts).map_err(|_| Fault::protocol("a request has no sensible target"))?;
    Ok(Head { method, uri, version: Version::HTTP_2, headers: fields.headers })
}
