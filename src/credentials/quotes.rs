//! Values as shells, PowerShell, YAML and properties files quote them. Nothing is ever evaluated.

/// A value, and what follows it on its line.
#[derive(Debug)]
pub(super) struct Value<'a> {
    pub(super) text: String,
    pub(super) rest: &'a str,
    /// The value holds `$NAME`, `$(…)` or a backtick that a shell would have replaced.
    pub(super) literal: bool,
}

/// The quote is not closed on its line.
#[derive(Debug)]
pub(super) struct Unclosed;

/// A POSIX shell word that may begin with a quote: `'…'`, `"…"`, `$'…'`, `\c` and bare parts joined together.
/// Bare from the start, it goes on to a comment, a separator or the end of the line, blanks included.
pub(super) fn shell<'a>(text: &'a str, escapes: bool) -> Result<Value<'a>, Unclosed> {
    if !text.starts_with(['\'', '"']) && !text.starts_with("$'") {
        return Ok(bare(text, escapes));
    }
    let mut value = Value { text: String::new(), rest: text, literal: false };
    loop {
        let Some(first) = value.rest.chars().next() else { return Ok(value) };
        let after = &value.rest[first.len_utf8()..];
        match first {
            '\'' => {
                let end = after.find('\'').ok_or(Unclosed)?;
                value.text.push_str(&after[..end]);
                value.rest = &after[end + 1..];
            }
            '"' => double(&mut value, after, |c| matches!(c, '"' | '\\' | '$' | '`'))?,
            '$' if after.starts_with('\'') => ansi_c(&mut value, &after[1..])?,
            '\\' => {
                let mut chars = after.chars();
                value.text.extend(chars.next());
                value.rest = chars.as_str();
            }
            ' ' | '\t' | ';' | '&' => return Ok(value),
            other => {
                value.literal |= is_substitution(value.rest);
                value.text.push(other);
                value.rest = after;
            }
        }
    }
}

/// PowerShell: `''` and `""` stand for the quote itself, the backtick escapes.
pub(super) fn powershell(text: &str) -> Result<Value<'_>, Unclosed> {
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '\'' | '"')) else {
        return Ok(bare(text, false));
    };
    let mut value = Value { text: String::new(), rest: "", literal: false };
    let mut chars = text[1..].chars();
    while let Some(c) = chars.next() {
        match c {
            '`' if quote == '"' => value.text.extend(chars.next()),
            c if c == quote && chars.as_str().starts_with(quote) => {
                chars.next();
                value.text.push(quote);
            }
            c if c == quote => return Ok(Value { rest: chars.as_str(), ..value }),
            c => {
                value.literal |= quote == '"' && c == '$' && is_substitution(&format!("${}", chars.as_str()));
                value.text.push(c);
            }
        }
    }
    Err(Unclosed)
}

/// YAML: `''` inside single quotes, JSON's escapes inside double quotes, bare to the end or a comment.
pub(super) fn yaml(text: &str) -> Result<Value<'_>, Unclosed> {
    if let Some(inner) = text.strip_prefix('"') {
        let mut value = Value { text: String::new(), rest: "", literal: false };
        double(&mut value, inner, |_| true)?;
        // Compose replaces variables in here; YAML itself does not.
        return Ok(value);
    }
    if text.starts_with('\'') {
        return powershell(text);
    }
    let end = comment(text).unwrap_or(text.len());
    let text = text[..end].trim_end();
    Ok(Value { text: text.to_owned(), rest: "", literal: has_substitution(text) })
}

/// A `.properties` value: backslash escapes, no comments, quotes taken off although Java would keep them.
pub(super) fn properties(text: &str) -> String {
    let mut value = String::new();
    let mut chars = text.trim().chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => value.extend(chars.next()),
            c => value.push(c),
        }
    }
    unquoted(&value).to_owned()
}

/// A text without one matching pair of quotes, which `docker --env-file` leaves in, and without blanks around it.
pub(super) fn unquoted(text: &str) -> &str {
    let text = text.trim();
    ['\'', '"'].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(text)
}

