//! A credentials file to try things on.

use super::*;

mod authorization;
mod forms;
mod generations;
mod mistakes;

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

fn client(credentials: &Credentials) -> &Client {
    credentials.authorization.client().expect("OAuth")
}

/// All that counts, without where it came from.
fn meaning(credentials: Credentials) -> Credentials {
    Credentials { origins: BTreeMap::new(), ..credentials }
}
