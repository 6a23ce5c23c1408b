//! Configuration and credentials together: all that the program needs, checked at the door.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use figment::Figment;

use crate::credentials::{Authorization, Credentials, saas_hosts};
use crate::listener;
use crate::problem::Problem;
use crate::proxy::relay;
use crate::scope::Scope;
use crate::upstream::{Protocol, ScopeConfig};
use crate::upstream_address::UpstreamAddress;

use super::client_auth::{self, ClientProof};
use super::effective::{self, Effective};
use super::open_files::{OpenFile, open_files};
use super::store::{self, StoreSettings};
use super::{Config, Hosts, Scopes, Sources, check, collect, free, keystore, merge};

/// What a process runs with. Made by [`Settings::load`] alone, so whoever holds one need not check it again.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The configuration as it was read.
    pub config: Config,
    /// The credentials, with what the configuration overrides in them.
    pub credentials: Credentials,
    /// How the client proves who it is, where tokens are asked for.
    pub proof: Option<ClientProof>,
    /// Where tokens are kept besides memory.
    pub store: StoreSettings,
    /// The listeners to open.
    pub listeners: Vec<listener::Config>,
    /// The granted scopes that have an address.
    pub scopes: BTreeMap<Scope, ScopeSettings>,
    /// The files that were read, to be watched.
    pub files: Vec<PathBuf>,
    /// What is likely wrong.
    pub warnings: Vec<String>,
    /// What was derived.
    pub notes: Vec<String>,
    /// Every key with its value and origin.
    pub effective: Vec<Effective>,
}

/// A scope's upstream and whom its token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeSettings {
    /// REST address.
    pub address: Option<UpstreamAddress>,
    /// gRPC address. Zeebe only.
    pub grpc_address: Option<UpstreamAddress>,
    /// Whom the token is for. Absent where the provider wants none.
    pub audience: Option<String>,
    /// The protocol of the REST address.
    pub protocol: Protocol,
    /// PEM file of authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// What takes the place of `address` and `audience` if a probe finds that Camunda moved the cluster's REST
    /// (`saas.hosts = "auto"`).
    pub migrated: Option<Migrated>,
}

/// A scope's REST address on the new SaaS hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// `https://<region>.api.camunda.io/<cluster id>`.
    pub address: UpstreamAddress,
    /// Whom the token is for over there.
    pub audience: Option<String>,
}

impl ScopeSettings {
    /// Goes over to the new SaaS host, if this scope's address has one.
    pub fn migrate(&mut self) {
        if let Some(Migrated { address, audience }) = self.migrated.take() {
            self.address = Some(address);
            self.audience = audience;
        }
    }
}

impl Config {
    /// Reads the configuration alone, for commands that need no credentials.
    pub fn load(sources: &Sources) -> Result<Config, Vec<Problem>> {
        let (figment, mut problems) = sources.layers();
        let (config, more) = collect::collect(&figment);
        problems.extend(more);
        problems.extend(check::check(&config, &|key| origin(&figment, key)));
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }
}

impl Settings {
    /// Reads everything, or says everything that is wrong with it.
    pub fn load(sources: &Sources) -> Result<Settings, Vec<Problem>> {
        let (figment, mut problems) = sources.layers();
        let unread = !problems.is_empty();
        let (config, _) = collect::collect(&figment);
        let figment = keystore::join(figment.clone(), &config, sources, &|key| origin(&figment, key));
        let (config, more) = collect::collect(&figment);
        problems.extend(more);
        let origin = |key: &str| origin(&figment, key);
        problems.extend(check::check(&config, &origin));
        problems.extend(check::bind_guard(&config, &origin));
        if config.strict {
            problems.extend(open_files(&config).iter().map(|file| file.problem(&origin)));
        }
        // What a file that could not be read would have said is not missing.
        if unread && config.credentials.is_none() {
            return Err(problems);
        }
        let free =
            free::read(&config.oauth, &origin).map_err(|more| problems.extend(more)).unwrap_or_default();
        let mut credentials = match merge::credentials(&config, sources, &origin) {
            Ok(credentials) => credentials,
            Err(more) => {
                problems.extend(more);
                problems.extend(client_auth::check(&config.oauth, &origin));
                return Err(without_repetition(problems));
            }
        };
        if let Authorization::OAuth(client) = &mut credentials.authorization {
            (client.parameters, client.headers) = free;
        }
        let proof = credentials.authorization.client();
        let proof = proof.map(|client| client_auth::client_proof(&config.oauth, client, &origin)).transpose();
        let proof = match proof {
            Ok(proof) if problems.is_empty() => proof,
            failed => {
                problems.extend(failed.err().into_iter().flatten());
                return Err(without_repetition(problems));
            }
        };
        let store = store::store(
            &config.store,
            proof.as_ref().map(|proof| &proof.client_auth),
            &sources.environment,
            &origin,
        )?;
        let scopes = scopes(&config, &credentials);
        if scopes.is_empty() {
            let origin =
                config.credentials.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
            let remedy =
                "create a client with the scopes that you need in Console and use its credentials file";
            return Err(vec![Problem::new("", origin, "no granted scope has an address", remedy)]);
        }
        let mut files = sources.files_to_read();
        files.extend(config.credentials.clone());
        let (oauth, own) = (&config.oauth, &config.authorization);
        for named in [
            &oauth.client_secret_file,
            &oauth.key_file,
            &oauth.key_password_file,
            &oauth.cert_file,
            &oauth.workload_token_file,
            &own.password_file,
            &own.value_file,
            &config.store.url_file,
            &config.store.key_file,
        ] {
            files.extend(named.clone());
        }
        files.extend(free::files(oauth).cloned());
        let mut warnings = credentials.warnings.clone();
        if !config.strict {
            warnings.extend(open_files(&config).iter().map(OpenFile::warning));
        }
        warnings.extend(check::plain_keys(&config));
        warnings.extend(proof.as_ref().and_then(|proof| proof.warning(SystemTime::now())));
        warnings.extend(store.warning());
        let addressless = credentials.scopes.iter().filter(|scope| !scopes.contains_key(scope));
        warnings.extend(
            addressless.map(|scope| format!("{scope} is granted, but has no address: it is not served")),
        );
        warnings.extend(relayed_in_plaintext(&config));
        Ok(Settings {
            effective: effective::effective(&config, &credentials, &scopes, &origin),
            listeners: config.listeners(),
            notes: credentials
                .notes
                .iter()
                .cloned()
                .chain(proof.as_ref().and_then(ClientProof::note))
                .collect(),
            proof,
            store,
            warnings,
            scopes,
            files,
            credentials,
            config,
        })
    }
}

