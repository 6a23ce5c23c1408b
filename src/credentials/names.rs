//! The names under which client tools keep credentials, and what each of them means.

use std::fmt;

use crate::scope::Scope;

use super::text::Variable;

/// What a variable says. Shown as the configuration key that overrides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The client id.
    ClientId,
    /// The client secret.
    ClientSecret,
    /// The keystore that assertions are signed with, in place of a secret.
    Keystore,
    /// The keystore's password.
    KeystorePassword,
    /// Which of the keystore's keys is meant.
    KeystoreAlias,
    /// How requests are authorized.
    Kind,
    /// The user, where requests are authorized by name and password.
    Username,
    /// The user's password.
    Password,
    /// The whole `authorization` field, where somebody else keeps it. No client tool has a name for it.
    HeaderValue,
    /// The token endpoint.
    TokenEndpoint,
    /// The issuer, whose metadata name the token endpoint.
    Issuer,
    /// OAuth's own `scope` parameter.
    OauthScope,
    /// The `resource` parameter.
    Resource,
    /// Whom a scope's token is for.
    Audience(Scope),
    /// A scope's REST address.
    Address(Scope),
    /// Zeebe's gRPC address.
    GrpcAddress,
    /// The cluster's id.
    ClusterId,
    /// The cluster's region.
    Region,
    /// The granted scopes, as a list.
    Scopes,
    /// `saas` or `self-managed`, in Spring's words.
    Mode,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::ClientId => f.write_str("oauth.client_id"),
            Key::ClientSecret => f.write_str("oauth.client_secret"),
            Key::Keystore => f.write_str("oauth.key_file"),
            Key::KeystorePassword => f.write_str("oauth.key_password"),
            Key::KeystoreAlias => f.write_str("oauth.key_alias"),
            Key::Kind => f.write_str("authorization.kind"),
            Key::Username => f.write_str("authorization.username"),
            Key::Password => f.write_str("authorization.password"),
            Key::HeaderValue => f.write_str("authorization.value"),
            Key::TokenEndpoint => f.write_str("oauth.url"),
            Key::Issuer => f.write_str("oauth.issuer"),
            Key::OauthScope => f.write_str("oauth.oauth_scope"),
            Key::Resource => f.write_str("oauth.resource"),
            Key::Audience(scope) => write!(f, "scopes.{scope}.audience"),
            Key::Address(scope) => write!(f, "scopes.{scope}.address"),
            Key::GrpcAddress => f.write_str("scopes.zeebe.grpc_address"),
            Key::ClusterId => f.write_str("cluster id"),
            Key::Region => f.write_str("region"),
            Key::Scopes => f.write_str("granted scopes"),
            Key::Mode => f.write_str("mode"),
        }
    }
}

