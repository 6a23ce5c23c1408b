//! How the client proves who it is: from the keys of `[oauth]` to a secret, a key or a certificate that can be used.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use humantime_serde::re::humantime;

use crate::certificate::Certificate;
use crate::credentials::Client;
use crate::key_file::KeyFile;
use crate::oauth::{ClientAuth, ClientAuthMethod as Method, ClientIdentity, Config, KeyError, SigningKey};
use crate::problem::Problem;
use crate::secret::Secret;

mod key;

/// What each token request proves with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientProof {
    /// The method with its secret or key.
    pub client_auth: ClientAuth,
    /// A certificate that the connection shows besides.
    pub certificate: Option<Arc<ClientIdentity>>,
}

/// A certificate that ends sooner is warned of.
const SOON: Duration = Duration::from_secs(30 * 86_400);

/// Puts the proof together, or says all that is wrong with it.
pub(super) fn client_proof(
    config: &Config,
    client: &Client,
    origin: &impl Fn(&str) -> String,
) -> Result<ClientProof, Vec<Problem>> {
    let proof = made(config, &client.secret, origin)?;
    if proof.shows_certificate() && !client.token_endpoint.starts_with("https:") {
        let message = "a certificate is shown in TLS, and the token endpoint is plaintext";
        let remedy = "use an endpoint that begins with https://";
        return Err(vec![Problem::new("oauth.key_file", origin("oauth.key_file"), message, remedy)]);
    }
    Ok(proof)
}

/// The same without credentials: what is wrong with keys and certificates.
pub(super) fn check(config: &Config, origin: &impl Fn(&str) -> String) -> Vec<Problem> {
    made(config, &Secret::from(""), origin).err().unwrap_or_default()
}

fn made(
    config: &Config,
    secret: &Secret,
    origin: &impl Fn(&str) -> String,
) -> Result<ClientProof, Vec<Problem>> {
    let mut problems = combinations(config, origin);
    let key = config.key_file.as_ref().map(|path| key::read(config, path, origin)).transpose();
    let key = key.map_err(|problem| problems.push(problem)).unwrap_or_default();
    if !problems.is_empty() {
        return Err(problems);
    }
    proof(config, secret, key.as_ref()).map_err(|error| vec![key::unusable(config, error, origin)])
}

/// A secret or key that is missing has been told of before: by the credentials, or by [`combinations`].
fn proof(config: &Config, secret: &Secret, key: Option<&KeyFile>) -> Result<ClientProof, KeyError> {
    let key_or = |otherwise| key.ok_or(otherwise);
    let client_auth = match config.client_auth {
        Method::ClientSecretPost => ClientAuth::Post(secret.clone()),
        Method::ClientSecretBasic => ClientAuth::Basic(secret.clone()),
        Method::PrivateKeyJwt => {
            let (key_id, audience) = (config.key_id.clone(), config.assertion_audience.clone());
            ClientAuth::PrivateKeyJwt(Arc::new(SigningKey::new(key_or(KeyError::Type)?, key_id, audience)?))
        }
        Method::TlsClientAuth => {
            ClientAuth::Mtls(Arc::new(ClientIdentity::new(key_or(KeyError::NoCertificate)?)?))
        }
        Method::WorkloadToken => {
            ClientAuth::WorkloadToken(config.workload_token_file.clone().unwrap_or_default())
        }
    };
    let besides = match config.client_auth {
        Method::TlsClientAuth => false,
        Method::PrivateKeyJwt => config.mutual_tls,
        _ => true,
    };
    let certificate = match key.filter(|_| besides) {
        Some(key) => Some(Arc::new(ClientIdentity::new(key)?)),
        None => None,
    };
    Ok(ClientProof { client_auth, certificate })
}

