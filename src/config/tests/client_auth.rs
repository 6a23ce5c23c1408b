//! How the client proves who it is: methods, keys, and what is said of those that are of no use.

use std::time::{Duration, SystemTime};

use super::*;
use crate::oauth::{ClientAuth, ClientAuthMethod};

/// With the keys of the tests in `{keys}`.
fn sandbox(oauth: &str) -> Sandbox {
    let keys = format!("{}/tests/keys", env!("CARGO_MANIFEST_DIR"));
    Sandbox::with_credentials().file(&format!("[oauth]\n{}", oauth.replace("{keys}", &keys)))
}

/// Problems without the folder of the keys.
fn problems(oauth: &str) -> Vec<String> {
    let keys = format!("{}/tests/keys/", env!("CARGO_MANIFEST_DIR"));
    sandbox(oauth).problems().into_iter().map(|problem| problem.replace(&keys, "")).collect()
}

#[test]
fn every_method_is_stated_by_a_word_of_its_own() {
    for (oauth, method) in [
        ("", ClientAuthMethod::ClientSecretPost),
        ("client_auth = \"client_secret_post\"", ClientAuthMethod::ClientSecretPost),
        ("client_auth = \"client_secret_basic\"", ClientAuthMethod::ClientSecretBasic),
        ("client_auth = \"private_key_jwt\"\nkey_file = \"{keys}/ec.pem\"", ClientAuthMethod::PrivateKeyJwt),
        (
            "client_auth = \"tls_client_auth\"\nkey_file = \"{keys}/ec.pem\"\ncert_file = \"{keys}/ec.cert.pem\"",
            ClientAuthMethod::TlsClientAuth,
        ),
        (
            "client_auth = \"workload_token\"\nworkload_token_file = \"/nowhere/yet\"",
            ClientAuthMethod::WorkloadToken,
        ),
    ] {
        let proof = sandbox(oauth).proof();
        assert_eq!(proof.client_auth.method(), method);
        assert!(proof.certificate.is_none());
        assert!(method.name() == "client_secret_post" || oauth.contains(&format!("\"{}\"", method.name())));
    }
    assert_eq!(
        problems("client_auth = \"client_secret_bsaic\""),
        [
            "oauth.client_auth (0.toml:2:1): expected client_secret_post, client_secret_basic, private_key_jwt, \
          tls_client_auth or workload_token; did you mean `client_secret_basic`?"
        ]
    );
}

#[test]
fn a_secret_is_demanded_by_the_methods_that_send_one_alone() {
    let without_secret = |oauth: &str| {
        let mut sandbox = sandbox(oauth);
        let text =
            "ZEEBE_CLIENT_ID=id\nCAMUNDA_OAUTH_URL=https://login/token\nZEEBE_REST_ADDRESS=https://zeebe/\n";
        let path = sandbox.write("other.txt", text);
        sandbox.sources.flags.push(Flag { name: "--credentials", key: "credentials", values: vec![path] });
        sandbox
    };
    let key = "client_auth = \"private_key_jwt\"\nkey_file = \"{keys}/rsa.pkcs1.pem\"";
    assert!(without_secret(key).client().secret.is_empty());
    let settings = without_secret(key).settings();
    let shown = settings.effective.iter().find(|shown| shown.key == "oauth.client_secret").unwrap();
    assert!(shown.value.is_null());
    let problems = without_secret("client_auth = \"client_secret_basic\"").problems();
    assert!(problems[0].contains("the client secret is missing"), "{problems:?}");
}

#[test]
fn a_certificate_beside_another_method_is_shown_in_tls() {
    let oauth = "client_auth = \"client_secret_basic\"\nkey_file = \"{keys}/signed.p12\"\nkey_password = \"canary-password\"";
    let proof = sandbox(oauth).proof();
    assert_eq!(proof.certificate.as_ref().unwrap().certificate().subject, "CN=signed client");
    let plain = sandbox(oauth).variable("CAMUNDA_PROXY_OAUTH__URL", "http://localhost/token").problems();
    assert_eq!(
        plain,
        ["oauth.key_file (0.toml:3:1): a certificate is shown in TLS, and the token endpoint is plaintext; \
          use an endpoint that begins with https://"]
    );
}

