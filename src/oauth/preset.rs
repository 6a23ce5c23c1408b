//! Names of identity providers whose settings are known.

use serde::{Deserialize, Serialize};

/// A provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Camunda's own.
    Saas,
    /// Keycloak, and Camunda's Identity in front of one.
    Keycloak,
    /// Microsoft Entra ID.
    Entra,
    /// Amazon Cognito.
    Cognito,
    /// Any that publishes its metadata.
    Oidc,
}

impl Preset {
    /// All of them.
    pub const ALL: [Preset; 5] =
        [Preset::Saas, Preset::Keycloak, Preset::Entra, Preset::Cognito, Preset::Oidc];

    /// The word for it in configuration and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Preset::Saas => "saas",
            Preset::Keycloak => "keycloak",
            Preset::Entra => "entra",
            Preset::Cognito => "cognito",
            Preset::Oidc => "oidc",
        }
    }
}
