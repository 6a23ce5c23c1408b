//! The route table: which path belongs to which scope, as data.

use std::fmt;

use super::Leg;
use crate::scope::Scope;

use Leg::{Grpc, Rest};
use Match::{Call, Exact, Starting, Under};
use Scope::{Operate, Optimize, Secrets, Tasklist, Zeebe};

/// The bare paths and prefixes, in the order in which they are tried. No two lines match one path.
pub(super) static TABLE: &[Rule] = &[
    // gRPC methods are known by their service, for callers that lost the content type on the way.
    keep(Under("/gateway_protocol.Gateway"), Zeebe, Grpc),
    keep(Under("/grpc.health.v1.Health"), Zeebe, Grpc),
    keep(Starting("/grpc.reflection."), Zeebe, Grpc),
    // A prefix names its scope and is taken off.
    strip(Under("/zeebe"), Zeebe),
    strip(Under("/operate"), Operate),
    strip(Under("/tasklist"), Tasklist),
    strip(Under("/optimize"), Optimize),
    // Bare paths that only one component has.
    keep(Under("/v2"), Zeebe, Rest),
    keep(Under("/cluster/v2"), Zeebe, Rest),
    keep(Under("/mcp"), Zeebe, Rest),
    keep(Under("/physical-tenants"), Zeebe, Rest),
    keep(Exact("/v1/topology"), Zeebe, Rest),
    keep(Under("/v1/user-tasks"), Zeebe, Rest),
    keep(Under("/v1/tasks"), Tasklist, Rest),
    keep(Under("/v1/forms"), Tasklist, Rest),
    keep(Exact("/graphql"), Tasklist, Rest),
    keep(Under("/v1/process-definitions"), Operate, Rest),
    keep(Under("/v1/process-instances"), Operate, Rest),
    keep(Under("/v1/incidents"), Operate, Rest),
    keep(Under("/v1/flownode-instances"), Operate, Rest),
    keep(Starting("/v1/decision-"), Operate, Rest),
    keep(Under("/v1/drd"), Operate, Rest),
    // Tasklist has variables too, by key alone: `GET /v1/variables/{id}` stays undecided on purpose.
    keep(Call("POST", "/v1/variables/search"), Operate, Rest),
    keep(Under("/api/public"), Optimize, Rest),
    keep(Under("/api/ingestion"), Optimize, Rest),
    // Only on a listener that enables it.
    keep(Under("/secrets"), Secrets, Rest),
];

/// A request that says by its content type that it is gRPC, whatever its path.
pub(super) static GRPC_CONTENT: Rule = keep(Match::GrpcContent, Zeebe, Grpc);

static PINNED: [Rule; Scope::ALL.len()] = [
    keep(Match::Pinned, Zeebe, Rest),
    keep(Match::Pinned, Operate, Rest),
    keep(Match::Pinned, Tasklist, Rest),
    keep(Match::Pinned, Optimize, Rest),
    keep(Match::Pinned, Secrets, Rest),
];

/// Every path of a listener that is pinned to `scope`.
pub(super) fn pinned(scope: Scope) -> &'static Rule {
    &PINNED[scope as usize]
}

/// Whether a call is meant to stay open: a job worker's poll or stream, an instance that is waited for, a watch.
///
/// `path` is what goes to the upstream, without its query. REST's own long poll counts as well: over HTTP/2 a
/// hundred of them fill a connection just as gRPC's do.
pub(super) fn is_held(leg: Leg, path: &str) -> bool {
    match leg {
        Grpc => match path.strip_prefix("/gateway_protocol.Gateway/") {
            Some(method) => {
                matches!(method, "ActivateJobs" | "StreamActivatedJobs" | "CreateProcessInstanceWithResult")
            }
            None => path == "/grpc.health.v1.Health/Watch" || path.starts_with("/grpc.reflection."),
        },
        Rest => path.ends_with("/jobs/activation"),
    }
}

/// A line of the route table. Shows itself as a user would write it: `/operate/…`, `POST /v1/variables/search`.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    matches: Match,
    /// Whose upstream and token a matching request gets.
    pub scope: Scope,
    /// Which of the scope's addresses.
    pub leg: Leg,
    /// Whether the matched prefix is taken off the path or stays part of it.
    pub strips: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Match {
    /// The path and everything below it, by whole segments: `/operatex` is not under `/operate`.
    Under(&'static str),
    /// This path alone.
    Exact(&'static str),
    /// This path with this method.
    Call(&'static str, &'static str),
    /// Every path that starts with this text.
    Starting(&'static str),
    /// Not by path: the content type `application/grpc*`.
    GrpcContent,
    /// Not by path: the listener.
    Pinned,
}

const fn keep(matches: Match, scope: Scope, leg: Leg) -> Rule {
    Rule { matches, scope, leg, strips: false }
}

const fn strip(matches: Match, scope: Scope) -> Rule {
    Rule { matches, scope, leg: Rest, strips: true }
}

impl Rule {
    /// The length of what the rule matched at the front of the path, or none if it does not match.
    pub(super) fn matched(&self, method: &str, path: &str) -> Option<usize> {
        let whole = |prefix: &str| (path == prefix).then_some(prefix.len());
        match self.matches {
            Under(prefix) => match path.strip_prefix(prefix)?.as_bytes() {
                [] | [b'/', ..] => Some(prefix.len()),
                _ => None,
            },
            Exact(exact) => whole(exact),
            Call(wanted, exact) => whole(exact).filter(|_| wanted == method),
            Starting(text) => path.starts_with(text).then_some(text.len()),
            Match::GrpcContent | Match::Pinned => None,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.matches {
            Under(prefix) => write!(f, "{prefix}/…"),
            Exact(path) => f.write_str(path),
            Call(method, path) => write!(f, "{method} {path}"),
            Starting(text) => write!(f, "{text}…"),
            Match::GrpcContent => f.write_str("content type application/grpc*"),
            Match::Pinned => write!(f, "listener pinned to {}", self.scope),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_rule_is_its_own_scopes() {
        for scope in Scope::ALL {
            assert_eq!(pinned(scope).scope, scope);
        }
    }

    #[test]
    fn no_two_lines_match_one_path() {
        for line in TABLE {
            let (method, path) = match line.matches {
                Under(path) | Exact(path) | Starting(path) => ("POST", path),
                Call(method, path) => (method, path),
                Match::GrpcContent | Match::Pinned => continue,
            };
            let matching: Vec<_> = TABLE
                .iter()
                .filter(|rule| rule.matched(method, path).is_some())
                .map(Rule::to_string)
                .collect();
            assert_eq!(matching, [line.to_string()]);
        }
    }

    #[test]
    fn calls_that_stay_open_are_known() {
        for (leg, path, held) in [
            (Grpc, "/gateway_protocol.Gateway/ActivateJobs", true),
            (Grpc, "/gateway_protocol.Gateway/StreamActivatedJobs", true),
            (Grpc, "/gateway_protocol.Gateway/CreateProcessInstanceWithResult", true),
            (Grpc, "/gateway_protocol.Gateway/CreateProcessInstance", false),
            (Grpc, "/gateway_protocol.Gateway/Topology", false),
            (Grpc, "/gateway_protocol.Gateway/ActivateJobsX", false),
            (Grpc, "/grpc.health.v1.Health/Watch", true),
            (Grpc, "/grpc.health.v1.Health/Check", false),
            (Grpc, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", true),
            (Rest, "/v2/jobs/activation", true),
            (Rest, "/v2/jobs/search", false),
        ] {
            assert_eq!(is_held(leg, path), held, "{path}");
        }
    }
}