/// Names by meaning; within a meaning, the earlier name wins. Compared as [`relaxed`] says, so that one entry
/// covers `camunda.client.auth.client-id`, `CAMUNDA_CLIENT_AUTH_CLIENTID` and `CAMUNDA_CLIENT_AUTH_CLIENT_ID`.
/// The entries for id and secret go in pairs, and so do those for user and password: both are taken from the same family.
const NAMES: &[(Key, &str)] = &[
    (Key::ClientId, "CAMUNDA_CLIENT_ID"),
    (Key::ClientId, "ZEEBE_CLIENT_ID"),
    (Key::ClientId, "CAMUNDA_CLIENT_AUTH_CLIENTID"),
    (Key::ClientId, "ZEEBE_CLIENT_CLOUD_CLIENTID"),
    (Key::ClientSecret, "CAMUNDA_CLIENT_SECRET"),
    (Key::ClientSecret, "ZEEBE_CLIENT_SECRET"),
    (Key::ClientSecret, "CAMUNDA_CLIENT_AUTH_CLIENTSECRET"),
    (Key::ClientSecret, "ZEEBE_CLIENT_CLOUD_CLIENTSECRET"),
    (Key::Keystore, "CAMUNDA_CLIENT_ASSERTION_KEYSTORE_PATH"),
    (Key::Keystore, "CAMUNDA_CLIENT_AUTH_CLIENTASSERTION_KEYSTOREPATH"),
    (Key::KeystorePassword, "CAMUNDA_CLIENT_ASSERTION_KEYSTORE_PASSWORD"),
    (Key::KeystorePassword, "CAMUNDA_CLIENT_AUTH_CLIENTASSERTION_KEYSTOREPASSWORD"),
    (Key::KeystoreAlias, "CAMUNDA_CLIENT_ASSERTION_KEYSTORE_KEY_ALIAS"),
    (Key::KeystoreAlias, "CAMUNDA_CLIENT_AUTH_CLIENTASSERTION_KEYSTOREKEYALIAS"),
    (Key::Kind, "CAMUNDA_AUTH_STRATEGY"),
    (Key::Kind, "CAMUNDA_CLIENT_AUTH_METHOD"),
    (Key::Username, "CAMUNDA_BASIC_AUTH_USERNAME"),
    (Key::Username, "CAMUNDA_CLIENT_AUTH_USERNAME"),
    (Key::Username, "CAMUNDA_USERNAME"),
    (Key::Password, "CAMUNDA_BASIC_AUTH_PASSWORD"),
    (Key::Password, "CAMUNDA_CLIENT_AUTH_PASSWORD"),
    (Key::Password, "CAMUNDA_PASSWORD"),
    (Key::TokenEndpoint, "CAMUNDA_OAUTH_URL"),
    (Key::TokenEndpoint, "ZEEBE_AUTHORIZATION_SERVER_URL"),
    (Key::TokenEndpoint, "CAMUNDA_AUTHORIZATION_SERVER_URL"),
    (Key::TokenEndpoint, "CAMUNDA_CLIENT_AUTH_TOKENURL"),
    (Key::TokenEndpoint, "ZEEBE_CLIENT_CLOUD_AUTHURL"),
    (Key::Issuer, "CAMUNDA_CLIENT_AUTH_ISSUERURL"),
    (Key::Issuer, "CAMUNDA_CLIENT_AUTH_ISSUER"),
    (Key::OauthScope, "CAMUNDA_OAUTH_SCOPE"),
    (Key::OauthScope, "CAMUNDA_TOKEN_SCOPE"),
    (Key::OauthScope, "ZEEBE_TOKEN_SCOPE"),
    (Key::OauthScope, "CAMUNDA_CLIENT_AUTH_SCOPE"),
    (Key::Resource, "CAMUNDA_OAUTH_RESOURCE"),
    (Key::Resource, "CAMUNDA_TOKEN_RESOURCE"),
    (Key::Resource, "ZEEBE_TOKEN_RESOURCE"),
    (Key::Resource, "CAMUNDA_CLIENT_AUTH_RESOURCE"),
    (Key::Audience(Scope::Zeebe), "ZEEBE_TOKEN_AUDIENCE"),
    (Key::Audience(Scope::Zeebe), "CAMUNDA_TOKEN_AUDIENCE"),
    (Key::Audience(Scope::Zeebe), "CAMUNDA_ZEEBE_OAUTH_AUDIENCE"),
    (Key::Audience(Scope::Zeebe), "CAMUNDA_CLIENT_AUTH_AUDIENCE"),
    (Key::Audience(Scope::Zeebe), "CAMUNDA_CLIENT_ZEEBE_AUDIENCE"),
    (Key::Audience(Scope::Operate), "CAMUNDA_OPERATE_OAUTH_AUDIENCE"),
    (Key::Audience(Scope::Operate), "CAMUNDA_CLIENT_OPERATE_AUDIENCE"),
    (Key::Audience(Scope::Tasklist), "CAMUNDA_TASKLIST_OAUTH_AUDIENCE"),
    (Key::Audience(Scope::Tasklist), "CAMUNDA_CLIENT_TASKLIST_AUDIENCE"),
    (Key::Audience(Scope::Optimize), "CAMUNDA_OPTIMIZE_OAUTH_AUDIENCE"),
    (Key::Audience(Scope::Optimize), "CAMUNDA_CLIENT_OPTIMIZE_AUDIENCE"),
    (Key::GrpcAddress, "ZEEBE_GRPC_ADDRESS"),
    (Key::GrpcAddress, "CAMUNDA_GRPC_ADDRESS"),
    (Key::GrpcAddress, "CAMUNDA_CLIENT_GRPCADDRESS"),
    (Key::GrpcAddress, "CAMUNDA_CLIENT_ZEEBE_GRPCADDRESS"),
    (Key::GrpcAddress, "ZEEBE_CLIENT_BROKER_GRPCADDRESS"),
    (Key::GrpcAddress, "ZEEBE_ADDRESS"),
    (Key::GrpcAddress, "ZEEBE_CLIENT_BROKER_GATEWAYADDRESS"),
    (Key::Address(Scope::Zeebe), "ZEEBE_REST_ADDRESS"),
    (Key::Address(Scope::Zeebe), "CAMUNDA_REST_ADDRESS"),
    (Key::Address(Scope::Zeebe), "CAMUNDA_CLIENT_RESTADDRESS"),
    (Key::Address(Scope::Zeebe), "CAMUNDA_CLIENT_ZEEBE_RESTADDRESS"),
    (Key::Address(Scope::Zeebe), "ZEEBE_CLIENT_BROKER_RESTADDRESS"),
    (Key::Address(Scope::Operate), "CAMUNDA_OPERATE_BASE_URL"),
    (Key::Address(Scope::Operate), "CAMUNDA_CLIENT_OPERATE_BASEURL"),
    (Key::Address(Scope::Tasklist), "CAMUNDA_TASKLIST_BASE_URL"),
    (Key::Address(Scope::Tasklist), "CAMUNDA_CLIENT_TASKLIST_BASEURL"),
    (Key::Address(Scope::Optimize), "CAMUNDA_OPTIMIZE_BASE_URL"),
    (Key::Address(Scope::Optimize), "CAMUNDA_CLIENT_OPTIMIZE_BASEURL"),
    (Key::ClusterId, "CAMUNDA_CLUSTER_ID"),
    (Key::ClusterId, "CAMUNDA_CLIENT_CLOUD_CLUSTERID"),
    (Key::ClusterId, "CAMUNDA_CLIENT_CLUSTERID"),
    (Key::ClusterId, "ZEEBE_CLIENT_CLOUD_CLUSTERID"),
    (Key::Region, "CAMUNDA_CLUSTER_REGION"),
    (Key::Region, "CAMUNDA_CLIENT_CLOUD_REGION"),
    (Key::Region, "CAMUNDA_CLIENT_REGION"),
    (Key::Region, "ZEEBE_CLIENT_CLOUD_REGION"),
    (Key::Scopes, "CAMUNDA_CREDENTIALS_SCOPES"),
    (Key::Mode, "CAMUNDA_CLIENT_MODE"),
];

