//! Which layer counts, and how texts become values.

use std::time::Duration;

use super::*;
use crate::scope::Scope;

#[test]
fn later_layers_count_more_and_every_value_knows_its_origin() {
    let sandbox = Sandbox::with_credentials()
        .file("workers = 1\n[log]\nlevel = \"debug\"\nformat = \"json\"\n[drain]\ntimeout = \"5s\"")
        .file("[log]\nlevel = \"warn\"\n[admin]\naddress = \"127.0.0.1:1\"")
        .variable("CAMUNDA_PROXY_WORKERS", "3")
        .variable("CAMUNDA_PROXY_ADMIN__ADDRESS", "127.0.0.1:2")
        .variable("CAMUNDA_PROXY_SAAS__HOSTS", "legacy")
        .variable("CAMUNDA_PROXY_SCOPES__ZEEBE__ALLOW_PLAINTEXT", "true")
        .flag("--admin", "admin.address", &["127.0.0.1:3"]);
    let settings = sandbox.settings();
    assert_eq!(settings.config.workers, 3);
    assert_eq!(settings.config.log.level, "warn");
    assert_eq!(settings.config.log.format, LogFormat::Json);
    assert_eq!(settings.config.admin.address.to_string(), "127.0.0.1:3");
    assert_eq!(settings.config.drain.timeout, Duration::from_secs(5));
    assert_eq!(settings.config.saas.hosts, Hosts::Legacy);
    assert!(settings.config.scopes.zeebe.allow_plaintext);
    let directory = format!("{}/", sandbox.directory.path().display());
    for (key, value, origin) in [
        ("workers", "3", "environment variable CAMUNDA_PROXY_WORKERS"),
        ("log.level", "\"warn\"", "1.toml:2:1"),
        ("log.format", "\"json\"", "0.toml:4:1"),
        ("admin.address", "\"127.0.0.1:3\"", "flag --admin"),
        ("log.access", "\"all\"", "default"),
        ("oauth.client_id", "\"id\"", "ZEEBE_CLIENT_ID (credentials.txt:2)"),
        ("oauth.client_secret", "\"[redacted]\"", "ZEEBE_CLIENT_SECRET (credentials.txt:3)"),
        ("scopes.operate.audience", "\"operate.camunda.io\"", "default for this address"),
        (
            "scopes.zeebe.address",
            "\"https://bru-2.zeebe.camunda.io/abc\"",
            "derived from region and cluster id",
        ),
        ("listen", "[\"127.0.0.1:26500\",\"127.0.0.1:8080\"]", "default"),
        ("scopes.tasklist.address", "null", "default"),
    ] {
        let found = settings.effective.iter().find(|effective| effective.key == key).expect(key);
        assert_eq!(
            (found.value.to_string().as_str(), found.origin.replace(&directory, "").as_str()),
            (value, origin),
            "{key}"
        );
    }
    let shown = format!("{settings:?}{}", serde_json::to_string(&settings.effective).expect("JSON"));
    assert!(!shown.contains("CANARY"), "{shown}");
}

#[test]
fn a_secret_of_digits_stays_a_text() {
    for secret in ["12345678", "007", "true", "[x", "a$b", "1e5", "a,b"] {
        let sandbox = Sandbox::with_credentials().variable("CAMUNDA_PROXY_OAUTH__CLIENT_SECRET", secret);
        assert_eq!(sandbox.client().secret.expose(), secret);
    }
    let sandbox = Sandbox::with_credentials().file("[oauth]\nclient_secret = 12345678");
    assert_eq!(sandbox.client().secret.expose(), "12345678");
    let file = Sandbox::with_credentials();
    let path = file.write("secret", &format!("  {SECRET}-2\r\n"));
    let sandbox = file.variable("CAMUNDA_PROXY_OAUTH__CLIENT_SECRET_FILE", &path);
    assert_eq!(sandbox.client().secret.expose(), format!("{SECRET}-2"));
}

#[test]
fn lists_are_read_from_texts() {
    let listen = |value: &str| {
        let config = Sandbox::new().variable("CAMUNDA_PROXY_LISTEN", value).config();
        config.listeners().iter().map(|l| l.address.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(listen("127.0.0.1:1, [::1]:2"), ["127.0.0.1:1", "[::1]:2"]);
    assert_eq!(listen("[\"127.0.0.1:1\", \"unix:/x?mode=0660\"]"), ["127.0.0.1:1", "unix:/x?mode=0660"]);
    assert_eq!(listen("[]"), Vec::<String>::new());
    let config = Sandbox::new()
        .variable("CAMUNDA_PROXY_LISTENER", "[{address = \"127.0.0.1:1\", scope = \"operate\"}]")
        .variable("CAMUNDA_PROXY_ACCESS__ALLOWED_HOSTS", "a.example, b.example:80")
        .variable("CAMUNDA_PROXY_WORKERS", "")
        .variable("CAMUNDA_PROXY_SERVICE_HOST", "10.0.0.1")
        .variable("CAMUNDA_PROXY_PORT_8080_TCP", "tcp://10.0.0.1:8080")
        .config();
    assert_eq!(config.listener[0].scope, Some(Scope::Operate));
    assert_eq!(config.access.allowed_hosts, ["a.example", "b.example:80"]);
}

#[test]
fn main_listeners_are_replaced_and_others_kept() {
    let addresses = |sandbox: Sandbox| -> Vec<String> {
        sandbox.config().listeners().iter().map(|l| l.address.to_string()).collect()
    };
    let pinned = "[[listener]]\naddress = \"127.0.0.1:1\"\nscope = \"operate\"\n";
    let main = "[[listener]]\naddress = \"127.0.0.1:2\"\n";
    assert_eq!(addresses(Sandbox::new().file(pinned)), ["127.0.0.1:26500", "127.0.0.1:8080", "127.0.0.1:1"]);
    assert_eq!(addresses(Sandbox::new().file(main)), ["127.0.0.1:2"]);
    let both = Sandbox::new().file(&format!("{pinned}{main}"));
    let both = both.flag("--listen", "listen", &["127.0.0.1:3", "127.0.0.1:0"]);
    assert_eq!(addresses(both), ["127.0.0.1:3", "127.0.0.1:0", "127.0.0.1:1"]);
    assert_eq!(addresses(Sandbox::new().flag("--listen", "listen", &["127.0.0.1:3"])), ["127.0.0.1:3"]);
}
