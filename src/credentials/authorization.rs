//! How requests are authorized: with OAuth's tokens, or with what needs no token endpoint.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use serde::{Deserialize, Serialize};

use crate::problem::Problem;
use crate::secret::Secret;

use super::draft::Draft;
use super::names::Key;
use super::text::Variable;

/// What takes the place of OAuth. What is not set here comes from the credentials file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How requests are authorized. Not set: as the credentials show, and by OAuth when they show nothing.
    pub kind: Option<Kind>,
    /// The user of `basic`.
    pub username: Option<String>,
    /// The user's password.
    #[serde(serialize_with = "crate::secret::redacted")]
    pub password: Option<Secret>,
    /// A file that holds the password; spaces and line ends around it are cut.
    pub password_file: Option<PathBuf>,
    /// The whole `authorization` field of `header`.
    #[serde(serialize_with = "crate::secret::redacted")]
    pub value: Option<Secret>,
    /// A file that holds the field; read again when it changes.
    pub value_file: Option<PathBuf>,
}

/// How requests are authorized, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A token that a client gets at the token endpoint.
    OAuth,
    /// A user's name and password on every request (RFC 7617).
    Basic,
    /// A field that somebody else keeps.
    Header,
    /// No field at all, for a cluster that asks for nothing.
    None,
}

impl Kind {
    /// The word for it in configuration and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::OAuth => "oauth",
            Kind::Basic => "basic",
            Kind::Header => "header",
            Kind::None => "none",
        }
    }

    /// What of it could be read on the way.
    pub const fn secret(self) -> &'static str {
        match self {
            Kind::OAuth => "token",
            Kind::Basic => "password",
            Kind::Header | Kind::None => "authorization",
        }
    }
}

/// How requests are authorized, and what with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// A token that this client gets at the token endpoint.
    OAuth(Client),
    /// A user's name and password, as the field that they become.
    Basic {
        /// The user.
        username: String,
        /// `Basic …`, marked sensitive.
        field: HeaderValue,
    },
    /// A field that somebody else keeps, marked sensitive.
    Header(HeaderValue),
    /// No field at all.
    None,
}

/// A client of a token endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The client id.
    pub id: String,
    /// The client secret.
    pub secret: Secret,
    /// The token endpoint (RFC 6749 §3.2), or the issuer: an absolute `https` or `http` URL.
    pub token_endpoint: String,
    /// `token_endpoint` is the issuer, whose metadata name the token endpoint.
    pub by_issuer: bool,
    /// OAuth's own `scope` parameter.
    pub oauth_scope: Option<String>,
    /// The `resource` parameter (RFC 8707).
    pub resource: Option<String>,
    /// Further parameters of token requests.
    pub parameters: BTreeMap<String, Secret>,
    /// Further header fields of token requests.
    pub headers: BTreeMap<String, Secret>,
}

impl Authorization {
    /// In one word.
    pub fn kind(&self) -> Kind {
        match self {
            Authorization::OAuth(_) => Kind::OAuth,
            Authorization::Basic { .. } => Kind::Basic,
            Authorization::Header(_) => Kind::Header,
            Authorization::None => Kind::None,
        }
    }

    /// The client, where tokens are asked for.
    pub fn client(&self) -> Option<&Client> {
        match self {
            Authorization::OAuth(client) => Some(client),
            _ => None,
        }
    }

    /// A sentence for a person, without anything secret.
    pub fn told(&self) -> String {
        match self {
            Authorization::OAuth(client) => format!("a token of {}", client.id),
            Authorization::Basic { username, .. } => format!("Basic, as the user {username}"),
            Authorization::Header(_) => "a field that is configured as it is".to_owned(),
            Authorization::None => "none: requests go out without it".to_owned(),
        }
    }

    /// The field that never changes by itself; nothing where requests get none, or a token.
    pub fn field(&self) -> Option<&HeaderValue> {
        match self {
            Authorization::Basic { field, .. } | Authorization::Header(field) => Some(field),
            Authorization::OAuth(_) | Authorization::None => None,
        }
    }

