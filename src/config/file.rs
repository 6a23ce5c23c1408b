//! A TOML file as a layer that knows on which line each of its keys stands.

use std::collections::BTreeMap;
use std::path::Path;

use figment::value::{Dict, Map, Value};
use figment::{Error, Metadata, Profile, Provider};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::problem::Problem;

/// A file's values and places.
pub(super) struct TomlFile {
    name: String,
    values: Dict,
    /// `file:line:column` by key.
    places: BTreeMap<String, String>,
}

impl TomlFile {
    /// Reads and parses; every mistake has its line and column, and none quotes the line, which may hold a secret.
    pub(super) fn read(path: &Path) -> Result<TomlFile, Vec<Problem>> {
        let name = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => return Err(vec![unreadable("", &name, &error)]),
        };
        TomlFile::parse(name, text.strip_prefix('\u{feff}').unwrap_or(&text))
    }

    pub(super) fn parse(name: String, text: &str) -> Result<TomlFile, Vec<Problem>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let problem = |error: &toml::de::Error| {
                let at = error.span().map_or(0, |span| span.start);
                let message = format!("this is not valid TOML: {}", error.message());
                Problem::new("", place(&name, text, at), message, "texts stand in quotes: key = \"value\"")
            };
            return Err(errors.iter().map(problem).collect());
        }
        let mut file = TomlFile { name, values: Dict::new(), places: BTreeMap::new() };
        file.values = file.table(text, "", table.get_ref());
        Ok(file)
    }

    fn table(&mut self, text: &str, outer: &str, table: &DeTable<'_>) -> Dict {
        let entries = table.iter().map(|(key, value)| {
            let path = join(outer, key.get_ref());
            self.places.insert(path.clone(), place(&self.name, text, key.span().start));
            (key.get_ref().to_string(), self.value(text, &path, value))
        });
        entries.collect()
    }

    fn value(&mut self, text: &str, path: &str, value: &Spanned<DeValue<'_>>) -> Value {
        match value.get_ref() {
            DeValue::String(string) => Value::from(string.as_ref()),
            DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
                Ok(number) => Value::from(number),
                Err(_) => Value::from(integer.as_str()),
            },
            DeValue::Float(float) => {
                float.as_str().parse::<f64>().map_or(Value::from(float.as_str()), Value::from)
            }
            DeValue::Boolean(boolean) => Value::from(*boolean),
            DeValue::Datetime(datetime) => Value::from(datetime.to_string()),
            DeValue::Table(table) => Value::from(self.table(text, path, table)),
            DeValue::Array(array) => {
                let items = array.iter().enumerate().map(|(index, item)| {
                    let path = join(path, &index.to_string());
                    self.places.insert(path.clone(), place(&self.name, text, item.span().start));
                    self.value(text, &path, item)
                });
                Value::from(items.collect::<Vec<_>>())
            }
        }
    }
}

impl Provider for TomlFile {
    fn metadata(&self) -> Metadata {
        let (name, places) = (self.name.clone(), self.places.clone());
        Metadata::named(self.name.clone()).interpolater(move |_, path| {
            let nearest = (0..=path.len()).rev().find_map(|length| places.get(&path[..length].join(".")));
            nearest.cloned().unwrap_or_else(|| name.clone())
        })
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

/// A list in TOML's own words, as the environment may hold it: `["a", "b"]`.
pub(super) fn list(text: &str) -> Option<Value> {
    let text = format!("list = {text}");
    let mut file = TomlFile::parse(String::new(), &text).ok()?;
    file.values.remove("list")
}

/// A file that is not there, is a directory or may not be read.
pub(super) fn unreadable(key: &str, origin: &str, error: &std::io::Error) -> Problem {
    use std::io::ErrorKind::{InvalidData, IsADirectory, NotFound, PermissionDenied};
    let (message, remedy) = match error.kind() {
        NotFound => ("there is no such file".to_owned(), "check the path"),
        IsADirectory => ("this is a directory".to_owned(), "name the file in it"),
        PermissionDenied => ("the file may not be read".to_owned(), "give this user the right to read it"),
        InvalidData => ("the file is not UTF-8 text".to_owned(), "save it as UTF-8"),
        _ => (format!("the file cannot be read: {error}"), "check the path"),
    };
    Problem::new(key, origin, message, remedy)
}

fn join(outer: &str, key: &str) -> String {
    if outer.is_empty() { key.to_owned() } else { format!("{outer}.{key}") }
}

fn place(name: &str, text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("{name}:{line}:{column}")
}