#[test]
fn a_certificate_that_assertions_name_is_shown_in_tls_when_that_is_asked_for() {
    let oauth = "client_auth = \"private_key_jwt\"\nkey_file = \"{keys}/ec.pem\"\n";
    let named = format!("{oauth}cert_file = \"{{keys}}/ec.cert.pem\"\n");
    assert!(sandbox(&named).proof().certificate.is_none());
    assert!(sandbox(&format!("{named}mutual_tls = true")).proof().certificate.is_some());
    let none = problems(&format!("{oauth}mutual_tls = true"));
    assert!(none[0].contains("there is no certificate for the key"), "{none:?}");
}

#[test]
fn a_keystore_of_the_java_client_is_taken_unless_something_else_is_said() {
    let of = |oauth: &str, credentials: &str| {
        let mut sandbox = sandbox(oauth);
        let keys = format!("{}/tests/keys", env!("CARGO_MANIFEST_DIR"));
        let text = format!(
            "CAMUNDA_CLIENT_ID=id\nCAMUNDA_CLIENT_SECRET=unused\nCAMUNDA_OAUTH_URL=https://login/token\n\
             CAMUNDA_REST_ADDRESS=https://zeebe/\n{}",
            credentials.replace("{keys}", &keys)
        );
        let path = sandbox.write("java.txt", &text);
        sandbox.sources.flags.push(Flag { name: "--credentials", key: "credentials", values: vec![path] });
        sandbox
    };
    let environment = "CAMUNDA_CLIENT_ASSERTION_KEYSTORE_PATH={keys}/java.p12\n\
                       CAMUNDA_CLIENT_ASSERTION_KEYSTORE_PASSWORD=canary-password\n\
                       CAMUNDA_CLIENT_ASSERTION_KEYSTORE_KEY_ALIAS=two\n";
    let spring = "camunda.client.auth.client-assertion.keystore-path={keys}/rsa.p12\n\
                  camunda.client.auth.client-assertion.keystore-password=canary-password\n";
    for (credentials, subject) in [(environment, "CN=two"), (spring, "O=Example, CN=rsa client")] {
        let settings = of("", credentials).settings();
        assert!(!format!("{:?}", settings.effective).contains("canary-password"));
        let ClientAuth::PrivateKeyJwt(key) = settings.proof.unwrap().client_auth else {
            panic!("another method")
        };
        assert_eq!(key.certificate().unwrap().subject, subject);
    }
    let settings = of("", environment).settings();
    let origin = |key: &str| settings.effective.iter().find(|shown| shown.key == key).unwrap().origin.clone();
    for (key, end) in [
        ("oauth.client_auth", "CAMUNDA_CLIENT_ASSERTION_KEYSTORE_PATH ({}:5)"),
        ("oauth.key_file", "CAMUNDA_CLIENT_ASSERTION_KEYSTORE_PATH ({}:5)"),
        ("oauth.key_password", "CAMUNDA_CLIENT_ASSERTION_KEYSTORE_PASSWORD ({}:6)"),
    ] {
        let file = settings.config.credentials.as_ref().unwrap().display().to_string();
        assert_eq!(origin(key), end.replace("{}", &file));
    }
    let wrong = of("", &environment.replace("canary-password", "CANARY")).problems();
    assert_eq!(
        wrong,
        ["oauth.key_password (CAMUNDA_CLIENT_ASSERTION_KEYSTORE_PASSWORD (java.txt:6)): \
          the password does not fit the file; give the password that the file was made with"]
    );
    for oauth in ["client_auth = \"client_secret_basic\"", "client_secret = \"other\""] {
        let proof = of(oauth, environment).proof();
        assert!(proof.client_auth.method().has_secret() && proof.certificate.is_none());
    }
    let own = of("client_auth = \"private_key_jwt\"\nkey_file = \"{keys}/ec.pem\"", environment).proof();
    assert!(matches!(&own.client_auth, ClientAuth::PrivateKeyJwt(key) if key.algorithm() == "ES256"));
}

