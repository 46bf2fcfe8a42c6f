//! The configuration file, with the line of each of its keys.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use figment::value::{Dict, Value};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use super::keys;
use super::layer::Layer;
use super::origin::Origin;
use super::problem::Problem;
use super::syntax;

/// No configuration and no password is nearly as long; what is, is another kind of file.
const LIMIT: u64 = 1024 * 1024;

/// Reads a file that a person wrote.
pub(super) fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    let mut bytes = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LIMIT {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    Ok(bytes)
}

/// Reads the configuration file. `named_by` says who named it; nobody names the default one, and
/// that may be missing.
pub(super) fn layer(path: &Path, named_by: Option<&str>) -> Result<Option<Layer>, Problem> {
    let problem = |line, message: String| Problem::without_key(Origin::file(path, line), message);
    let bytes = match bytes(path) {
        Ok(bytes) => bytes,
        Err(error) if named_by.is_none() && error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let by = named_by.map(|name| format!(" that {name} names")).unwrap_or_default();
            let trouble = trouble(&error, "a TOML file");
            let message =
                format!("the configuration file{by} {trouble} (`actingweb-maintd config example` prints one)");
            return Err(problem(None, message));
        }
    };
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        let message = "the configuration file is not UTF-8 from this line on: save it as UTF-8";
        problem(Some(line(&valid, valid.len())), message.to_owned())
    })?;
    match toml::from_str::<Node>(&text) {
        Ok(root) => {
            let mut reader = Reader { path, text: &text, layer: Layer::default() };
            reader.layer.values = match reader.value(root, 0, "") {
                Value::Dict(_, values) => values,
                _ => Dict::new(),
            };
            Ok(Some(reader.layer))
        }
        Err(error) => {
            let offset = error.span().map_or(0, |span| span.start);
            let message = syntax::message(&text, offset, error.message());
            Err(problem(Some(line(&text, offset)), message))
        }
    }
}

/// Why a file cannot be read, and what to do; `wanted` is what a path should have led to.
pub(super) fn trouble(error: &io::Error, wanted: &str) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("does not exist: write the path of {wanted}"),
        io::ErrorKind::PermissionDenied => {
            "may not be read by this user: change its owner or its mode, or start the daemon as another user".to_owned()
        }
        io::ErrorKind::IsADirectory => format!("is a directory: write the path of {wanted}"),
        io::ErrorKind::FileTooLarge => format!("is larger than a mebibyte: write the path of {wanted}"),
        _ => format!("cannot be read ({error}): write the path of {wanted}"),
    }
}

/// The line that holds an offset, counted from one.
fn line(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    layer: Layer,
}

impl Reader<'_> {
    /// The value of `key`, whose name ends at an offset.
    fn value(&mut self, node: Node, end: usize, key: &str) -> Value {
        match node {
            // `password = 1_000` and `password = 1.50` mean these very characters.
            Node::Bool(_) | Node::Integer(_) | Node::Float(_) if keys::is_secret(key) => self.bare(end).into(),
            Node::Bool(value) => value.into(),
            Node::Integer(value) => value.into(),
            Node::Float(value) => value.into(),
            Node::String(text) => text.into(),
            Node::Date => self.bare(end).into(),
            Node::Array(items) => items.into_iter().map(|item| self.value(item, end, key)).collect::<Vec<_>>().into(),
            Node::Table(entries) => {
                let mut dict = Dict::new();
                for (name, node) in entries {
                    let below =
                        if key.is_empty() { name.get_ref().clone() } else { format!("{key}.{}", name.get_ref()) };
                    let origin = Origin::file(self.path, Some(line(self.text, name.span().start)));
                    self.layer.origins.insert(below.clone(), origin);
                    let value = self.value(node, name.span().end, &below);
                    dict.insert(name.into_inner(), value);
                }
                dict.into()
            }
        }
    }

    /// The value without quotes that follows the name of its key, as it was written.
    fn bare(&self, end: usize) -> &str {
        let rest = self.text[end..].trim_start_matches([' ', '\t', '"', '\'', '=']);
        let is_part = |c: char| c.is_ascii_alphanumeric() || ['_', '+', '-', '.', ':'].contains(&c);
        &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())]
    }
}

/// A TOML document that remembers where its keys are.
enum Node {
    Bool(bool),
    Integer(i64),
    Float(f64),
    String(String),
    Date,
    Array(Vec<Node>),
    Table(Vec<(Spanned<String>, Node)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a TOML value")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
                Ok(Node::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
                Ok(Node::Integer(value))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
                Ok(Node::Float(value))
            }

            fn visit_str<E>(self, text: &str) -> Result<Node, E> {
                Ok(Node::String(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Node::Array(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut entries = Vec::new();
                loop {
                    // A date comes as a map whose only key has no place in the text.
                    match map.next_key::<Spanned<String>>() {
                        Ok(Some(key)) => entries.push((key, map.next_value()?)),
                        Ok(None) => return Ok(Node::Table(entries)),
                        Err(_) => return Ok(Node::Date),
                    }
                }
            }
        }

        deserializer.deserialize_any(Any)
    }
}
