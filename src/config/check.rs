//! Finds every mistake in one layer, and takes out what is wrong.

use figment::Figment;
use figment::value::{Dict, Value};
use serde_json::Value as Json;

use super::explain;
use super::keys::{self, Tree};
use super::layer::Layer;
use super::origin::Origin;
use super::settings::Config;
use super::suggest;
use super::targets;
use super::value;

/// A mistake in one layer.
pub(super) struct Mistake {
    pub(super) key: String,
    pub(super) message: String,
    /// The key that was probably meant instead.
    pub(super) meant: Option<String>,
}

impl Mistake {
    pub(super) fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into(), meant: None }
    }
}

/// Finds every mistake in one layer. What remains of the layer can be read.
pub(super) fn layer(layer: &mut Layer, keys: &Tree) -> Vec<Mistake> {
    let mut mistakes = targets::strays(layer);
    let mut walk = Walk { layer, keys, found: Vec::new() };
    walk.table(&layer.values, keys, &[]);
    for (path, mistake) in walk.found {
        layer.remove(&path);
        mistakes.push(mistake);
    }
    mistakes.extend(targets::mistakes(layer, keys));
    // Figment stops at the first mistake: take that value out, and read again.
    while let Err(error) = Figment::from(&*layer).extract::<Config>() {
        let removed = layer.remove(&error.path);
        let key = removed.as_ref().unwrap_or(&error.path).join(".");
        mistakes.push(Mistake::new(&key, explain::message(&error.kind, &key, keys)));
        if removed.is_none() {
            // Nothing to take out, so nothing that could be read either.
            layer.values.clear();
        }
    }
    mistakes
}

/// Compares a layer with the keys that there are.
struct Walk<'a> {
    layer: &'a Layer,
    keys: &'a Tree,
    found: Vec<(Vec<String>, Mistake)>,
}

impl Walk<'_> {
    fn table(&mut self, values: &Dict, table: &Tree, above: &[String]) {
        for (name, value) in values {
            let path: Vec<String> = above.iter().chain([name]).cloned().collect();
            let key = path.join(".");
            let mistake = match (table.child(name), value) {
                (Some(child @ Tree::Table(_)), Value::Dict(_, below)) => {
                    self.table(below, child, &path);
                    None
                }
                (Some(child @ Tree::Table(_)), other) => Some(Mistake::new(&key, not_a_table(&key, child, other))),
                (Some(Tree::Leaf(default)), Value::Dict(..)) => Some(Mistake::new(&key, not_a_value(&key, default))),
                (Some(Tree::Leaf(default)), value) => {
                    let origin = self.layer.origin(&key).unwrap_or(&Origin::Default);
                    value::mistake(&key, default, value, origin).map(|message| Mistake::new(&key, message))
                }
                (None, _) if name.contains('.') => {
                    Some(Mistake::new(&key, "there is no such key: write its name without quotes"))
                }
                (None, value) => Some(self.unknown(&key, table, matches!(value, Value::Dict(..)))),
            };
            self.found.extend(mistake.map(|mistake| (path, mistake)));
        }
    }

    fn unknown(&self, key: &str, table: &Tree, is_table: bool) -> Mistake {
        let what = if is_table { "table" } else { "key" };
        let (parent, name) = key.rsplit_once('.').unwrap_or(("", key));
        if parent == targets::TABLE {
            let message = format!("expected a table: write [{key}] on a line of its own, and its keys below it");
            return Mistake::new(key, message);
        }
        if key == "storage.dynamodb" {
            return Mistake::new(key, "this build has postgresql only: remove the table");
        }
        if !is_table && ["url", "uri", "dsn", "conninfo", "database_url", "connection_string"].contains(&name) {
            let message = "there is no such key: write the parts of the address one by one, below [storage.postgresql], \
                           as host, port, dbname, user and password_file";
            return Mistake::new(key, message);
        }
        let meant = suggest::known(self.keys, key, is_table);
        let remedy = match meant.as_deref().map(|meant| (self.keys.at(meant), meant)) {
            Some((Some(Tree::Table(_)), meant)) => format!("did you mean [{meant}]?"),
            Some((_, meant)) => match meant.rsplit_once('.') {
                Some((place, name)) if place != parent => {
                    // Another table's key is only a guess, so say what could be meant here as well.
                    let names = table.names();
                    let here = match names.len() {
                        1..=4 if !parent.is_empty() => format!(" [{parent}] has {}", listed(&names)),
                        _ => String::new(),
                    };
                    format!("did you mean `{name}` below [{place}]?{here}")
                }
                _ => format!("did you mean `{}`?", meant.rsplit('.').next().unwrap_or(meant)),
            },
            None if parent.is_empty() => format!("the tables are {}", listed(&self.keys.names())),
            None => format!("[{parent}] has {}", listed(&table.names())),
        };
        Mistake { meant, ..Mistake::new(key, format!("there is no such {what}: {remedy}")) }
    }
}

fn not_a_table(key: &str, table: &Tree, value: &Value) -> String {
    let first =
        table.leaves().into_iter().next().map(|(name, default)| keys::sample(&name, default)).unwrap_or_default();
    format!(
        "expected a table, found {}: write [{key}] on a line of its own, and its keys below it, as in {first}",
        explain::found(&value.to_actual())
    )
}

fn not_a_value(key: &str, default: &Json) -> String {
    let (table, _) = key.rsplit_once('.').unwrap_or(("", key));
    format!("expected a single value, found a table: write {} below [{table}]", keys::sample(key, default))
}

/// Names as a person lists them.
pub(super) fn listed(names: &[&str]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [one] => (*one).to_owned(),
        [many @ .., last] => format!("{} and {last}", many.join(", ")),
    }
}
