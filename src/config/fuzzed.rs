//! Any text as a configuration file, and its lines as variables of the environment.

use figment::Figment;

use super::environment;
use super::file::TomlFile;
use super::{Config, check, collect};
use crate::problem::Problem;

const CANARY: &str = "CANARY-in-a-secret";

/// Reading it comes to an end; what is wrong with it is said without a secret; and what is right with it says the same
/// when it is written down again.
pub(crate) fn configuration(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    if text.contains("CANARY") {
        return;
    }
    if let Ok(config) = read(&text) {
        let again = written(&config);
        let read_again = read(&again).unwrap_or_else(|problems| panic!("{again}\n{problems:?}"));
        assert_eq!(again, written(&read_again));
    }
    for told in [
        format!("{text}\n[oauth]\nclient_secret = \"{CANARY}\"\n"),
        format!("{text}\n[store]\nkey = '{CANARY}'\n"),
        format!("{text}\n[authorization]\nvalue = {CANARY}\n"),
    ] {
        let told: String =
            read(&told).err().into_iter().flatten().map(|problem| problem.to_string()).collect();
        assert!(!told.contains("CANARY"), "{told}");
    }
    of_environment(&text);
}

/// Without a look at the files that it names.
fn read(text: &str) -> Result<Config, Vec<Problem>> {
    let file = TomlFile::parse("fuzzed.toml".to_owned(), text)?;
    collected(Figment::new().merge(file))
}

fn collected(figment: Figment) -> Result<Config, Vec<Problem>> {
    let (config, mut problems) = collect::collect(&figment);
    let origin = |_: &str| "here".to_owned();
    problems.extend(check::by_itself(&config, &origin));
    problems.extend(check::bind_guard(&config, &origin));
    if problems.is_empty() { Ok(config) } else { Err(problems) }
}

fn written(config: &Config) -> String {
    toml::to_string(config).expect("a configuration can be written down")
}

/// A line `a.b = c` is the variable of that key; what it says counts as a text.
fn of_environment(text: &str) {
    let lines = text.lines().filter_map(|line| line.split_once('='));
    let variables: Vec<_> = lines
        .map(|(key, value)| (environment::name_of(key.trim()), value.trim().to_owned()))
        .chain([(environment::name_of("oauth.client_secret"), CANARY.to_owned())])
        .collect();
    let mut figment = Figment::new();
    for variable in environment::variables(&variables) {
        figment = figment.merge(variable);
    }
    let told: String =
        collected(figment).err().into_iter().flatten().map(|problem| problem.to_string()).collect();
    assert!(!told.contains("CANARY"), "{told}");
}
