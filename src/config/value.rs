//! What can be told from the writing of a value, without knowing what it is for.

use std::path::Path;

use figment::value::Value;
use serde_json::Value as Json;

use super::environment;
use super::explain;
use super::keys;
use super::kubernetes;
use super::origin::Origin;
use crate::model::setting::Span;

/// What is wrong with the value of a key, and what to write instead.
pub(super) fn mistake(key: &str, default: &Json, value: &Value, origin: &Origin) -> Option<String> {
    match value {
        Value::String(_, text) => in_text(key, default, text, origin),
        // What another program is told may well be one.
        Value::Array(..) if key.starts_with("backup.postgresql.tool.") => None,
        Value::Array(_, items) if items.iter().filter_map(Value::as_str).any(is_url) => Some(url(key, default, origin)),
        other => not_a_string(key, default, other),
    }
}

/// A value of the environment in a message: not if it may hold a password.
pub(super) fn quoted(text: &str) -> String {
    if is_url(text) { "a URL".to_owned() } else { format!("`{text}`") }
}

fn in_text(key: &str, default: &Json, text: &str, origin: &Origin) -> Option<String> {
    // The mark that reading the environment leaves.
    if text.contains('\u{fffd}') {
        return Some("is not UTF-8: write it in UTF-8".to_owned());
    }
    if text.is_empty() && !default.is_array() {
        return Some(match origin {
            Origin::Variable { name } => format!("is empty: write a value, or unset {name}"),
            _ => format!("is empty: write a value, as in {}, or remove the key", keys::sample(key, default)),
        });
    }
    if keys::is_secret(key) {
        return None;
    }
    if let Origin::Variable { name } = origin
        && kubernetes::is_link(text)
    {
        return Some(kubernetes::explained(name, text));
    }
    let is_path = ["_file", "_dir", "sslrootcert"].iter().any(|end| key.ends_with(end));
    if is_url(text) && is_path {
        return Some("expected a path, found a URL: write a path that starts with /".to_owned());
    }
    let is_no_url = ["storage.", "targets."].iter().any(|table| key.starts_with(table)) && !key.ends_with("_url");
    if is_url(text) && (is_no_url || text.contains('@')) {
        return Some(url(key, default, origin));
    }
    // A relative path would depend on where the daemon is started. It is not repeated, as it may be
    // a password that stands where the path of its file should.
    (is_path && !Path::new(text).is_absolute()).then(|| {
        let what = if key.ends_with("_dir") { "directory" } else { "file" };
        format!("is not the full path of a {what}: write one that starts with /, as in {}", keys::sample(key, default))
    })
}

/// A URL may hold a password, so it is never repeated.
fn is_url(text: &str) -> bool {
    text.contains("://")
}

fn url(key: &str, default: &Json, origin: &Origin) -> String {
    let parts = match origin {
        _ if key.ends_with("_url") => {
            return format!("holds a user or a password, which nobody asks for: write {}", keys::sample(key, default));
        }
        _ if !key.starts_with("storage.postgresql.") && !key.starts_with("targets.") => {
            return format!("found a URL, which does not belong here: write {}", keys::sample(key, default));
        }
        Origin::Variable { name } if !name.starts_with(environment::PREFIX) => {
            "PG_DB_HOST, PG_DB_PORT, PG_DB_NAME, PG_DB_USER and PG_DB_PASSWORD"
        }
        _ => "host, port, dbname, user and password_file, each a key of its own",
    };
    format!("expected one part of an address, found a URL: split it into {parts}")
}

/// A number where a string is wanted. Figment would take numbers for the variants of an enum.
fn not_a_string(key: &str, default: &Json, value: &Value) -> Option<String> {
    let is_string = default.as_str().is_some_and(|text| text.parse::<Span>().is_err());
    is_string.then(|| {
        let found = explain::found(&value.to_actual());
        format!("expected a string, found {found}: write one in quotes, as in {}", keys::sample(key, default))
    })
}
