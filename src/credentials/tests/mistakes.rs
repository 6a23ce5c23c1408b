//! What is wrong is said, and never with a value.

use super::*;

#[test]
fn the_last_duplicate_counts_with_a_warning_that_shows_no_value() {
    let credentials = parsed(&(exports() + "export ZEEBE_CLIENT_SECRET='CANARY-2'\n"));
    assert_eq!(client(&credentials).secret.expose(), "CANARY-2");
    assert_eq!(credentials.warnings, ["ZEEBE_CLIENT_SECRET is set twice (line 3, line 13): the last counts"]);
    let json = r#"{"ZEEBE_CLIENT_SECRET":"a",
        "ZEEBE_CLIENT_SECRET":"b","ZEEBE_CLIENT_ID":"i","CAMUNDA_OAUTH_URL":"http://localhost/t","ZEEBE_ADDRESS":"h"}"#;
    let credentials = parsed(json);
    assert_eq!((client(&credentials).secret.expose(), credentials.warnings.len()), ("b", 1));
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
         export ZEEBE_ADDRESS\nZEEBE_CLIENT_SECRET {SECRET}\nunset ZEEBE_ADDRESS\n"
    );
    let problems = refused(&text);
    let at = |p: &Problem| (p.key.clone(), p.origin.clone());
    let expected = ["line 1", "line 2", "line 4"];
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
fn the_secret_is_in_no_debug_output() {
    assert!(!format!("{:?}", parsed(&exports())).contains("CANARY"));
    assert!(!format!("{:?}", Draft::parse(&exports())).contains("CANARY"));
}
