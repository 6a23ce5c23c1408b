//! Every mistake at once, with key, origin and remedy.

use super::*;

#[test]
fn all_mistakes_are_reported_at_once_with_key_origin_and_remedy() {
    let sandbox = Sandbox::new()
        .file(&format!(
            "wrokers = 1\nworkers = \"many\"\nanonymous = \"everywhere\"\n[oauth]\nclient_secret = [\"{SECRET}\"]\n\
             client_secret_fiel = \"{SECRET}\"\nwait = \"{SECRET}\"\n[[listener]]\naddres = \"127.0.0.1:1\"\n\
             [[listener]]\naddress = \"nowhere\"\ntls = {{ cert_file = 1 }}\n"
        ))
        .variable("CAMUNDA_PROXY_LOG__LEVLE", "debug")
        .variable("CAMUNDA_PROXY_LIMITS__CONNECTIONS", SECRET)
        .variable("CAMUNDA_PROXY_OAUTH__ALLOW_PLAINTEXT", "perhaps")
        .flag("--admin", "admin.address", &["9600"]);
    let mut problems = sandbox.problems();
    let missing = problems.pop().expect("missing credentials");
    assert!(missing.contains("are missing"), "{missing}");
    problems.sort();
    let wrong_address = |text: &str| {
        format!(
            "`{text}` is not an address: write 127.0.0.1:8080, [::1]:8080, localhost:8080, \
             unix:/path?mode=0600 or systemd:NAME"
        )
    };
    assert_eq!(
        problems,
        [
            format!("admin.address (flag --admin): {}", wrong_address("9600")),
            "anonymous (0.toml:3:1): expected loopback, nowhere or anywhere".to_owned(),
            "limits.connections (environment variable CAMUNDA_PROXY_LIMITS__CONNECTIONS): \
             expected a number, 0 or more"
                .to_owned(),
            "listener.0.addres (0.toml:9:1): there is no such key; did you mean `listener.0.address`?"
                .to_owned(),
            "listener.0.address (0.toml:8:1): the key is missing; write it".to_owned(),
            format!("listener.1.address (0.toml:11:1): {}", wrong_address("nowhere")),
            "listener.1.tls.cert_file (0.toml:12:9): expected a text in quotes".to_owned(),
            "log.levle (environment variable CAMUNDA_PROXY_LOG__LEVLE): there is no such key; \
             did you mean `CAMUNDA_PROXY_LOG__LEVEL`?"
                .to_owned(),
            "oauth.allow_plaintext (environment variable CAMUNDA_PROXY_OAUTH__ALLOW_PLAINTEXT): \
             expected true or false"
                .to_owned(),
            "oauth.client_secret (0.toml:5:1): expected a text in quotes".to_owned(),
            "oauth.client_secret_fiel (0.toml:6:1): there is no such key; \
             did you mean `oauth.client_secret_file`?"
                .to_owned(),
            "oauth.wait (0.toml:7:1): expected a duration such as 30s or 5m".to_owned(),
            "workers (0.toml:2:1): expected a number, 0 or more".to_owned(),
            "wrokers (0.toml:1:1): there is no such key; did you mean `workers`?".to_owned(),
        ]
    );
}

#[test]
fn a_file_that_is_no_toml_says_where_and_quotes_nothing() {
    for text in [
        format!("workers = 1\n[oauth]\nclient_secret = {SECRET}\n"),
        format!("workers = 1\n[oauth]\nclient_secret = \"{SECRET}\n"),
        format!("workers = 1\n[oauth]\n\"{SECRET}\" {SECRET}\n"),
        format!("a = 1\nb = 2\nclient_secret = '{SECRET}' {SECRET}\n"),
    ] {
        let problems = Sandbox::new().file(&text).problems();
        assert!(problems[0].starts_with("0.toml:3:"), "{problems:?}");
        assert!(!problems.concat().contains("CANARY"), "{problems:?}");
    }
}

#[test]
fn files_that_cannot_be_read_are_named_with_their_key() {
    let mut sandbox = Sandbox::new().variable("CAMUNDA_PROXY_OAUTH__CA_FILE", "/nowhere/ca.pem");
    sandbox.sources.files.push("/nowhere/proxy.toml".into());
    assert_eq!(
        sandbox.problems(),
        [
            "/nowhere/proxy.toml: there is no such file; check the path",
            "oauth.ca_file (environment variable CAMUNDA_PROXY_OAUTH__CA_FILE): there is no such file; check the path",
        ]
    );
    let problems = Sandbox::new().flag("--credentials", "credentials", &["/nowhere/x"]).problems();
    assert_eq!(
        problems,
        ["credentials (flag --credentials): /nowhere/x: there is no such file; check the path"]
    );
    let problems = Sandbox::new().flag("--credentials", "credentials", &["/"]).problems();
    assert_eq!(problems, ["credentials (flag --credentials): /: this is a directory; name the file in it"]);
}

#[test]
fn mistakes_between_keys_are_found() {
    let sandbox = Sandbox::with_credentials()
        .file(&format!(
            "listen = [\"127.0.0.1:1\", \"127.0.0.1:1\", \"127.0.0.1:0\", \"127.0.0.1:0\"]\n\
             [admin]\naddress = \"127.0.0.1:1\"\n[oauth]\nclient_secret = \"{SECRET}\"\nclient_secret_file = \"/\"\n\
             [log]\nlevel = \"inof\"\n[scopes.operate]\ngrpc_address = \"x\"\n[drain]\ntimeout = \"0s\""
        ))
        .variable("CAMUNDA_PROXY_LIMITS__HEAD_TIMEOUT", "0s");
    let mut keys: Vec<String> =
        sandbox.problems().iter().map(|p| p.split(' ').next().unwrap_or_default().to_owned()).collect();
    keys.sort();
    let expected = [
        "admin.address",
        "limits.head_timeout",
        "listen",
        "log.level",
        "oauth.client_secret",
        "oauth.client_secret_file",
        "scopes.operate.grpc_address",
    ];
    assert_eq!(keys, expected);
}
