//! From layers to a [`Config`], with every mistake and not only the first.

use std::collections::BTreeSet;

use figment::error::{Actual, Kind};
use figment::value::{Dict, Value};
use figment::{Error, Figment, Profile, Provider};
use serde::Deserialize;

use crate::problem::{Problem, did_you_mean};

use super::{Config, environment, file};

/// Reads the configuration as serde sees it. At a mistake the offending value is noted and taken out, and
/// reading starts again; texts become what is expected in their place, because the environment has only texts.
pub(super) fn collect(figment: &Figment) -> (Config, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut layers = match figment.data() {
        Ok(layers) => layers,
        Err(error) => {
            return (Config::default(), vec![problem(figment, &Value::from(""), &error, &error.path)]);
        }
    };
    let mut tree = Value::from(layers.remove(&Profile::Default).unwrap_or_default());
    let mut removed = BTreeSet::new();
    loop {
        let error = match Config::deserialize(&tree) {
            Ok(config) => return (config, problems),
            Err(error) => error,
        };
        let path = full_path(&error);
        if converted(&mut tree, &path, &error.kind) {
            continue;
        }
        // A key that was taken out because of its value is no second mistake.
        if !removed.contains(&path) {
            problems.push(problem(figment, &tree, &error, &path));
        }
        let taken = match error.kind {
            Kind::MissingField(_) => path[..path.len() - 1].to_vec(),
            _ => path,
        };
        removed.insert(taken.clone());
        if !take_out(&mut tree, &taken) {
            return (Config::default(), problems);
        }
    }
}

/// Where a value comes from: `proxy.toml:3:1`, `environment variable …`, `flag …`, or nothing for a default.
pub(super) fn origin(figment: &Figment, path: &[String]) -> Option<String> {
    let tree = Value::from(figment.data().ok()?.remove(&Profile::Default)?);
    // A text of the environment that was read as a list stands for all that is in it.
    let whole = || {
        let nearest = (1..path.len()).rev().find_map(|length| find(&tree, &path[..length]))?;
        matches!(nearest, Value::String(..)).then_some(nearest)
    };
    let value = find(&tree, path).or_else(whole)?;
    Some(figment.get_metadata(value.tag())?.interpolate(&Profile::Default, path))
}

/// The same for a key that may itself be missing: then that of the table around it.
fn nearest_origin(figment: &Figment, tree: &Value, path: &[String]) -> Option<String> {
    let nearest = (1..=path.len()).rev().find_map(|length| find(tree, &path[..length]))?;
    Some(figment.get_metadata(nearest.tag())?.interpolate(&Profile::Default, path))
}

/// serde names a missing field apart from the path to where it is missing.
fn full_path(error: &Error) -> Vec<String> {
    let mut path = error.path.clone();
    if let Kind::MissingField(field) = &error.kind {
        path.push(field.to_string());
    }
    path
}

/// A problem in our own words: serde's would quote the value.
fn problem(figment: &Figment, tree: &Value, error: &Error, path: &[String]) -> Problem {
    let key = path.join(".");
    let origin = nearest_origin(figment, tree, path).unwrap_or_default();
    let (message, remedy) = match &error.kind {
        Kind::UnknownField(field, known) => {
            let outer = &path[..path.len().saturating_sub(1)];
            ("there is no such key".to_owned(), unknown(&origin, outer, field, known))
        }
        Kind::UnknownVariant(word, known) => {
            let slip = did_you_mean(word, known.iter().copied());
            let remedy = slip.map(|word| format!("did you mean `{word}`?")).unwrap_or_default();
            (format!("expected {}", one_of(known)), remedy)
        }
        Kind::MissingField(_) => ("the key is missing".to_owned(), "write it".to_owned()),
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => {
            (format!("expected {}", expectation(expected)), String::new())
        }
        Kind::Message(message) => (message.clone(), String::new()),
        _ => ("the value is not of the right kind".to_owned(), String::new()),
    };
    Problem { key, origin, message, remedy }
}

