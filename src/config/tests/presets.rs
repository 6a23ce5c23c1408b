//! Other identity providers: presets, issuers, free parameters and fields.

use super::*;
use crate::oauth::Preset;
use crate::scope::Scope;

/// A client at an address of Camunda's, and no word about the provider.
fn sandbox(oauth: &str) -> Sandbox {
    let address = "[scopes.zeebe]\naddress = \"https://bru-2.api.camunda.io/c\"\n";
    Sandbox::new().file(&format!(
        "[oauth]\nclient_id = \"CLIENT_ID\"\nclient_secret = \"{SECRET}\"\n{oauth}\n{address}"
    ))
}

fn example(preset: Preset) -> (&'static str, &'static str) {
    match preset {
        Preset::Saas => ("nothing", ""),
        Preset::Keycloak => ("`server`, `realm`", "server = \"https://SERVER\"\nrealm = \"REALM\""),
        Preset::Entra => ("`tenant`", "tenant = \"TENANT\""),
        Preset::Cognito => ("`server`", "server = \"SERVER/\""),
        Preset::Oidc => ("`issuer`", "issuer = \"https://ISSUER\""),
    }
}

fn of(preset: Preset) -> String {
    format!("preset = \"{}\"\n{}", preset.name(), example(preset).1)
}

fn shown(settings: &Settings, key: &str) -> (String, String) {
    let effective = settings.effective.iter().find(|effective| effective.key == key).expect(key);
    (effective.value.to_string(), effective.origin.clone())
}

#[test]
fn the_readme_says_what_each_preset_stands_for() {
    let readme = include_str!("../../../README.md");
    for preset in Preset::ALL {
        let sandbox = sandbox(&of(preset));
        let (client, settings) = (sandbox.client(), sandbox.settings());
        let or_none = |text: Option<&String>| text.map_or("none".to_owned(), |text| format!("`{text}`"));
        let row = format!(
            "| `{}` | {} | `{}` | {} | {} |",
            preset.name(),
            example(preset).0,
            client.token_endpoint,
            or_none(client.oauth_scope.as_ref()),
            or_none(settings.scopes[&Scope::Zeebe].audience.as_ref()),
        );
        assert!(readme.contains(&row), "{row}");
        assert_eq!(client.by_issuer, preset == Preset::Oidc);
    }
}

#[test]
fn a_presets_values_are_shown_with_their_origin_and_count_less_than_all_others() {
    let settings = sandbox(&of(Preset::Entra)).settings();
    let origin = || "preset entra".to_owned();
    assert_eq!(shown(&settings, "oauth.oauth_scope"), ("\"CLIENT_ID/.default\"".to_owned(), origin()));
    assert_eq!(shown(&settings, "scopes.zeebe.audience"), ("\"\"".to_owned(), origin()));
    assert_eq!(shown(&settings, "oauth.url").1, origin());

    let more = "url = \"https://other/token\"\noauth_scope = \"mine\"\n[scopes.optimize]\naddress = \"https://o\"\naudience = \"b\"";
    let settings = sandbox(&format!("preset = \"entra\"\n{more}")).settings();
    let client = settings.credentials.authorization.client().expect("OAuth");
    assert_eq!(
        (client.token_endpoint.as_str(), client.oauth_scope.as_deref()),
        ("https://other/token", Some("mine"))
    );
    assert_eq!(settings.scopes[&Scope::Optimize].audience.as_deref(), Some("b"));
    assert_eq!(settings.scopes[&Scope::Zeebe].audience, None);

    let credentials = Sandbox::with_credentials();
    let given = credentials.client().token_endpoint;
    assert_eq!(
        credentials.file(&format!("[oauth]\n{}", of(Preset::Keycloak))).client().token_endpoint,
        given
    );
    let issuer = sandbox(&format!("{}\nissuer = \"https://ISSUER\"", of(Preset::Keycloak))).client();
    assert!(issuer.by_issuer && issuer.token_endpoint == "https://ISSUER");
}

