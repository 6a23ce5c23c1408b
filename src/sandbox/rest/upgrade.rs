//! An upgraded connection that sends back what it receives: WebSocket's handshake, without its frames.

use http::Request;
use http::StatusCode;
use http::header::{CONNECTION, UPGRADE};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt, copy, split};

use super::reply::Reply;

/// The connection to come, when a request asks for a WebSocket (HTTP/1.1 only).
pub(super) fn wanted(request: &mut Request<Incoming>) -> Option<OnUpgrade> {
    let says = |name, word: &str| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.to_ascii_lowercase().contains(word))
    };
    let asks = says(UPGRADE, "websocket") && says(CONNECTION, "upgrade");
    (asks && request.version() == http::Version::HTTP_11).then(|| hyper::upgrade::on(request))
}

/// Switches, and echoes bytes until the caller has no more.
pub(super) fn echo(upgraded: Option<OnUpgrade>) -> Reply {
    let Some(upgraded) = upgraded else {
        let text = "Can \"Upgrade\" only to \"WebSocket\"".to_owned();
        return Reply::Problem(StatusCode::UPGRADE_REQUIRED, "Upgrade Required", text);
    };
    tokio::spawn(async move {
        // A caller that breaks off ends the echo; there is nobody to tell.
        if let Ok(connection) = upgraded.await {
            let (mut from, mut to) = split(TokioIo::new(connection));
            let _ = copy(&mut from, &mut to).await;
            let _ = to.shutdown().await;
        }
    });
    Reply::Upgrade
}