/// A value without quotes: to a comment, to a separator that another assignment or nothing follows, or to the end.
fn bare(text: &str, escapes: bool) -> Value<'_> {
    let mut end = comment(text).unwrap_or(text.len());
    for (at, separator) in text[..end].match_indices([';', '&', ' ', '\t']) {
        let after = text[at + separator.len()..end].trim_start_matches([' ', '\t', ';', '&']);
        if (after.is_empty() && separator == ";") || super::text::is_assignment(after) {
            end = at;
            break;
        }
    }
    let (raw, rest) = (text[..end].trim_end(), &text[end..]);
    let mut value = String::new();
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' if escapes => value.extend(chars.next()),
            c => value.push(c),
        }
    }
    Value { text: value, rest, literal: has_substitution(raw) }
}

/// The inside of double quotes; a backslash before anything that is not `escapable` stays.
fn double<'a>(
    value: &mut Value<'a>,
    inside: &'a str,
    escapable: impl Fn(char) -> bool,
) -> Result<(), Unclosed> {
    let mut chars = inside.chars();
    loop {
        let from = chars.as_str();
        match chars.next().ok_or(Unclosed)? {
            '"' => {
                value.rest = chars.as_str();
                return Ok(());
            }
            '\\' => match chars.next().ok_or(Unclosed)? {
                c if escapable(c) => value.text.push(c),
                c => value.text.extend(['\\', c]),
            },
            c => {
                value.literal |= is_substitution(from);
                value.text.push(c);
            }
        }
    }
}

/// The inside of bash's `$'…'`, as its `printf %q` writes it.
fn ansi_c<'a>(value: &mut Value<'a>, inside: &'a str) -> Result<(), Unclosed> {
    let mut chars = inside.chars();
    loop {
        match chars.next().ok_or(Unclosed)? {
            '\'' => {
                value.rest = chars.as_str();
                return Ok(());
            }
            '\\' => match chars.next().ok_or(Unclosed)? {
                'n' => value.text.push('\n'),
                't' => value.text.push('\t'),
                c => value.text.push(c),
            },
            c => value.text.push(c),
        }
    }
}

/// Where a trailing comment begins: at a `#` after a blank.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with('#') {
        return Some(0);
    }
    text.match_indices('#').map(|(at, _)| at).find(|at| text[..*at].ends_with([' ', '\t']))
}

fn has_substitution(text: &str) -> bool {
    text.char_indices().any(|(at, _)| is_substitution(&text[at..]))
}

/// Whether a shell would replace something right at the start of the text.
fn is_substitution(text: &str) -> bool {
    text.starts_with('`')
        || text
            .strip_prefix('$')
            .and_then(|rest| rest.chars().next())
            .is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '_' | '{' | '('))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shell_words_are_joined_from_their_parts() {
        for (text, value, rest) in [
            (r"'it'\''s' # x", "it's", " # x"),
            (r#""a\"b\\c\$d\`e\n""#, r#"a"b\c$d`e\n"#, ""),
            (r"$'it\'s'", "it's", ""),
            ("'a';export B='c'", "a", ";export B='c'"),
            ("''", "", ""),
            ("a b # c", "a b", "# c"),
            ("a#b", "a#b", ""),
            ("a;", "a", ";"),
            ("a;b", "a;b", ""),
            ("a; B_C=d", "a", "; B_C=d"),
        ] {
            let read = shell(text, true).expect(text);
            assert_eq!((read.text.as_str(), read.rest), (value, rest), "{text}");
        }
        assert!(shell("'open", true).is_err());
    }

    #[test]
    fn nothing_is_evaluated_and_what_a_shell_would_replace_is_noticed() {
        for (text, value, literal) in [
            ("a$HOME", "a$HOME", true),
            ("\"$(id)\"", "$(id)", true),
            ("`id`", "`id`", true),
            ("'$HOME'", "$HOME", false),
            ("\"\\$HOME\"", "$HOME", false),
            ("a$", "a$", false),
        ] {
            let read = shell(text, false).expect(text);
            assert_eq!((read.text.as_str(), read.literal), (value, literal), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_printable_text_survives_quoting(text in "[ -~]{0,40}") {
            let single = format!("'{}'", text.replace('\'', r"'\''"));
            prop_assert_eq!(&shell(&single, true).expect("closed").text, &text);
            let escaped = text.replace('\\', r"\\").replace('"', "\\\"").replace('$', r"\$").replace('`', r"\`");
            let double = format!("\"{escaped}\"");
            prop_assert_eq!(&shell(&double, true).expect("closed").text, &text);
            let doubled = format!("'{}'", text.replace('\'', "''"));
            prop_assert_eq!(&powershell(&doubled).expect("closed").text, &text);
            prop_assert_eq!(&yaml(&doubled).expect("closed").text, &text);
        }
    }
}
