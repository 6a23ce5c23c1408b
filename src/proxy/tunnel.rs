//! After `101 Switching Protocols`: bytes both ways until either side ends (RFC 9110 §7.8).

use std::rc::Rc;

use http::Response;
use http::request::Parts;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::Connection;
use crate::upstream::AnswerBody;

/// Connects caller and upstream as soon as the answer has been sent. Counts as an exchange of the caller's connection.
pub(super) fn connect(parts: &mut Parts, answer: &mut Response<AnswerBody>, connection: Rc<Connection>) {
    let caller = parts.extensions.remove::<OnUpgrade>();
    let upstream = answer.body_mut().take_io();
    let (Some(caller), Some(mut upstream)) = (caller, upstream) else { return };
    connection.open.begin();
    tokio::task::spawn_local(async move {
        if let Ok(caller) = caller.await {
            let mut caller = TokioIo::new(caller);
            // Either side may break off at any time; that is how tunnels end.
            let _ = tokio::io::copy_bidirectional(&mut caller, &mut upstream).await;
        }
        connection.open.end();
    });
}
