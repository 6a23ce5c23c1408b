//! The real token, handed to a caller who has proved who it is: as long as it is served here, and never longer.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::super::error::{Error, OauthCode};
use super::super::{Connection, Destinations, Door, Settings};
use super::parameters::Asked;
use crate::oauth::{Cause, TokenSource, Unavailable};
use crate::scope::Scope;

/// How long a wrong proof waits for its answer, so that guessing needs patience too.
const WRONG: Duration = Duration::from_secs(1);
/// Refused credentials may be mended at any moment, and asking here costs the token endpoint nothing.
const SOON: Duration = Duration::from_secs(30);

/// Until when no proof of a connection is looked at, because one was wrong: HTTP/2 would let hundreds be tried at once,
/// and who knows how soon a right one is answered need not wait for the answers to others.
#[derive(Default)]
pub struct Guess(Cell<Option<Instant>>);

pub(super) async fn grant(
    settings: &Settings,
    destinations: &Destinations,
    connection: &Connection,
    asked: &Asked,
) -> Result<Value, Error> {
    let offered = offered(destinations, &connection.door);
    let now = Instant::now();
    if connection.guess.0.get().is_some_and(|until| now < until) {
        return Err(Error::too_many_guesses(WRONG));
    }
    if !is_known(settings, &offered, asked) {
        connection.guess.0.set(Some(now + WRONG));
        sleep(WRONG).await;
        return Err(Error::caller_unknown());
    }
    let source = chosen(&offered, asked)?;
    let token = source.wait(Instant::now() + settings.token_wait).await.map_err(unavailable)?;
    let mut granted = json!({
        "access_token": token.reveal(),
        "token_type": "Bearer",
        "expires_in": source.left(&token).as_secs(),
    });
    if let Some(scope) = &source.request().oauth_scope {
        granted["scope"] = Value::from(scope.as_str());
    }
    Ok(granted)
}

/// The tokens that this listener serves.
fn offered<'a>(destinations: &'a Destinations, door: &Door) -> Vec<(Scope, &'a Arc<TokenSource>)> {
    let serves = |scope: Scope| match door.scope {
        Some(pinned) => scope == pinned,
        None => scope != Scope::Secrets || door.secrets,
    };
    destinations.tokens().filter(|(scope, _)| serves(*scope)).collect()
}

/// Whether the caller has proved the client's id and secret, or holds a key. Looks at all of them, whichever fits.
fn is_known(settings: &Settings, offered: &[(Scope, &Arc<TokenSource>)], asked: &Asked) -> bool {
    let mut known = false;
    for (id, secret) in &asked.proofs {
        for (_, source) in offered {
            known |= source.request().is_proven_by(id, secret);
        }
        known |= settings.callers.has(id, secret);
    }
    if let Some(key) = &asked.bearer {
        known |= settings.callers.name_of(key).is_some();
    }
    known
}

/// The one token that fits all that was asked for.
fn chosen<'a>(offered: &[(Scope, &'a Arc<TokenSource>)], asked: &Asked) -> Result<&'a TokenSource, Error> {
    let same = |asked: &Option<String>, ours: &Option<String>| asked.is_none() || asked == ours;
    let is_for = |audience: &str, scope: Scope, source: &TokenSource| {
        source.request().audience.as_deref() == Some(audience) || scope.name() == audience
    };
    let mut fitting = offered.to_vec();
    if let Some(audience) = &asked.audience {
        fitting.retain(|(scope, source)| is_for(audience, *scope, source));
    }
    fitting.retain(|(_, source)| same(&asked.resource, &source.request().resource));
    if fitting.is_empty() {
        let detail = "no token for this audience or resource is kept here: `camunda-auth-proxy status` shows which are";
        return Err(Error::oauth(OauthCode::InvalidTarget, detail));
    }
    if let Some(oauth_scope) = &asked.oauth_scope {
        fitting.retain(|(scope, source)| {
            source.request().oauth_scope.as_ref() == Some(oauth_scope) || scope.name() == oauth_scope
        });
    }
    match fitting.as_slice() {
        [] => Err(Error::oauth(OauthCode::InvalidScope, "no token of this scope is kept here")),
        [(_, first), rest @ ..] if rest.iter().all(|(_, other)| Arc::ptr_eq(first, other)) => Ok(first),
        _ => Err(Error::oauth(OauthCode::InvalidTarget, "several tokens are kept here: name an `audience`")),
    }
}

fn unavailable(unavailable: Unavailable) -> Error {
    let rejected = unavailable.cause == Some(Cause::Rejected);
    let mut error = Error::from(unavailable).in_oauth(OauthCode::TemporarilyUnavailable);
    let after = error.retry_after.unwrap_or(Duration::from_secs(1));
    error.retry_after = Some(if rejected { after.min(SOON) } else { after });
    error
}
