//! The README, held against the program that it tells of.

use camunda_auth_proxy::reason::Reason;

use super::harness::program;

const README: &str = include_str!("../../README.md");

#[test]
fn the_readme_names_every_reason_command_and_exit_status() {
    for reason in Reason::ALL {
        assert!(README.contains(&format!("`{reason}`")), "{reason}");
    }
    let help = program(&["--help"]).end().out;
    for command in super::command_line::commands(&help) {
        assert!(README.contains(&format!("| `{command}")), "{command}");
    }
    for status in [0, 1, 2, 69, 77, 78] {
        assert!(README.contains(&format!("\n| {status} | ")), "{status}");
    }
}

#[test]
fn every_reason_is_in_the_readmes_table() {
    for reason in Reason::ALL {
        assert!(README.contains(&format!("\n| `{reason}` |")), "{reason}");
    }
}

#[test]
fn the_map_of_the_tree_is_complete_and_holds_nothing_else() {
    let map = README.split("## Where things are").nth(1).expect("a map").split("```").nth(1).expect("a map");
    let paths: Vec<&str> = map.lines().filter_map(|line| line.split_whitespace().next()).collect();
    for path in &paths {
        let exists = match path.split_once('*') {
            Some((front, "")) => std::path::Path::new(&format!("{front}.rs")).exists(),
            Some((front, _)) => std::path::Path::new(front).is_dir(),
            None => std::path::Path::new(path).exists(),
        };
        assert!(exists, "{path} is in the map and not in the tree");
    }
    for entry in
        std::fs::read_dir("src").expect("src").map_while(Result::ok).filter(|entry| entry.path().is_dir())
    {
        let shown = format!("src/{}*", entry.file_name().display());
        assert!(paths.contains(&shown.as_str()), "{shown} is in the tree and not in the map");
    }
}

#[test]
fn links_lead_somewhere_and_nothing_names_this_machine() {
    let anchors: Vec<String> = README.lines().filter(|line| line.starts_with("##")).map(anchor).collect();
    for target in README.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        let exists = target.starts_with("https://")
            || std::path::Path::new(target).exists()
            || anchors.iter().any(|anchor| anchor == target);
        assert!(exists, "{target}");
    }
    for word in ["/tmp/", "/home/", "/usr/"] {
        assert!(!README.contains(word), "{word}");
    }
}

/// Where a link to a heading leads.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    format!("#{}", words.replace(|letter: char| !letter.is_alphanumeric() && letter != '-', ""))
}
