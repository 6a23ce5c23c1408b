//! What a store knows a token request by: bytes for all that makes one token another, and the secret that seals it.

use super::client_auth::ClientAuth;
use super::request::TokenRequest;
use crate::secret::Secret;

impl TokenRequest {
    /// Everything that makes one token another but the client's secret, so that different requests have different
    /// bytes: each part behind its length, lists behind their count.
    pub(super) fn identity(&self) -> Vec<u8> {
        let mut parts = Parts::default();
        parts.add(Some(&self.endpoint));
        parts.add(Some(&self.client_id));
        parts.add(Some(self.client_auth.method().name()));
        // A token may be bound to the certificate (RFC 8705 §3), and then works with no other.
        parts.add(self.shown_certificate().map(|identity| identity.certificate().sha256.as_str()));
        for optional in [&self.audience, &self.oauth_scope, &self.resource] {
            parts.add(optional.as_deref());
        }
        parts.count(self.extra.len());
        for (name, value) in &self.extra {
            parts.add(Some(name));
            parts.add(Some(value.expose()));
        }
        parts.count(self.headers.len());
        for (name, value) in &self.headers {
            parts.add(Some(name));
            parts.add(Some(value.expose()));
        }
        if self.by_issuer {
            parts.add(Some("by issuer"));
        }
        parts.0
    }
}

impl ClientAuth {
    /// What only this client has, and has for long. Absent for a workload token, which the platform replaces all the
    /// time.
    pub fn store_key(&self) -> Option<&Secret> {
        match self {
            ClientAuth::Post(secret) | ClientAuth::Basic(secret) => Some(secret),
            ClientAuth::PrivateKeyJwt(key) => Some(key.secret_digest()),
            ClientAuth::Mtls(identity) => Some(identity.secret_digest()),
            ClientAuth::WorkloadToken(_) => None,
        }
    }
}

/// Length first, so that no two lists of parts make the same bytes; what is absent differs from what is empty.
#[derive(Default)]
struct Parts(Vec<u8>);

impl Parts {
    fn count(&mut self, number: usize) {
        self.0.extend((number as u64).to_be_bytes());
    }

    fn add(&mut self, part: Option<&str>) {
        self.0.push(u8::from(part.is_some()));
        let part = part.unwrap_or_default();
        self.count(part.len());
        self.0.extend(part.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;

    use super::super::client_identity::ClientIdentity;
    use super::super::request::tests::request;
    use super::super::signing_key::tests::{key_file, signing_key};
    use super::*;
    use crate::key_file::{self, KeyFile};

    #[test]
    fn whatever_makes_another_token_makes_another_identity_and_the_secret_does_not() {
        let one = request("a");
        let text = |text: &str| Some(text.to_owned());
        let pair = |name: &str, value: &str| [(name.to_owned(), value.into())];
        let headers = |name: &str, value: &str| [(name.to_owned(), value.into())].into();
        let others = [
            TokenRequest { endpoint: "https://login.example/oauth/tokens".into(), ..one.clone() },
            TokenRequest { by_issuer: true, ..one.clone() },
            TokenRequest { client_id: "ida".into(), ..one.clone() },
            TokenRequest { audience: None, ..one.clone() },
            TokenRequest { audience: text(""), ..one.clone() },
            TokenRequest { audience: text("b"), ..one.clone() },
            TokenRequest { audience: None, oauth_scope: text("a"), ..one.clone() },
            TokenRequest { audience: None, resource: text("a"), ..one.clone() },
            TokenRequest { extra: pair("b", "c").into(), ..one.clone() },
            TokenRequest { extra: pair("bc", "").into(), ..one.clone() },
            TokenRequest { headers: headers("b", "c"), ..one.clone() },
            TokenRequest { headers: headers("b", "d"), ..one.clone() },
            TokenRequest { client_auth: ClientAuth::Basic("canary-secret".into()), ..one.clone() },
            TokenRequest { client_auth: ClientAuth::WorkloadToken("a".into()), ..one.clone() },
            TokenRequest { certificate: Some(certificate("ec.pem", "ec.cert.pem")), ..one.clone() },
            TokenRequest { certificate: Some(certificate("rsa.pem", "rsa.cert.pem")), ..one.clone() },
        ];
        let mut seen = HashSet::from([one.identity()]);
        for other in others {
            assert!(seen.insert(other.identity()), "{other:?}");
        }
        let rotated = TokenRequest { client_auth: ClientAuth::Post("another".into()), ..one.clone() };
        assert_eq!(rotated.identity(), one.identity());
        assert_ne!(rotated.client_auth.store_key(), one.client_auth.store_key());
    }

    #[test]
    fn a_key_seals_and_a_workload_token_does_not() {
        let key = |name| ClientAuth::PrivateKeyJwt(Arc::new(signing_key(name, None)));
        assert_ne!(key("rsa.pem").store_key(), key("ec.pem").store_key());
        let identity = ClientAuth::Mtls(certificate("rsa.pem", "rsa.cert.pem"));
        assert_eq!(identity.store_key(), key("rsa.pem").store_key());
        assert_eq!(ClientAuth::WorkloadToken("a".into()).store_key(), None);
    }

    fn certificate(key: &str, certificates: &str) -> Arc<ClientIdentity> {
        let path = format!("{}/tests/keys/{certificates}", env!("CARGO_MANIFEST_DIR"));
        let certificates = key_file::certificates(&std::fs::read(path).unwrap()).unwrap();
        Arc::new(ClientIdentity::new(&KeyFile { certificates, ..key_file(key) }).unwrap())
    }
}
