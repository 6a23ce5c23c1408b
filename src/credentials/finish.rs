//! From what a file says to complete credentials.

use std::collections::{BTreeMap, BTreeSet};

use crate::problem::{Problem, did_you_mean};
use crate::scope::Scope;
use crate::upstream_address::UpstreamAddress;

use super::Credentials;
use super::authorization::{self, Authorization, Client, Kind};
use super::derive::Derived;
use super::draft::Draft;
use super::names::{self, Key};
use super::text::Variable;

const WHERE: &str = "Console hands the file out under Clusters, your cluster, API, when a client is created";

/// Puts complete credentials together, or says everything that is missing or wrong.
pub(super) fn finish(mut draft: Draft) -> Result<Credentials, Vec<Problem>> {
    let kind = draft.kind();
    if kind == Kind::OAuth
        && let Some(problem) = other_file(&draft)
    {
        return Err(vec![problem]);
    }
    let same_address = |a: &str, b: &str| match (a.parse::<UpstreamAddress>(), b.parse()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    };
    let named: &[Key] = match kind {
        Kind::OAuth => &[Key::ClientId, Key::ClientSecret],
        Kind::Basic => &[Key::Username, Key::Password],
        Kind::Header | Kind::None => &[],
    };
    for key in named {
        draft.warn_of_differences(*key, |a, b| a == b);
    }
    let endpoint_key = Some(draft.endpoint_key()).filter(|_| kind == Kind::OAuth);
    for key in endpoint_key.into_iter().chain([Key::GrpcAddress, Key::Address(Scope::Zeebe)]) {
        draft.warn_of_differences(key, same_address);
    }
    let mut problems = Vec::new();
    let mut warnings = std::mem::take(&mut draft.warnings);
    warnings.extend(draft.warnings_about_kind());
    let text = |key: Key| draft.first(key).map(|variable| variable.value.expose().trim().to_owned());
    let grpc_address = address(&draft, Key::GrpcAddress, &mut problems);
    let rest_addresses: BTreeMap<Scope, UpstreamAddress> = Scope::ALL
        .into_iter()
        .filter_map(|scope| Some((scope, address(&draft, Key::Address(scope), &mut problems)?)))
        .collect();
    warnings.extend(draft.addresses().filter_map(|(key, variable, address)| {
        let scheme = if key == Key::GrpcAddress { "grpc" } else { "http" };
        let guessed = address.is_loopback() && !variable.value.expose().contains("://");
        guessed.then(|| {
            let authority = address.authority();
            format!(
                "{} has no scheme and is taken as TLS; write {scheme}://{authority} if it is not",
                variable.name
            )
        })
    }));
    let (granted, unknown_scopes) = granted(text(Key::Scopes));
    let mut derived = Derived {
        grpc_address,
        rest_addresses,
        granted,
        cluster_id: text(Key::ClusterId),
        region: text(Key::Region),
        mode: text(Key::Mode),
        wants_endpoint: kind == Kind::OAuth,
        token_endpoint: endpoint_key.and_then(|_| endpoint(&draft, &mut problems)),
        lists_scopes: draft.first(Key::Scopes).is_some(),
        warnings,
        notes: Vec::new(),
    };
    if problems.is_empty() {
        derived.complete(&mut problems);
    }
    for name in &unknown_scopes {
        derived
            .warnings
            .push(format!("CAMUNDA_CREDENTIALS_SCOPES: {name:?} is no scope that this proxy knows"));
    }
    let addressless = derived.grpc_address.is_none() && derived.rest_addresses.is_empty();
    let endpointless = derived.token_endpoint.is_none() && !draft.has_endpoint();
    let mut absent = absent(&draft, kind, endpointless);
    if addressless && problems.is_empty() {
        absent.push(("an address of the cluster", Key::GrpcAddress));
    }
    problems.extend(missing(&draft, kind, &absent));
    let authorization = match authorization(&draft, kind, derived.token_endpoint) {
        Some(Ok(authorization)) if problems.is_empty() => authorization,
        failed => {
            problems.extend(failed.and_then(Result::err));
            return Err(problems);
        }
    };
    Ok(Credentials {
        authorization,
        audience: text(Key::Audience(Scope::Zeebe)).filter(|audience| !audience.is_empty()),
        audiences: Scope::ALL.into_iter().filter_map(|s| Some((s, text(Key::Audience(s))?))).collect(),
        scopes: derived.granted,
        unknown_scopes,
        grpc_address: derived.grpc_address,
        rest_addresses: derived.rest_addresses,
        cluster_id: derived.cluster_id,
        region: derived.region,
        origins: origins(&draft),
        warnings: derived.warnings,
        notes: derived.notes,
    })
}

