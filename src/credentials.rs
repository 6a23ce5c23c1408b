//! The credentials file that Console hands out, read as it is, and whatever else people keep in its place.

use std::collections::{BTreeMap, BTreeSet};

use crate::problem::Problem;
use crate::scope::Scope;
use crate::upstream_address::UpstreamAddress;

mod authorization;
mod derive;
mod draft;
mod finish;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzed;
mod json;
mod names;
mod quotes;
pub mod saas_hosts;
mod text;
mod yaml;

pub use authorization::{Authorization, Client, Config, Kind};
pub use draft::Draft;
pub use names::Key;

/// Credentials for one cluster, with the addresses that were granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// How requests are authorized.
    pub authorization: Authorization,
    /// The file's own audience, which is Zeebe's.
    pub audience: Option<String>,
    /// Audiences that are given by name, Zeebe's included. What is not here has a default.
    pub audiences: BTreeMap<Scope, String>,
    /// The granted scopes: those the file lists, and those it has an address of.
    pub scopes: BTreeSet<Scope>,
    /// Names in the list of scopes that mean nothing here.
    pub unknown_scopes: Vec<String>,
    /// Zeebe's gRPC address.
    pub grpc_address: Option<UpstreamAddress>,
    /// REST addresses.
    pub rest_addresses: BTreeMap<Scope, UpstreamAddress>,
    /// The cluster's id.
    pub cluster_id: Option<String>,
    /// The cluster's region.
    pub region: Option<String>,
    /// Where each value comes from: `ZEEBE_CLIENT_ID (line 2)`.
    pub origins: BTreeMap<Key, String>,
    /// What is likely wrong, without any value of a secret.
    pub warnings: Vec<String>,
    /// What was derived.
    pub notes: Vec<String>,
}

impl Credentials {
    /// Reads a credentials file's text, in any form. Mistakes carry `line 3` as their origin and never a value.
    pub fn parse(text: &str) -> Result<Credentials, Vec<Problem>> {
        Draft::parse(text)?.finish()
    }

    /// Reads the same names from the process environment.
    pub fn from_variables(
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Credentials, Vec<Problem>> {
        Draft::from_variables(variables).finish()
    }
}

#[cfg(test)]
mod tests;
