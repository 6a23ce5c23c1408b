//! The token request (RFC 6749 §4.4.2): everything that makes one token another, and the bytes that ask for it.

use std::collections::BTreeMap;
use std::fmt;

use http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::secret::Secret;

/// What a token is asked for with. Two requests that differ in anything never share a token.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TokenRequest {
    /// The token endpoint's URL.
    pub endpoint: String,
    /// The client id.
    pub client_id: String,
    /// How the client proves who it is.
    pub client_auth: ClientAuth,
    /// Whom the token is for.
    pub audience: Option<String>,
    /// OAuth's own `scope` parameter (RFC 6749 §3.3).
    pub oauth_scope: Option<String>,
    /// The `resource` parameter (RFC 8707).
    pub resource: Option<String>,
    /// Further parameters. One that has the name of a parameter above is sent in its place.
    pub extra: BTreeMap<String, String>,
    /// Further header fields, names in lower case. One that has the name of a field of ours is sent in its place.
    pub headers: BTreeMap<String, Secret>,
}

/// How the client proves to the token endpoint who it is, and what with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientAuth {
    /// Id and secret in the form (`client_secret_post`, RFC 6749 §2.3.1).
    Post(Secret),
}

impl TokenRequest {
    /// The form to send (`application/x-www-form-urlencoded`), always in this order.
    pub(super) fn form(&self) -> String {
        let ClientAuth::Post(secret) = &self.client_auth;
        let own = [
            ("grant_type", Some("client_credentials")),
            ("client_id", Some(self.client_id.as_str())),
            ("client_secret", Some(secret.expose())),
            ("audience", self.audience.as_deref()),
            ("scope", self.oauth_scope.as_deref()),
            ("resource", self.resource.as_deref()),
        ];
        let mut form = String::new();
        let own = own.into_iter().filter(|(name, _)| !self.extra.contains_key(*name));
        for (name, value) in own.filter_map(|(name, value)| Some((name, value?))) {
            add(&mut form, name, value);
        }
        for (name, value) in &self.extra {
            add(&mut form, name, value);
        }
        form
    }

    /// The token host: requests to it share one pace, whatever the port, because the service counts by address.
    pub(super) fn host(&self) -> String {
        let host = self.endpoint.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
        host.unwrap_or_else(|| self.shown()).trim_end_matches('.').to_ascii_lowercase()
    }

    /// The endpoint as logs and status show it: no user info and no query, either of which may hold a secret.
    pub(super) fn shown(&self) -> String {
        let whole = self.endpoint.split(['?', '#']).next().unwrap_or_default();
        match whole.split_once("://") {
            Some((scheme, rest)) => {
                let (authority, path) = rest.split_once('/').map_or((rest, ""), |(a, p)| (a, p));
                let host = authority.rsplit('@').next().unwrap_or_default();
                format!("{scheme}://{host}/{path}")
            }
            None => whole.rsplit('@').next().unwrap_or_default().to_owned(),
        }
    }

    /// Who asks whom: what a refusal of the client is about.
    pub(super) fn client(&self) -> (String, String, ClientAuth) {
        (self.endpoint.clone(), self.client_id.clone(), self.client_auth.clone())
    }

    /// Whether both ask the same endpoint for the same thing as the same client, be it with another proof of who it is.
    pub(super) fn differs_in_client_auth_only(&self, other: &TokenRequest) -> bool {
        *self == TokenRequest { client_auth: self.client_auth.clone(), ..other.clone() }
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An extra parameter or field may be a secret of its own: names only.
        f.debug_struct("TokenRequest")
            .field("endpoint", &self.shown())
            .field("client_id", &self.client_id)
            .field("client_auth", &self.client_auth)
            .field("audience", &self.audience)
            .field("oauth_scope", &self.oauth_scope)
            .field("resource", &self.resource)
            .field("extra", &self.extra.keys())
            .field("headers", &self.headers.keys())
            .finish()
    }
}

