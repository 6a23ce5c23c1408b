//! What a SaaS file leaves out and its region and cluster id tell.

use std::collections::{BTreeMap, BTreeSet};

use crate::problem::Problem;
use crate::scope::Scope;
use crate::upstream_address::UpstreamAddress;

use super::saas_hosts::{self, SaasHost};

/// What is known of a cluster so far.
pub(super) struct Derived {
    pub(super) grpc_address: Option<UpstreamAddress>,
    pub(super) rest_addresses: BTreeMap<Scope, UpstreamAddress>,
    pub(super) granted: BTreeSet<Scope>,
    pub(super) cluster_id: Option<String>,
    pub(super) region: Option<String>,
    pub(super) mode: Option<String>,
    /// Whether tokens are asked for at all.
    pub(super) wants_endpoint: bool,
    pub(super) token_endpoint: Option<String>,
    /// Whether the file names its scopes at all.
    pub(super) lists_scopes: bool,
    pub(super) warnings: Vec<String>,
    pub(super) notes: Vec<String>,
}

impl Derived {
    /// Fills in what can be derived, says so in the notes, and warns where the file contradicts itself.
    pub(super) fn complete(&mut self, problems: &mut Vec<Problem>) {
        self.take_from_grpc_host();
        self.warn_of_other_cluster();
        if let (Some(domain), Some(region), Some(cluster_id)) =
            (self.saas_domain(), self.region.clone(), self.cluster_id.clone())
        {
            self.derive(domain, &region, &cluster_id, problems);
        }
        self.grant_by_address();
    }

    /// Files of three variables are common: the gRPC host then tells region and cluster id.
    fn take_from_grpc_host(&mut self) {
        let Some(host) = self.grpc_address.as_ref().and_then(|a| SaasHost::recognise(&a.host)) else {
            return;
        };
        let taken = [
            ("cluster id", &mut self.cluster_id, host.cluster_id),
            ("region", &mut self.region, host.region),
        ];
        for (what, known, found) in taken {
            if let (None, Some(found)) = (known.as_ref(), found) {
                *known = Some(found.to_owned());
                self.notes.push(format!("{what} taken from the gRPC address"));
            }
        }
    }

    /// Files that were mended by hand mix clusters, and then gRPC and REST go to different ones.
    fn warn_of_other_cluster(&mut self) {
        let Some(cluster_id) = &self.cluster_id else { return };
        let grpc = self.grpc_address.as_ref();
        let grpc = grpc
            .and_then(|a| Some(("the gRPC address".to_owned(), SaasHost::recognise(&a.host)?.cluster_id?)));
        let rest = self.rest_addresses.iter().filter_map(|(scope, address)| {
            SaasHost::recognise(&address.host)?;
            let first = address.base_path.trim_start_matches('/').split('/').next()?;
            (!first.is_empty()).then(|| (format!("the REST address of {scope}"), first))
        });
        for (what, found) in grpc.into_iter().chain(rest) {
            if found != cluster_id {
                self.warnings.push(format!(
                    "{what} names cluster {found:?}, CAMUNDA_CLUSTER_ID {cluster_id:?}: the address is used as it is"
                ));
            }
        }
    }

    /// The domain, when this is a SaaS cluster.
    fn saas_domain(&self) -> Option<&'static str> {
        let mut addresses = self.grpc_address.iter().chain(self.rest_addresses.values()).peekable();
        let endpoint = self.token_endpoint.as_ref().and_then(|url| url.parse::<UpstreamAddress>().ok());
        let endpoint_domain = endpoint.as_ref().map(|endpoint| saas_hosts::domain(&endpoint.host));
        let mode = self.mode.as_deref().map(str::to_ascii_lowercase);
        match mode.as_deref() {
            Some(mode) if mode != "saas" => None,
            // Addresses of one's own are never completed with Camunda's.
            _ if addresses.peek().is_some() => addresses.find_map(|a| saas_hosts::domain(&a.host)),
            Some(_) => endpoint_domain.flatten().or(Some("camunda.io")),
            None => endpoint_domain.unwrap_or(Some("camunda.io")),
        }
    }

    fn derive(&mut self, domain: &str, region: &str, cluster_id: &str, problems: &mut Vec<Problem>) {
        let mut parse = |text: String| match text.parse::<UpstreamAddress>() {
            Ok(address) => Some(address),
            Err(error) => {
                let message = format!("no address can be made of region and cluster id: {error}");
                problems.push(Problem::new(
                    "CAMUNDA_CLUSTER_REGION",
                    "",
                    message,
                    "write a region such as bru-2",
                ));
                None
            }
        };
        let wants_zeebe = self.granted.is_empty() || self.granted.contains(&Scope::Zeebe);
        // Spring's properties for SaaS name no address and no endpoint; a Console file without its endpoint is broken.
        let is_spring =
            self.mode.is_some() || (self.grpc_address.is_none() && self.rest_addresses.is_empty());
        if self.grpc_address.is_none() && wants_zeebe {
            self.grpc_address = parse(format!("grpcs://{cluster_id}.{region}.zeebe.{domain}:443"));
            self.notes.push("zeebe gRPC address derived from region and cluster id".to_owned());
        }
        let component =
            |address: &UpstreamAddress| SaasHost::recognise(&address.host).map(|h| h.component == "api");
        let on_api = self.rest_addresses.values().filter_map(component).any(|on_api| on_api);
        for scope in [Scope::Zeebe, Scope::Operate, Scope::Tasklist, Scope::Optimize, Scope::Secrets] {
            let wanted = self.granted.contains(&scope) || (scope == Scope::Zeebe && wants_zeebe);
            if !wanted || self.rest_addresses.contains_key(&scope) {
                continue;
            }
            let address = match scope {
                Scope::Secrets => format!("https://cluster-api.cloud.{domain}"),
                Scope::Zeebe | Scope::Operate | Scope::Tasklist if on_api => {
                    format!("https://{region}.api.{domain}/{cluster_id}")
                }
                scope => format!("https://{region}.{scope}.{domain}/{cluster_id}"),
            };
            if let Some(address) = parse(address) {
                self.rest_addresses.insert(scope, address);
                self.notes.push(format!("{scope} REST address derived from region and cluster id"));
            }
        }
        if self.token_endpoint.is_none() && self.wants_endpoint && is_spring {
            self.token_endpoint = Some(format!("https://login.cloud.{domain}/oauth/token"));
            self.notes.push("token endpoint derived: Camunda's own".to_owned());
        }
    }

    fn grant_by_address(&mut self) {
        let zeebe = self.grpc_address.is_some().then_some(Scope::Zeebe);
        for scope in self.rest_addresses.keys().copied().chain(zeebe) {
            if self.granted.insert(scope) && self.lists_scopes {
                self.notes
                    .push(format!("{scope} is granted by its address; the list of scopes does not name it"));
            }
        }
    }
}
