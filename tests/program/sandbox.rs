//! `sandbox`: what a newcomer sees, and that what he is told to paste works.

use std::process::Command;

use rustix::process::Signal;

use super::harness::{eventually, program};

#[test]
fn the_sandbox_prints_five_commands_and_each_of_them_works() {
    let mut sandbox =
        program(&["sandbox", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]).start().ready();
    let told = eventually("a welcome", || {
        let text = sandbox.out.text();
        text.contains("Stop with Ctrl-C").then_some(text)
    });
    let commands: Vec<&str> = told
        .lines()
        .skip_while(|line| !line.contains("commands to paste"))
        .skip(2)
        .map_while(|line| line.strip_prefix("  "))
        .collect();
    assert_eq!(commands.len(), 5, "{told}");
    let curls: Vec<&&str> = commands.iter().filter(|line| line.starts_with("curl ")).collect();
    assert_eq!(curls.len(), 3, "{commands:?}");
    assert!(commands[3].starts_with("grpcurl -plaintext 127.0.0.1:"), "{}", commands[3]);
    assert!(commands[3].ends_with(" gateway_protocol.Gateway/Topology"), "{}", commands[3]);
    if Command::new("curl").arg("--version").output().is_err() {
        println!("skipped: there is no curl to run the commands with");
    } else {
        for curl in curls {
            let output =
                Command::new("sh").args(["-c", &format!("{curl} -sS -w '\\n%{{http_code}}'")]).output();
            let output = output.expect("a shell");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(text.ends_with("\n200"), "{curl}: {text} {}", String::from_utf8_lossy(&output.stderr));
        }
    }
    let status: Vec<&str> = commands[4].split(' ').skip(1).collect();
    let status = program(&status).end();
    assert!(status.status == 0 && status.out.contains("zeebe.camunda.io"), "{}", status.err);
    let path = told.lines().find_map(|line| line.trim().strip_prefix("credentials ")).expect("credentials");
    let path = path.split_whitespace().next().expect("path").to_owned();
    let check = program(&["check", "--credentials", &path]).end();
    assert_eq!(check.status, 0, "{}", check.err);

    sandbox.signal(Signal::INT);
    assert_eq!(sandbox.status(), 0);
    assert!(!std::path::Path::new(&path).exists(), "its files are gone");
}

#[test]
fn the_sandbox_takes_nothing_that_is_meant_for_a_real_cluster() {
    let setup = program(&["sandbox", "--plaintext", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    let sandbox = setup
        .file("proxy.toml", "[oauth]\nurl = \"https://example.com\"\n")
        .with("ZEEBE_ADDRESS", "x.bru-2.zeebe.camunda.io:443")
        .with("CAMUNDA_CLIENT_ID", "other")
        .start()
        .ready();
    let answer = sandbox.get("/v2/topology");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(sandbox.out.text().contains("http://localhost:"), "{}", sandbox.out.text());
}
