//! What the program says of itself, and the exit status of a mistyped line.

use super::harness::{Camunda, program};

/// The commands that a help text lists.
pub(crate) fn commands(help: &str) -> Vec<&str> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect()
}

#[test]
fn help_lists_what_works_and_nothing_else() {
    let help = program(&["--help"]).end();
    assert_eq!((help.status, help.err.as_str()), (0, ""));
    let listed = commands(&help.out);
    assert_eq!(
        listed,
        ["run", "sandbox", "check", "config", "route", "token", "bench", "status", "healthcheck"]
    );
    for command in listed {
        let help = program(&[command, "--help"]).end();
        assert!(help.status == 0 && help.out.contains("Usage:") && help.err.is_empty(), "{command}");
    }
}

#[test]
fn the_version_is_one_line() {
    let version = program(&["--version"]).end();
    assert_eq!(version.status, 0);
    assert_eq!(version.out, format!("camunda-auth-proxy {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_mistyped_line_is_2_and_says_so_on_standard_error() {
    for line in [
        &[][..],
        &["rum"],
        &["bench", "--bogus"],
        &["run", "--bogus"],
        &["run", "--credentials"],
        &["check", "--format", "xml"],
        &["token"],
        &["token", "moon"],
        &["route", "GET"],
        &["status", "extra"],
    ] {
        let ended = program(line).end();
        assert_eq!((ended.status, ended.out.as_str()), (2, ""), "{line:?}");
        assert!(!ended.err.is_empty(), "{line:?}");
    }
}

#[test]
fn reports_are_json_on_standard_output_and_nothing_else() {
    let camunda = Camunda::start();
    for (line, key) in [
        (&["check"][..], "valid"),
        (&["config"], "config"),
        (&["route", "GET", "/v2/topology"], "scope"),
        (&["token", "zeebe"], "claims"),
    ] {
        let ended = camunda.command(line).arguments(&["--format", "json"]).end();
        assert_eq!(ended.status, 0, "{line:?} {}", ended.err);
        assert!(ended.json().get(key).is_some(), "{line:?} {}", ended.out);
        assert!(!(ended.out + &ended.err).contains(&camunda.secret), "{line:?}");
    }
    let proxy = camunda.proxy().start();
    let status = program(&["status", "--format", "json", "--admin", &proxy.admin.to_string()]).end();
    assert_eq!(status.status, 0, "{}", status.err);
    assert_eq!(status.json()["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn nothing_is_coloured_where_there_is_no_terminal_or_no_wish() {
    let camunda = Camunda::start();
    for no_colour in ["", "1"] {
        let outputs = [
            program(&["--help"]).with("NO_COLOR", no_colour).end(),
            program(&["rum"]).with("NO_COLOR", no_colour).end(),
            program(&["check"]).with("NO_COLOR", no_colour).end(),
            camunda.command(&["check"]).with("NO_COLOR", no_colour).end(),
        ];
        for output in outputs {
            assert!(!(output.out + &output.err).contains('\u{1b}'));
        }
    }
}

#[test]
fn flags_count_more_than_the_environment_and_that_more_than_files() {
    let camunda = Camunda::start();
    let check =
        |setup: super::harness::Setup| setup.arguments(&["--format", "json"]).end().json()["admin"].clone();
    let file = "[admin]\naddress = \"127.0.0.1:1\"\n";
    let setup = || camunda.command(&["check"]).file("proxy.toml", file);
    assert_eq!(check(camunda.command(&["check"])), "127.0.0.1:9600");
    assert_eq!(check(setup()), "127.0.0.1:1");
    let later = "[admin]\naddress = \"127.0.0.1:4\"\n";
    let two = || setup().file("later.toml", later).arguments(&["-c", "proxy.toml", "-c", "later.toml"]);
    assert_eq!(check(two()), "127.0.0.1:4");
    let variable = || two().with("CAMUNDA_PROXY_ADMIN__ADDRESS", "127.0.0.1:2");
    assert_eq!(check(variable()), "127.0.0.1:2");
    assert_eq!(check(variable().arguments(&["--admin", "127.0.0.1:3"])), "127.0.0.1:3");
}

#[test]
fn status_and_healthcheck_say_when_nobody_is_there() {
    // Port 1 is nobody's.
    let status = program(&["status", "--admin", "127.0.0.1:1"]).end();
    assert_eq!((status.status, status.out.as_str()), (69, ""));
    assert!(status.err.contains("127.0.0.1:1") && status.err.contains("--admin"), "{}", status.err);
    let health = program(&["healthcheck", "--admin", "127.0.0.1:1"]).end();
    assert_eq!(health.status, 1, "{}", health.err);
}

#[test]
fn a_reader_that_has_left_is_no_failure_and_a_full_disk_is_one() {
    let camunda = Camunda::start();
    let proxy = camunda.proxy().start().ready();
    let admin = proxy.admin.to_string();
    for line in
        [&["check"][..], &["config"], &["route", "GET", "/v2/topology"], &["token", "zeebe"], &["status"]]
    {
        let setup = || camunda.command(line).arguments(&["--admin", &admin]);
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        assert_eq!(setup().end_into(writer), (0, String::new()), "{line:?}");
        let full = std::fs::File::create("/dev/full").expect("a full disk");
        let (status, says) = setup().end_into(full);
        assert!(status == 1 && says.starts_with("the result cannot be written"), "{line:?} {says}");
    }
}
