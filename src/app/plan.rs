//! From settings to destinations: which address and which token each scope has.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::admin::{ScopeState, Upstreams};
use crate::config::{ClientProof, ScopeSettings, Settings};
use crate::credentials::{Authorization, Client, Credentials};
use crate::oauth::{Authorizer, TokenRequest, Tokens};
use crate::proxy::{Destination, Destinations};
use crate::route::{Leg, RouteTable};
use crate::scope::Scope;
use crate::upstream::{Origin, OriginError, ScopeConfig};

/// What is served, and with which tokens; made into destinations anew when an address or a credential changes.
pub(super) struct Plan {
    tokens: Tokens,
    pub(super) credentials: Credentials,
    pub(super) proof: Option<ClientProof>,
    pub(super) scopes: BTreeMap<Scope, ScopeSettings>,
    authorizers: BTreeMap<Scope, Authorizer>,
}

impl Plan {
    /// Asks for the first tokens at once.
    pub(super) fn new(settings: &Settings, tokens: Tokens) -> Plan {
        let (credentials, scopes) = (settings.credentials.clone(), settings.scopes.clone());
        let proof = settings.proof.clone();
        let mut plan = Plan { tokens, credentials, proof, scopes, authorizers: BTreeMap::new() };
        plan.renew_authorizers();
        plan
    }

    /// Takes over another client id, secret, key or certificate, password or field, and tells whether there was one.
    /// Tokens that are still good are served until the new ones are there.
    pub(super) fn rotate(&mut self, authorization: &Authorization, proof: Option<ClientProof>) -> bool {
        let rotated = self.credentials.authorization.rotate(authorization) || self.proof != proof;
        self.proof = proof;
        if rotated {
            self.renew_authorizers();
        }
        rotated
    }

    /// The file was written again with the same credentials: whoever did that wants another try.
    pub(super) fn retry(&self) {
        self.authorizers.values().for_each(Authorizer::retry);
    }

    /// Goes over to the hosts that Camunda moved REST to.
    pub(super) fn migrate(&mut self) {
        self.scopes.values_mut().for_each(ScopeSettings::migrate);
        self.renew_authorizers();
    }

    /// Routes, addresses and tokens as the workers need them.
    pub(super) fn destinations(&self) -> Result<Destinations, OriginError> {
        let routes = RouteTable::new(self.credentials.cluster_id.clone());
        let mut destinations = Destinations::new(routes);
        for (scope, settings) in &self.scopes {
            let tls = ScopeConfig {
                ca_file: settings.ca_file.clone(),
                protocol: settings.protocol,
                ..ScopeConfig::default()
            };
            let tokens = &self.authorizers[scope];
            let mut insert = |leg, origin| {
                let destination = Destination { origin: Arc::new(origin), tokens: tokens.clone() };
                destinations.insert(*scope, leg, destination);
            };
            if let Some(address) = &settings.grpc_address {
                insert(Leg::Grpc, Origin::grpc(address.clone(), &tls)?);
            }
            if let Some(address) = &settings.address {
                insert(Leg::Rest, Origin::rest(address.clone(), &tls)?);
            }
        }
        Ok(destinations)
    }

    /// The scopes as the admin address tells of them.
    pub(super) fn states(&self) -> BTreeMap<Scope, ScopeState> {
        let state = |(scope, settings): (&Scope, &ScopeSettings)| {
            let upstream = Upstreams {
                rest: settings.address.as_ref().map(ToString::to_string),
                grpc: settings.grpc_address.as_ref().map(ToString::to_string),
            };
            (*scope, ScopeState { upstream, tokens: self.authorizers[scope].clone() })
        };
        self.scopes.iter().map(state).collect()
    }

    fn renew_authorizers(&mut self) {
        for (scope, settings) in &self.scopes {
            let old = self.authorizers.get(scope);
            let authorizer = match (self.credentials.authorization.client(), &self.proof) {
                (Some(client), Some(proof)) => {
                    let request = token_request(client, proof, settings);
                    Authorizer::Tokens(match old {
                        Some(Authorizer::Tokens(old)) => self.tokens.succeed(old, request),
                        _ => self.tokens.source(request),
                    })
                }
                _ => Authorizer::fixed(self.credentials.authorization.field().cloned()),
            };
            self.authorizers.insert(*scope, authorizer);
        }
    }
}

/// The token request of a scope.
pub fn token_request(client: &Client, proof: &ClientProof, scope: &ScopeSettings) -> TokenRequest {
    TokenRequest {
        endpoint: client.token_endpoint.clone(),
        by_issuer: client.by_issuer,
        client_id: client.id.clone(),
        client_auth: proof.client_auth.clone(),
        certificate: proof.certificate.clone(),
        audience: scope.audience.clone(),
        oauth_scope: client.oauth_scope.clone(),
        resource: client.resource.clone(),
        extra: client.parameters.clone(),
        headers: client.headers.clone(),
    }
}