#[test]
fn what_a_preset_wants_is_asked_for() {
    for (oauth, problems) in [
        (
            "preset = \"keycloak\"",
            &["oauth.server (default): the preset keycloak wants it", "oauth.realm (default): "][..],
        ),
        ("preset = \"entra\"\ntenant = \" \"", &["oauth.tenant (0.toml:5:1): it is empty"]),
        ("preset = \"oidc\"", &["oauth.issuer (default): the preset oidc wants it"]),
        ("preset = \"saas\"\nrealm = \"x\"", &["oauth.realm (0.toml:5:1): it is of no use"]),
        (
            "preset = \"keyclaok\"",
            &["oauth.preset (0.toml:4:1): expected saas, keycloak, entra, cognito or oidc"],
        ),
        (
            "url = \"https://a\"\nissuer = \"https://b\"",
            &["oauth.issuer (0.toml:5:1): oauth.url and oauth.issuer"],
        ),
        ("issuer = \"https://b?c\"", &["oauth.issuer (0.toml:4:1): an issuer has no query"]),
        ("issuer = \"http://b\"", &["oauth.issuer (0.toml:4:1): b is plaintext"]),
    ] {
        let told = sandbox(oauth).problems();
        for problem in problems {
            assert!(told.iter().any(|told| told.starts_with(problem)), "{oauth}: {told:?}");
        }
    }
}

#[test]
fn an_empty_audience_asks_for_none() {
    let none = Sandbox::with_credentials().file("[scopes.zeebe]\naudience = \"\"\n");
    assert_eq!(none.settings().scopes[&Scope::Zeebe].audience, None);
}

#[test]
fn free_parameters_and_fields_are_read_and_never_shown() {
    let sandbox = Sandbox::new();
    let path = sandbox.write("key", &format!("{SECRET}\n"));
    let text = format!(
        "[oauth]\nclient_id = \"i\"\nclient_secret = \"s\"\nurl = \"https://a/token\"\n\
         parameters = {{ tenant = \"{SECRET}-1\", number = 7 }}\nheaders = {{ X-Key = {{ file = \"{path}\" }} }}\n\
         [scopes.zeebe]\naddress = \"https://z\"\n"
    );
    let sandbox = sandbox.file(&text).variable("CAMUNDA_PROXY_OAUTH__PARAMETERS__MORE", SECRET);
    let (client, settings) = (sandbox.client(), sandbox.settings());
    let text = |name: &str| client.parameters[name].expose().to_owned();
    assert_eq!(
        [text("tenant"), text("number"), text("more")],
        [format!("{SECRET}-1"), "7".into(), SECRET.into()]
    );
    assert_eq!(client.headers["x-key"].expose(), SECRET);
    assert!(settings.files.contains(&path.into()));
    assert_eq!(shown(&settings, "oauth.parameters.tenant").0, "\"[redacted]\"");
    let shown = format!("{settings:?} {}", serde_json::to_string(&settings.config).expect("JSON"));
    assert!(!shown.contains(SECRET), "{shown}");
}

#[test]
fn fields_that_the_connection_makes_are_refused() {
    for (oauth, problem) in [
        (
            "headers = { Host = \"CANARY\" }",
            "oauth.headers.Host (0.toml:4:13): this header field is made by the connection",
        ),
        (
            "headers = { \"a b\" = \"CANARY\" }",
            "oauth.headers.a b (0.toml:4:13): no header field has such a name",
        ),
        ("headers = { a = \"CANARY\\n\" }", "oauth.headers.a (0.toml:4:13): it holds characters"),
        ("parameters = { a = \"CANARY\\u0000\" }", "oauth.parameters.a (0.toml:4:16): it has no name, or"),
        (
            "parameters = { a = { file = \"/nowhere\" } }",
            "oauth.parameters.a (0.toml:4:16): there is no such file",
        ),
    ] {
        let told = sandbox(&format!("{oauth}\nurl = \"https://a\"")).problems();
        let message = problem.split_once(": ").expect("a message").1;
        assert!(told.len() == 1 && told[0].contains(message), "{oauth}: {told:?}");
        assert!(told[0].starts_with(problem.split(" (").next().expect("a key")), "{told:?}");
        assert!(!told.concat().contains("CANARY"), "{told:?}");
    }
}
