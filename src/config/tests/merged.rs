//! Configuration and credentials together.

use super::*;
use crate::scope::Scope;

#[test]
fn mistakes_in_the_credentials_name_file_and_line() {
    let sandbox = Sandbox::new();
    let path = sandbox.write("c.txt", &format!("ZEEBE_CLIENT_ID=i\nZEEBE_CLIENT_SECRET='{SECRET}\n"));
    let problems = sandbox.variable("CAMUNDA_PROXY_CREDENTIALS", &path).problems();
    assert!(problems[0].starts_with("ZEEBE_CLIENT_SECRET (c.txt:2): the value's quote"), "{problems:?}");
}

#[test]
fn keys_count_more_than_the_credentials_file() {
    let sandbox = Sandbox::with_credentials()
        .file("[oauth]\nclient_id = \"other\"\n[scopes.zeebe]\ngrpc_address = \"grpc://localhost\"\naudience = \"a\"")
        .variable("CAMUNDA_PROXY_OAUTH__CLIENT_SECRET", "CANARY-2")
        .variable("CAMUNDA_PROXY_SCOPES__OPTIMIZE__ADDRESS", "https://optimize.example");
    let settings = sandbox.settings();
    assert_eq!(sandbox.client().id, "other");
    assert_eq!(sandbox.client().secret.expose(), "CANARY-2");
    let zeebe = &settings.scopes[&Scope::Zeebe];
    assert_eq!(
        zeebe.grpc_address.as_ref().map(ToString::to_string).as_deref(),
        Some("http://localhost:26500")
    );
    assert_eq!(zeebe.audience.as_deref(), Some("a"));
    assert!(settings.scopes.contains_key(&Scope::Optimize));
}

#[test]
fn without_a_file_the_environment_holds_the_credentials() {
    let sandbox = Sandbox::new()
        .variable("ZEEBE_CLIENT_ID", "'id'")
        .variable("ZEEBE_CLIENT_SECRET", "\"007\"")
        .variable("ZEEBE_AUTHORIZATION_SERVER_URL", "http://127.0.0.1:1/oauth/token")
        .variable("ZEEBE_GRPC_ADDRESS", "grpc://127.0.0.1:2");
    let settings = sandbox.settings();
    assert_eq!(sandbox.client().id, "id");
    assert_eq!(sandbox.client().secret.expose(), "007");
    let id = settings.effective.iter().find(|e| e.key == "oauth.client_id").expect("id");
    assert_eq!(id.origin, "environment variable ZEEBE_CLIENT_ID");
}

#[test]
fn plaintext_beyond_loopback_is_refused_unless_allowed_for_that_leg() {
    let sandbox = |allow: &str| {
        Sandbox::with_credentials()
            .file(allow)
            .variable("CAMUNDA_PROXY_OAUTH__URL", "http://idp/token?x=y")
            .variable("CAMUNDA_PROXY_SCOPES__ZEEBE__GRPC_ADDRESS", "grpc://zeebe:26500")
            .variable("CAMUNDA_PROXY_SCOPES__OPERATE__ADDRESS", "http://localhost:1")
    };
    let both = sandbox("").variable("CAMUNDA_PROXY_SCOPES__TASKLIST__ADDRESS", "u@h").problems();
    assert_eq!(both.len(), 3, "{both:?}");
    let problems = sandbox("").problems();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].ends_with("set oauth.allow_plaintext = true"), "{problems:?}");
    assert!(problems[1].ends_with("set scopes.zeebe.allow_plaintext = true"), "{problems:?}");
    sandbox("[oauth]\nallow_plaintext = true\n[scopes.zeebe]\nallow_plaintext = true").settings();
}

#[test]
fn saas_hosts_decide_where_rest_goes_and_for_whom_the_token_is() {
    let operate = |hosts: &str| {
        let sandbox = Sandbox::with_credentials().variable("CAMUNDA_PROXY_SAAS__HOSTS", hosts);
        sandbox.settings().scopes.remove(&Scope::Operate).expect("operate")
    };
    let shown =
        |scope: &ScopeSettings| (scope.address.clone().expect("address").host, scope.audience.clone());
    let legacy = ("bru-2.operate.camunda.io".to_owned(), Some("operate.camunda.io".to_owned()));
    let api = ("bru-2.api.camunda.io".to_owned(), Some("zeebe.camunda.io".to_owned()));
    assert_eq!((shown(&operate("legacy")), operate("legacy").migrated), (legacy.clone(), None));
    assert_eq!((shown(&operate("api")), operate("api").migrated), (api.clone(), None));
    let mut auto = operate("auto");
    assert_eq!(shown(&auto), legacy);
    auto.migrate();
    assert_eq!(shown(&auto), api);
}

#[test]
fn a_file_that_powershell_redirected_is_utf_16_and_read_all_the_same() {
    let sandbox = Sandbox::with_credentials();
    let path = sandbox.directory.path().join("credentials.txt");
    let text = fs::read_to_string(&path).expect("read");
    let bytes: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(&path, bytes).expect("written");
    assert_eq!(sandbox.client().secret.expose(), SECRET);
}
