//! What takes the place of OAuth.

use super::*;
use crate::credentials::Kind;

const ADDRESS: &str = "[scopes.zeebe]\naddress = \"http://localhost:8080\"\n";

fn field(sandbox: &Sandbox) -> String {
    let credentials = sandbox.settings().credentials;
    credentials.authorization.field().expect("a field").to_str().expect("text").to_owned()
}

fn shown(sandbox: &Sandbox, key: &str) -> (String, String) {
    let effective = sandbox.settings().effective.into_iter().find(|effective| effective.key == key);
    let directory = format!("{}/", sandbox.directory.path().display());
    let effective = effective.expect(key);
    (effective.value.to_string(), effective.origin.replace(&directory, ""))
}

#[test]
fn a_user_or_a_field_is_all_that_is_needed() {
    let sandbox = Sandbox::new();
    let path = sandbox.write("password", "open sesame\n");
    let text = format!("{ADDRESS}[authorization]\nusername = \"Aladdin\"\npassword_file = \"{path}\"\n");
    let sandbox = sandbox.file(&text);
    assert_eq!(field(&sandbox), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    let settings = sandbox.settings();
    assert!(settings.files.contains(&path.into()), "the password is looked at again");
    assert_eq!(settings.scopes[&crate::scope::Scope::Zeebe].audience, None);
    assert_eq!(shown(&sandbox, "authorization.kind"), ("\"basic\"".to_owned(), "default".to_owned()));
    assert_eq!(shown(&sandbox, "authorization.username").1, "0.toml:4:1");
    assert_eq!(shown(&sandbox, "authorization.password").0, "\"[redacted]\"");
    let shown = format!("{settings:?}");
    assert!(!shown.contains("sesame") && !shown.contains("QWxh"), "{shown}");

    let sandbox = Sandbox::new();
    let path = sandbox.write("field", &format!("Bearer {SECRET}\n"));
    let sandbox = sandbox.file(ADDRESS).variable("CAMUNDA_PROXY_AUTHORIZATION__VALUE_FILE", &path);
    assert_eq!(field(&sandbox), format!("Bearer {SECRET}"));
    assert!(!format!("{:?}", sandbox.settings()).contains("CANARY"));

    let none = Sandbox::new().file(&format!("{ADDRESS}[authorization]\nkind = \"none\"\n"));
    assert_eq!(none.settings().credentials.authorization.kind(), Kind::None);
}

#[test]
fn the_configuration_counts_more_than_the_credentials() {
    let basic = "[authorization]\nusername = \"u\"\npassword = \"p\"\n";
    for (text, kind) in [
        ("", Kind::OAuth),
        (basic, Kind::Basic),
        ("[authorization]\nvalue = \"Bearer x\"\n", Kind::Header),
        ("[authorization]\nkind = \"none\"\n", Kind::None),
        ("[authorization]\nkind = \"oauth\"\nusername = \"u\"\n", Kind::OAuth),
    ] {
        let settings = Sandbox::with_credentials().file(text).settings();
        assert_eq!(settings.credentials.authorization.kind(), kind, "{text}");
    }
}

#[test]
fn mistakes_about_it_name_their_key() {
    for (text, problem) in [
        ("kind = \"digest\"", "authorization.kind (0.toml:4:1): expected oauth, basic, header or none"),
        ("kind = \"header\"", "authorization.value (environment): the authorization field is missing; set "),
        ("value = \"\"", "authorization.value (environment): the authorization field is missing; set "),
        (
            "value = \"CANARY\\u0001\"",
            "authorization.value (0.toml:4:1): it holds characters that no header field may have; write",
        ),
        (
            "username = \"u\"\nvalue = \"CANARY\"",
            "authorization.username (0.toml:4:1): both a user and a whole field are set",
        ),
        (
            "password = \"CANARY\"\npassword_file = \"x\"",
            "authorization.password (0.toml:4:1): authorization.password and authorization.password_file",
        ),
        (
            "username = \"u\"\npassword_file = \"/nowhere\"",
            "authorization.password_file (0.toml:5:1): there is no such file",
        ),
    ] {
        let problems = Sandbox::new().file(&format!("{ADDRESS}[authorization]\n{text}\n")).problems();
        assert!(problems.iter().any(|told| told.starts_with(problem)), "{text}: {problems:?}");
        assert!(!problems.concat().contains("CANARY"), "{problems:?}");
    }
}

#[test]
fn neither_a_password_nor_a_field_goes_out_in_plaintext_unless_that_is_allowed() {
    let sandbox =
        |more: &str| Sandbox::new().file(&format!("[scopes.zeebe]\naddress = \"http://far:8080\"\n{more}"));
    for (text, what) in [
        ("[authorization]\nusername = \"u\"\npassword = \"p\"", "the password could be read"),
        ("[authorization]\nvalue = \"Bearer x\"", "the authorization could be read"),
    ] {
        let problems = sandbox(text).problems();
        assert!(problems.len() == 1 && problems[0].contains(what), "{problems:?}");
        sandbox(&format!("allow_plaintext = true\n{text}")).settings();
    }
    // There is nothing to read.
    sandbox("[authorization]\nkind = \"none\"").settings();
}
