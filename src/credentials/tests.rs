//! The credentials file in every form and generation that is known.

use proptest::prelude::*;

use super::*;

const SECRET: &str = "CANARY.s3cr3t~_-x";
const CLUSTER: &str = "4d0b5a0e-9b4c-4ad8-a6f3-3c53d3a3d0c1";

/// Key and value of generation A, as Console wrote it from 8.0 to 8.5.
fn generation_a() -> Vec<(&'static str, String)> {
    let host = |component: &str| format!("https://syd-1.{component}.camunda.io/{CLUSTER}");
    vec![
        ("ZEEBE_ADDRESS", format!("{CLUSTER}.syd-1.zeebe.camunda.io:443")),
        ("ZEEBE_CLIENT_ID", "id.~_-1".to_owned()),
        ("ZEEBE_CLIENT_SECRET", SECRET.to_owned()),
        ("ZEEBE_AUTHORIZATION_SERVER_URL", "https://login.cloud.camunda.io/oauth/token".to_owned()),
        ("ZEEBE_TOKEN_AUDIENCE", "zeebe.camunda.io".to_owned()),
        ("CAMUNDA_CLUSTER_ID", CLUSTER.to_owned()),
        ("CAMUNDA_CLUSTER_REGION", "syd-1".to_owned()),
        ("CAMUNDA_CREDENTIALS_SCOPES", "Zeebe,Tasklist,Operate,Optimize".to_owned()),
        ("CAMUNDA_TASKLIST_BASE_URL", host("tasklist")),
        ("CAMUNDA_OPTIMIZE_BASE_URL", host("optimize")),
        ("CAMUNDA_OPERATE_BASE_URL", host("operate")),
        ("CAMUNDA_OAUTH_URL", "https://login.cloud.camunda.io/oauth/token".to_owned()),
    ]
}

/// Console's own spelling.
fn exports() -> String {
    lines(|key, value| format!("export {key}='{value}'\n"))
}

fn lines(line: impl Fn(&str, &str) -> String) -> String {
    generation_a().iter().map(|(key, value)| line(key, value)).collect()
}

