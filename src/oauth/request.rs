//! The token request (RFC 6749 §4.4.2): everything that makes one token another, and the bytes that ask for it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::client_auth::{ClientAuth, Proof};
use super::client_identity::ClientIdentity;
use crate::secret::Secret;

/// What a token is asked for with. Two requests that differ in anything never share a token.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TokenRequest {
    /// The token endpoint's URL, or the issuer.
    pub endpoint: String,
    /// `endpoint` is the issuer, whose metadata name the token endpoint.
    pub by_issuer: bool,
    /// The client id.
    pub client_id: String,
    /// How the client proves who it is.
    pub client_auth: ClientAuth,
    /// The certificate that the connection shows besides, where the endpoint's host wants one of everybody.
    pub certificate: Option<Arc<ClientIdentity>>,
    /// Whom the token is for.
    pub audience: Option<String>,
    /// OAuth's own `scope` parameter (RFC 6749 §3.3).
    pub oauth_scope: Option<String>,
    /// The `resource` parameter (RFC 8707).
    pub resource: Option<String>,
    /// Further parameters. One that has the name of a parameter above is sent in its place.
    pub extra: BTreeMap<String, Secret>,
    /// Further header fields, names in lower case. One that has the name of a field of ours is sent in its place.
    pub headers: BTreeMap<String, Secret>,
}

/// Who asks whom: what a refusal of the client is about.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Asker {
    endpoint: String,
    client_id: String,
    client_auth: ClientAuth,
    certificate: Option<Arc<ClientIdentity>>,
}

impl TokenRequest {
    /// The form to send (`application/x-www-form-urlencoded`), always in this order.
    pub(super) fn form(&self, proof: &Proof) -> String {
        let proof = proof.parameters.iter().map(|(name, value)| (*name, Some(value.expose())));
        let own = [("grant_type", Some("client_credentials"))].into_iter().chain(proof).chain([
            ("audience", self.audience.as_deref()),
            ("scope", self.oauth_scope.as_deref()),
            ("resource", self.resource.as_deref()),
        ]);
        let own = own.filter(|(name, _)| !self.extra.contains_key(*name));
        let own = own.filter_map(|(name, value)| Some((name, value?)));
        let extra = self.extra.iter().map(|(name, value)| (name.as_str(), value.expose()));
        let pairs = own.chain(extra).map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
        pairs.collect::<Vec<_>>().join("&")
    }

    /// The certificate that the connection shows.
    pub(super) fn shown_certificate(&self) -> Option<&Arc<ClientIdentity>> {
        match &self.client_auth {
            ClientAuth::Mtls(identity) => Some(identity),
            _ => self.certificate.as_ref(),
        }
    }

    /// The token host: requests to it share one pace, whatever the port, because the service counts by address.
    pub(super) fn host(&self) -> String {
        let host = self.endpoint.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
        host.unwrap_or_else(|| self.shown()).trim_end_matches('.').to_ascii_lowercase()
    }

    /// The endpoint as logs and status show it: no user info and no query, either of which may hold a secret.
    pub(super) fn shown(&self) -> String {
        shown(&self.endpoint)
    }

    /// Who asks whom.
    pub(super) fn asker(&self) -> Asker {
        Asker {
            endpoint: self.endpoint.clone(),
            client_id: self.client_id.clone(),
            client_auth: self.client_auth.clone(),
            certificate: self.certificate.clone(),
        }
    }

    /// Whether somebody else knows this client's id and secret. A client that proves itself without a secret has none to
    /// know.
    pub fn is_proven_by(&self, client_id: &str, secret: &Secret) -> bool {
        let (ClientAuth::Post(ours) | ClientAuth::Basic(ours)) = &self.client_auth else { return false };
        ours.matches(secret) & (self.client_id == client_id)
    }

    /// Whether both ask the same endpoint for the same thing as the same client, be it with another proof of who it is.
    pub(super) fn differs_in_client_auth_only(&self, other: &TokenRequest) -> bool {
        let (client_auth, certificate) = (self.client_auth.clone(), self.certificate.clone());
        *self == TokenRequest { client_auth, certificate, ..other.clone() }
    }
}

/// A URL without user info and query.
pub(super) fn shown(url: &str) -> String {
    let whole = url.split(['?', '#']).next().unwrap_or_default();
    match whole.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_once('/').map_or((rest, ""), |(a, p)| (a, p));
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}/{path}")
        }
        None => whole.rsplit('@').next().unwrap_or_default().to_owned(),
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An extra parameter or field may be a secret of its own: names only.
        f.debug_struct("TokenRequest")
            .field("endpoint", &self.shown())
            .field("client_id", &self.client_id)
            .field("client_auth", &self.client_auth)
            .field("certificate", &self.certificate)
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

/// A text as a form holds it.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string().replace(' ', "+")
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::signing_key::tests::key_file;
    use super::*;

    pub(crate) fn request(audience: &str) -> TokenRequest {
        TokenRequest {
            endpoint: "https://login.example/oauth/token".into(),
            by_issuer: false,
            client_id: "id".into(),
            client_auth: ClientAuth::Post("canary-secret".into()),
            certificate: None,
            audience: Some(audience.into()),
            oauth_scope: None,
            resource: None,
            extra: BTreeMap::new(),
            headers: BTreeMap::new(),
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        let made = TokenRequest {
            endpoint: "https://user:canary-password@Login.Example.:8443/oauth/token?key=canary-key".into(),
            extra: [("assertion".to_owned(), "canary-assertion".into())].into(),
            headers: [("x-api-key".to_owned(), "canary-key".into())].into(),
            ..request("a")
        };
        assert!(!format!("{made:?}").contains("canary"), "{made:?}");
        assert_eq!(made.shown(), "https://Login.Example.:8443/oauth/token");
        assert_eq!(made.host(), "login.example");
    }

    #[test]
    fn another_proof_of_the_same_client_is_told_from_another_request() {
        let one = request("a");
        let basic = TokenRequest { client_auth: ClientAuth::Basic("other".into()), ..one.clone() };
        assert!(one.differs_in_client_auth_only(&basic) && one != basic && one.asker() != basic.asker());
        let identity = Arc::new(ClientIdentity::new(&key_file("rsa.p12")).unwrap());
        let certified = TokenRequest { certificate: Some(identity.clone()), ..one.clone() };
        assert!(one.differs_in_client_auth_only(&certified) && one.asker() != certified.asker());
        assert_eq!(certified.shown_certificate(), Some(&identity));
        assert!(!one.differs_in_client_auth_only(&request("b")));
        assert!(one.asker() == request("b").asker());
    }
}
