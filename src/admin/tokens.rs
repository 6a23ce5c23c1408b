//! `POST /tokens/renew` and `POST /tokens/purge`: what a person does to the tokens by hand. Web pages are kept out before.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{ALLOW, RETRY_AFTER};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use serde_json::json;

use super::{State, json_answer, text_answer};
use crate::message::request::Head;
use crate::oauth::{Demand, Outcome, TokenSource};
use crate::scope::Scope;

/// What is done to tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// The next token is asked for now.
    Renew,
    /// The token is forgotten, and the next one asked for.
    Purge,
}

impl Action {
    /// The action that a path stands for.
    pub(super) fn at(path: &str) -> Option<Action> {
        match path {
            "/tokens/renew" => Some(Action::Renew),
            "/tokens/purge" => Some(Action::Purge),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Action::Renew => "renew",
            Action::Purge => "purge",
        }
    }

    fn on(self, source: &TokenSource) -> Demand {
        match self {
            Action::Renew => source.renew(),
            Action::Purge => source.purge(),
        }
    }
}

/// Does it, for all scopes or for the one that the query names, and says for each what comes of it.
pub(super) fn answer(state: &State, head: &Head, action: Action) -> Response<Full<Bytes>> {
    if head.method != Method::POST {
        let text = "this changes something, so it is served to POST alone\n".to_owned();
        let mut refused = text_answer(StatusCode::METHOD_NOT_ALLOWED, text);
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return refused;
    }
    let scope = match asked_scope(head.uri.query()) {
        Ok(scope) => scope,
        Err(text) => return text_answer(StatusCode::BAD_REQUEST, text),
    };
    let scopes = state.scopes.load();
    let chosen: Vec<(Scope, &Arc<TokenSource>)> = scopes
        .iter()
        .filter(|(name, _)| scope.is_none_or(|scope| scope == **name))
        .filter_map(|(name, of)| Some((*name, of.tokens.source()?)))
        .collect();
    if chosen.is_empty() {
        return text_answer(
            StatusCode::NOT_FOUND,
            "this scope is not served here, or not with tokens\n".to_owned(),
        );
    }
    told(action, demanded(action, &chosen))
}

/// Scopes may share a token, which is then demanded once.
fn demanded(action: Action, chosen: &[(Scope, &Arc<TokenSource>)]) -> Vec<(Scope, Demand)> {
    let mut demands: Vec<(Scope, Demand)> = Vec::new();
    for (at, (scope, source)) in chosen.iter().enumerate() {
        let same = chosen[..at].iter().position(|(_, other)| Arc::ptr_eq(source, other));
        let demand = match same {
            Some(same) => demands[same].1.clone(),
            None => action.on(source),
        };
        demands.push((*scope, demand));
    }
    demands
}

fn told(action: Action, demands: Vec<(Scope, Demand)>) -> Response<Full<Bytes>> {
    let done: Vec<&str> = demands
        .iter()
        .filter(|(_, demand)| demand.result != Outcome::Refused)
        .map(|(scope, _)| scope.name())
        .collect();
    let refused = done.is_empty();
    if !refused {
        tracing::info!(target: "admin", action = action.name(), scopes = done.join(", "), "tokens changed by hand");
    }
    let again = demands.iter().filter_map(|(_, demand)| demand.next_attempt).min();
    let scopes: serde_json::Map<String, serde_json::Value> =
        demands.into_iter().map(|(scope, demand)| (scope.name().to_owned(), json!(demand))).collect();
    let mut response = json_answer(&json!({ "action": action.name(), "scopes": scopes }));
    if refused {
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        let left = again.and_then(|again| again.duration_since(SystemTime::now()).ok()).unwrap_or_default();
        let seconds = (left + Duration::from_millis(999)).as_secs().max(1);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn asked_scope(query: Option<&str>) -> Result<Option<Scope>, String> {
    match query {
        None | Some("") => Ok(None),
        Some(query) => match query.strip_prefix("scope=").map(str::parse) {
            Some(Ok(scope)) => Ok(Some(scope)),
            Some(Err(_)) | None => {
                Err("write nothing or ?scope= and one scope: zeebe, operate, tasklist, optimize or secrets\n"
                    .to_owned())
            }
        },
    }
}
