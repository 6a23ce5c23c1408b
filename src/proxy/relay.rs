//! The relay: a token endpoint of our own at `/oauth/token`, for clients that insist on one.
//!
//! A placeholder satisfies a client, whose requests get the real token on their way through. The real token is handed
//! out only where that was written out, and only to a caller who proves who it is: so that one proxy can be another
//! one's token endpoint.

use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, PRAGMA};
use http::{HeaderValue, Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{Error, OauthCode};
use super::{Connection, Destinations, Settings};
use crate::address::Address;
use crate::body::{Arriving, Body};
use crate::message::Response;
use crate::message::request::Head;
use crate::reason::Reason;

mod grant;
mod parameters;
mod placeholder;

pub use grant::Guess;
use parameters::Asked;

/// What the listeners' token endpoint does.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What it hands out.
    pub mode: Mode,
}

/// What a listener's token endpoint hands out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Placeholders on a listener that only this machine reaches, nothing on others.
    #[default]
    Auto,
    /// A decodable JWT that is worth nothing anywhere else, to whoever asks.
    Placeholder,
    /// The real token, to a caller who proves the client id and secret, or a caller key.
    Token,
    /// Nothing.
    Off,
}

impl Mode {
    /// What it amounts to on the listener at `bound`, its address after binding: never `Auto`.
    pub fn on(self, bound: &Address) -> Mode {
        match self {
            Mode::Auto if bound.is_local() => Mode::Placeholder,
            Mode::Auto => Mode::Off,
            written_out => written_out,
        }
    }
}

/// Whether a request is one to the relay. With a final slash too: Java's and Go's own defaults have one.
pub fn is_asked(path: &str) -> bool {
    matches!(path, "/oauth/token" | "/oauth/token/")
}

/// Whether the relay would look at a request of this method on a listener with this mode.
///
/// # Errors
/// The answer that it gets instead.
pub fn admit(mode: Mode, method: &Method) -> Result<(), Error> {
    if mode == Mode::Off {
        let detail = "this listener hands out no tokens: `relay.mode` says what it does";
        return Err(Error::new(Reason::NoRoute, detail));
    }
    match *method == Method::POST {
        true => Ok(()),
        false => Err(Error::new(Reason::MethodRefused, "tokens are asked for with POST").only_post()),
    }
}

/// Answers a token request (RFC 6749 §4.4.2) that the door has let in.
pub(super) async fn answer(
    settings: &Settings,
    destinations: &Destinations,
    connection: &Connection,
    head: &Head,
    body: &mut Option<Arriving>,
) -> Result<Response<Body>, Error> {
    let mode = connection.door.relay;
    admit(mode, &head.method)?;
    let parameters = parameters::read(&head.headers, body).await?;
    let asked = Asked::new(parameters, head.headers.get_all(AUTHORIZATION))?;
    match asked.grant_type.as_deref() {
        Some("client_credentials") => {}
        Some(_) => {
            let detail = "the grant_type is not client_credentials, the only one that is known here";
            return Err(Error::oauth(OauthCode::UnsupportedGrantType, detail));
        }
        None => return Err(Error::oauth(OauthCode::InvalidRequest, "the grant_type is missing")),
    }
    let granted = match mode {
        Mode::Token => grant::grant(settings, destinations, connection, &asked).await?,
        _ => placeholder::grant(&asked)?,
    };
    Ok(reply(&granted))
}

/// RFC 6749 §5.1.
fn reply(granted: &Value) -> Response<Body> {
    let mut response = Response::new(StatusCode::OK, Body::Full(granted.to_string().into()));
    let headers = &mut response.head.headers;
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_listener_that_this_machine_alone_reaches_has_a_relay_by_itself() {
        for (address, mode) in [
            ("127.0.0.1:8080", Mode::Placeholder),
            ("[::1]:8080", Mode::Placeholder),
            ("unix:/run/proxy.sock", Mode::Placeholder),
            ("0.0.0.0:8080", Mode::Off),
            ("192.168.1.10:8080", Mode::Off),
        ] {
            let address: Address = address.parse().unwrap();
            assert_eq!(Mode::Auto.on(&address), mode, "{address}");
            for written_out in [Mode::Placeholder, Mode::Token, Mode::Off] {
                assert_eq!(written_out.on(&address), written_out);
            }
        }
    }

    #[test]
    fn the_relay_is_asked_at_one_path_alone() {
        assert!(is_asked("/oauth/token") && is_asked("/oauth/token/"));
        for other in
            ["/oauth", "/oauth/token//", "/oauth/tokens", "/oauth/token/x", "/OAUTH/TOKEN", "/x/oauth/token"]
        {
            assert!(!is_asked(other), "{other}");
        }
    }
}
