//! The Origin guard: web pages stay out unless their origin is listed.

use http::header::{HeaderName, ORIGIN};

use super::Denial;
use crate::message::Headers;

/// Browsers say in it how the page that sends a request is related to us (Fetch Metadata).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether only browsers put this field on requests, for their pages.
pub(super) fn is_of_page(name: &HeaderName) -> bool {
    name == ORIGIN || name == SEC_FETCH_SITE
}

/// The origins whose pages may call.
#[derive(Clone, Debug)]
pub(super) struct Origins(Vec<String>);

impl Origins {
    pub(super) fn new(listed: &[String], mistakes: &mut Vec<String>) -> Origins {
        let mut origins = Vec::new();
        for text in listed {
            match normalise(text) {
                Ok(origin) => origins.push(origin),
                Err(why) => mistakes.push(format!("allowed_origins: `{text}` {why}")),
            }
        }
        Origins(origins)
    }

    /// Refuses what a foreign page sent, whatever the method: an upstream GET costs, and its timing tells.
    ///
    /// Only `Origin` and `Sec-Fetch-Site` are looked at. Node's fetch sends `sec-fetch-mode` from servers, where
    /// there is no page.
    pub(super) fn admit(&self, headers: &Headers) -> Result<(), Denial> {
        let mut origins = headers.get_all(ORIGIN);
        if let Some(origin) = origins.next() {
            let listed =
                || self.0.iter().any(|listed| origin.as_bytes().eq_ignore_ascii_case(listed.as_bytes()));
            // A listed page is a foreign site by nature, so `Sec-Fetch-Site` has nothing to add.
            return if origins.next().is_none() && listed() { Ok(()) } else { Err(Denial::OriginDenied) };
        }
        // A no-cors GET (an image, a script, a form) has no Origin. `same-site` is another port of localhost.
        let foreign = |value: &http::HeaderValue| !matches!(value.as_bytes(), b"none" | b"same-origin");
        match headers.get_all(SEC_FETCH_SITE).any(foreign) {
            true => Err(Denial::OriginDenied),
            false => Ok(()),
        }
    }
}

/// An origin as browsers write it: scheme, host, and the port unless it is the scheme's own.
fn normalise(text: &str) -> Result<String, &'static str> {
    if text.contains('*') {
        return Err("holds a wildcard: origins are exact");
    }
    let Some((scheme, host)) = text.split_once("://") else {
        // `null` lands here too: every sandboxed frame sends it.
        return Err("is not an origin: write scheme://host or scheme://host:port");
    };
    if scheme.is_empty() || host.is_empty() || host.contains(['/', '?', '#', '@', ',', ' ']) {
        return Err(
            "is not an origin: write scheme://host or scheme://host:port, without a path or a final slash",
        );
    }
    let own_port = match scheme.to_ascii_lowercase().as_str() {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    Ok(format!("{scheme}://{}", host.strip_suffix(own_port).unwrap_or(host)))
}
