//! A credentials file's text as variables, in whatever form somebody keeps it. Nothing is ever evaluated.

use crate::problem::Problem;
use crate::secret::Secret;

use super::names;
use super::quotes::{self, Unclosed, Value};
use super::{json, yaml::Nesting};

/// A name with its value. Every value is treated as a secret: which one is, is known only later.
#[derive(Clone, Debug)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: Secret,
    /// Where it stands: `line 3`, or the variable of the environment.
    pub(super) origin: String,
}

impl Variable {
    /// Where it stands, with its name: `ZEEBE_CLIENT_ID (line 2)`. An environment variable names itself.
    pub(super) fn shown_origin(&self) -> String {
        match self.origin.ends_with(&self.name) {
            true => self.origin.clone(),
            false => format!("{} ({})", self.name, self.origin),
        }
    }
}

/// What a text holds.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) variables: Vec<Variable>,
    pub(super) warnings: Vec<String>,
}

/// Reads every form of `product.md` §5, mixed as they come.
pub(super) fn read(text: &str) -> Result<Reading, Vec<Problem>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with(['{', '[']) {
        return json::read(text).map_err(|problem| vec![problem]);
    }
    let mut reader = Reader::default();
    for (index, line) in text.lines().enumerate() {
        reader.line(index + 1, line);
    }
    match reader.problems.is_empty() {
        true => Ok(reader.reading),
        false => Err(reader.problems),
    }
}

/// Whether a text begins like an assignment of a shell variable.
pub(super) fn is_assignment(text: &str) -> bool {
    let text = strip_word(text, "export").unwrap_or(text);
    let text = strip_prefix(text, "$env:").unwrap_or(text);
    let (name, rest) = split_name(text);
    name.len() > 2
        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        && rest.trim_start().starts_with('=')
}

#[derive(Default)]
struct Reader {
    reading: Reading,
    problems: Vec<Problem>,
    nesting: Nesting,
}

/// How a value is quoted.
#[derive(Clone, Copy)]
enum Style {
    /// `escapes`: a backslash outside quotes escapes, as after `export`. In an env file it is itself.
    Shell {
        escapes: bool,
    },
    Windows,
    PowerShell,
    Yaml,
    Properties,
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) {
        let mut rest = line.trim();
        while !is_blank(rest) {
            let Some((style, name, value)) = statement(rest) else {
                return self.unknown(number, rest);
            };
            let name = match style {
                Style::Yaml => match self.nesting.enter(line, name, value) {
                    Some(path) => path,
                    None => return,
                },
                _ => name.to_owned(),
            };
            let Ok(value) = read_value(style, value) else {
                return self.problem(number, &name, "the value's quote is not closed on this line");
            };
            if matches!(style, Style::Yaml) && is_block(&value.text) && names::lookup(&name).is_some() {
                return self.problem(number, &name, "a value of several lines is not understood");
            }
            if value.literal {
                self.reading.warnings.push(format!(
                    "line {number}: {name}: `$` and backticks are taken as they are; nothing is evaluated"
                ));
            }
            let after = value.rest.trim_start_matches([' ', '\t', ';', '&']);
            let separated = after.len() < value.rest.len();
            let variable =
                Variable { name, value: Secret::from(value.text), origin: format!("line {number}") };
            let continues = separated && statement(after).is_some();
            if !is_blank(after) && !continues {
                return self.problem(number, &variable.name, "there is more text after the closing quote");
            }
            self.reading.variables.push(variable);
            rest = after;
        }
    }

    fn problem(&mut self, number: usize, name: &str, message: &str) {
        let remedy = format!("write {name}='value' on a line of its own");
        self.problems.push(Problem::new(name, format!("line {number}"), message, remedy));
    }

    /// Shell scripts hold more than assignments; only a line that begins with a known name must be one.
    fn unknown(&mut self, number: usize, line: &str) {
        let (name, _) = split_name(line);
        if names::lookup(name).is_some() {
            self.problem(number, name, "this is not an assignment");
        } else if !is_harmless(line) {
            self.reading.warnings.push(format!("line {number} is not an assignment and is skipped"));
        }
    }
}

