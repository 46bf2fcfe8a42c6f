//! What is wrong with text that is not TOML.
//!
//! The parser's own text quotes the line, which may hold a password, and speaks of grammar. Its
//! short message is turned into what to write instead.

use std::borrow::Cow;

use super::keys::Tree;
use super::settings::Config;

/// Explains the parser's `message` about `text` at `offset`.
pub(super) fn message(text: &str, offset: usize, message: &str) -> String {
    let start = text[..offset].rfind('\n').map_or(0, |end| end + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    let column = 1 + text[start..offset].chars().count();
    let at = match key(line) {
        Some(key) => format!("column {column}, at `{key}`"),
        None => format!("column {column}"),
    };
    format!("not valid TOML at {at}: {}", explained(message, line))
}

fn explained<'a>(message: &'a str, line: &str) -> Cow<'a, str> {
    let is_header = line.trim_start().starts_with('[');
    let value = line.split_once('=').map_or("", |(_, value)| value.trim());
    let text = match message {
        "" => "the value is missing: write one after the `=`",
        _ if ["True", "False", "TRUE", "FALSE"].contains(&value) => "true and false are written in small letters",
        "invalid string\nexpected `\"`, `'`" => {
            "a value must be a number, true or false, or a string in straight quotes: write key = \"text\""
        }
        "expected newline, `#`" => {
            "the line goes on after its value: write one key on a line, and in quotes what is no plain number, as in \"15m\""
        }
        "invalid basic string" | "invalid literal string" => {
            "the string is not closed on its line, or holds a control character: close it with the quote that opened it"
        }
        "invalid multiline basic string" | "invalid multiline literal string" => {
            "the string is never closed: close it with the three quotes that opened it"
        }
        "invalid array\nexpected `]`" => {
            "the array is not closed, or has no comma between its items: write [\"one\", \"two\"]"
        }
        "expected `.`, `=`" if line.contains(':') => {
            "this looks like YAML: write key = \"text\", below the name of its table, as in [log]"
        }
        "expected `.`, `=`" => "there is no `=` after the key: write key = \"text\"",
        "invalid key" if line.trim_start().starts_with(['{', '-']) => {
            "this looks like JSON or YAML: write key = \"text\", below the name of its table, as in [log]"
        }
        "invalid key" => "there should be a key: write key = \"text\"",
        "number too large to fit in target type" => {
            "the number is larger than any that is allowed: write a smaller one"
        }
        _ if message.starts_with("invalid escape sequence") => {
            "a backslash has a meaning between double quotes: double it, or write the string in 'single quotes'"
        }
        _ if message.starts_with("invalid table header\nexpected") => {
            "the name of a table stands in brackets: write [storage.postgresql]"
        }
        _ if message.contains("duplicate key") && is_header => {
            return twice(message, "table", "put its keys below one heading");
        }
        _ if message.contains("duplicate key") => return twice(message, "key", "keep one of the two"),
        _ => return Cow::Owned(message.replace('\n', ", ")),
    };
    Cow::Borrowed(text)
}

fn twice(message: &str, what: &str, remedy: &str) -> Cow<'static, str> {
    let name = message.split('`').nth(1).unwrap_or_default();
    Cow::Owned(format!("the {what} `{name}` stands here for the second time: {remedy}"))
}

/// The key on a line. Only one that we know: anything else could be part of a secret.
fn key(line: &str) -> Option<String> {
    let name = line.split_once('=')?.0.trim();
    let known = Tree::of(&Config::default()).leaves().into_iter().any(|(key, _)| key.rsplit('.').next() == Some(name));
    known.then(|| name.to_owned())
}