#[test]
fn what_has_to_be_known_of_a_key_is_told_and_its_password_is_not() {
    let sandbox = sandbox(
        "client_auth = \"private_key_jwt\"\nkey_file = \"{keys}/rsa.p12\"\nkey_id = \"one\"\nkey_password = \"canary-password\"",
    );
    let settings = sandbox.settings();
    let note = settings.notes.last().unwrap();
    let start = "private_key_jwt signs with RS256, kid \"one\", naming the certificate O=Example, CN=rsa client (x5t ";
    assert!(note.starts_with(start) && note.contains(", x5t#S256 ") && note.contains("ends on 21"), "{note}");
    let shown = format!(
        "{:?} {:?} {}",
        settings,
        settings.effective,
        serde_json::to_string(&settings.config).unwrap()
    );
    assert!(!shown.contains("canary-password"));
    let files: Vec<&str> = settings.files.iter().filter_map(|file| file.file_name()?.to_str()).collect();
    assert!(files.contains(&"rsa.p12"), "{files:?}");
}

#[test]
fn a_password_may_lie_in_a_file_of_its_own_and_be_changed_with_the_key() {
    let sandbox = sandbox("client_auth = \"private_key_jwt\"\nkey_file = \"{keys}/rsa.encrypted.pem\"");
    let path = sandbox.write("password", "canary-password\n");
    let sandbox = sandbox.variable("CAMUNDA_PROXY_OAUTH__KEY_PASSWORD_FILE", &path);
    let proof = sandbox.proof();
    assert!(matches!(&proof.client_auth, ClientAuth::PrivateKeyJwt(key) if key.algorithm() == "RS256"));
    let settings = sandbox.settings();
    assert!(settings.files.contains(&path.into()));
}

#[test]
fn the_end_of_a_certificate_is_warned_of() {
    let oauth =
        "client_auth = \"tls_client_auth\"\nkey_file = \"{keys}/ec.pem\"\ncert_file = \"{keys}/ec.cert.pem\"";
    let proof = sandbox(oauth).proof();
    let ClientAuth::Mtls(identity) = &proof.client_auth else { panic!("another method") };
    let end = identity.certificate().expires_at;
    let days = |days: u64| Duration::from_secs(days * 86_400 + 1);
    assert_eq!(proof.warning(SystemTime::now()), None);
    assert_eq!(proof.warning(end - days(30)), None);
    assert_eq!(proof.warning(end - days(29)).unwrap(), "the certificate CN=ec client ends in 29 days");
    assert_eq!(proof.warning(end + days(1)).unwrap(), "the certificate CN=ec client has ended");
}

#[test]
fn combinations_that_mean_nothing_are_refused() {
    let jwt = "client_auth = \"private_key_jwt\"\n";
    for (oauth, expected) in [
        (
            "client_auth = \"private_key_jwt\"".to_owned(),
            "oauth.key_file (default): private_key_jwt signs with a private key, and none is named; \
             name a PEM or PKCS#12 file",
        ),
        (
            "client_auth = \"tls_client_auth\"".to_owned(),
            "oauth.key_file (default): tls_client_auth shows a certificate, and its key is not named; \
             name a PEM or PKCS#12 file, and oauth.cert_file if the certificate is not in it",
        ),
        (
            "client_auth = \"workload_token\"".to_owned(),
            "oauth.workload_token_file (default): workload_token sends the platform's token, and its file is not named; \
             name the file, such as AZURE_FEDERATED_TOKEN_FILE does",
        ),
        (
            format!("{jwt}key_file = \"{{keys}}/ec.pem\"\nclient_secret = \"{SECRET}\""),
            "oauth.client_secret (0.toml:4:1): private_key_jwt sends no secret; \
             take it out, or set oauth.client_auth to what is meant",
        ),
        (
            "key_id = \"x\"".to_owned(),
            "oauth.key_id (0.toml:2:1): client_secret_post signs nothing; \
             take it out, or set oauth.client_auth to what is meant",
        ),
        (
            "workload_token_file = \"x\"".to_owned(),
            "oauth.workload_token_file (0.toml:2:1): client_secret_post sends no workload token; \
             take it out, or set oauth.client_auth to what is meant",
        ),
        (
            "cert_file = \"x\"".to_owned(),
            "oauth.cert_file (0.toml:2:1): it is of no use without a key; set oauth.key_file, or take it out",
        ),
        (
            format!(
                "{jwt}key_file = \"{{keys}}/ec.pem\"\nkey_password = \"a\"\nkey_password_file = \"/dev/null\""
            ),
            "oauth.key_password (0.toml:4:1): oauth.key_password and oauth.key_password_file are both set; \
             keep one of them",
        ),
    ] {
        assert_eq!(problems(&oauth), [expected], "{oauth}");
    }
}

