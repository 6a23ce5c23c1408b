//! Whether Camunda has moved a cluster's REST: from 8.10 on the old hosts answer 404 (Camunda docs, "SaaS
//! orchestration architecture"). Asked once, without a token.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, StatusCode, Version};

use crate::config::Settings;
use crate::scope::Scope;
use crate::upstream::{self, Origin, Payload, Pool, ScopeConfig};
use crate::upstream_address::UpstreamAddress;

/// One answer may take so long.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What was found.
pub(super) struct Verdict {
    /// Whether the new hosts are to be used.
    pub(super) moved: bool,
    /// A sentence for `/status`.
    pub(super) note: String,
}

/// Asks the old host of the first scope that has one, and the new one only when the old is gone. `None` where
/// there is nothing to decide.
pub(super) async fn probe(settings: &Settings) -> Option<Verdict> {
    let (scope, old, new) = settings.scopes.iter().find_map(|(scope, settings)| {
        let new = &settings.migrated.as_ref()?.address;
        Some((*scope, settings.address.as_ref()?, new))
    })?;
    let config = settings.config.scopes.of(scope);
    let old_answer = ask(scope, old, config).await;
    if old_answer.is_some_and(|status| status != StatusCode::NOT_FOUND) {
        let note =
            format!("the REST hosts of the credentials file answer ({}): they are used", old.authority());
        return Some(Verdict { moved: false, note });
    }
    let new_answer = ask(scope, new, config).await;
    let moved = new_answer.is_some_and(|status| status != StatusCode::NOT_FOUND);
    let note = match moved {
        true => format!("{} is gone: REST goes to {new}, where Camunda has moved it", old.authority()),
        false => format!(
            "neither {} nor {} answers: the credentials file is followed",
            old.authority(),
            new.authority()
        ),
    };
    Some(Verdict { moved, note })
}

/// The status with which a host answers a request without a token; `None` when it cannot be asked.
async fn ask(scope: Scope, address: &UpstreamAddress, config: &ScopeConfig) -> Option<StatusCode> {
    let origin = Arc::new(Origin::rest(address.clone(), config).ok()?);
    let path = match scope {
        Scope::Zeebe => "/v2/topology",
        _ => "/v1/",
    };
    let target = format!("{}{path}", address.base_path);
    let head = |version: Version| {
        let mut request = Request::new(());
        *request.version_mut() = version;
        let uri = match version {
            Version::HTTP_2 => format!("{}://{}{target}", origin.scheme, origin.authority),
            _ => target.clone(),
        };
        *request.uri_mut() = uri.parse().unwrap_or_default();
        if version != Version::HTTP_2
            && let Ok(host) = origin.authority.as_str().parse()
        {
            request.headers_mut().insert(http::header::HOST, host);
        }
        request
    };
    let pool = Pool::new(Arc::clone(&origin), upstream::Config::default());
    let answer = pool.send(&Method::GET, false, Payload::Empty, head);
    Some(tokio::time::timeout(TIMEOUT, answer).await.ok()?.ok()?.status())
}