fn unknown(origin: &str, outer: &[String], field: &str, known: &[&str]) -> String {
    let whole = |name: &str| {
        let key = outer.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join(".");
        if origin.starts_with("environment") { environment::name_of(&key) } else { key }
    };
    match did_you_mean(field, known.iter().copied()) {
        Some(name) => format!("did you mean `{}`?", whole(name)),
        None => {
            format!("known here: {}", known.iter().map(|name| whole(name)).collect::<Vec<_>>().join(", "))
        }
    }
}

fn expectation(expected: &str) -> &str {
    match expected {
        "usize" | "u64" | "u32" | "u16" => "a number, 0 or more",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a string" | "path string" => "a text in quotes",
        "a duration" => "a duration such as 30s or 5m",
        other if other.starts_with("struct ") => "a table with keys of its own",
        other => other,
    }
}

fn one_of(known: &[&str]) -> String {
    match known {
        [] => "nothing".to_owned(),
        [one] => (*one).to_owned(),
        [before @ .., last] => format!("{} or {last}", before.join(", ")),
    }
}

/// Turns a text into the number, boolean or list that is expected in its place.
fn converted(tree: &mut Value, path: &[String], kind: &Kind) -> bool {
    let Kind::InvalidType(Actual::Str(text), expected) = kind else { return false };
    let Some(place) = find_mut(tree, path) else { return false };
    let text = text.trim();
    let value = match expected.as_str() {
        "a boolean" => text.parse::<bool>().ok().map(Value::from),
        "usize" | "u64" | "u32" | "u16" => text.parse::<u64>().ok().map(Value::from),
        "a sequence" if text.starts_with('[') => file::list(text),
        "a sequence" => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Some(Value::from(items.collect::<Vec<_>>()))
        }
        _ => None,
    };
    match value {
        Some(value) => {
            let tag = place.tag();
            *place = retagged(value, tag);
            true
        }
        None => false,
    }
}

/// The value under another value's tag, which is how figment remembers its origin.
fn retagged(value: Value, tag: figment::value::Tag) -> Value {
    match value {
        Value::String(_, text) => Value::String(tag, text),
        Value::Num(_, number) => Value::Num(tag, number),
        Value::Bool(_, boolean) => Value::Bool(tag, boolean),
        Value::Array(_, items) => Value::Array(tag, items.into_iter().map(|i| retagged(i, tag)).collect()),
        Value::Dict(_, dict) => {
            Value::Dict(tag, dict.into_iter().map(|(key, value)| (key, retagged(value, tag))).collect())
        }
        other => other,
    }
}

/// Takes a value out. A list's item makes room for one without mistakes, so that the others keep their places.
fn take_out(tree: &mut Value, path: &[String]) -> bool {
    let Some((last, outer)) = path.split_last() else { return false };
    let outer_is_list = outer.last().map(String::as_str);
    match find_mut(tree, outer) {
        Some(Value::Dict(_, dict)) => dict.remove(last).is_some(),
        Some(Value::Array(tag, items)) => {
            let Ok(index) = last.parse::<usize>() else { return false };
            let Some(item) = items.get_mut(index) else { return false };
            let address = Value::from("127.0.0.1:0");
            let replacement = match outer_is_list {
                Some("listener") => Value::from(Dict::from([("address".to_owned(), address)])),
                Some("caller") => {
                    let fields = [("name", index.to_string()), ("key_sha256", "0".repeat(64))];
                    Value::from(Dict::from(fields.map(|(key, text)| (key.to_owned(), Value::from(text)))))
                }
                _ => address,
            };
            *item = retagged(replacement, *tag);
            true
        }
        _ => false,
    }
}

fn find<'a>(tree: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(tree, |value, key| match value {
        Value::Dict(_, dict) => dict.get(key),
        Value::Array(_, items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    })
}

fn find_mut<'a>(tree: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    path.iter().try_fold(tree, |value, key| match value {
        Value::Dict(_, dict) => dict.get_mut(key),
        Value::Array(_, items) => items.get_mut(key.parse::<usize>().ok()?),
        _ => None,
    })
}