#[test]
fn keys_that_are_of_no_use_are_told_apart() {
    let of =
        |rest: &str| problems(&format!("client_auth = \"private_key_jwt\"\nkey_file = \"{{keys}}/{rest}"));
    let password = "\"\nkey_password = \"canary-password\"";
    for (rest, expected) in [
        ("none.pem\"".to_owned(), "oauth.key_file (0.toml:3:1): there is no such file; check the path"),
        (
            "make.sh\"".to_owned(),
            "oauth.key_file (0.toml:3:1): the file is neither PEM nor PKCS#12; \
             name a file that begins with -----BEGIN, or a .p12 or .pfx file",
        ),
        (
            "rsa.cert.pem\"".to_owned(),
            "oauth.key_file (0.toml:3:1): the file holds no private key; \
             name the file with the private key; the certificate is oauth.cert_file",
        ),
        (
            "rsa.p12\"".to_owned(),
            "oauth.key_file (0.toml:3:1): the file is encrypted and there is no password for it; \
             set oauth.key_password_file",
        ),
        (
            "rsa.p12\"\nkey_password = \"CANARY\"".to_owned(),
            "oauth.key_password (0.toml:4:1): the password does not fit the file; \
             give the password that the file was made with",
        ),
        (
            "rsa.legacy-encrypted.pem\"".to_owned(),
            "oauth.key_file (0.toml:3:1): the key is encrypted in openssl's old way, which is not safe; \
             encrypt it anew: openssl pkcs8 -topk8 -in old.pem -out new.pem",
        ),
        (
            format!("java.p12{password}"),
            "oauth.key_file (0.toml:3:1): the file holds several private keys; set oauth.key_alias to one of one, two",
        ),
        (
            format!("java.p12{password}\nkey_alias = \"tow\""),
            "oauth.key_alias (0.toml:5:1): the file holds no private key of this name; set oauth.key_alias to one of one, two",
        ),
        (
            "ed25519.pem\"".to_owned(),
            "oauth.key_file (0.toml:3:1): the key is of a type or on a curve that is not used here; \
             use an RSA key, or one on the curve P-256",
        ),
        (
            "rsa1024.pem\"".to_owned(),
            "oauth.key_file (0.toml:3:1): the RSA key has fewer than 2048 bits; \
             make a longer one: openssl genrsa -out key.pem 3072",
        ),
        (
            "rsa.pem\"\ncert_file = \"{keys}/ec.cert.pem\"".to_owned(),
            "oauth.cert_file (0.toml:4:1): the certificate belongs to another key; \
             name the certificate that was issued for this key, first in its file",
        ),
        (
            "rsa.pem\"\ncert_file = \"{keys}/rsa.pem\"".to_owned(),
            "oauth.cert_file (0.toml:4:1): the file holds no certificate; name the PEM file with the certificate",
        ),
    ] {
        assert_eq!(of(&rest), [expected], "{rest}");
    }
    assert_eq!(
        problems("key_file = \"{keys}/rsa.pem\""),
        ["oauth.key_file (0.toml:2:1): there is no certificate for the key; \
          name the certificate's PEM file in oauth.cert_file"]
    );
}