impl Scopes {
    /// A scope's configuration.
    pub fn of(&self, scope: Scope) -> &ScopeConfig {
        match scope {
            Scope::Zeebe => &self.zeebe,
            Scope::Operate => &self.operate,
            Scope::Tasklist => &self.tasklist,
            Scope::Optimize => &self.optimize,
            Scope::Secrets => &self.secrets,
        }
    }
}

/// Listeners whose real tokens could be read on the way.
fn relayed_in_plaintext(config: &Config) -> impl Iterator<Item = String> {
    let open = |listener: &listener::Config| listener.tls.is_none() && !listener.address.is_local();
    let listeners = config.listeners().into_iter();
    listeners.filter(move |listener| config.relay.mode == relay::Mode::Token && open(listener)).map(|listener| {
        let address = listener.address;
        format!(
            "relay.mode is \"token\", and {address} is plaintext and not this machine's alone: client secrets and tokens \
             can be read on the way; give the listener a certificate"
        )
    })
}

fn origin(figment: &Figment, key: &str) -> String {
    let path: Vec<String> = key.split('.').map(str::to_owned).collect();
    collect::origin(figment, &path).unwrap_or_else(|| "default".to_owned())
}

fn scopes(config: &Config, credentials: &Credentials) -> BTreeMap<Scope, ScopeSettings> {
    let client = credentials.authorization.client();
    let settings = |scope: &Scope| {
        let scope = *scope;
        let address = credentials.rest_addresses.get(&scope).cloned();
        let grpc_address = credentials.grpc_address.clone().filter(|_| scope == Scope::Zeebe);
        let reached = address.as_ref().or(grpc_address.as_ref())?;
        let audience = |at: &UpstreamAddress| {
            // A provider that goes by OAuth's own scope parameter has no use for an audience nobody configured.
            let by_oauth_scope = client?.oauth_scope.is_some()
                && credentials.audience.is_none()
                && saas_hosts::domain(&at.host).is_none();
            let default = || saas_hosts::default_audience(scope, Some(at), credentials.audience.as_deref());
            let audience = credentials.audiences.get(&scope).cloned();
            let audience = audience.or_else(|| default().filter(|_| !by_oauth_scope));
            // An empty one says that none is to be sent.
            audience.filter(|audience| !audience.is_empty())
        };
        let migrated = address.as_ref().and_then(saas_hosts::migrated);
        let migrated = migrated.map(|address| Migrated { audience: audience(&address), address });
        let own = config.scopes.of(scope);
        let mut settings = ScopeSettings {
            audience: audience(reached),
            protocol: own.protocol,
            ca_file: own.ca_file.clone(),
            migrated: migrated.filter(|_| config.saas.hosts != Hosts::Legacy),
            grpc_address,
            address,
        };
        if config.saas.hosts == Hosts::Api {
            settings.migrate();
        }
        Some((scope, settings))
    };
    credentials.scopes.iter().filter_map(settings).collect()
}

/// A mistake may be met on two ways.
fn without_repetition(problems: Vec<Problem>) -> Vec<Problem> {
    let mut distinct: Vec<Problem> = Vec::new();
    for problem in problems {
        if !distinct.contains(&problem) {
            distinct.push(problem);
        }
    }
    distinct
}
