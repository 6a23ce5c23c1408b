//! Being built: replaced by the credentials work.
#![allow(missing_docs)]
use std::fmt;
/// Where an upstream is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UpstreamAddress {
    pub tls: bool,
    pub host: String,
    pub port: u16,
    pub base_path: String,
}
impl UpstreamAddress {
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}
impl fmt::Display for UpstreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.authority())
    }
}