/// Files that hold other credentials than a cluster's.
fn other_file(draft: &Draft) -> Option<Problem> {
    if draft.first(Key::ClientId).is_some() {
        return None;
    }
    let named = |part: &str| draft.unknown.iter().find(|v| names::relaxed(&v.name).contains(part));
    let (variable, what) = match (named("CAMUNDACONSOLECLIENTID"), named("C8CONNECTIONS")) {
        (Some(variable), _) => (variable, "these are an organisation's credentials, for Console's own API"),
        (_, Some(variable)) => (variable, "these are the Desktop Modeler's settings"),
        _ => return None,
    };
    Some(Problem::new(
        variable.name.clone(),
        variable.origin.clone(),
        what,
        format!("take a cluster's credentials instead: {WHERE}"),
    ))
}

/// What this way of authorizing requests wants and nothing gives.
fn absent(draft: &Draft, kind: Kind, endpointless: bool) -> Vec<(&'static str, Key)> {
    let ((id, secret), (user, password)) = (draft.client(), draft.user());
    let is_empty = |variable: &Variable| variable.value.expose().trim().is_empty();
    let wanted: &[(bool, &'static str, Key)] = match kind {
        Kind::OAuth => &[
            (id.is_none(), "the client id", Key::ClientId),
            (secret.is_none() && !draft.secretless, "the client secret", Key::ClientSecret),
            (endpointless, "the token endpoint", Key::TokenEndpoint),
        ],
        Kind::Basic => &[
            (user.is_none_or(is_empty), "the user", Key::Username),
            (password.is_none(), "the password", Key::Password),
        ],
        Kind::Header => {
            let field = draft.first(Key::HeaderValue);
            &[(field.is_none_or(is_empty), "the authorization field", Key::HeaderValue)]
        }
        Kind::None => &[],
    };
    wanted.iter().filter(|(absent, ..)| *absent).map(|(_, word, key)| (*word, *key)).collect()
}

/// How requests are authorized, once nothing is missing.
fn authorization(
    draft: &Draft,
    kind: Kind,
    token_endpoint: Option<String>,
) -> Option<Result<Authorization, Problem>> {
    let text = |key: Key| draft.first(key).map(|variable| variable.value.expose().trim().to_owned());
    Some(match (kind, draft.client(), draft.user()) {
        (Kind::OAuth, (id, secret), _) => Ok(Authorization::OAuth(Client {
            id: id?.value.expose().trim().to_owned(),
            secret: secret.map_or("", |secret| secret.value.expose().trim()).into(),
            token_endpoint: token_endpoint?,
            by_issuer: draft.endpoint_key() == Key::Issuer,
            oauth_scope: text(Key::OauthScope),
            resource: text(Key::Resource),
            parameters: BTreeMap::new(),
            headers: BTreeMap::new(),
        })),
        (Kind::Basic, _, (user, password)) => authorization::basic(user?, password?),
        (Kind::Header, ..) => authorization::header(draft.first(Key::HeaderValue)?),
        (Kind::None, ..) => Ok(Authorization::None),
    })
}

/// One mistake that names all that is missing.
fn missing(draft: &Draft, kind: Kind, absent: &[(&'static str, Key)]) -> Option<Problem> {
    let words: Vec<&str> = absent.iter().map(|(word, _)| *word).collect();
    let name = |(_, key): &(&str, Key)| names::of(*key).next().map_or_else(|| key.to_string(), str::to_owned);
    let slip = absent.iter().flat_map(|(_, key)| names::of(*key)).find_map(|name| {
        let unknown = draft.unknown.iter().map(|variable| variable.name.as_str());
        did_you_mean(name, unknown.filter(|other| strsim::damerau_levenshtein(name, other) < 3))
            .map(|slip| format!("; `{slip}` was found, did you mean `{name}`?"))
    });
    let verb = if words.len() == 1 { "is" } else { "are" };
    let (last, before) = words.split_last()?;
    let list =
        if before.is_empty() { (*last).to_owned() } else { format!("{} and {last}", before.join(", ")) };
    let keys: Vec<String> = absent.iter().map(name).collect();
    let remedy = match kind {
        Kind::OAuth => {
            format!("pass the credentials file with --credentials FILE, or set the variables; {WHERE}")
        }
        Kind::Basic => "set the variables, or authorization.username, authorization.password_file and the \
                        addresses under scopes"
            .to_owned(),
        Kind::Header => "set authorization.value_file and the addresses under scopes".to_owned(),
        Kind::None => "set the variables, or the addresses under scopes".to_owned(),
    };
    Some(Problem::new(
        keys.join(", "),
        "",
        format!("{list} {verb} missing{}", slip.unwrap_or_default()),
        remedy,
    ))
}

fn address(draft: &Draft, key: Key, problems: &mut Vec<Problem>) -> Option<UpstreamAddress> {
    let variable = draft.first(key)?;
    let parsed: Result<UpstreamAddress, _> = variable.value.expose().parse();
    let message = match parsed {
        Ok(address) if key == Key::GrpcAddress && !address.base_path.is_empty() => {
            "a gRPC address has no path".to_owned()
        }
        Ok(address) => return Some(address),
        Err(error) => error.to_string(),
    };
    let example = match key {
        Key::GrpcAddress => "grpcs://<cluster id>.bru-2.zeebe.camunda.io:443 or grpc://localhost:26500",
        _ => "https://bru-2.api.camunda.io/<cluster id> or http://localhost:8080",
    };
    problems.push(mistake(variable, message, format!("write {example}")));
    None
}

/// The token endpoint as it is sent to: it may have a query, which some providers want.
fn endpoint(draft: &Draft, problems: &mut Vec<Problem>) -> Option<String> {
    let key = draft.endpoint_key();
    let variable = draft.first(key)?;
    let text = variable.value.expose().trim();
    let mut text = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    if key == Key::Issuer {
        // Some clients are given the address of the metadata.
        text = text.trim_end_matches("/.well-known/openid-configuration").to_owned();
    }
    let before_query = text.split('?').next().unwrap_or_default();
    let message = match before_query.parse::<UpstreamAddress>() {
        Ok(_) if key == Key::Issuer && text.contains('?') => "an issuer has no query".to_owned(),
        Ok(_) if text.contains('#') || text.contains(char::is_whitespace) => {
            "it holds a fragment or a blank".to_owned()
        }
        Ok(_) if text.starts_with("https://") || text.starts_with("http://") => return Some(text),
        Ok(_) => "the scheme is neither https nor http".to_owned(),
        Err(error) => error.to_string(),
    };
    let example = match key {
        Key::Issuer => "write https://keycloak.example.com/realms/camunda-platform",
        _ => "write https://login.cloud.camunda.io/oauth/token",
    };
    problems.push(mistake(variable, message, example.to_owned()));
    None
}

fn mistake(variable: &Variable, message: String, remedy: String) -> Problem {
    Problem::new(variable.name.clone(), variable.origin.clone(), message, remedy)
}

/// Console's list of scopes; its spelling has changed between generations, so unknown names are kept.
fn granted(list: Option<String>) -> (BTreeSet<Scope>, Vec<String>) {
    let mut scopes = BTreeSet::new();
    let mut unknown = Vec::new();
    let list = list.unwrap_or_default();
    let names = list.trim_matches(['[', ']']).split(',').map(|name| name.trim().trim_matches(['\'', '"']));
    for name in names.filter(|name| !name.is_empty()) {
        match name.parse() {
            Ok(scope) => {
                scopes.insert(scope);
            }
            Err(_) => unknown.push(name.to_owned()),
        }
    }
    (scopes, unknown)
}

fn origins(draft: &Draft) -> BTreeMap<Key, String> {
    let ((client_id, client_secret), (user, password)) = (draft.client(), draft.user());
    let chosen = |key: Key| match key {
        Key::ClientId => client_id,
        Key::ClientSecret => client_secret,
        Key::Username => user,
        Key::Password => password,
        key => draft.first(key),
    };
    let scopes = Scope::ALL.into_iter().flat_map(|scope| [Key::Audience(scope), Key::Address(scope)]);
    let authorization = [Key::Kind, Key::Username, Key::Password, Key::HeaderValue];
    [
        Key::ClientId,
        Key::ClientSecret,
        Key::TokenEndpoint,
        Key::Issuer,
        Key::OauthScope,
        Key::Resource,
        Key::GrpcAddress,
    ]
    .into_iter()
    .chain(authorization)
    .chain(scopes)
    .filter_map(|key| {
        let variable = chosen(key)?;
        // A key of the configuration is known by its own name.
        let is_named = variable.name == key.to_string();
        Some((key, if is_named { variable.origin.clone() } else { variable.shown_origin() }))
    })
    .collect()
}
