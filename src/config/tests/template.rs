//! `proxy.toml` is true.

use super::*;

/// `proxy.toml` with everything that stands behind a `#` and looks like configuration taken in.
fn with_examples(text: &str) -> String {
    let key = |line: &str| {
        let mut rest = line;
        while let Some(inner) = rest.strip_prefix("# ") {
            rest = inner;
        }
        let name: String =
            rest.chars().take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_').collect();
        let is_key = !name.is_empty() && rest[name.len()..].starts_with(" = ");
        if is_key || rest == "[[listener]]" || rest == "[[caller]]" { rest.to_owned() } else { String::new() }
    };
    let line = |line: &str| if line.starts_with('#') { key(line) } else { line.to_owned() };
    text.lines().map(|text| line(text) + "\n").collect()
}

#[test]
fn proxy_toml_holds_every_key_with_its_default() {
    let text = include_str!("../../../proxy.toml");
    let keys =
        |config: &Config| effective::keys(config).into_iter().collect::<std::collections::BTreeMap<_, _>>();
    let config = Sandbox::new().file(text).config();
    assert_eq!(keys(&config), keys(&Config::default()), "as it is, it changes nothing");

    // Top-level examples end where the first table begins, so the example listener must come last there.
    let (top, tables) = with_examples(text)
        .split_once("[[listener]]")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .expect("example");
    let (listener, tables) = tables.split_once("[admin]").expect("admin");
    let full = Sandbox::new().file(&format!("{top}\n[admin]{tables}\n[[listener]]{listener}")).config();
    let unset: Vec<String> =
        keys(&full).into_iter().filter(|(_, v)| v.is_null()).map(|(key, _)| key).collect();
    let not_zeebe =
        ["operate", "optimize", "secrets", "tasklist"].map(|s| format!("scopes.{s}.grpc_address"));
    assert_eq!(unset, not_zeebe, "every key without a default has an example");
    let listen: Vec<String> = full.listen.expect("example").iter().map(ToString::to_string).collect();
    let default = Config::default().listeners();
    assert_eq!(listen, default.iter().map(|l| l.address.to_string()).collect::<Vec<_>>());
    let listener = serde_json::to_value(&full.listener).expect("JSON");
    for key in ["address", "scope", "secrets", "tls"] {
        assert!(!listener[0][key].is_null(), "{key} has an example");
    }
    let caller = serde_json::to_value(&full.caller).expect("JSON");
    assert!(caller[0].as_object().expect("a caller").values().all(|value| !value.is_null()), "{caller}");
    for key in effective::keys(&Config::default()).into_iter().filter(|(_, value)| !value.is_null()) {
        let name = key.0.rsplit('.').next().unwrap_or_default().to_owned();
        assert!(
            ["listener", "caller"].contains(&name.as_str()) || text.contains(&format!("\n{name} = ")),
            "{name} stands there"
        );
    }
}
