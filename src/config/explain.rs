//! Figment's errors in words that say what to write.

use figment::error::{Actual, Kind};
use serde_json::Value;

use super::keys::{self, Tree};

/// What is wrong with the value under `key`, and what to write instead.
pub(super) fn message(kind: &Kind, key: &str, keys: &Tree) -> String {
    let default = match keys.at(key) {
        Some(Tree::Leaf(default)) => default,
        _ => &Value::Null,
    };
    let sample = keys::sample(key, default);
    match kind {
        // The text of a secret's own type would be safe; that of a type it is given by mistake might not.
        Kind::Message(_) | Kind::InvalidValue(..) | Kind::UnknownVariant(..) if keys::is_secret(key) => {
            format!("cannot be used: write {sample}")
        }
        Kind::Message(message) => message.clone(),
        Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
            let found = found(actual);
            match expected.as_str() {
                "a string" | "path string" => {
                    format!("expected a string, found {found}: write one in quotes, as in {sample}")
                }
                // These say themselves how they are written.
                expected if expected.contains("as in") => format!("expected {expected}, found {found}"),
                expected => format!("expected {expected}, found {found}: write one, as in {sample}"),
            }
        }
        Kind::UnknownVariant(word, known) => {
            let lower = word.to_lowercase().replace('_', "-");
            let nearest = known.iter().map(|known| (strsim::osa_distance(known, &lower), *known)).min();
            match nearest {
                Some((0..=2, known)) => {
                    format!("`{word}` is not one of the words allowed here: did you mean \"{known}\"?")
                }
                _ => format!("`{word}` is not one of the words allowed here: write one of {}", known.join(", ")),
            }
        }
        Kind::UnknownField(name, known) => {
            format!("there is no such key as `{name}`: write one of {}", known.join(", "))
        }
        other => format!("{other}: write {sample}"),
    }
}

/// A value as a person would call it. Strings are not repeated: they may be secrets in the wrong place.
pub(super) fn found(actual: &Actual) -> String {
    match actual {
        Actual::Bool(value) => format!("`{value}`"),
        Actual::Unsigned(value) => format!("the number {value}"),
        Actual::Signed(value) => format!("the number {value}"),
        Actual::Float(value) => format!("the number {value:?}"),
        Actual::Str(_) | Actual::Char(_) => "a string".to_owned(),
        Actual::Seq => "an array".to_owned(),
        Actual::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}