/// What stays as it is: RFC 3986's unreserved characters. `~` among them, which occurs in Camunda's secrets and which
/// the WHATWG rules would encode. The space stays here too, because a form writes it as `+`.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b' ');

fn add(form: &mut String, name: &str, value: &str) {
    if !form.is_empty() {
        form.push('&');
    }
    for (text, end) in [(name, "="), (value, "")] {
        for piece in utf8_percent_encode(text, ESCAPED) {
            form.extend(piece.chars().map(|c| if c == ' ' { '+' } else { c }));
        }
        form.push_str(end);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn request(audience: &str) -> TokenRequest {
        TokenRequest {
            endpoint: "https://login.example/oauth/token".into(),
            client_id: "id".into(),
            client_auth: ClientAuth::Post("canary-secret".into()),
            audience: Some(audience.into()),
            oauth_scope: None,
            resource: None,
            extra: BTreeMap::new(),
            headers: BTreeMap::new(),
        }
    }

    #[test]
    fn the_form_has_exactly_these_bytes() {
        let start = "grant_type=client_credentials&client_id=id&client_secret=canary-secret";
        let bare = TokenRequest { audience: None, ..request("") };
        for (audience, oauth_scope, resource, extra, rest) in [
            (None, None, None, None, ""),
            (Some("zeebe.camunda.io"), None, None, None, "&audience=zeebe.camunda.io"),
            (None, Some("api://x/.default y"), None, None, "&scope=api%3A%2F%2Fx%2F.default+y"),
            (None, None, Some("urn:a"), None, "&resource=urn%3Aa"),
            (None, None, None, Some(("org", "1 2")), "&org=1+2"),
            (Some("a"), Some("b"), None, None, "&audience=a&scope=b"),
            (Some("a"), None, Some("c"), None, "&audience=a&resource=c"),
            (Some("a"), None, None, Some(("d", "e")), "&audience=a&d=e"),
            (None, Some("b"), Some("c"), None, "&scope=b&resource=c"),
            (None, Some("b"), None, Some(("d", "e")), "&scope=b&d=e"),
            (None, None, Some("c"), Some(("d", "e")), "&resource=c&d=e"),
        ] {
            let made = TokenRequest {
                audience: audience.map(str::to_owned),
                oauth_scope: oauth_scope.map(str::to_owned),
                resource: resource.map(str::to_owned),
                extra: extra.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect(),
                ..bare.clone()
            };
            assert_eq!(made.form(), format!("{start}{rest}"));
        }
    }

    #[test]
    fn every_character_survives_the_form() {
        let made = TokenRequest {
            client_id: "a~b.c_d-e".into(),
            client_auth: ClientAuth::Post("p+%/ä&= :x\n\"*".into()),
            ..request("z")
        };
        assert_eq!(
            made.form(),
            "grant_type=client_credentials&client_id=a~b.c_d-e\
             &client_secret=p%2B%25%2F%C3%A4%26%3D+%3Ax%0A%22%2A&audience=z"
        );
    }

    #[test]
    fn an_extra_parameter_replaces_ours_of_the_same_name() {
        let made = TokenRequest { extra: [("audience".to_owned(), "b".to_owned())].into(), ..request("a") };
        assert!(made.form().ends_with("&client_secret=canary-secret&audience=b"), "{}", made.form());
    }

    #[test]
    fn nothing_secret_is_shown() {
        let made = TokenRequest {
            endpoint: "https://user:canary-password@Login.Example.:8443/oauth/token?key=canary-key".into(),
            extra: [("assertion".to_owned(), "canary-assertion".to_owned())].into(),
            headers: [("x-api-key".to_owned(), "canary-key".into())].into(),
            ..request("a")
        };
        assert!(!format!("{made:?}").contains("canary"), "{made:?}");
        assert_eq!(made.shown(), "https://Login.Example.:8443/oauth/token");
        assert_eq!(made.host(), "login.example");
    }
}
