//! The keystore that Java clients sign assertions with: where the credentials name one, and `[oauth]` does not say
//! otherwise, it makes a layer beneath all others.

use figment::value::{Dict, Map, Value};
use figment::{Error, Figment, Metadata, Profile, Provider};

use crate::credentials::Key;
use crate::oauth::ClientAuthMethod;

use super::sources::nested;
use super::{Config, Sources, merge};

/// The layers with the keystore's beneath them.
pub(super) fn join(
    figment: Figment,
    config: &Config,
    sources: &Sources,
    origin: &impl Fn(&str) -> String,
) -> Figment {
    let is_set = |key: &str| origin(key) != "default";
    let other_method =
        is_set("oauth.client_auth") && config.oauth.client_auth != ClientAuthMethod::PrivateKeyJwt;
    let other_proof = ["oauth.key_file", "oauth.client_secret", "oauth.client_secret_file"];
    if other_method || other_proof.into_iter().any(is_set) {
        return figment;
    }
    // What is wrong with the credentials is told by who needs them.
    let Ok(draft) = merge::draft(config, sources, origin) else { return figment };
    let file = config.credentials.as_ref();
    draft.keystore().fold(figment, |figment, (key, value, origin)| {
        let origin = match file {
            Some(path) => origin.replacen("(line ", &format!("({}:", path.display()), 1),
            None => origin,
        };
        let layer = |key: String, value: &str| Layer { key, value: value.to_owned(), origin: origin.clone() };
        let figment = match key {
            Key::Keystore => {
                figment.join(layer("oauth.client_auth".to_owned(), ClientAuthMethod::PrivateKeyJwt.name()))
            }
            _ => figment,
        };
        figment.join(layer(key.to_string(), value.expose()))
    })
}

/// One value.
struct Layer {
    key: String,
    value: String,
    origin: String,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        let shown = self.origin.clone();
        Metadata::named(shown.clone()).interpolater(move |_, _| shown.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let path: Vec<&str> = self.key.split('.').collect();
        Ok(Profile::Default.collect(nested(&path, Value::from(self.value.as_str()))))
    }
}
