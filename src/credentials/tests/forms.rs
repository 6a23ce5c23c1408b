//! Every form of the file means the same.

use proptest::prelude::*;

use super::*;

#[test]
fn every_spelling_of_the_file_means_the_same() {
    let json: serde_json::Map<String, serde_json::Value> =
        generation_a().into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
    let json = serde_json::Value::Object(json);
    let spellings = [
        ("no export", lines(|k, v| format!("{k}='{v}'\n"))),
        ("double quotes", lines(|k, v| format!("export {k}=\"{v}\"\n"))),
        ("no quotes", lines(|k, v| format!("{k}={v}\n"))),
        ("export without quotes", lines(|k, v| format!("export {k}={v}\n"))),
        ("blanks round the sign", lines(|k, v| format!("  {k} = {v}  \n"))),
        ("carriage returns", exports().replace('\n', "\r\n")),
        ("byte order mark", format!("\u{feff}{}", exports())),
        ("comments", format!("#!/bin/sh\n\n# mine\n{}", exports().replace("'\n", "' # here\n"))),
        ("comments after bare values", lines(|k, v| format!("{k}={v} # here\n"))),
        ("no last line end", exports().trim_end().to_owned()),
        ("one line", exports().trim_end().replace('\n', "; ")),
        ("one line, closed", lines(|k, v| format!("export {k}={v};"))),
        ("one export", format!("export {}", lines(|k, v| format!("{k}='{v}' ")))),
        ("joined by &&", exports().trim_end().replace('\n', " && ")),
        ("set", lines(|k, v| format!("set {k}={v}\r\n"))),
        ("SET with quotes", lines(|k, v| format!("@SET \"{k}={v}\"\r\n"))),
        ("setx", lines(|k, v| format!("setx {k} \"{v}\"\r\n"))),
        ("setx for the machine", lines(|k, v| format!("setx {k} {v} /M\r\n"))),
        ("PowerShell", lines(|k, v| format!("$env:{k} = \"{v}\"\n"))),
        ("PowerShell, single quotes", lines(|k, v| format!("$Env:{k}='{v}';\n"))),
        ("fish", lines(|k, v| format!("set -gx {k} '{v}'\n"))),
        ("csh", lines(|k, v| format!("setenv {k} '{v}'\n"))),
        ("declare -x", lines(|k, v| format!("declare -x {k}=\"{v}\"\n"))),
        ("Dockerfile", lines(|k, v| format!("ENV {k}={v}\n"))),
        ("YAML", lines(|k, v| format!("{k}: {v}\n"))),
        ("YAML with quotes", format!("---\n{}", lines(|k, v| format!("{k}: \"{v}\" # here\n")))),
        (
            "compose",
            format!("services:\n  x:\n    environment:\n{}", lines(|k, v| format!("      {k}: '{v}'\n"))),
        ),
        ("compose list", format!("environment:\n{}", lines(|k, v| format!("  - {k}={v}\n")))),
        ("compose list with quotes", format!("environment:\n{}", lines(|k, v| format!("  - \"{k}={v}\"\n")))),
        ("quoted in YAML", lines(|k, v| format!("\"{k}\": '{v}'\n"))),
        ("JSON", json.to_string()),
        ("JSON in lines", format!("{json:#}\n")),
        ("JSON under a name", serde_json::json!({ "env": json }).to_string()),
    ];
    let expected = meaning(parsed(&exports()));
    for (name, text) in spellings {
        let credentials = Credentials::parse(&text).unwrap_or_else(|p| panic!("{name}: {p:?}\n{text}"));
        assert_eq!(meaning(credentials), expected, "{name}");
    }
    let quoted = generation_a().into_iter().map(|(key, value)| (key.to_owned(), format!("'{value}'")));
    assert_eq!(meaning(Credentials::from_variables(quoted).expect("environment")), expected);
}

#[test]
fn properties_may_escape_their_colons_and_keep_their_hashes() {
    let text = "camunda.client.auth.client-id=id\ncamunda.client.auth.client-secret=a #b\\\\c\n\
                camunda.client.auth.token-url=https\\://idp/token\ncamunda.client.grpc-address=http\\://localhost\\:26500\n";
    let credentials = parsed(text);
    assert_eq!(client(&credentials).secret.expose(), "a #b\\c");
    assert_eq!(client(&credentials).token_endpoint, "https://idp/token");
}

#[test]
fn nothing_is_evaluated_and_that_is_said() {
    let credentials = parsed(&exports().replace(&format!("'{SECRET}'"), "\"a$HOME$(id)`id`\""));
    assert_eq!(client(&credentials).secret.expose(), "a$HOME$(id)`id`");
    assert_eq!(
        credentials.warnings,
        ["line 3: ZEEBE_CLIENT_SECRET: `$` and backticks are taken as they are; nothing is evaluated"]
    );
}

proptest! {
    #[test]
    fn any_secret_of_console_s_alphabet_survives_every_spelling(secret in "[A-Za-z0-9._~-]{1,64}") {
        for line in [
            format!("export ZEEBE_CLIENT_SECRET='{secret}'"),
            format!("export ZEEBE_CLIENT_SECRET=\"{secret}\""),
            format!("export ZEEBE_CLIENT_SECRET={secret}"),
            format!("ZEEBE_CLIENT_SECRET={secret}"),
            format!("set ZEEBE_CLIENT_SECRET={secret}"),
            format!("setx ZEEBE_CLIENT_SECRET {secret}"),
            format!("$env:ZEEBE_CLIENT_SECRET = \"{secret}\""),
            format!("ZEEBE_CLIENT_SECRET: {secret}"),
            format!("zeebe.client.secret={secret}"),
        ] {
            let text = exports().replace(&format!("export ZEEBE_CLIENT_SECRET='{SECRET}'"), &line);
            let read = client(&parsed(&text)).secret.clone();
            prop_assert_eq!(read.expose(), &secret, "{}", line);
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "(export |set |[A-Z_=:'\"$`#;& \\\\{}\n-]|\\PC){0,60}") {
        let _ = Credentials::parse(&text);
    }
}

#[test]
fn an_issuer_is_told_from_the_token_endpoint_that_once_had_its_name() {
    let client = |line: &str| {
        let text = format!(
            "CAMUNDA_CLIENT_ID=i\nCAMUNDA_CLIENT_SECRET=s\nZEEBE_REST_ADDRESS=http://localhost\n{line}\n"
        );
        let client = client(&parsed(&text)).clone();
        (client.token_endpoint, client.by_issuer)
    };
    let endpoint = "https://k/realms/c/protocol/openid-connect/token";
    let issuer = ("https://k/realms/c".to_owned(), true);
    assert_eq!(client(&format!("camunda.client.auth.issuer={endpoint}")), (endpoint.to_owned(), false));
    assert_eq!(client("camunda.client.auth.issuer=https://k/realms/c"), issuer);
    assert_eq!(
        client("CAMUNDA_CLIENT_AUTH_ISSUER_URL=https://k/realms/c/.well-known/openid-configuration"),
        issuer
    );
    let both = format!(
        "camunda.client.auth.issuer-url=https://k/realms/c\ncamunda.client.auth.token-url={endpoint}"
    );
    assert_eq!(client(&both), (endpoint.to_owned(), false), "nothing has to be looked up");
}
