//! How the client proves to the token endpoint who it is, and what of that stands in a token request.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use serde::{Deserialize, Serialize};

use super::answer::{Cause, Failure};
use super::assertion::{self, Assertion};
use super::client_identity::ClientIdentity;
use super::request::{TokenRequest, encoded};
use super::signing_key::SigningKey;
use crate::secret::Secret;

/// The client's proof. The method is stated, never probed: a second try with another one would be a second request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ClientAuth {
    /// Id and secret in the form (`client_secret_post`, RFC 6749 §2.3.1).
    Post(Secret),
    /// Id and secret in the `authorization` field (`client_secret_basic`, RFC 6749 §2.3.1).
    Basic(Secret),
    /// An assertion that the client signs (`private_key_jwt`, RFC 7523 §2.2).
    PrivateKeyJwt(Arc<SigningKey>),
    /// The certificate that the connection shows (`tls_client_auth`, RFC 8705 §2).
    Mtls(Arc<ClientIdentity>),
    /// A token of the platform as assertion (RFC 7523 §2.2); read anew from this file for each request, because the
    /// platform replaces it before it ends.
    WorkloadToken(PathBuf),
}

/// The method alone, as it is configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthMethod {
    /// Id and secret in the form.
    #[default]
    ClientSecretPost,
    /// Id and secret in the `authorization` field.
    ClientSecretBasic,
    /// An assertion signed with a key.
    PrivateKeyJwt,
    /// A certificate shown in TLS.
    TlsClientAuth,
    /// A token of the platform.
    WorkloadToken,
}

impl ClientAuthMethod {
    /// The word for it in configuration and reports: but for the last, the one that is registered for it (RFC 7591 §2,
    /// RFC 8705 §2.1).
    pub const fn name(self) -> &'static str {
        match self {
            ClientAuthMethod::ClientSecretPost => "client_secret_post",
            ClientAuthMethod::ClientSecretBasic => "client_secret_basic",
            ClientAuthMethod::PrivateKeyJwt => "private_key_jwt",
            ClientAuthMethod::TlsClientAuth => "tls_client_auth",
            ClientAuthMethod::WorkloadToken => "workload_token",
        }
    }

    /// Whether it wants a client secret.
    pub const fn has_secret(self) -> bool {
        matches!(self, ClientAuthMethod::ClientSecretPost | ClientAuthMethod::ClientSecretBasic)
    }
}

/// `client_assertion_type` of a JWT (RFC 7523 §2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// More than any platform's token.
const LONGEST_TOKEN: usize = 32 * 1024;

impl ClientAuth {
    /// The method.
    pub const fn method(&self) -> ClientAuthMethod {
        match self {
            ClientAuth::Post(_) => ClientAuthMethod::ClientSecretPost,
            ClientAuth::Basic(_) => ClientAuthMethod::ClientSecretBasic,
            ClientAuth::PrivateKeyJwt(_) => ClientAuthMethod::PrivateKeyJwt,
            ClientAuth::Mtls(_) => ClientAuthMethod::TlsClientAuth,
            ClientAuth::WorkloadToken(_) => ClientAuthMethod::WorkloadToken,
        }
    }

    /// The proof for one request. `now` is the token endpoint's time, as far as it is known.
    pub(super) fn proof(&self, request: &TokenRequest, now: SystemTime) -> Result<Proof, Failure> {
        let id = || ("client_id", Secret::from(request.client_id.as_str()));
        let with = |assertion: Secret| {
            vec![id(), ("client_assertion_type", JWT_BEARER.into()), ("client_assertion", assertion)]
        };
        let parameters = match self {
            ClientAuth::Post(secret) => vec![id(), ("client_secret", secret.clone())],
            ClientAuth::Basic(secret) => {
                let authorization = Some(basic(&request.client_id, secret)?);
                return Ok(Proof { authorization, parameters: Vec::new() });
            }
            ClientAuth::PrivateKeyJwt(key) => {
                let endpoint = request.shown();
                let claims = Assertion {
                    client_id: &request.client_id,
                    audience: key.audience().unwrap_or(&endpoint),
                    jti: &assertion::jti()?,
                    now,
                };
                with(claims.signed(key)?)
            }
            ClientAuth::Mtls(_) => vec![id()],
            ClientAuth::WorkloadToken(path) => with(workload_token(path)?),
        };
        Ok(Proof { authorization: None, parameters })
    }
}

/// What proves in a token request who the client is, the certificate of the connection apart.
pub(super) struct Proof {
    /// The `authorization` field.
    pub(super) authorization: Option<HeaderValue>,
    /// Parameters of the form, in this order.
    pub(super) parameters: Vec<(&'static str, Secret)>,
}

/// RFC 6749 §2.3.1: both are form-encoded first, so that a colon in the id stays part of the id.
fn basic(client_id: &str, secret: &Secret) -> Result<HeaderValue, Failure> {
    let pair = format!("{}:{}", encoded(client_id), encoded(secret.expose()));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))
        .map_err(|_| Failure::new(Cause::Transient, "client id and secret fit no header field"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A file that is not there, or not yet whole, is the platform's business of the moment: it is looked at again.
fn workload_token(path: &Path) -> Result<Secret, Failure> {
    let failure = |what: &str| {
        Failure::new(Cause::Transient, format!("the workload token in {} {what}", path.display()))
    };
    let bytes = std::fs::read(path).map_err(|error| failure(&format!("cannot be read: {error}")))?;
    match bytes.trim_ascii() {
        [] => Err(failure("is empty")),
        token if token.len() > LONGEST_TOKEN => Err(failure("is longer than 32 KiB, so it is no token")),
        token if !token.iter().all(u8::is_ascii_graphic) => {
            Err(failure("holds blanks or characters that no token has"))
        }
        token => Ok(String::from_utf8_lossy(token).into_owned().into()),
    }
}
