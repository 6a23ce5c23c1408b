//! The fields of a head or of trailers as they are read, and what makes them malformed (RFC 9113 §8.2, §8.3).

use http::header::{CONNECTION, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::ENTRY;
use crate::message::Headers;

/// Most heads have no more fields.
const USUAL: usize = 8;

/// One field. Also what cannot be used is kept, since it has its place in the table.
#[derive(Clone, Debug)]
pub(super) struct Field {
    name: Name,
    /// Read once, however often the field comes again as a number.
    value: Value,
    name_length: usize,
    /// What it counts in a table and in a list (RFC 7541 §4.1).
    pub(super) size: usize,
}

#[derive(Clone, Debug)]
enum Name {
    Status,
    Method,
    Scheme,
    Authority,
    Path,
    /// Of an extended CONNECT (RFC 8441), which nobody is offered.
    Protocol,
    Plain(HeaderName),
    /// RFC 9113 §8.2.2: about the connection.
    Connection,
    /// Not a name.
    Refused,
}

#[derive(Clone, Debug)]
enum Value {
    Status(StatusCode),
    Method(Method),
    Scheme(Scheme),
    Authority(Authority),
    Path(PathAndQuery),
    Text(HeaderValue),
    /// Octets that no value of this name may have.
    Bad,
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
        Field { value: Value::of(&name, value), name, name_length, size }
    }
}

impl Name {
    fn new(name: &[u8]) -> Name {
        if name.first() == Some(&b':') {
            return match name {
                b":status" => Name::Status,
                b":method" => Name::Method,
                b":scheme" => Name::Scheme,
                b":authority" => Name::Authority,
                b":path" => Name::Path,
                b":protocol" => Name::Protocol,
                _ => Name::Refused,
            };
        }
        // Refuses capital letters.
        match HeaderName::from_lowercase(name) {
            Ok(name) if is_about_connection(&name) => Name::Connection,
            Ok(name) => Name::Plain(name),
            Err(_) => Name::Refused,
        }
    }
}

fn is_about_connection(name: &HeaderName) -> bool {
    *name == CONNECTION
        || *name == TRANSFER_ENCODING
        || *name == UPGRADE
        || name == "keep-alive"
        || name == "proxy-connection"
}

impl Value {
    fn of(name: &Name, value: &[u8]) -> Value {
        let read = match name {
            Name::Status => StatusCode::from_bytes(value).ok().map(Value::Status),
            Name::Method => Method::from_bytes(value).ok().map(Value::Method),
            Name::Scheme => Scheme::try_from(value).ok().map(Value::Scheme),
            Name::Authority => Authority::try_from(value).ok().map(Value::Authority),
            Name::Path if value.first() == Some(&b'/') || value == b"*" => {
                PathAndQuery::try_from(value).ok().map(Value::Path)
            }
            Name::Path => None,
            _ => HeaderValue::from_bytes(value).ok().map(Value::Text),
        };
        read.unwrap_or(Value::Bad)
    }
}

/// Whose head the fields are; trailers are nobody's, and have no pseudo-fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) enum Of {
    #[default]
    Answer,
    Request,
}

/// A head or trailers.
#[derive(Debug, Default)]
pub(in super::super) struct Fields {
    of: Of,
    pub(in super::super) status: Option<StatusCode>,
    pub(in super::super) method: Option<Method>,
    pub(in super::super) scheme: Option<Scheme>,
    pub(in super::super) authority: Option<Authority>,
    pub(in super::super) path: Option<PathAndQuery>,
    pub(in super::super) headers: Headers,
    /// Why they are no message, if they are none.
    pub(in super::super) malformed: Option<&'static str>,
    /// They are malformed in a way that no client that means well makes: its words are not to be listened to.
    pub(in super::super) is_garbage: bool,
    size: usize,
    limit: usize,
}

impl Fields {
    /// Room for fields that count `limit` octets in all (RFC 9113 §6.5.2).
    pub(in super::super) fn up_to(limit: usize, of: Of) -> Fields {
        Fields { limit, of, headers: Headers::with_capacity(USUAL), ..Fields::default() }
    }

    pub(in super::super) fn is_too_large(&self) -> bool {
        self.size > self.limit
    }

    /// So much too large that it can only be meant to hurt: a few octets may stand for a long field of the table.
    pub(in super::super) fn is_excessive(&self) -> bool {
        self.size > 4 * self.limit
    }

    pub(in super::super) fn has_pseudo(&self) -> bool {
        self.status.is_some()
            || self.method.is_some()
            || self.scheme.is_some()
            || self.authority.is_some()
            || self.path.is_some()
    }

    pub(super) fn push(&mut self, field: &Field) {
        self.size += field.size;
        if self.size > self.limit {
            self.malformed = Some("the fields are too large");
        }
        if self.malformed.is_some() {
            return;
        }
        let late = !self.headers.is_empty();
        self.malformed = match (&field.name, &field.value, self.of) {
            (Name::Plain(name), Value::Text(value), of) => {
                // RFC 9113 §8.2.2: this one alone, in requests alone, in one sense alone.
                if *name == TE && (of == Of::Answer || value != "trailers") {
                    Some("te says something else than trailers")
                } else {
                    self.headers.append(name.clone(), value.clone());
                    None
                }
            }
            (Name::Connection, Value::Text(_), _) => Some("a field is about the connection"),
            (Name::Status, Value::Status(value), Of::Answer) => set(&mut self.status, value, late),
            (Name::Method, Value::Method(value), Of::Request) => set(&mut self.method, value, late),
            (Name::Scheme, Value::Scheme(value), Of::Request) => set(&mut self.scheme, value, late),
            (Name::Authority, Value::Authority(value), Of::Request) => set(&mut self.authority, value, late),
            (Name::Path, Value::Path(value), Of::Request) => set(&mut self.path, value, late),
            (Name::Scheme | Name::Authority | Name::Path | Name::Status | Name::Protocol, ..) => {
                Some("a pseudo-field has no place here, or no sense")
            }
            (Name::Method, ..) if self.of == Of::Answer => Some("an answer has a method"),
            (Name::Refused, ..) => self.garbage("a name is none"),
            (_, _, _) => self.garbage("a value has octets that no value may have"),
        };
    }

    fn garbage(&mut self, what: &'static str) -> Option<&'static str> {
        self.is_garbage = true;
        Some(what)
    }
}

fn set<T: Clone>(place: &mut Option<T>, value: &T, late: bool) -> Option<&'static str> {
    if place.is_some() || late {
        return Some("a pseudo-field comes twice, or after other fields");
    }
    *place = Some(value.clone());
    None
}
