//! Field lines in their order. Text is Latin-1, so that every octet of a value is a character.

use http::{HeaderMap, HeaderName, HeaderValue};

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fields(pub(super) Vec<(String, String)>);

impl Fields {
    /// The values of a field, in their order.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(found, _)| found == name).map(|(_, value)| &**value).collect()
    }

    /// A field's only value; empty when it is not there.
    pub(super) fn one(&self, name: &str) -> &str {
        match self.all(name)[..] {
            [] => "",
            [one] => one,
            _ => panic!("{name} more than once in {self:?}"),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }

    /// The names that begin so, in their order.
    pub(super) fn names(&self, start: &str) -> Vec<&str> {
        self.0.iter().map(|(name, _)| &**name).filter(|name| name.starts_with(start)).collect()
    }
}

impl From<&HeaderMap> for Fields {
    fn from(headers: &HeaderMap) -> Fields {
        let text = |value: &HeaderValue| latin1(value.as_bytes());
        Fields(headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect())
    }
}

/// For the `h2` crate.
pub(super) fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name: HeaderName = name.parse().expect("a name");
        headers.append(name, HeaderValue::from_bytes(&octets(value)).expect("a value"));
    }
    headers
}

pub(super) fn latin1(octets: &[u8]) -> String {
    octets.iter().map(|octet| char::from(*octet)).collect()
}

pub(super) fn octets(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(c).expect("Latin-1")).collect()
}
