//! `CAMUNDA_PROXY_` variables: `CAMUNDA_PROXY_OAUTH__CLIENT_ID` is `oauth.client_id`.

use figment::value::{Dict, Map, Value};
use figment::{Error, Metadata, Profile, Provider};

use super::sources::nested;

/// What our variables begin with.
pub(super) const PREFIX: &str = "CAMUNDA_PROXY_";

/// One variable. figment's own provider would turn a secret of digits into a number and would not name the
/// variable in its errors, so each variable is a layer of its own and always a text.
pub(super) struct EnvironmentVariable<'a> {
    name: &'a str,
    value: &'a str,
}

/// The variables that are meant for us, in a fixed order. An empty one is taken as not set, because that is
/// what compose files make of a variable that they pass on.
pub(super) fn variables(environment: &[(String, String)]) -> Vec<EnvironmentVariable<'_>> {
    let mut variables: Vec<_> = environment
        .iter()
        .filter(|(name, value)| name.starts_with(PREFIX) && !value.is_empty() && !is_service_link(name))
        .map(|(name, value)| EnvironmentVariable { name, value })
        .collect();
    variables.sort_by_key(|variable| variable.name);
    variables
}

/// Kubernetes tells every pod of a service named `camunda-proxy` in variables that begin like ours.
fn is_service_link(name: &str) -> bool {
    let name = &name[PREFIX.len()..];
    let port = name.strip_prefix("PORT_").and_then(|rest| rest.bytes().next());
    name == "PORT" || name.starts_with("SERVICE_") || port.is_some_and(|first| first.is_ascii_digit())
}

/// The variable of a key.
pub(super) fn name_of(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', "__"))
}

impl Provider for EnvironmentVariable<'_> {
    fn metadata(&self) -> Metadata {
        let shown = format!("environment variable {}", self.name);
        Metadata::named(shown.clone()).interpolater(move |_, _| shown.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let key = self.name[PREFIX.len()..].to_ascii_lowercase();
        let path: Vec<&str> = key.split("__").collect();
        Ok(Profile::Default.collect(nested(&path, Value::from(self.value))))
    }
}