fn parsed(text: &str) -> Credentials {
    Credentials::parse(text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn refused(text: &str) -> Vec<Problem> {
    Credentials::parse(text).expect_err("should be refused")
}

/// All that counts, without where it came from.
fn meaning(credentials: Credentials) -> Credentials {
    Credentials { origins: BTreeMap::new(), ..credentials }
}

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
fn generation_a_is_read_and_its_zeebe_rest_address_derived() {
    let credentials = parsed(&exports());
    assert_eq!(credentials.client_id, "id.~_-1");
    assert_eq!(credentials.client_secret.expose(), SECRET);
    assert_eq!(credentials.token_endpoint, "https://login.cloud.camunda.io/oauth/token");
    assert_eq!(credentials.audience.as_deref(), Some("zeebe.camunda.io"));
    let grpc = credentials.grpc_address.expect("gRPC address");
    assert_eq!(grpc.to_string(), format!("https://{CLUSTER}.syd-1.zeebe.camunda.io"));
    let shown = |scope| credentials.rest_addresses[&scope].to_string();
    assert_eq!(shown(Scope::Zeebe), format!("https://syd-1.zeebe.camunda.io/{CLUSTER}"));
    assert_eq!(shown(Scope::Operate), format!("https://syd-1.operate.camunda.io/{CLUSTER}"));
    assert_eq!(credentials.scopes.len(), 4);
    assert_eq!(credentials.notes, ["zeebe REST address derived from region and cluster id"]);
    assert!(credentials.warnings.is_empty());
}

#[test]
fn generation_b_says_everything_three_times_without_a_warning() {
    let text = exports()
        + &format!(
            "export ZEEBE_REST_ADDRESS='https://syd-1.zeebe.camunda.io/{CLUSTER}'\n\
             export ZEEBE_GRPC_ADDRESS='grpcs://{CLUSTER}.syd-1.zeebe.camunda.io:443'\n\
             export CAMUNDA_CLIENT_ID='id.~_-1'\nexport CAMUNDA_CLIENT_SECRET='{SECRET}'\n\
             export CAMUNDA_CLIENT_MODE='saas'\nexport CAMUNDA_CLIENT_AUTH_CLIENTID='id.~_-1'\n\
             export CAMUNDA_CLIENT_AUTH_CLIENTSECRET='{SECRET}'\n\
             export CAMUNDA_CLIENT_CLOUD_CLUSTERID='{CLUSTER}'\nexport CAMUNDA_CLIENT_CLOUD_REGION='syd-1'"
        );
    let (old, new) = (parsed(&exports()), parsed(&text));
    assert!(new.warnings.is_empty() && new.notes.is_empty(), "{:?} {:?}", new.warnings, new.notes);
    assert_eq!(new.rest_addresses, old.rest_addresses);
    assert_eq!(new.grpc_address, old.grpc_address);
    assert_eq!(new.client_secret, old.client_secret);
}

#[test]
fn generation_c_names_the_new_hosts_and_perhaps_new_scopes() {
    let text = exports().replace("Zeebe,Tasklist,Operate,Optimize", "Orchestration Cluster API, zeebe ")
        + &format!("export CAMUNDA_REST_ADDRESS='https://syd-1.api.camunda.io/{CLUSTER}'");
    let credentials = parsed(&text);
    assert_eq!(credentials.rest_addresses[&Scope::Zeebe].host, "syd-1.api.camunda.io");
    assert_eq!(credentials.unknown_scopes, ["Orchestration Cluster API"]);
    assert_eq!(credentials.warnings.len(), 1, "{:?}", credentials.warnings);
    assert!(credentials.scopes.contains(&Scope::Optimize), "an address grants its scope");
}

#[test]
fn spring_s_files_have_no_addresses_and_all_are_derived() {
    let spellings = [
        format!(
            "camunda:\n  client:\n    mode: saas\n    auth:\n      client-id: id\n      client-secret: {SECRET}\n\
             \x20   cloud:\n      cluster-id: {CLUSTER}\n      region: bru-2\n"
        ),
        format!(
            "camunda.client.mode=saas\ncamunda.client.auth.client-id=id\n\
             camunda.client.auth.client-secret={SECRET}\ncamunda.client.cluster-id={CLUSTER}\n\
             camunda.client.region=bru-2"
        ),
        format!(
            "zeebe.client.cloud.clusterId={CLUSTER}\nzeebe.client.cloud.clientId=id\n\
             zeebe.client.cloud.client-secret={SECRET}\nzeebe.client.cloud.region=bru-2\n"
        ),
        format!(
            "export CAMUNDA_CLIENT_MODE='saas'\nexport CAMUNDA_CLIENT_AUTH_CLIENT_ID='id'\n\
             export CAMUNDA_CLIENT_AUTH_CLIENTSECRET='{SECRET}'\n\
             export CAMUNDA_CLIENT_CLOUD_CLUSTERID='{CLUSTER}'\nexport CAMUNDA_CLIENT_CLOUD_REGION='bru-2'\n"
        ),
        serde_json::json!({ "camunda": { "client": { "mode": "saas",
            "auth": { "clientId": "id", "clientSecret": SECRET },
            "cloud": { "clusterId": CLUSTER, "region": "bru-2" } } } })
        .to_string(),
    ];
    for text in spellings {
        let credentials = parsed(&text);
        assert_eq!(credentials.client_secret.expose(), SECRET, "{text}");
        let grpc = credentials.grpc_address.expect("gRPC").to_string();
        assert_eq!(grpc, format!("https://{CLUSTER}.bru-2.zeebe.camunda.io"), "{text}");
        let rest = credentials.rest_addresses[&Scope::Zeebe].to_string();
        assert_eq!(rest, format!("https://bru-2.zeebe.camunda.io/{CLUSTER}"), "{text}");
        assert_eq!(credentials.token_endpoint, "https://login.cloud.camunda.io/oauth/token", "{text}");
        assert_eq!(credentials.notes.len(), 3, "{text}");
    }
}

#[test]
fn properties_may_escape_their_colons_and_keep_their_hashes() {
    let text = "camunda.client.auth.client-id=id\ncamunda.client.auth.client-secret=a #b\\\\c\n\
                camunda.client.auth.token-url=https\\://idp/token\ncamunda.client.grpc-address=http\\://localhost\\:26500\n";
    let credentials = parsed(text);
    assert_eq!(credentials.client_secret.expose(), "a #b\\c");
    assert_eq!(credentials.token_endpoint, "https://idp/token");
}

#[test]
fn newer_names_count_before_older_ones() {
    let text = exports()
        .replace("export CAMUNDA_OAUTH_URL='https://login", "export CAMUNDA_OAUTH_URL='https://other")
        + "export ZEEBE_GRPC_ADDRESS='grpc://localhost:26500'\nexport ZEEBE_REST_ADDRESS=http://localhost:8080/\n";
    let credentials = parsed(&text);
    assert_eq!(credentials.token_endpoint, "https://other.cloud.camunda.io/oauth/token");
    assert_eq!(credentials.grpc_address.expect("gRPC").to_string(), "http://localhost:26500");
    assert_eq!(credentials.rest_addresses[&Scope::Zeebe].to_string(), "http://localhost:8080");
    assert_eq!(credentials.warnings.len(), 2, "{:?}", credentials.warnings);
}

#[test]
fn id_and_secret_are_taken_from_one_family_of_names() {
    let credentials = parsed(&(exports() + "export CAMUNDA_CLIENT_ID='other'\n"));
    assert_eq!(credentials.client_id, "id.~_-1");
}

#[test]
fn the_last_duplicate_counts_with_a_warning_that_shows_no_value() {
    let credentials = parsed(&(exports() + "export ZEEBE_CLIENT_SECRET='CANARY-2'\n"));
    assert_eq!(credentials.client_secret.expose(), "CANARY-2");
    assert_eq!(credentials.warnings, ["ZEEBE_CLIENT_SECRET is set twice (line 3, line 13): the last counts"]);
    let json = r#"{"ZEEBE_CLIENT_SECRET":"a",
        "ZEEBE_CLIENT_SECRET":"b","ZEEBE_CLIENT_ID":"i","CAMUNDA_OAUTH_URL":"http://localhost/t","ZEEBE_ADDRESS":"h"}"#;
    let credentials = parsed(json);
    assert_eq!((credentials.client_secret.expose(), credentials.warnings.len()), ("b", 1));
}

#[test]
fn scopes_are_compared_without_case_and_unknown_ones_kept() {
    let text = exports().replace("Zeebe,Tasklist,Operate,Optimize", "zeebe , OPERATE,Banana,Secrets");
    let credentials = parsed(&text);
    assert_eq!(credentials.unknown_scopes, ["Banana"]);
    assert_eq!(credentials.scopes.len(), 5, "{:?}", credentials.scopes);
    assert_eq!(
        credentials.rest_addresses[&Scope::Secrets].to_string(),
        "https://cluster-api.cloud.camunda.io/secrets"
    );
}

#[test]
fn a_granted_scope_without_an_address_gets_one() {
    let text: String =
        exports().lines().filter(|l| !l.contains("BASE_URL")).map(|l| format!("{l}\n")).collect();
    let credentials = parsed(&text);
    let optimize = credentials.rest_addresses[&Scope::Optimize].to_string();
    assert_eq!(optimize, format!("https://syd-1.optimize.camunda.io/{CLUSTER}"));
    assert_eq!(credentials.notes.len(), 4);
}

#[test]
fn another_cluster_in_the_address_is_a_warning() {
    let text = exports().replace(&format!("ZEEBE_ADDRESS='{CLUSTER}"), "ZEEBE_ADDRESS='other");
    let credentials = parsed(&text);
    assert_eq!(credentials.warnings.len(), 1, "{:?}", credentials.warnings);
    assert!(credentials.warnings[0].contains("other"), "{:?}", credentials.warnings);
}

#[test]
fn all_that_is_missing_is_said_in_one_sentence() {
    let problems = refused("export ZEEBE_ADDRESS='localhost:26500'\n");
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].message, "the client id, the client secret and the token endpoint are missing");
    let problems = refused("");
    assert!(problems[0].message.ends_with("and an address of the cluster are missing"), "{problems:?}");
    let problems = refused(&exports().replace("ZEEBE_CLIENT_SECRET", "ZEEBE_CLIENT_SECERT"));
    assert_eq!(
        problems[0].message,
        "the client secret is missing; `ZEEBE_CLIENT_SECERT` was found, did you mean `ZEEBE_CLIENT_SECRET`?"
    );
    let without_endpoint: String =
        exports().lines().filter(|l| !l.contains("_URL='https://login")).map(|l| format!("{l}\n")).collect();
    assert_eq!(refused(&without_endpoint)[0].message, "the token endpoint is missing");
}