/// The first assignment of a line: how its value is quoted, its name, and the text from its value on.
fn statement(line: &str) -> Option<(Style, &str, &str)> {
    let line = line.trim_start().trim_start_matches('@');
    // A list of a compose file: `- NAME=value`, the whole of it perhaps in quotes.
    if let Some(item) = line.strip_prefix("- ") {
        let item = item.trim();
        let inner = quotes::unquoted(item);
        return assignment(if split_name(inner).1.starts_with('=') { inner } else { item });
    }
    for prefix in ["export", "declare -x", "typeset -x", "env"] {
        if let Some(rest) = strip_word(line, prefix) {
            return assigned(rest, '=').map(|(name, value)| (Style::Shell { escapes: true }, name, value));
        }
    }
    for prefix in ["$env:", "${env:"] {
        if let Some(rest) = strip_prefix(line, prefix) {
            let (name, rest) = split_name(rest);
            let value = rest.trim_start_matches('}').trim_start().strip_prefix('=')?;
            return Some((Style::PowerShell, name, value.trim_start()));
        }
    }
    for prefix in ["setx", "setenv", "set"] {
        if let Some(rest) = strip_word(line, prefix) {
            return set(rest, prefix == "set");
        }
    }
    if let Some(rest) = strip_word(line, "ENV") {
        return assignment(rest).or_else(|| set(rest, false));
    }
    assignment(line)
}

/// `NAME=value`, `name.of.spring=value` or `NAME: value`.
fn assignment(line: &str) -> Option<(Style, &str, &str)> {
    if let Some((name, value)) = assigned(line, '=') {
        let properties = name.bytes().any(|b| b.is_ascii_lowercase());
        let style = if properties { Style::Properties } else { Style::Shell { escapes: false } };
        return Some((style, name, value));
    }
    let (name, value) = match line.strip_prefix(['"', '\'']) {
        Some(quoted) => {
            let (name, rest) = split_name(quoted);
            (name, rest.strip_prefix(['"', '\''])?.trim_start().strip_prefix(':')?)
        }
        None => {
            let (name, rest) = split_name(line);
            (name, rest.trim_start().strip_prefix(':')?)
        }
    };
    match !name.is_empty() && (value.is_empty() || value.starts_with([' ', '\t'])) {
        true => Some((Style::Yaml, name, value.trim())),
        false => None,
    }
}

/// `set NAME=value` and `set "NAME=value"` of Windows, `set -gx NAME value` of fish, `setx NAME value /M`.
fn set(rest: &str, windows: bool) -> Option<(Style, &str, &str)> {
    let mut rest = rest.trim();
    while let Some(option) = rest.strip_prefix(['-', '/']) {
        rest = option.split_once([' ', '\t'])?.1.trim_start();
    }
    let unquoted = quotes::unquoted(rest);
    if let Some((name, value)) = assigned(unquoted, '=').filter(|_| windows) {
        return Some((Style::Windows, name, value));
    }
    let (name, value) = split_name(rest);
    match !name.is_empty() && value.starts_with([' ', '\t']) {
        true => Some((Style::Shell { escapes: false }, name, trim_option(value.trim()))),
        false => None,
    }
}

fn trim_option(value: &str) -> &str {
    match value.rsplit_once([' ', '\t']) {
        Some((value, "/M" | "/m")) => value.trim_end(),
        _ => value,
    }
}

fn read_value(style: Style, text: &str) -> Result<Value<'_>, Unclosed> {
    let plain = |text: String| Value { text, rest: "", literal: false };
    match style {
        Style::Shell { escapes } => quotes::shell(text, escapes),
        Style::PowerShell => quotes::powershell(text),
        Style::Yaml => quotes::yaml(text),
        Style::Properties => Ok(plain(quotes::properties(text))),
        Style::Windows => Ok(plain(quotes::unquoted(text).to_owned())),
    }
}

fn assigned(text: &str, sign: char) -> Option<(&str, &str)> {
    let (name, rest) = split_name(text.trim_start());
    let value = rest.trim_start().strip_prefix(sign)?;
    (!name.is_empty()).then(|| (name, value.trim_start()))
}

fn split_name(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !is_name(c)).unwrap_or(text.len()))
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let start = text.get(..prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    strip_prefix(text, word)?.strip_prefix([' ', '\t']).map(str::trim_start)
}

/// Nothing, or a comment of a shell, a properties file, a batch file or an ini file.
fn is_blank(text: &str) -> bool {
    text.is_empty()
        || text.starts_with(['#', '!', ';'])
        || text.starts_with("//")
        || text.starts_with("::")
        || strip_word(text, "rem").is_some()
}

/// What goes with assignments in scripts and YAML files and says nothing itself, `export NAME` included.
fn is_harmless(line: &str) -> bool {
    let exports =
        strip_word(line, "export").is_some_and(|names| names.chars().all(|c| is_name(c) || c == ' '));
    exports
        || line.starts_with("- ")
        || matches!(line, "---" | "..." | "set -a" | "set +a" | "set -e" | "@echo off")
}

fn is_block(value: &str) -> bool {
    matches!(value.trim_end_matches(['-', '+']), "|" | ">")
}
