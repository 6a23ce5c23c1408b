//! Any text as a credentials file.

use serde_json::json;

use super::*;

const CANARY: &str = "CANARY-in-a-secret";

/// What is wrong with it is said without a value, whatever it is; and a secret in a sound file is what it was.
pub(crate) fn credentials(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    if text.contains("CANARY") {
        return;
    }
    let _ = Credentials::parse(&text);
    tells_no_secret(&format!("{text}\nexport ZEEBE_CLIENT_SECRET='{CANARY}'\n"));
    tells_no_secret(&format!("{text}\nZEEBE_CLIENT_SECRET: {CANARY}\n"));
    tells_no_secret(&format!("export ZEEBE_CLIENT_SECRET=\"{CANARY}\"\n{text}"));
    keeps_a_secret(text.trim());
}

fn tells_no_secret(text: &str) {
    let told = match Credentials::parse(text) {
        Ok(credentials) => format!("{credentials:?}"),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    };
    assert!(!told.contains("CANARY"), "{told}");
}

/// Whatever it is made of: in JSON every text can be written.
fn keeps_a_secret(secret: &str) {
    let file = json!({
        "ZEEBE_ADDRESS": "abc.bru-2.zeebe.camunda.io:443",
        "ZEEBE_CLIENT_ID": "id",
        "ZEEBE_CLIENT_SECRET": secret,
        "CAMUNDA_OAUTH_URL": "https://login.example/oauth/token",
    });
    let Ok(credentials) = Credentials::parse(&file.to_string()) else { return };
    let client = credentials.authorization.client().expect("a client");
    assert_eq!(client.secret.expose().trim(), secret, "the secret is another one");
    if !secret.contains(['\'', '\n', '\r']) {
        let line = format!("export ZEEBE_CLIENT_SECRET='{secret}'\n");
        let rest = "export ZEEBE_ADDRESS='abc.bru-2.zeebe.camunda.io:443'\nexport ZEEBE_CLIENT_ID='id'\n\
                    export CAMUNDA_OAUTH_URL='https://login.example/oauth/token'\n";
        let exported = Credentials::parse(&format!("{line}{rest}")).expect("what JSON says, lines say too");
        assert_eq!(exported.authorization, credentials.authorization);
    }
}