/// What a name means, and its place among the names of the same meaning. A name that is nested in others, such as
/// `services.worker.environment.ZEEBE_ADDRESS` of a compose file, is known by its end.
pub(super) fn lookup(name: &str) -> Option<(Key, usize)> {
    exact(name).or_else(|| lookup(name.split_once('.')?.1))
}

/// `camunda.client.auth.issuer` once was the token endpoint, whatever its name says: such a URL ends with `/token`.
pub(super) fn issuer_or_endpoint((key, place): (Key, usize), variable: &Variable) -> (Key, usize) {
    let before_query = variable.value.expose().trim().split('?').next().unwrap_or_default();
    match key {
        Key::Issuer if before_query.trim_end_matches('/').ends_with("/token") => {
            (Key::TokenEndpoint, of(Key::TokenEndpoint).count() + place)
        }
        key => (key, place),
    }
}

fn exact(name: &str) -> Option<(Key, usize)> {
    let wanted = relaxed(name);
    let (key, _) = NAMES.iter().find(|(_, known)| relaxed(known) == wanted)?;
    let place = of(*key).position(|known| relaxed(known) == wanted)?;
    Some((*key, place))
}

/// The names of a meaning, the preferred one first.
pub(super) fn of(key: Key) -> impl Iterator<Item = &'static str> {
    NAMES.iter().filter(move |(other, _)| *other == key).map(|(_, name)| *name)
}

/// A name as Spring's relaxed binding compares it: without case, dots, dashes and underscores.
pub(super) fn relaxed(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-' | '.')).map(|c| c.to_ascii_uppercase()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn spellings_of_a_name_mean_the_same() {
        for name in [
            "camunda.client.auth.client-id",
            "camunda.client.auth.clientId",
            "CAMUNDA_CLIENT_AUTH_CLIENTID",
            "CAMUNDA_CLIENT_AUTH_CLIENT_ID",
        ] {
            assert_eq!(lookup(name), Some((Key::ClientId, 2)), "{name}");
        }
        assert_eq!(lookup("services.worker.environment.ZEEBE_ADDRESS"), Some((Key::GrpcAddress, 5)));
        assert_eq!(lookup("PATH"), None);
    }

    #[test]
    fn no_two_names_are_confused() {
        let distinct: HashSet<String> = NAMES.iter().map(|(_, name)| relaxed(name)).collect();
        assert_eq!(distinct.len(), NAMES.len());
    }

    #[test]
    fn ids_and_secrets_go_in_pairs() {
        let family = |key: Key| {
            of(key)
                .map(|name| name.replace("SECRET", "ID").replace("PASSWORD", "USERNAME"))
                .collect::<Vec<_>>()
        };
        assert_eq!(family(Key::ClientId), family(Key::ClientSecret));
        assert_eq!(family(Key::Username), family(Key::Password));
    }
}
