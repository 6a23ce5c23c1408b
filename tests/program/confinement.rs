//! What the program gives up once it runs, and what it makes of files that others can read.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::harness::Camunda;

#[test]
fn a_running_proxy_has_given_up_what_it_does_not_need_and_says_so() {
    let camunda = Camunda::start();
    let proxy = camunda.proxy().start().ready();
    let told = &proxy.ask("/status").json()["confinement"];
    assert_eq!(told["core_dumps"], "on");
    assert_eq!(told["privileges"], "on");
    let process =
        |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", proxy.id())).expect("a process");
    let value = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let status = process("status");
    assert_eq!(value(&status, "NoNewPrivs:"), ["NoNewPrivs:", "1"]);
    if told["system_calls"] == "on" {
        assert_eq!(value(&status, "Seccomp:"), ["Seccomp:", "2"]);
    }
    assert_eq!(value(&process("limits"), "Max core file size")[4..6], ["0", "0"]);
    // Whatever the kernel of this machine knows, a request is served.
    assert_eq!(proxy.get("/v2/topology").status, 200);

    let proxy = camunda.proxy().with("CAMUNDA_PROXY_CONFINE", "off").start().ready();
    let off = json!({ "core_dumps": "off", "privileges": "off", "files": "off", "system_calls": "off" });
    assert_eq!(proxy.ask("/status").json()["confinement"], off);
}

#[test]
fn a_file_with_a_secret_that_others_can_read_is_an_error_when_strict() {
    let camunda = Camunda::start();
    let mode =
        |mode| std::fs::set_permissions(camunda.file(), PermissionsExt::from_mode(mode)).expect("a file");
    mode(0o644);
    let told = camunda.command(&["check"]).end();
    assert_eq!(told.status, 0);
    assert!(told.out.contains("other users can read the client secret in it"), "{}", told.out);
    let told = camunda.command(&["check", "--strict"]).end();
    assert_eq!(told.status, 78);
    assert!(told.err.contains("chmod 600") && told.err.contains("--credentials"), "{}", told.err);
    mode(0o600);
    assert_eq!(camunda.command(&["check", "--strict"]).end().status, 0);
}
