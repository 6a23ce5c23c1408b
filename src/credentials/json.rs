//! A JSON object as variables: names in one level, or nested like Spring's.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::problem::Problem;
use crate::secret::Secret;

use super::text::{Reading, Variable};

/// Reads one JSON object.
pub(super) fn read(text: &str) -> Result<Reading, Problem> {
    let node: Node = serde_json::from_str(text).map_err(|error| {
        // The library's own text is left out: it may quote what it stumbled upon.
        Problem::new(
            "",
            format!("line {}", error.line()),
            format!("this is not valid JSON (column {})", error.column()),
            "mend it, or take the file as Console hands it out",
        )
    })?;
    let mut reading = Reading::default();
    flatten(text, String::new(), node, &mut reading.variables);
    Ok(reading)
}

/// JSON with duplicates kept, so that they can be warned of.
enum Node {
    Object(Vec<(String, Node)>),
    Array(Vec<Node>),
    Scalar(String),
    Null,
}

fn flatten(text: &str, name: String, node: Node, variables: &mut Vec<Variable>) {
    let nested = |inner: &str| if name.is_empty() { inner.to_owned() } else { format!("{name}.{inner}") };
    match node {
        Node::Object(entries) => {
            for (inner, node) in entries {
                flatten(text, nested(&inner), node, variables);
            }
        }
        // A list of granted scopes is the only list that means something; it is read like the file's own.
        Node::Array(items) if items.iter().all(|item| matches!(item, Node::Scalar(_))) => {
            let texts = items.into_iter().filter_map(|item| match item {
                Node::Scalar(value) => Some(value),
                _ => None,
            });
            flatten(text, name, Node::Scalar(texts.collect::<Vec<_>>().join(",")), variables);
        }
        Node::Array(items) => {
            for (index, node) in items.into_iter().enumerate() {
                flatten(text, nested(&index.to_string()), node, variables);
            }
        }
        Node::Scalar(value) => {
            let origin = format!("line {}", line_of(text, name.rsplit('.').next().unwrap_or(&name)));
            variables.push(Variable { name, value: Secret::from(value), origin });
        }
        Node::Null => {}
    }
}

/// The line of a name's last place, which is the one that counts.
fn line_of(text: &str, name: &str) -> usize {
    let before = text.rfind(&format!("\"{name}\"")).map_or("", |at| &text[..at]);
    before.matches('\n').count() + 1
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        struct AnyNode;
        impl<'de> Visitor<'de> for AnyNode {
            type Value = Node;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_str<E>(self, text: &str) -> Result<Node, E> {
                Ok(Node::Scalar(text.to_owned()))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
                Ok(Node::Scalar(value.to_string()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
                Ok(Node::Scalar(value.to_string()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
                Ok(Node::Scalar(value.to_string()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
                Ok(Node::Scalar(value.to_string()))
            }
            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Null)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Node::Object(entries))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Node, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = sequence.next_element()? {
                    items.push(item);
                }
                Ok(Node::Array(items))
            }
        }
        deserializer.deserialize_any(AnyNode)
    }
}
