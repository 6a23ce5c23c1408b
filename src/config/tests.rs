//! What a process would find, and what it makes of it.

use std::fs;

use tempfile::TempDir;

use super::collect::collect;
use super::*;
use crate::credentials::Client;
use crate::problem::Problem;

mod authorization;
mod client_auth;
mod layers;
mod merged;
mod mistakes;
mod presets;
mod store;
mod template;

const SECRET: &str = "CANARY.s3cr3t";

/// What a process would find: files in a directory of its own, and any environment and flags.
struct Sandbox {
    directory: TempDir,
    sources: Sources,
}

impl Sandbox {
    fn new() -> Sandbox {
        Sandbox { directory: tempfile::tempdir().expect("directory"), sources: Sources::default() }
    }

    /// With complete credentials in a file, so that only what a test adds can be wrong.
    fn with_credentials() -> Sandbox {
        let mut sandbox = Sandbox::new();
        let text = format!(
            "export ZEEBE_ADDRESS='abc.bru-2.zeebe.camunda.io:443'\nexport ZEEBE_CLIENT_ID='id'\n\
             export ZEEBE_CLIENT_SECRET='{SECRET}'\nexport CAMUNDA_OAUTH_URL='https://login/oauth/token'\n\
             export CAMUNDA_OPERATE_BASE_URL='https://bru-2.operate.camunda.io/abc'\n"
        );
        let path = sandbox.write("credentials.txt", &text);
        sandbox.sources.flags.push(Flag { name: "--credentials", key: "credentials", values: vec![path] });
        sandbox
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.directory.path().join(name);
        fs::write(&path, text).expect("written");
        path.display().to_string()
    }

    fn file(mut self, text: &str) -> Sandbox {
        let path = self.write(&format!("{}.toml", self.sources.files.len()), text);
        self.sources.files.push(path.into());
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Sandbox {
        self.sources.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    fn flag(mut self, name: &'static str, key: &'static str, values: &[&str]) -> Sandbox {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        self.sources.flags.push(Flag { name, key, values });
        self
    }

    fn config(&self) -> Config {
        let (figment, problems) = self.sources.layers();
        let (config, more) = collect(&figment);
        assert!(problems.is_empty() && more.is_empty(), "{problems:?} {more:?}");
        config
    }

    fn settings(&self) -> Settings {
        Settings::load(&self.sources).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    fn proof(&self) -> ClientProof {
        self.settings().proof.expect("OAuth")
    }

    fn client(&self) -> Client {
        self.settings().credentials.authorization.client().expect("OAuth").clone()
    }

    /// Problems as `key (origin): message; remedy`, the directory left out.
    fn problems(&self) -> Vec<String> {
        let problems = Settings::load(&self.sources).expect_err("should be refused");
        let directory = format!("{}/", self.directory.path().display());
        problems.iter().map(|problem: &Problem| problem.to_string().replace(&directory, "")).collect()
    }
}