    /// Takes over what a rotation changes: id, secret, free parameters and fields, user and password, or the field. Tells whether anything did;
    /// everything else needs a restart.
    pub fn rotate(&mut self, new: &Authorization) -> bool {
        let before = self.clone();
        match (&mut *self, new) {
            (Authorization::OAuth(ours), Authorization::OAuth(theirs)) => {
                ours.id.clone_from(&theirs.id);
                ours.secret.clone_from(&theirs.secret);
                ours.parameters.clone_from(&theirs.parameters);
                ours.headers.clone_from(&theirs.headers);
            }
            (ours, theirs) if ours.kind() == theirs.kind() => ours.clone_from(theirs),
            _ => {}
        }
        *self != before
    }
}

impl Draft {
    /// How requests are authorized. What the configuration says counts more than what the credentials say; a word that
    /// means nothing is left out here.
    pub fn kind(&self) -> Kind {
        let is_set = |key: Key| self.overrides.contains_key(&key);
        let has_client = self.first(Key::ClientId).is_some() || self.first(Key::ClientSecret).is_some();
        let stated = self.first(Key::Kind).and_then(|variable| Some((variable, word(variable)?)));
        match stated {
            // Meant for a client that points at this proxy and shares its environment.
            Some((_, Kind::None)) if !is_set(Key::Kind) && has_client => Kind::OAuth,
            Some((_, kind)) => kind,
            None if is_set(Key::HeaderValue) => Kind::Header,
            None if is_set(Key::Username) => Kind::Basic,
            None if !has_client && self.first(Key::Username).is_some() => Kind::Basic,
            None => Kind::OAuth,
        }
    }

    /// What is odd about what says how requests are authorized.
    pub(super) fn warnings_about_kind(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(stated) = self.first(Key::Kind) {
            let name = &stated.name;
            match (word(stated), self.kind()) {
                (None, kind) => warnings.push(format!(
                    "{name} is none of oauth, basic and none, and is left out: {} is used",
                    kind.name()
                )),
                (Some(Kind::None), Kind::OAuth) => warnings.push(format!(
                    "{name} says none, which is for clients of this proxy: the client id is used"
                )),
                _ => {}
            }
        }
        warnings
    }
}

/// The words of Camunda's SDKs and Spring starter, and ours.
fn word(variable: &Variable) -> Option<Kind> {
    match variable.value.expose().trim().to_ascii_lowercase().as_str() {
        "oauth" | "oidc" => Some(Kind::OAuth),
        "basic" => Some(Kind::Basic),
        "header" => Some(Kind::Header),
        "none" => Some(Kind::None),
        _ => None,
    }
}

/// User and password as RFC 7617 §2 puts them together: UTF-8, a colon between them, Base64.
pub(super) fn basic(username: &Variable, password: &Variable) -> Result<Authorization, Problem> {
    let (name, word) = (username.value.expose().trim(), password.value.expose().trim());
    let wrong = |variable: &Variable, what: &str| {
        Err(Problem::new(variable.name.clone(), variable.origin.clone(), what, "choose another one"))
    };
    if name.contains(':') {
        return wrong(username, "a user's name holds no colon (RFC 7617)");
    }
    for variable in [username, password] {
        if variable.value.expose().trim().contains(char::is_control) {
            return wrong(variable, "it holds a control character");
        }
    }
    let encoded = STANDARD.encode(format!("{name}:{word}"));
    match HeaderValue::try_from(format!("Basic {encoded}")) {
        Ok(field) => Ok(Authorization::Basic { username: name.to_owned(), field: sensitive(field) }),
        Err(_) => wrong(username, "no header field can be made of it"),
    }
}

/// A whole field: whatever may stand in a header.
pub(super) fn header(value: &Variable) -> Result<Authorization, Problem> {
    match HeaderValue::from_str(value.value.expose().trim()) {
        Ok(field) => Ok(Authorization::Header(sensitive(field))),
        Err(_) => Err(Problem::new(
            value.name.clone(),
            value.origin.clone(),
            "it holds characters that no header field may have",
            "write the whole field on one line: Bearer …",
        )),
    }
}

fn sensitive(mut field: HeaderValue) -> HeaderValue {
    field.set_sensitive(true);
    field
}
