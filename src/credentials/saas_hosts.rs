//! Camunda's own hosts: which they are, where they move to, and which audience goes with them.

use crate::scope::Scope;
use crate::upstream_address::UpstreamAddress;

/// Production and the two staging domains, the longer name first.
const DOMAINS: [&str; 3] = ["dev.ultrawombat.com", "camunda.io", "ultrawombat.com"];

/// A host such as `bru-2.operate.camunda.io` or `<cluster id>.bru-2.zeebe.camunda.io`, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct SaasHost<'a> {
    /// Only a gRPC host names its cluster; elsewhere it is the base path.
    pub cluster_id: Option<&'a str>,
    /// Missing from very old gRPC hosts.
    pub region: Option<&'a str>,
    /// `zeebe`, `operate`, `tasklist`, `optimize` or `api`.
    pub component: &'a str,
    /// `camunda.io` or a staging domain.
    pub domain: &'static str,
}

impl<'a> SaasHost<'a> {
    /// Takes a host apart; nothing when it is not one of Camunda's cluster hosts.
    pub fn recognise(host: &'a str) -> Option<SaasHost<'a>> {
        let domain = domain(host)?;
        let labels: Vec<&str> = host.strip_suffix(domain)?.strip_suffix('.')?.split('.').collect();
        let (cluster_id, region, component) = match labels[..] {
            [region, component] if is_region(region) => (None, Some(region), component),
            [cluster_id, "zeebe"] => (Some(cluster_id), None, "zeebe"),
            [cluster_id, region, "zeebe"] if is_region(region) => (Some(cluster_id), Some(region), "zeebe"),
            _ => return None,
        };
        let known = matches!(component, "zeebe" | "operate" | "tasklist" | "optimize" | "api");
        known.then_some(SaasHost { cluster_id, region, component, domain })
    }
}

/// The domain, when a host is Camunda's own.
pub fn domain(host: &str) -> Option<&'static str> {
    let under = |domain: &&str| host.strip_suffix(*domain).is_some_and(|rest| rest.ends_with('.'));
    DOMAINS.into_iter().find(under)
}

/// Where Camunda 8.9 moved a REST address: `https://<region>.api.camunda.io/<cluster id>`. Nothing for an
/// address that stays: gRPC, Optimize, the new hosts, and everything that is not SaaS.
pub fn migrated(address: &UpstreamAddress) -> Option<UpstreamAddress> {
    let host = SaasHost::recognise(&address.host)?;
    let moves = matches!(host.component, "zeebe" | "operate" | "tasklist")
        && host.cluster_id.is_none()
        && !address.base_path.is_empty();
    let (true, Some(region)) = (moves, host.region) else { return None };
    Some(UpstreamAddress { host: format!("{region}.api.{}", host.domain), ..address.clone() })
}

/// Whom a scope's token is for when nothing says it: `camunda-facts.md` §2.2. `file` is the audience in the
/// credentials, which is Zeebe's.
pub fn default_audience(
    scope: Scope,
    address: Option<&UpstreamAddress>,
    file: Option<&str>,
) -> Option<String> {
    let domain_of_address = address.and_then(|address| domain(&address.host));
    let is_api =
        address.and_then(|address| SaasHost::recognise(&address.host)).is_some_and(|h| h.component == "api");
    let follows_zeebe = matches!(scope, Scope::Operate | Scope::Tasklist);
    match (scope, domain_of_address, file) {
        (Scope::Zeebe, _, Some(audience)) => Some(audience.to_owned()),
        (Scope::Zeebe, None, None) => None,
        (_, Some(domain), file) if is_api && follows_zeebe => {
            Some(file.map_or_else(|| format!("zeebe.{domain}"), str::to_owned))
        }
        (_, Some(domain), _) => Some(format!("{scope}.{domain}")),
        // Self-Managed 8.8 and later: one component, one audience.
        (_, None, Some("orchestration-api")) if follows_zeebe => Some("orchestration-api".to_owned()),
        (_, None, Some(audience)) if audience.ends_with("-api") => Some(format!("{scope}-api")),
        (_, None, _) => Some(format!("{scope}.camunda.io")),
    }
}

