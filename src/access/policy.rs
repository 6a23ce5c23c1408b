//! What a caller may do: scopes, reading alone, lists of methods and paths.
//!
//! Paths are compared as the servers behind us read them: escapes decoded, parameters (`;x`) and a last slash cut.
//! A rule that looked at the raw octets could be gone round by writing one letter as an escape, and one that decoded
//! them once by writing the escape as another (`%2575`), where a gateway in between decodes too.

use std::sync::LazyLock;

use percent_encoding::percent_decode_str;

use super::CallerConfig;
use crate::scope::Scope;

/// The rules of one caller.
#[derive(Clone, Debug, Default)]
pub(super) struct Policy {
    scopes: Option<Vec<Scope>>,
    read_only: bool,
    allow: Vec<Rule>,
    deny: Vec<Rule>,
}

/// `GET /v2/**`, `operate POST /v1/*/search` or `/gateway_protocol.Gateway/Topology`: a scope and a method may be left
/// out, `*` stands for one segment, `**` for any number of them.
#[derive(Clone, Debug)]
struct Rule {
    text: String,
    scope: Option<Scope>,
    method: Option<String>,
    segments: Vec<String>,
}

/// What changes nothing. Searches and statistics are POST, because their questions do not fit into a URL; a call that is
/// not known to change nothing does not count as one.
static READS: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let reads = [
        "GET /**",
        "HEAD /**",
        "OPTIONS /**",
        "zeebe POST /v2/**/search",
        "zeebe POST /v2/**/statistics/**",
        "operate POST /v1/**/search",
        "tasklist POST /v1/**/search",
        "optimize POST /api/public/**/export",
        "zeebe POST /gateway_protocol.Gateway/Topology",
        "zeebe POST /grpc.health.v1.Health/*",
        "zeebe POST /grpc.reflection.v1.ServerReflection/*",
        "zeebe POST /grpc.reflection.v1alpha.ServerReflection/*",
    ];
    reads.iter().filter_map(|text| Rule::parse(text)).collect()
});

impl Policy {
    /// Reads a caller's rules; the error names each field with a mistake.
    pub(super) fn new(config: &CallerConfig) -> Result<Policy, Vec<(&'static str, &'static str)>> {
        const UNREADABLE: &str =
            "holds a rule that is neither a path nor a method and a path, such as `GET /v2/**`";
        let mut mistakes = Vec::new();
        let mut rules = |field, texts: &[String]| {
            let read: Vec<Rule> = texts.iter().filter_map(|text| Rule::parse(text)).collect();
            if read.len() < texts.len() {
                mistakes.push((field, UNREADABLE));
            }
            read
        };
        let (allow, deny) = (rules("allow", &config.allow), rules("deny", &config.deny));
        if config.scopes.as_ref().is_some_and(Vec::is_empty) {
            mistakes.push(("scopes", "is empty: leave it out for all scopes"));
        }
        let policy = Policy { scopes: config.scopes.clone(), read_only: config.read_only, allow, deny };
        if mistakes.is_empty() { Ok(policy) } else { Err(mistakes) }
    }

    /// Whether it has no rule at all.
    pub(super) fn is_free(&self) -> bool {
        self.scopes.is_none() && !self.read_only && self.allow.is_empty() && self.deny.is_empty()
    }

    /// Whether a request may be made; the error says which rule is against it.
    pub(super) fn judge(&self, scope: Scope, method: &str, path: &str) -> Result<(), String> {
        if self.scopes.as_ref().is_some_and(|scopes| !scopes.contains(&scope)) {
            return Err(format!("its `scopes` have no {scope}"));
        }
        if !self.read_only && self.allow.is_empty() && self.deny.is_empty() {
            return Ok(());
        }
        let readings = readings(path);
        let is_denied =
            |rule: &&Rule| readings.iter().any(|segments| rule.matches(scope, method, segments, true));
        if let Some(rule) = self.deny.iter().find(is_denied) {
            return Err(format!("its `deny` has `{}`", rule.text));
        }
        // However it is read, there must be a rule for it.
        let any = |rules: &[Rule], segments: &[String]| {
            rules.iter().any(|rule| rule.matches(scope, method, segments, false))
        };
        let all = |rules: &[Rule]| readings.iter().all(|segments| any(rules, segments));
        if self.read_only && !all(&READS) {
            return Err("it is `read_only`, and this may change something".to_owned());
        }
        if !self.allow.is_empty() && !all(&self.allow) {
            return Err("its `allow` has no rule for it".to_owned());
        }
        Ok(())
    }
}

