//! Routes: a request → a scope, one of its addresses, and the path that is left for it.
//!
//! The table itself is data, in `route/table.rs`. Before it is asked, `route/guard.rs` refuses every path that
//! could mean something else further on; so matching is on the raw octets and by whole segments.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzed;
mod guard;
mod join;
mod refusal;
mod table;

use http::header::CONTENT_TYPE;
use http::uri::{PathAndQuery, Scheme};
use http::{Method, Version};
use serde::Serialize;

use crate::message::Headers;
use crate::message::request::Head;
use crate::scope::Scope;
pub use refusal::{NoRoute, Refusal};
pub use table::Rule;

/// Finds routes for one cluster.
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    cluster_id: Option<String>,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route<'a> {
    /// Whose upstream and whose token.
    pub scope: Scope,
    /// Which of the scope's addresses.
    pub leg: Leg,
    /// What was taken off the front of the path: empty, `/<cluster id>`, `/operate` or both. Goes back in front of
    /// an answer's `location` and cookie paths.
    pub prefix: &'a str,
    /// What is left, with the query, as it came. Empty or only a query where the prefix was the whole path.
    pub path: &'a str,
    /// The line of the table that matched.
    pub rule: &'static Rule,
    /// The call is meant to stay open (a job stream, a long poll), so it is kept apart from short ones.
    pub held: bool,
}

/// One of a scope's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Leg {
    /// The gRPC address.
    Grpc,
    /// The REST address with its base path.
    Rest,
}

/// A decision as data, for people who ask why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The line of the route table, as in the README.
    pub rule: String,
    /// The scope.
    pub scope: Scope,
    /// The scope's address.
    pub leg: Leg,
    /// What was taken off the front of the path.
    pub prefix: String,
    /// What goes behind the upstream's base path.
    pub path: String,
    /// Whether the call is meant to stay open.
    pub held: bool,
}

/// The request's target in origin-form (RFC 9112 §3.2.1). A method or form that is never passed on is refused.
pub fn target(head: &Head) -> Result<&PathAndQuery, Refusal> {
    refuse_method(&head.method)?;
    // HTTP/2 always has an authority here, from `:authority`; in HTTP/1 it comes from an absolute target, which
    // would name where to go in the caller's words.
    if head.version < Version::HTTP_2 && head.uri.authority().is_some() {
        return Err(Refusal::Malformed("the request target must be a path, not a whole URL"));
    }
    // What it says is not what is used: the configuration alone decides between plaintext and TLS.
    if head.uri.scheme().is_some_and(|scheme| *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS) {
        return Err(Refusal::Malformed("the request's scheme is neither http nor https"));
    }
    match head.uri.path_and_query() {
        Some(target) => Ok(target),
        None => Err(Refusal::Malformed("the request has no path")),
    }
}

/// Whether the request says that it is gRPC: any content type that starts with `application/grpc`.
pub fn is_grpc(headers: &Headers) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.as_bytes().get(..GRPC.len()));
    content_type.is_some_and(|start| start.eq_ignore_ascii_case(GRPC))
}

impl RouteTable {
    /// A table that also knows its own cluster id as a prefix, for clients that were configured with whole SaaS paths.
    pub fn new(cluster_id: Option<String>) -> RouteTable {
        RouteTable { cluster_id: cluster_id.filter(|id| !id.is_empty()) }
    }

    /// The route of a request: its method, its target (path and query) and whether it is gRPC by content type, on a
    /// listener that may be pinned to a scope and may serve secrets.
    pub fn find<'a>(
        &self,
        method: &Method,
        target: &'a str,
        grpc: bool,
        pinned: Option<Scope>,
        secrets: bool,
    ) -> Result<Route<'a>, Refusal> {
        refuse_method(method)?;
        let whole = path_of(target);
        guard::check(whole).map_err(Refusal::Malformed)?;
        let rest = self.without_cluster_id(whole);
        let rule = find_rule(method, rest, grpc, pinned, secrets).map_err(Refusal::NoRoute)?;
        let stripped = match rule.strips {
            true => rule.matched(method.as_str(), rest).unwrap_or(0),
            false => 0,
        };
        let (prefix, path) = target.split_at(whole.len() - rest.len() + stripped);
        let held = table::is_held(rule.leg, &rest[stripped..]);
        Ok(Route { scope: rule.scope, leg: rule.leg, prefix, path, rule, held })
    }

    fn without_cluster_id<'a>(&self, path: &'a str) -> &'a str {
        let rest = || path.strip_prefix('/')?.strip_prefix(self.cluster_id.as_deref()?);
        rest().filter(|rest| rest.is_empty() || rest.starts_with('/')).unwrap_or(path)
    }
}

impl Route<'_> {
    /// The decision in words and names.
    pub fn explain(&self) -> Explanation {
        Explanation {
            rule: self.rule.to_string(),
            scope: self.scope,
            leg: self.leg,
            prefix: self.prefix.to_owned(),
            path: self.path.to_owned(),
            held: self.held,
        }
    }
}

// Methods have case (RFC 9110 §9.1), but not every server behind us may know that.
fn refuse_method(method: &Method) -> Result<(), Refusal> {
    match ["CONNECT", "TRACE", "TRACK"].iter().any(|refused| method.as_str().eq_ignore_ascii_case(refused)) {
        true => Err(Refusal::MethodRefused),
        false => Ok(()),
    }
}

fn path_of(target: &str) -> &str {
    // Over octets, here and in the guard: for texts as short as these a search for characters costs more.
    target.bytes().position(|octet| octet == b'?').map_or(target, |end| &target[..end])
}

fn find_rule(
    method: &Method,
    path: &str,
    grpc: bool,
    pinned: Option<Scope>,
    secrets: bool,
) -> Result<&'static Rule, NoRoute> {
    let rule = match grpc {
        true => Some(&table::GRPC_CONTENT),
        false => table::TABLE.iter().find(|rule| rule.matched(method.as_str(), path).is_some()),
    };
    if let Some(scope) = pinned {
        return match rule {
            Some(rule) if rule.leg == Leg::Grpc && scope != Scope::Zeebe => Err(NoRoute::NoGrpc(scope)),
            // Its own prefix is taken off as everywhere; another scope's is just a path, with this scope's token.
            Some(rule) if rule.scope == scope => Ok(rule),
            _ => Ok(table::pinned(scope)),
        };
    }
    match rule {
        Some(rule) if rule.scope == Scope::Secrets && !secrets => Err(NoRoute::SecretsDisabled),
        Some(rule) => Ok(rule),
        None if path.starts_with("/v1/variables/") => Err(NoRoute::Ambiguous),
        None => Err(NoRoute::Unknown),
    }
}

#[cfg(test)]
mod tests;
