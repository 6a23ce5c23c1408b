//! What the name of a provider stands for: values that count less than all others, and are shown with their origin.

use crate::credentials::{Draft, Key};
use crate::oauth::{Config, Preset};
use crate::problem::Problem;
use crate::scope::Scope;
use crate::secret::Secret;

/// Camunda's own token endpoint.
const SAAS: &str = "https://login.cloud.camunda.io/oauth/token";

/// Puts the preset's values beneath what the draft holds, or says what the preset wants to know.
pub(super) fn fall_back(
    draft: &mut Draft,
    config: &Config,
    origin: &impl Fn(&str) -> String,
) -> Result<(), Vec<Problem>> {
    let mut problems = Vec::new();
    let wanted: &[&str] = match config.preset {
        None | Some(Preset::Saas | Preset::Oidc) => &[],
        Some(Preset::Keycloak) => &["oauth.server", "oauth.realm"],
        Some(Preset::Entra) => &["oauth.tenant"],
        Some(Preset::Cognito) => &["oauth.server"],
    };
    // Who states the endpoint needs nothing that would lead to it.
    let leads = !draft.has_endpoint();
    let name = config.preset.map_or("", Preset::name);
    for (key, value) in
        [("oauth.server", &config.server), ("oauth.realm", &config.realm), ("oauth.tenant", &config.tenant)]
    {
        let (message, remedy) = match (value, wanted.contains(&key)) {
            (Some(_), false) => (
                "it is of no use without a preset that wants it".to_owned(),
                "set oauth.preset, or take it out",
            ),
            (None, true) if leads => (format!("the preset {name} wants it"), example(key)),
            (Some(text), true) if text.trim().is_empty() => ("it is empty".to_owned(), example(key)),
            _ => continue,
        };
        problems.push(Problem::new(key, origin(key), message, remedy));
    }
    let Some(preset) = config.preset.filter(|_| problems.is_empty()) else {
        return if problems.is_empty() { Ok(()) } else { Err(problems) };
    };
    if preset == Preset::Oidc && leads {
        let remedy = "write the issuer's URL, as its metadata have it";
        return Err(vec![Problem::new(
            "oauth.issuer",
            origin("oauth.issuer"),
            "the preset oidc wants it",
            remedy,
        )]);
    }
    for (key, value) in values(preset, config, draft.value(Key::ClientId)) {
        draft.fall_back(key, &key.to_string(), Secret::from(value), format!("preset {name}"));
    }
    Ok(())
}

/// The values, each with its key.
fn values(preset: Preset, config: &Config, client_id: Option<&str>) -> Vec<(Key, String)> {
    let text = |value: &Option<String>| value.as_deref().map(|text| text.trim().to_owned());
    let server = text(&config.server).map(|server| match server.contains("://") {
        true => server.trim_end_matches('/').to_owned(),
        false => format!("https://{}", server.trim_end_matches('/')),
    });
    let endpoint = match preset {
        Preset::Saas => Some(SAAS.to_owned()),
        Preset::Keycloak => server
            .zip(text(&config.realm))
            .map(|(server, realm)| format!("{server}/realms/{realm}/protocol/openid-connect/token")),
        Preset::Entra => text(&config.tenant)
            .map(|tenant| format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token")),
        Preset::Cognito => server.map(|server| format!("{server}/oauth2/token")),
        Preset::Oidc => None,
    };
    let mut values: Vec<(Key, String)> = endpoint.map(|url| (Key::TokenEndpoint, url)).into_iter().collect();
    if preset == Preset::Entra {
        values.extend(client_id.map(|id| (Key::OauthScope, format!("{id}/.default"))));
    }
    if preset != Preset::Saas {
        // Whom the token is for is a matter of the client over there. One token then does for all scopes.
        values.extend(Scope::ALL.map(|scope| (Key::Audience(scope), String::new())));
    }
    values
}

fn example(key: &str) -> &'static str {
    match key {
        "oauth.server" => "write the provider's address, such as https://login.example.com",
        "oauth.realm" => "write the realm, such as camunda-platform",
        _ => "write the tenant's id, such as 6babcaad-604b-40ac-a9d7-9fd97c0b779f",
    }
}