impl Rule {
    fn parse(text: &str) -> Option<Rule> {
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let path = words.pop()?.strip_prefix('/')?;
        let mut words = words.into_iter().peekable();
        let scope = words.peek().and_then(|word| word.parse().ok());
        if scope.is_some() {
            words.next();
        }
        let method = words.next();
        let is_method = |method: &str| method.bytes().all(|octet| octet.is_ascii_uppercase());
        if words.next().is_some() || !method.is_none_or(is_method) {
            return None;
        }
        let segments = path.strip_suffix('/').unwrap_or(path).split('/').map(str::to_owned).collect();
        Some(Rule { text: text.to_owned(), scope, method: method.map(str::to_owned), segments })
    }

    /// What is denied is denied in any case of letters: no server of ours tells by it, but one may be configured to.
    fn matches(&self, scope: Scope, method: &str, path: &[String], any_case: bool) -> bool {
        let same = |a: &str, b: &str| if any_case { a.eq_ignore_ascii_case(b) } else { a == b };
        self.scope.is_none_or(|own| own == scope)
            && self.method.as_deref().is_none_or(|own| same(own, method))
            && is_like(&self.segments, path, &same)
    }
}

fn is_like(pattern: &[String], path: &[String], same: &impl Fn(&str, &str) -> bool) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((any, rest)), _) if any == "**" => {
            is_like(rest, path, same) || (!path.is_empty() && is_like(pattern, &path[1..], same))
        }
        (Some((one, rest)), Some((segment, others))) => {
            (one == "*" || same(one, segment)) && is_like(rest, others, same)
        }
        _ => false,
    }
}