/// Camunda's regions look like `bru-2`. There is no list to hold on to: new ones come.
fn is_region(label: &str) -> bool {
    label.split_once('-').is_some_and(|(place, number)| {
        !place.is_empty()
            && place.bytes().all(|b| b.is_ascii_lowercase())
            && !number.is_empty()
            && number.bytes().all(|b| b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> UpstreamAddress {
        text.parse().expect(text)
    }

    #[test]
    fn rest_moves_to_the_api_host_and_nothing_else_does() {
        for (from, to) in [
            ("https://bru-2.zeebe.camunda.io/abc", Some("https://bru-2.api.camunda.io/abc")),
            ("https://bru-2.zeebe.camunda.io:443/abc/", Some("https://bru-2.api.camunda.io/abc")),
            ("https://syd-1.operate.camunda.io/abc", Some("https://syd-1.api.camunda.io/abc")),
            ("https://syd-1.tasklist.ultrawombat.com/abc", Some("https://syd-1.api.ultrawombat.com/abc")),
            (
                "https://syd-1.zeebe.dev.ultrawombat.com/abc",
                Some("https://syd-1.api.dev.ultrawombat.com/abc"),
            ),
            ("https://syd-1.optimize.camunda.io/abc", None),
            ("https://syd-1.api.camunda.io/abc", None),
            ("grpcs://abc.syd-1.zeebe.camunda.io:443", None),
            ("https://bru-2.zeebe.camunda.io", None),
            ("https://bru-2.operate.evil-camunda.io/abc", None),
            ("https://bru-2.operate.camunda.io.example.com/abc", None),
            ("http://localhost:8081/abc", None),
        ] {
            assert_eq!(migrated(&address(from)).map(|to| to.to_string()).as_deref(), to, "{from}");
        }
    }

    #[test]
    fn grpc_hosts_name_their_cluster() {
        let host = SaasHost::recognise("abc.bru-2.zeebe.camunda.io");
        assert_eq!(host.and_then(|h| Some((h.cluster_id?, h.region?))), Some(("abc", "bru-2")));
        let old = SaasHost::recognise("abc.zeebe.camunda.io");
        assert_eq!(old.map(|h| (h.cluster_id, h.region)), Some((Some("abc"), None)));
    }

    #[test]
    fn audiences_follow_the_table() {
        use Scope::*;
        for (scope, at, file, audience) in [
            (Zeebe, "https://bru-2.zeebe.camunda.io/abc", None, Some("zeebe.camunda.io")),
            (Zeebe, "https://bru-2.zeebe.camunda.io/abc", Some("x"), Some("x")),
            (Zeebe, "http://localhost", None, None),
            (
                Operate,
                "https://bru-2.operate.camunda.io/abc",
                Some("zeebe.camunda.io"),
                Some("operate.camunda.io"),
            ),
            (Operate, "https://bru-2.api.camunda.io/abc", Some("x"), Some("x")),
            (Tasklist, "https://bru-2.api.camunda.io/abc", None, Some("zeebe.camunda.io")),
            (Optimize, "https://bru-2.optimize.camunda.io/abc", Some("x"), Some("optimize.camunda.io")),
            (Operate, "https://bru-2.operate.ultrawombat.com/abc", None, Some("operate.ultrawombat.com")),
            (Operate, "http://localhost", Some("zeebe-api"), Some("operate-api")),
            (Operate, "http://localhost", Some("orchestration-api"), Some("orchestration-api")),
            (Optimize, "http://localhost", Some("orchestration-api"), Some("optimize-api")),
            (Tasklist, "http://localhost", Some("zeebe.camunda.io"), Some("tasklist.camunda.io")),
            (Secrets, "https://cluster-api.cloud.camunda.io", None, Some("secrets.camunda.io")),
        ] {
            let found = default_audience(scope, Some(&address(at)), file);
            assert_eq!(found.as_deref(), audience, "{scope} at {at}");
        }
    }
}
