//! The placeholder: a JWT that SDKs can decode and cache, and that opens nothing.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::super::error::Error;
use super::super::reply::NAME;
use super::parameters::Asked;

/// In seconds. As long as SaaS's own tokens, so that clients come as seldom.
const LIFE: u64 = 86_400;

/// What a client gets for any id and any secret.
pub(super) fn grant(asked: &Asked) -> Result<Value, Error> {
    let mut granted = json!({
        "access_token": token(asked, SystemTime::now()),
        "token_type": "Bearer",
        "expires_in": LIFE,
    });
    if let Some(scope) = &asked.oauth_scope {
        granted["scope"] = Value::from(scope.as_str());
    }
    Ok(granted)
}

/// Signed by nobody: the signature is random, of the length that its header promises. So no verifier, whatever key it
/// knows, takes it for its own.
fn token(asked: &Asked, now: SystemTime) -> String {
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let client = asked.client_id.as_deref().unwrap_or("anonymous");
    let mut claims = json!({
        "iss": NAME,
        "sub": client,
        "azp": client,
        "client_id": client,
        "iat": now,
        "exp": now + LIFE,
        "jti": URL_SAFE_NO_PAD.encode(random::<16>()),
        "placeholder": true,
    });
    for (name, value) in [("aud", &asked.audience), ("scope", &asked.oauth_scope)] {
        if let Some(value) = value {
            claims[name] = Value::from(value.as_str());
        }
    }
    let header = json!({ "alg": "HS256", "typ": "JWT" });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(&header), part(&claims), URL_SAFE_NO_PAD.encode(random::<32>()))
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Where the system has no randomness to give, zeros are as worthless.
    let _ = rand::fill(&mut bytes);
    bytes
}
