//! Whether Camunda has moved a cluster's REST: from 8.10 on the old hosts answer 404 (Camunda docs, "SaaS
//! orchestration architecture"). Asked once, without a token.

use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{Method, StatusCode};

use crate::config::Settings;
use crate::message::{request, response};
use crate::proxy::rewrite;
use crate::scope::Scope;
use crate::upstream::{self, Origin, Payload, Pool, RequestHead, ScopeConfig};
use crate::upstream_address::UpstreamAddress;

/// One answer may take so long.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What was found.
pub(super) struct Verdict {
    /// Whether the new hosts are to be used; `None` when neither old nor new ones answer.
    pub(super) moved: Option<bool>,
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
        return Some(Verdict { moved: Some(false), note });
    }
    let new_answer = ask(scope, new, config).await;
    let moved = new_answer.is_some_and(|status| status != StatusCode::NOT_FOUND);
    let note = match moved {
        true => format!("{} is gone: REST goes to {new}, where Camunda has moved it", old.authority()),
        false => format!(
            "neither {} nor {} answers yet: the credentials file is followed",
            old.authority(),
            new.authority()
        ),
    };
    Some(Verdict { moved: moved.then_some(true), note })
}

/// The status with which a host answers a request without a token; `None` when it cannot be asked.
async fn ask(scope: Scope, address: &UpstreamAddress, config: &ScopeConfig) -> Option<StatusCode> {
    let origin = Arc::new(Origin::rest(address.clone(), config).ok()?);
    let path = match scope {
        Scope::Zeebe => "/v2/topology",
        _ => "/v1/",
    };
    let target = PathAndQuery::try_from(format!("{}{path}", address.base_path)).ok()?;
    let pool = Pool::new(Arc::clone(&origin), upstream::Config::default());
    let heads = Heads { head: request::Head::default(), target, origin };
    let mut payload = Payload::Empty;
    let answer = pool.send(&Method::GET, false, &mut payload, &heads);
    Some(tokio::time::timeout(TIMEOUT, answer).await.ok()?.ok()?.head.status)
}

/// The head of a request like any other, but that nobody has made it and no token goes with it.
struct Heads {
    head: request::Head,
    target: PathAndQuery,
    origin: Arc<Origin>,
}

impl upstream::Heads for Heads {
    fn http1(&self, _: bool) -> Option<RequestHead> {
        Some(rewrite::http1(&self.head, &self.target, &self.origin, None, None))
    }

    fn http2(&self, _: bool) -> Option<request::Head> {
        Some(rewrite::http2(&self.head, &self.target, &self.origin, None))
    }

    fn interim(&self, _: response::Head) {}
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::LocalSet;

    use super::*;
    use crate::config::{Migrated, Sources};

    /// A host that answers everything with this status, or is gone.
    async fn host(status: Option<u16>) -> UpstreamAddress {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/cluster", listener.local_addr().unwrap()).parse().unwrap();
        if let Some(status) = status {
            tokio::task::spawn_local(async move {
                while let Ok((mut socket, _)) = listener.accept().await {
                    let mut head = [0; 1024];
                    let n = socket.read(&mut head).await.unwrap();
                    let expected = "GET /cluster/v2/topology HTTP/1.1\r\n";
                    let head = String::from_utf8_lossy(&head[..n]).into_owned();
                    assert!(head.starts_with(expected) && !head.contains("authorization"), "{head}");
                    let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
                    socket.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
        address
    }

    async fn verdict(old: Option<u16>, new: Option<u16>) -> Option<bool> {
        let (old, new) = (host(old).await, host(new).await);
        let variables = [
            ("ZEEBE_REST_ADDRESS", old.to_string()),
            ("ZEEBE_CLIENT_ID", "id".to_owned()),
            ("ZEEBE_CLIENT_SECRET", "secret".to_owned()),
            ("CAMUNDA_OAUTH_URL", "http://127.0.0.1:1/oauth/token".to_owned()),
        ];
        let environment = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let mut settings = Settings::load(&Sources { environment, ..Sources::default() }).unwrap();
        let zeebe = settings.scopes.get_mut(&Scope::Zeebe).unwrap();
        zeebe.migrated = Some(Migrated { address: new, audience: None });
        probe(&settings).await.unwrap().moved
    }

    #[tokio::test]
    async fn the_new_hosts_are_used_when_the_old_are_gone_and_the_new_are_there() {
        LocalSet::new()
            .run_until(async {
                for (old, new, moved) in [
                    (Some(401), Some(401), Some(false)),
                    (Some(401), None, Some(false)),
                    (Some(404), Some(401), Some(true)),
                    (None, Some(401), Some(true)),
                    (Some(404), Some(404), None),
                    (None, None, None),
                ] {
                    assert_eq!(verdict(old, new).await, moved, "{old:?} {new:?}");
                }
            })
            .await;
    }
}
