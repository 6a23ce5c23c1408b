//! What a caller shows of itself: a key in its head, or what its connection proves.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::{AUTHORIZATION, PROXY_AUTHORIZATION};

use crate::message::Headers;
use crate::secret::Secret;

/// What a connection proves, whatever its requests say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerProof {
    /// The names in the certificate that it showed, which one of our authorities has signed.
    Certificate(Vec<String>),
    /// The user and the group of the process at the other end of a Unix socket, as the kernel knows them.
    Unix {
        /// User.
        uid: u32,
        /// Group.
        gid: u32,
    },
}

/// What could be a caller's key. It may as well be a token of an old client, which proves nothing here.
pub(super) enum Presented {
    Key(Secret),
    NameAndKey(String, Secret),
}

/// What a head brings in either field, as Bearer or Basic.
pub(super) fn presented(headers: &Headers) -> impl Iterator<Item = Presented> {
    let fields = [AUTHORIZATION, PROXY_AUTHORIZATION];
    fields.into_iter().flat_map(|name| headers.get_all(name)).filter_map(read)
}

fn read(value: &HeaderValue) -> Option<Presented> {
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Presented::Key(Secret::from(rest)));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
    let (name, key) = text.split_once(':')?;
    Some(Presented::NameAndKey(name.to_owned(), Secret::from(key)))
}
