//! A token request's parameters, from a form or a JSON body.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::certificate::Certificate;

/// What a form leaves as it is (WHATWG URL, application/x-www-form-urlencoded, `~` besides).
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~');

/// A token request: its parameters, and the bytes they came in.
#[derive(Clone, Debug, Default)]
pub struct TokenForm {
    /// The header fields.
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub body: Bytes,
    /// The certificate that the connection has shown.
    pub certificate: Option<Certificate>,
    parameters: HashMap<String, String>,
}

impl TokenForm {
    /// The request that a client makes for an audience, as a form. For calls in-process.
    pub fn client_credentials(client_id: &str, client_secret: &str, audience: &str) -> TokenForm {
        let parameters = [
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            ("client_secret", client_secret),
            ("audience", audience),
        ];
        let body = parameters.map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, FORM)));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, http::HeaderValue::from_static("application/x-www-form-urlencoded"));
        TokenForm::parse(headers, body.join("&").into())
    }

    /// Reads a body: JSON when its content type says so, else a form. What cannot be read is absent.
    pub fn parse(headers: HeaderMap, body: Bytes) -> TokenForm {
        let mut form = TokenForm { headers, body, certificate: None, parameters: HashMap::new() };
        form.parameters = match form.content_type() {
            Some(kind) if kind.starts_with("application/json") => {
                serde_json::from_slice(&form.body).unwrap_or_default()
            }
            _ => fields(&String::from_utf8_lossy(&form.body)),
        };
        form
    }

    /// A parameter's value.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// The content type, if there is one.
    pub fn content_type(&self) -> Option<&str> {
        self.headers.get(CONTENT_TYPE)?.to_str().ok()
    }

    /// Client id and secret, from the body or from `authorization: Basic` (RFC 6749 §2.3.1); empty when absent.
    pub(super) fn client(&self) -> (String, String) {
        self.basic().unwrap_or_else(|| {
            let text = |name| self.parameter(name).unwrap_or_default().to_owned();
            (text("client_id"), text("client_secret"))
        })
    }

    fn basic(&self) -> Option<(String, String)> {
        let value = self.headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
        let pair = String::from_utf8(STANDARD.decode(value).ok()?).ok()?;
        let (id, secret) = pair.split_once(':')?;
        Some((decoded(id), decoded(secret)))
    }
}

fn fields(text: &str) -> HashMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

fn decoded(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8_lossy().into_owned()
}
