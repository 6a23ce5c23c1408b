//! A token request as clients send it: a form or a JSON body, and perhaps an `authorization`.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, Limited};
use percent_encoding::percent_decode_str;
use serde::Deserialize;

use super::super::error::{Error, OauthCode};
use crate::body::Arriving;
use crate::message::Headers;
use crate::secret::Secret;

/// More than any token request needs.
const LONGEST: usize = 64 * 1024;
/// The whole body must be here within this time.
const DEADLINE: Duration = Duration::from_secs(10);
/// Longer names are no client's, and would make a token that fits no header.
const LONGEST_NAME: usize = 512;

/// The parameters that are read; all others are ignored (RFC 6749 §3.2), and so are empty ones (§3.1). One that comes
/// twice is refused.
#[derive(Default, Deserialize)]
pub(super) struct Parameters {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<Secret>,
    audience: Option<String>,
    scope: Option<String>,
    resource: Option<String>,
}

/// What is asked for, and by whom.
pub(super) struct Asked {
    pub(super) grant_type: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) audience: Option<String>,
    pub(super) oauth_scope: Option<String>,
    pub(super) resource: Option<String>,
    /// Client ids with secrets. Two for a Basic field, which may have been encoded or not.
    pub(super) proofs: Vec<(String, Secret)>,
    /// `authorization: Bearer …`, a caller key.
    pub(super) bearer: Option<Secret>,
}

/// Reads the body within its limits. What was not read stays in its slot.
pub(super) async fn read(headers: &Headers, slot: &mut Option<Arriving>) -> Result<Parameters, Error> {
    let invalid = |detail| Err(Error::oauth(OauthCode::InvalidRequest, detail));
    let Some(kind) = Kind::of(headers) else {
        return invalid("the content-type is neither application/x-www-form-urlencoded nor application/json");
    };
    let Some(body) = slot.as_mut() else { return invalid("there is no body") };
    let body = match tokio::time::timeout(DEADLINE, Limited::new(body, LONGEST).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => return invalid("the body is longer than 64 KiB or broke off"),
        Err(_) => return invalid("the body did not come within ten seconds"),
    };
    // The parsers' own messages would quote what is in it.
    let parameters = match kind {
        Kind::Form => serde_urlencoded::from_bytes(&body).ok(),
        Kind::Json => serde_json::from_slice(&body).ok(),
    };
    match parameters {
        Some(parameters) => Ok(parameters),
        None => invalid("the body cannot be read as its content-type says, or names a parameter twice"),
    }
}

enum Kind {
    Form,
    Json,
}

impl Kind {
    fn of(headers: &Headers) -> Option<Kind> {
        let Some(stated) = headers.get(CONTENT_TYPE) else { return Some(Kind::Form) };
        let kind = stated.to_str().ok()?.split(';').next()?.trim().to_ascii_lowercase();
        match kind.as_str() {
            "application/x-www-form-urlencoded" => Some(Kind::Form),
            "application/json" => Some(Kind::Json),
            _ => None,
        }
    }
}

impl Asked {
    /// The parameters beside the `authorization` fields.
    pub(super) fn new<'a>(
        parameters: Parameters,
        authorizations: impl Iterator<Item = &'a HeaderValue>,
    ) -> Result<Asked, Error> {
        let invalid = |detail| Err(Error::oauth(OauthCode::InvalidRequest, detail));
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let mut asked = Asked {
            grant_type: given(parameters.grant_type),
            client_id: given(parameters.client_id),
            audience: given(parameters.audience),
            oauth_scope: given(parameters.scope),
            resource: given(parameters.resource),
            proofs: Vec::new(),
            bearer: None,
        };
        let names = [&asked.client_id, &asked.audience, &asked.oauth_scope, &asked.resource];
        if names.into_iter().flatten().any(|name| name.len() > LONGEST_NAME) {
            return invalid("a parameter is longer than 512 characters");
        }
        if let (Some(id), Some(secret)) = (&asked.client_id, parameters.client_secret) {
            asked.proofs.push((id.clone(), secret));
        }
        let in_body = !asked.proofs.is_empty();
        let mut authorizations: Vec<_> = authorizations.map(scheme_and_rest).collect();
        if authorizations.len() > 1 {
            return invalid("there are several authorization fields");
        }
        match authorizations.pop() {
            // Empty ones come from SDKs that were told to send none.
            None | Some(("", _)) => {}
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("basic") && !in_body => asked.basic(rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") && !in_body => {
                asked.bearer = Some(Secret::from(rest));
            }
            Some(_) if in_body => return invalid("the request says in two ways who sends it"),
            Some(_) => {}
        }
        Ok(asked)
    }

    /// RFC 6749 §2.3.1 has id and secret form-encoded first; not every client does that.
    fn basic(&mut self, encoded: &str) {
        let decoded = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let Some((id, secret)) = decoded.as_deref().and_then(|text| text.split_once(':')) else { return };
        let plain = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        self.proofs = vec![(plain(id), plain(secret).into()), (id.to_owned(), secret.into())];
        if id.len() <= LONGEST_NAME {
            self.client_id.get_or_insert(plain(id));
        }
    }
}

fn scheme_and_rest(field: &HeaderValue) -> (&str, &str) {
    let text = field.to_str().unwrap_or("unreadable").trim();
    text.split_once(' ').map_or((text, ""), |(scheme, rest)| (scheme, rest.trim()))
}
