//! The fields of an answer as they are read, and what makes them malformed (RFC 9113 §8.2, §8.3).

use http::header::{CONNECTION, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::ENTRY;

/// One field. Also what cannot be used is kept, since it has its place in the table.
#[derive(Clone, Debug)]
pub(super) struct Field {
    name: Name,
    /// `None` for octets that no value may have.
    value: Option<HeaderValue>,
    name_length: usize,
    /// What it counts in a table and in a list (RFC 7541 §4.1).
    pub(super) size: usize,
}

#[derive(Clone, Debug)]
enum Name {
    Status,
    Plain(HeaderName),
    /// Not a name, not one of an answer, or about the connection.
    Refused,
}

impl Field {
    pub(super) fn new(name: &[u8], value: &[u8]) -> Field {
        Field::of(Name::new(name), name.len(), value)
    }

    /// A field of the same name.
    pub(super) fn with_value(&self, value: &[u8]) -> Field {
        Field::of(self.name.clone(), self.name_length, value)
    }

    fn of(name: Name, name_length: usize, value: &[u8]) -> Field {
        let size = name_length + value.len() + ENTRY;
        Field { name, value: HeaderValue::from_bytes(value).ok(), name_length, size }
    }
}

impl Name {
    fn new(name: &[u8]) -> Name {
        if name == b":status" {
            return Name::Status;
        }
        // Refuses capital letters and the colon of pseudo-fields.
        match HeaderName::from_lowercase(name) {
            Ok(name) if !is_about_connection(&name) => Name::Plain(name),
            _ => Name::Refused,
        }
    }
}

/// RFC 9113 §8.2.2.
fn is_about_connection(name: &HeaderName) -> bool {
    *name == CONNECTION
        || *name == TE
        || *name == TRANSFER_ENCODING
        || *name == UPGRADE
        || name == "keep-alive"
        || name == "proxy-connection"
}

/// A head or trailers.
#[derive(Debug, Default)]
pub(in super::super) struct Fields {
    pub(in super::super) status: Option<StatusCode>,
    pub(in super::super) headers: HeaderMap,
    /// Why they are no message, if they are none.
    pub(in super::super) malformed: Option<&'static str>,
    size: usize,
    limit: usize,
}

impl Fields {
    /// Room for fields that count `limit` octets in all (RFC 9113 §6.5.2).
    pub(in super::super) fn up_to(limit: usize) -> Fields {
        Fields { limit, ..Fields::default() }
    }

    pub(super) fn push(&mut self, field: &Field) {
        self.size += field.size;
        if self.size > self.limit {
            self.malformed = Some("the fields are too large");
        }
        if self.malformed.is_some() {
            return;
        }
        self.malformed = match (&field.name, &field.value) {
            (_, None) => Some("a value has octets that no value may have"),
            (Name::Plain(name), Some(value)) => match self.headers.try_append(name.clone(), value.clone()) {
                Ok(_) => None,
                Err(_) => Some("there are too many fields"),
            },
            (Name::Status, Some(value)) => self.set_status(value),
            (Name::Refused, Some(_)) => Some("a name is none that an answer may have"),
        };
    }

    fn set_status(&mut self, value: &HeaderValue) -> Option<&'static str> {
        if self.status.is_some() || !self.headers.is_empty() {
            return Some("the status is not the first field, once");
        }
        self.status = StatusCode::from_bytes(value.as_bytes()).ok();
        self.status.is_none().then_some("the status is no number of three digits")
    }
}