#[test]
fn a_local_address_without_a_scheme_is_tls_with_a_warning() {
    let text = exports().replace(&format!("{CLUSTER}.syd-1.zeebe.camunda.io:443"), "localhost:26500");
    let credentials = parsed(&text);
    assert!(credentials.grpc_address.expect("gRPC").tls);
    assert_eq!(
        credentials.warnings,
        ["ZEEBE_ADDRESS has no scheme and is taken as TLS; write grpc://localhost:26500 if it is not"]
    );
}

#[test]
fn other_files_of_camunda_are_told_apart() {
    let problems =
        refused("export CAMUNDA_CONSOLE_CLIENT_ID='x'\nexport CAMUNDA_CONSOLE_CLIENT_SECRET='CANARY'\n");
    assert!(problems[0].message.contains("organisation"), "{problems:?}");
    let modeler = r#"{"connectionManagerPlugin.c8connections":[{"clientId":"x","clientSecret":"CANARY"}]}"#;
    assert!(refused(modeler)[0].message.contains("Modeler"));
}

#[test]
fn mistakes_carry_line_and_key_all_at_once_and_never_a_value() {
    let text = format!(
        "export ZEEBE_CLIENT_ID='{SECRET}\nexport ZEEBE_CLIENT_SECRET='{SECRET}'{SECRET} CANARY\n\
         export ZEEBE_ADDRESS\nZEEBE_CLIENT_SECRET {SECRET}\n"
    );
    let problems = refused(&text);
    let at = |p: &Problem| (p.key.clone(), p.origin.clone());
    let expected = ["line 1", "line 2", "line 3", "line 4"];
    assert_eq!(problems.iter().map(|p| p.origin.as_str()).collect::<Vec<_>>(), expected);
    assert_eq!(at(&problems[0]), ("ZEEBE_CLIENT_ID".to_owned(), "line 1".to_owned()));
    assert!(!format!("{problems:?}").contains("CANARY"), "{problems:?}");

    let text = format!(
        "ZEEBE_CLIENT_ID=i\nZEEBE_CLIENT_SECRET={SECRET}\nZEEBE_ADDRESS=u:{SECRET}@h\nCAMUNDA_OAUTH_URL=ftp://{SECRET}"
    );
    let problems = refused(&text);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(!format!("{problems:?}").contains("CANARY"), "{problems:?}");
    let problems = refused(&format!("{{\"ZEEBE_CLIENT_SECRET\": \"{SECRET}\" \"CANARY\"}}"));
    assert!(!format!("{problems:?}").contains("CANARY"), "{problems:?}");
}

#[test]
fn nothing_is_evaluated_and_that_is_said() {
    let credentials = parsed(&exports().replace(&format!("'{SECRET}'"), "\"a$HOME$(id)`id`\""));
    assert_eq!(credentials.client_secret.expose(), "a$HOME$(id)`id`");
    assert_eq!(
        credentials.warnings,
        ["line 3: ZEEBE_CLIENT_SECRET: `$` and backticks are taken as they are; nothing is evaluated"]
    );
}

#[test]
fn the_secret_is_in_no_debug_output() {
    assert!(!format!("{:?}", parsed(&exports())).contains("CANARY"));
    assert!(!format!("{:?}", Draft::parse(&exports())).contains("CANARY"));
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
            let read = parsed(&text).client_secret;
            prop_assert_eq!(read.expose(), &secret, "{}", line);
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "(export |set |[A-Z_=:'\"$`#;& \\\\{}\n-]|\\PC){0,60}") {
        let _ = Credentials::parse(&text);
    }
}
