//! The credentials file in every spelling that people keep it in: the same result for each.

use serde_json::Value;

use super::harness::{Setup, program};

const SECRET: &str = "s3cr3t.~-_ABC";
const LINES: [(&str, &str); 8] = [
    ("ZEEBE_ADDRESS", "5c34c0a7-7f29.bru-2.zeebe.camunda.io:443"),
    ("ZEEBE_CLIENT_ID", "Client.Id~1-_x"),
    ("ZEEBE_CLIENT_SECRET", SECRET),
    ("ZEEBE_AUTHORIZATION_SERVER_URL", "https://login.cloud.camunda.io/oauth/token"),
    ("CAMUNDA_CLUSTER_ID", "5c34c0a7-7f29"),
    ("CAMUNDA_CLUSTER_REGION", "bru-2"),
    ("CAMUNDA_CREDENTIALS_SCOPES", "Zeebe,Operate"),
    ("CAMUNDA_OPERATE_BASE_URL", "https://bru-2.operate.camunda.io/5c34c0a7-7f29"),
];

/// Each line written like this, joined.
fn spelled(line: impl Fn(&str, &str) -> String) -> String {
    LINES.iter().map(|(key, value)| line(key, value)).collect()
}

fn with_file(command: &str, text: impl AsRef<[u8]>) -> Setup {
    program(&[command, "--format", "json", "--credentials", "c"]).file("c", text)
}

fn checked(name: &str, setup: Setup) -> Value {
    let ended = setup.end();
    assert_eq!(ended.status, 0, "{name}: {}", ended.err);
    assert!(!(ended.out.clone() + &ended.err).contains(SECRET), "{name}");
    let mut report = ended.json();
    // A list of other people's scopes is told of; all else is the same.
    report["warnings"] = Value::Null;
    report
}

#[test]
fn every_spelling_of_the_file_gives_the_same_result() {
    let console = spelled(|key, value| format!("export {key}='{value}'\n"));
    let json = serde_json::to_string_pretty(&LINES.into_iter().collect::<std::collections::BTreeMap<_, _>>());
    let spellings: Vec<(&str, Vec<u8>)> = vec![
        ("without export", spelled(|key, value| format!("{key}='{value}'\n")).into()),
        ("double quotes", spelled(|key, value| format!("export {key}=\"{value}\"\n")).into()),
        ("no quotes", spelled(|key, value| format!("{key}={value}\n")).into()),
        ("cmd", spelled(|key, value| format!("set {key}={value}\r\n")).into()),
        ("cmd in quotes", spelled(|key, value| format!("set \"{key}={value}\"\r\n")).into()),
        ("setx", spelled(|key, value| format!("setx {key} \"{value}\"\r\n")).into()),
        ("PowerShell", spelled(|key, value| format!("$env:{key} = \"{value}\"\r\n")).into()),
        ("spaces", spelled(|key, value| format!("  {key} = {value}  \n")).into()),
        ("CRLF", console.replace('\n', "\r\n").into()),
        ("byte order mark", format!("\u{feff}{console}").into()),
        ("no last line end", console.trim_end().into()),
        ("comments", format!("# from Console\n\n{}\n# end\n", console.replace("'\n", "' # x\n")).into()),
        ("one line", console.trim_end().replace('\n', "; ").into()),
        ("YAML", spelled(|key, value| format!("{key}: '{value}'\n")).into()),
        ("YAML below a key", format!("env:\n{}", spelled(|key, value| format!("  {key}: {value}\n"))).into()),
        ("JSON", json.expect("JSON").into()),
        (
            "UTF-16",
            [0xff, 0xfe].into_iter().chain(console.encode_utf16().flat_map(u16::to_le_bytes)).collect(),
        ),
    ];
    let expected = checked("Console", with_file("check", &console));
    assert_eq!(expected["client_id"], "Client.Id~1-_x");
    assert_eq!(expected["scopes"]["zeebe"]["rest"], "https://bru-2.zeebe.camunda.io/5c34c0a7-7f29");
    for (name, text) in spellings {
        assert_eq!(checked(name, with_file("check", text)), expected, "{name}");
    }
    // The environment in the file's place, with the quotes that `docker --env-file` leaves in.
    for quote in ["", "'", "\""] {
        let setup = LINES.iter().fold(program(&["check", "--format", "json"]), |setup, (key, value)| {
            setup.with(key, &format!("{quote}{value}{quote}"))
        });
        assert_eq!(checked("environment", setup), expected);
    }
}

#[test]
fn a_value_says_which_line_it_comes_from_and_the_secret_does_not_say_itself() {
    let text = spelled(|key, value| format!("export {key}='{value}'\n"));
    let ended = with_file("config", text).end();
    let config = &ended.json()["config"];
    assert_eq!(config["oauth.client_id"]["origin"], "ZEEBE_CLIENT_ID (c:2)");
    assert_eq!(config["oauth.client_secret"]["value"], "[redacted]");
    assert!(!(ended.out + &ended.err).contains(SECRET));
}

#[test]
fn what_looks_wrong_is_warned_of() {
    let console = spelled(|key, value| format!("export {key}='{value}'\n"));
    for (added, warning) in [
        ("export ZEEBE_CLIENT_ID='Client.Id~1-_x'\n", "set twice"),
        ("export CAMUNDA_CREDENTIALS_SCOPES='Zeebe,Mars'\n", "Mars"),
        ("export CAMUNDA_CLUSTER_ID='another'\n", "another"),
        ("export CAMUNDA_OAUTH_URL='https://example.com/token'\n", "differ"),
    ] {
        let report = with_file("check", format!("{console}{added}")).end().json();
        let warnings = report["warnings"].to_string();
        assert!(warnings.contains(warning), "{added}: {warnings}");
    }
}

#[test]
fn a_file_that_others_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let text = spelled(|key, value| format!("{key}={value}\n"));
    for (mode, warned) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
        let setup = with_file("check", &text);
        let path = setup.path().join("c");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("mode");
        let warnings = setup.end().json()["warnings"].to_string();
        assert_eq!(warnings.contains("chmod 600"), warned, "{mode:o}: {warnings}");
    }
    let setup = program(&["check", "--format", "json", "--credentials", "link"]).file("mounted", &text);
    let target = setup.path().join("mounted");
    std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o644)).expect("mode");
    std::os::unix::fs::symlink(target, setup.path().join("link")).expect("link");
    assert_eq!(setup.end().json()["warnings"].to_string(), "[]");
}