impl ClientProof {
    /// What the provider has to know of the key and the certificate, and when that ends.
    pub fn note(&self) -> Option<String> {
        let certificate = self.certificate().map(|certificate| {
            let Certificate { subject, sha1, sha256, .. } = certificate;
            let end = humantime::format_rfc3339_seconds(certificate.expires_at);
            format!("the certificate {subject} (x5t {sha1}, x5t#S256 {sha256}), which ends on {end}")
        });
        match (&self.client_auth, certificate) {
            (ClientAuth::PrivateKeyJwt(key), certificate) => {
                let kid = key.key_id().map(|kid| format!(", kid {kid:?}")).unwrap_or_default();
                let named = certificate.map(|text| format!(", naming {text}")).unwrap_or_default();
                Some(format!("private_key_jwt signs with {}{kid}{named}", key.algorithm()))
            }
            (_, Some(text)) => Some(format!("connections to the token endpoint show {text}")),
            (_, None) => None,
        }
    }

    /// That the certificate has ended or soon will.
    pub fn warning(&self, now: SystemTime) -> Option<String> {
        let certificate = self.certificate()?;
        let subject = &certificate.subject;
        match certificate.expires_at.duration_since(now) {
            Ok(left) if left > SOON => None,
            Ok(left) => Some(format!("the certificate {subject} ends in {} days", left.as_secs() / 86_400)),
            Err(_) => Some(format!("the certificate {subject} has ended")),
        }
    }

    fn shows_certificate(&self) -> bool {
        self.certificate.is_some() || matches!(self.client_auth, ClientAuth::Mtls(_))
    }

    fn certificate(&self) -> Option<&Certificate> {
        match &self.client_auth {
            ClientAuth::PrivateKeyJwt(key) => key.certificate(),
            ClientAuth::Mtls(identity) => Some(identity.certificate()),
            _ => self.certificate.as_deref().map(ClientIdentity::certificate),
        }
    }
}

/// What is missing, and what has no use.
fn combinations(config: &Config, origin: &impl Fn(&str) -> String) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut refuse = |key: &str, message: String, remedy: &str| {
        problems.push(Problem::new(key, origin(key), message, remedy));
    };
    let method = config.client_auth;
    let name = method.name();
    let secretless = !method.has_secret();
    let (has_key, has_password) =
        (config.key_file.is_some(), config.key_password.is_some() || config.key_password_file.is_some());
    match method {
        Method::PrivateKeyJwt if !has_key => refuse(
            "oauth.key_file",
            format!("{name} signs with a private key, and none is named"),
            "name a PEM or PKCS#12 file",
        ),
        Method::TlsClientAuth if !has_key => refuse(
            "oauth.key_file",
            format!("{name} shows a certificate, and its key is not named"),
            "name a PEM or PKCS#12 file, and oauth.cert_file if the certificate is not in it",
        ),
        Method::WorkloadToken if config.workload_token_file.is_none() => refuse(
            "oauth.workload_token_file",
            format!("{name} sends the platform's token, and its file is not named"),
            "name the file, such as AZURE_FEDERATED_TOKEN_FILE does",
        ),
        _ => {}
    }
    let signless = method != Method::PrivateKeyJwt;
    for (key, set, useless, why) in [
        ("oauth.client_secret", config.client_secret.is_some(), secretless, "sends no secret"),
        ("oauth.client_secret_file", config.client_secret_file.is_some(), secretless, "sends no secret"),
        ("oauth.key_id", config.key_id.is_some(), signless, "signs nothing"),
        ("oauth.assertion_audience", config.assertion_audience.is_some(), signless, "signs nothing"),
        (
            "oauth.workload_token_file",
            config.workload_token_file.is_some(),
            method != Method::WorkloadToken,
            "sends no workload token",
        ),
    ] {
        if set && useless {
            refuse(key, format!("{name} {why}"), "take it out, or set oauth.client_auth to what is meant");
        }
    }
    let file = if config.key_password.is_some() { "oauth.key_password" } else { "oauth.key_password_file" };
    for (key, set) in [
        ("oauth.cert_file", config.cert_file.is_some()),
        ("oauth.key_alias", config.key_alias.is_some()),
        (file, has_password),
    ] {
        if set && !has_key {
            refuse(key, "it is of no use without a key".to_owned(), "set oauth.key_file, or take it out");
        }
    }
    problems
}
