//! Credentials that need no token endpoint.

use super::*;

const ADDRESS: &str = "ZEEBE_REST_ADDRESS=http://localhost:8080\n";
const CLIENT: &str =
    "ZEEBE_CLIENT_ID=id\nZEEBE_CLIENT_SECRET=CANARY\nCAMUNDA_OAUTH_URL=http://localhost/token\n";

fn field(text: &str) -> String {
    let credentials = parsed(&format!("{ADDRESS}{text}"));
    let field = credentials.authorization.field().expect("a field");
    assert!(field.is_sensitive() && credentials.warnings.is_empty(), "{:?}", credentials.warnings);
    assert!(!format!("{credentials:?}").contains("QWxh"), "{credentials:?}");
    field.to_str().expect("text").to_owned()
}

#[test]
fn a_user_and_a_password_become_a_field_under_every_tools_names() {
    // RFC 7617 §2 has the first value as its example, §2.1 the second.
    let aladdin = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
    for text in [
        "CAMUNDA_AUTH_STRATEGY=BASIC\nCAMUNDA_BASIC_AUTH_USERNAME=Aladdin\nCAMUNDA_BASIC_AUTH_PASSWORD='open sesame'",
        "CAMUNDA_BASIC_AUTH_USERNAME=Aladdin\nCAMUNDA_BASIC_AUTH_PASSWORD='open sesame'",
        "CAMUNDA_USERNAME=Aladdin\nCAMUNDA_PASSWORD='open sesame'",
        "camunda.client.auth.method=basic\ncamunda.client.auth.username=Aladdin\ncamunda.client.auth.password=open sesame",
        "CAMUNDA_CLIENT_AUTH_METHOD=basic\nCAMUNDA_CLIENT_AUTH_USERNAME=Aladdin\nCAMUNDA_CLIENT_AUTH_PASSWORD='open sesame'",
    ] {
        assert_eq!(field(text), aladdin, "{text}");
    }
    assert_eq!(field("CAMUNDA_USERNAME=test\nCAMUNDA_PASSWORD=123£"), "Basic dGVzdDoxMjPCow==");
    assert_eq!(field("CAMUNDA_USERNAME=a\nCAMUNDA_PASSWORD='b:c'"), "Basic YTpiOmM=");
}

#[test]
fn what_is_stated_counts_and_else_a_client_counts_more_than_a_user() {
    let user = "CAMUNDA_USERNAME=demo\nCAMUNDA_PASSWORD=CANARY\n";
    for (text, kind, warnings) in [
        (format!("{CLIENT}{user}"), Kind::OAuth, 0),
        (format!("{CLIENT}{user}CAMUNDA_AUTH_STRATEGY=BASIC\n"), Kind::Basic, 0),
        (format!("{CLIENT}{user}CAMUNDA_AUTH_STRATEGY=oauth\n"), Kind::OAuth, 0),
        (format!("{CLIENT}camunda.client.auth.method=oidc\n"), Kind::OAuth, 0),
        (format!("{user}CAMUNDA_AUTH_STRATEGY=NONE\n"), Kind::None, 0),
        ("CAMUNDA_AUTH_STRATEGY=NONE\n".to_owned(), Kind::None, 0),
        // Set for a client of this proxy, and seen by the proxy too.
        (format!("{CLIENT}CAMUNDA_AUTH_STRATEGY=NONE\n"), Kind::OAuth, 1),
        (format!("{CLIENT}CAMUNDA_AUTH_STRATEGY=COOKIE\n"), Kind::OAuth, 1),
    ] {
        let credentials = parsed(&format!("{ADDRESS}{text}"));
        assert_eq!(credentials.authorization.kind(), kind, "{text}");
        assert_eq!(credentials.warnings.len(), warnings, "{text} {:?}", credentials.warnings);
    }
}

#[test]
fn nothing_of_oauth_is_missed_where_it_is_not_used() {
    let problems = refused("CAMUNDA_AUTH_STRATEGY=BASIC\nCAMUNDA_BASIC_AUTH_USERNAME=demo");
    assert_eq!(problems[0].message, "the password and an address of the cluster are missing");
    assert_eq!(problems[0].key, "CAMUNDA_BASIC_AUTH_PASSWORD, ZEEBE_GRPC_ADDRESS");
    assert!(problems[0].remedy.contains("authorization.password_file"), "{problems:?}");
    let problems = refused("CAMUNDA_AUTH_STRATEGY=NONE");
    assert_eq!(problems[0].message, "an address of the cluster is missing");
    // An endpoint that is not used need not be sound.
    parsed(&format!("{ADDRESS}CAMUNDA_AUTH_STRATEGY=NONE\nCAMUNDA_OAUTH_URL=ftp://x"));
}

#[test]
fn what_basic_cannot_carry_is_said_without_showing_it() {
    for (text, message) in [
        ("CAMUNDA_USERNAME=CANARY:x\nCAMUNDA_PASSWORD=p", "a user's name holds no colon (RFC 7617)"),
        ("CAMUNDA_USERNAME=u\nCAMUNDA_PASSWORD=\"CANARY\tx\"", "it holds a control character"),
    ] {
        let problems = refused(&format!("{ADDRESS}{text}"));
        assert_eq!(problems[0].message, message);
        assert!(!format!("{problems:?}").contains("CANARY"), "{problems:?}");
    }
}