/// The segments of a path as they are read by whoever decodes them once, twice or three times, which is as often as the
/// guard on paths looks: all alike for nearly every path, and so only one.
fn readings(path: &str) -> Vec<Vec<String>> {
    const DECODINGS: usize = 3;
    let path = path.split('?').next().unwrap_or_default();
    let path = path.strip_prefix('/').unwrap_or(path);
    let mut decoded: Vec<String> =
        path.strip_suffix('/').unwrap_or(path).split('/').map(str::to_owned).collect();
    let mut readings = Vec::new();
    for _ in 0..DECODINGS {
        for segment in &mut decoded {
            *segment = percent_decode_str(segment).decode_utf8_lossy().into_owned();
        }
        let meant = |segment: &String| segment.split(';').next().unwrap_or_default().to_owned();
        readings.push(decoded.iter().map(meant).collect());
        if !decoded.iter().any(|segment| segment.contains('%')) {
            break;
        }
    }
    readings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(scopes: Option<&[Scope]>, read_only: bool, allow: &[&str], deny: &[&str]) -> Policy {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        let (allow, deny) = (owned(allow), owned(deny));
        let scopes = scopes.map(<[Scope]>::to_vec);
        Policy::new(&CallerConfig { scopes, read_only, allow, deny, ..CallerConfig::default() }).unwrap()
    }

    #[test]
    fn who_may_only_look_searches_but_changes_nothing() {
        let policy = policy(None, true, &[], &[]);
        for (scope, method, path, may) in [
            (Scope::Zeebe, "GET", "/v2/topology", true),
            (Scope::Zeebe, "HEAD", "/v2/topology", true),
            (Scope::Zeebe, "POST", "/v2/process-instances/search", true),
            (Scope::Zeebe, "POST", "/v2/user-tasks/7/variables/search?x=y", true),
            (Scope::Zeebe, "POST", "/v2/process-definitions/7/statistics/element-instances", true),
            (Scope::Zeebe, "POST", "/v2/process-instances", false),
            (Scope::Zeebe, "POST", "/v2/process-instances/7/cancellation", false),
            (Scope::Zeebe, "POST", "/v2/jobs/activation", false),
            (Scope::Zeebe, "DELETE", "/v2/process-instances/search", false),
            (Scope::Zeebe, "get", "/v2/topology", false),
            (Scope::Zeebe, "POST", "/mcp/x", false),
            (Scope::Zeebe, "POST", "/gateway_protocol.Gateway/Topology", true),
            (Scope::Zeebe, "POST", "/grpc.health.v1.Health/Check", true),
            (Scope::Zeebe, "POST", "/gateway_protocol.Gateway/ActivateJobs", false),
            (Scope::Zeebe, "POST", "/gateway_protocol.Gateway/CreateProcessInstance", false),
            (Scope::Operate, "POST", "/v1/process-instances/search", true),
            (Scope::Operate, "DELETE", "/v1/process-instances/7", false),
            (Scope::Tasklist, "POST", "/v1/tasks/search", true),
            (Scope::Tasklist, "POST", "/v1/tasks/7/variables/search", true),
            (Scope::Tasklist, "PATCH", "/v1/tasks/7/complete", false),
            (Scope::Tasklist, "POST", "/graphql", false),
            (Scope::Optimize, "GET", "/api/public/report", true),
            (Scope::Optimize, "POST", "/api/public/dashboard/definition/export", true),
            (Scope::Optimize, "POST", "/api/ingestion/event/batch", false),
            (Scope::Optimize, "POST", "/v1/x/search", false),
        ] {
            assert_eq!(policy.judge(scope, method, path).is_ok(), may, "{scope} {method} {path}");
        }
    }

    #[test]
    fn a_rule_is_not_gone_round_by_another_spelling() {
        let denied = policy(None, false, &[], &["/v2/users/**", "DELETE /**"]);
        for path in [
            "/v2/users",
            "/v2/users/7",
            "/v2/%75sers",
            "/v2/users;x=y/7",
            "/v2/users/",
            "/V2/Users",
            "/v2/users?x",
            "/v2/%2575sers",
            "/v2/%252575sers/7",
            "/v2/users%253Bx/7",
        ] {
            assert!(denied.judge(Scope::Zeebe, "GET", path).is_err(), "{path}");
        }
        assert!(denied.judge(Scope::Zeebe, "delete", "/v2/x").is_err());
        assert!(denied.judge(Scope::Zeebe, "GET", "/v2/usersx").is_ok());
        let allowed = policy(None, false, &["GET /v2/users/*"], &[]);
        for (path, may) in [
            ("/v2/users/7", true),
            ("/v2/users", false),
            ("/v2/users/7/x", false),
            ("/v2/users/7%2fx", true),
            ("/v2/users/100%2525", true),
            ("/v2/%2575sers/7", false),
            ("/V2/users/7", false),
        ] {
            assert_eq!(allowed.judge(Scope::Zeebe, "GET", path).is_ok(), may, "{path}");
        }
    }

    #[test]
    fn deny_comes_before_allow_and_a_rule_may_be_for_one_scope() {
        let policy = policy(
            Some(&[Scope::Zeebe, Scope::Operate]),
            false,
            &["GET /v2/**", "operate POST /v1/**/search", "/gateway_protocol.Gateway/Topology"],
            &["GET /v2/secret/**"],
        );
        for (scope, method, path, why) in [
            (Scope::Zeebe, "GET", "/v2/x", None),
            (Scope::Zeebe, "GET", "/v2/secret/x", Some("its `deny` has `GET /v2/secret/**`")),
            (Scope::Zeebe, "POST", "/v2/x", Some("its `allow` has no rule for it")),
            (Scope::Zeebe, "POST", "/gateway_protocol.Gateway/Topology", None),
            (Scope::Zeebe, "POST", "/v1/x/search", Some("its `allow` has no rule for it")),
            (Scope::Operate, "POST", "/v1/x/search", None),
            (Scope::Tasklist, "GET", "/v2/x", Some("its `scopes` have no tasklist")),
        ] {
            assert_eq!(policy.judge(scope, method, path).err().as_deref(), why, "{scope} {method} {path}");
        }
    }

    #[test]
    fn rules_that_cannot_be_read_are_mistakes() {
        for text in ["", "GET", "GET v2", "get /v2", "GET POST /v2", "operate x /v1", "/v2 GET"] {
            assert!(Rule::parse(text).is_none(), "{text}");
        }
        assert_eq!(READS.len(), 12);
    }
}
