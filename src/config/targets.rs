//! The tables `[targets.<name>]`: their names are free, and which keys one has depends on its `backend`.

use figment::Figment;
use figment::value::{Dict, Value};

use super::check::Mistake;
use super::explain;
use super::keys::Tree;
use super::layer::Layer;
use crate::model::BackendKind;
use crate::storage::{Target, dynamodb, postgres};

/// The table that holds them.
pub(super) const TABLE: &str = "targets";

const BACKEND: &str = "backend";

/// Adds the keys of each target that the file names to those that there are. The environment knows none of them.
pub(super) fn graft(keys: &mut Tree, layer: &Layer) {
    for (name, values) in tables(layer) {
        if is_plain(name)
            && let Some(backend) = backend(values)
        {
            let target = match backend {
                BackendKind::Postgresql => Target::Postgresql(postgres::Settings::default()),
                BackendKind::Dynamodb => Target::Dynamodb(dynamodb::Settings::default()),
            };
            keys.graft(TABLE, name, Tree::of(&target));
        }
    }
}

/// Takes out the targets whose keys cannot be known, and says why.
pub(super) fn strays(layer: &mut Layer) -> Vec<Mistake> {
    let mut strays = Vec::new();
    for (name, values) in tables(layer) {
        let mistake = match values.get(BACKEND) {
            _ if !is_plain(name) => {
                let why = "is not a name for a target: use small letters, digits, `_` and `-`";
                Mistake::new(format!("{TABLE}.{name}"), why)
            }
            None => {
                let why = "says no backend: write backend = \"postgresql\" or \"dynamodb\" below it";
                Mistake::new(format!("{TABLE}.{name}"), why)
            }
            Some(Value::String(..)) if backend(values).is_some() => continue,
            Some(_) => {
                let why = "is not a backend that this build has: write \"postgresql\" or \"dynamodb\"";
                Mistake::new(format!("{TABLE}.{name}.{BACKEND}"), why)
            }
        };
        strays.push((name.to_owned(), mistake));
    }
    strays
        .into_iter()
        .map(|(name, mistake)| {
            layer.remove(&[TABLE, &name]);
            mistake
        })
        .collect()
}

/// Finds every mistake in the targets of a layer. What remains of them can be read: the whole would only say in
/// which of them there is one.
pub(super) fn mistakes(layer: &mut Layer, keys: &Tree) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let names: Vec<String> = tables(layer).map(|(name, _)| name.to_owned()).collect();
    for name in names {
        loop {
            let unread = tables(layer).find(|(known, _)| *known == name).and_then(|(_, values)| unread(values));
            let Some(error) = unread else { break };
            let path: Vec<String> = [TABLE.to_owned(), name.clone()].into_iter().chain(error.path.clone()).collect();
            let removed = layer.remove(&path);
            let key = removed.as_ref().unwrap_or(&path).join(".");
            mistakes.push(Mistake::new(&key, explain::message(&error.kind, &key, keys)));
            if removed.is_none() {
                layer.remove(&[TABLE, &name]);
            }
        }
    }
    mistakes
}

/// The first thing that keeps a target from being read.
fn unread(values: &Dict) -> Option<figment::Error> {
    let backend = backend(values)?;
    let mut values = values.clone();
    values.remove(BACKEND);
    let figment = Figment::from(&Layer { values, ..Layer::default() });
    match backend {
        BackendKind::Postgresql => figment.extract::<postgres::Settings>().err(),
        BackendKind::Dynamodb => figment.extract::<dynamodb::Settings>().err(),
    }
}

fn tables(layer: &Layer) -> impl Iterator<Item = (&str, &Dict)> {
    let targets = match layer.values.get(TABLE) {
        Some(Value::Dict(_, targets)) => Some(targets),
        _ => None,
    };
    targets.into_iter().flatten().filter_map(|(name, value)| match value {
        Value::Dict(_, values) => Some((name.as_str(), values)),
        _ => None,
    })
}

fn backend(values: &Dict) -> Option<BackendKind> {
    let name = values.get(BACKEND)?.as_str()?;
    BackendKind::ALL.into_iter().find(|kind| kind.name() == name)
}

fn is_plain(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    !name.is_empty() && name.len() <= 63 && name.chars().all(is_plain)
}
