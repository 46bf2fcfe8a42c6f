//! Which keys there are, learned from the defaults.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, de};
use serde_json::Value;

/// Settings as a tree that keeps the order of their declaration, which `serde_json::Value` does not.
#[derive(Debug)]
pub(super) enum Tree {
    Table(Vec<(String, Tree)>),
    Leaf(Value),
}

impl Tree {
    /// The keys and values of `settings`; secrets are redacted by their own type.
    pub(super) fn of(settings: &impl Serialize) -> Self {
        let text = serde_json::to_string(settings).expect("settings are plain data");
        serde_json::from_str(&text).expect("what was just written can be read")
    }

    /// Adds a table to the one at a dotted key.
    pub(super) fn graft(&mut self, at: &str, name: &str, table: Self) {
        let place = at.split('.').try_fold(self, |tree, name| match tree {
            Self::Table(entries) => entries.iter_mut().find(|(known, _)| known == name).map(|(_, child)| child),
            Self::Leaf(_) => None,
        });
        if let Some(Self::Table(entries)) = place {
            entries.push((name.to_owned(), table));
        }
    }

    /// What a table has under `key`.
    pub(super) fn child(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Table(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, child)| child),
            Self::Leaf(_) => None,
        }
    }

    /// What is found under a dotted key.
    pub(super) fn at(&self, key: &str) -> Option<&Self> {
        key.split('.').try_fold(self, |tree, name| tree.child(name))
    }

    /// The names directly in a table.
    pub(super) fn names(&self) -> Vec<&str> {
        match self {
            Self::Table(entries) => entries.iter().map(|(name, _)| name.as_str()).collect(),
            Self::Leaf(_) => Vec::new(),
        }
    }

    /// Every dotted key with its value.
    pub(super) fn leaves(&self) -> Vec<(String, &Value)> {
        self.nodes().into_iter().filter_map(|(key, node)| Some((key, node.value()?))).collect()
    }

    /// Every dotted key, of tables too.
    pub(super) fn nodes(&self) -> Vec<(String, &Self)> {
        let Self::Table(entries) = self else { return Vec::new() };
        let mut nodes = Vec::new();
        for (name, child) in entries {
            nodes.push((name.clone(), child));
            nodes.extend(child.nodes().into_iter().map(|(below, node)| (format!("{name}.{below}"), node)));
        }
        nodes
    }

    fn value(&self) -> Option<&Value> {
        match self {
            Self::Table(_) => None,
            Self::Leaf(value) => Some(value),
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Tree;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("settings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Tree::Table(entries))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Tree, A::Error> {
                Value::deserialize(de::value::SeqAccessDeserializer::new(seq)).map(Tree::Leaf)
            }

            fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
                Ok(Tree::Leaf(text.into()))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
                Ok(Tree::Leaf(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
                Ok(Tree::Leaf(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
                Ok(Tree::Leaf(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
                Ok(Tree::Leaf(value.into()))
            }

            fn visit_unit<E>(self) -> Result<Tree, E> {
                Ok(Tree::Leaf(Value::Null))
            }
        }

        deserializer.deserialize_any(InOrder)
    }
}

/// Whether the value under a dotted key may never be shown.
pub(super) fn is_secret(key: &str) -> bool {
    ["password", "secret", "token"].iter().any(|word| key.ends_with(word))
}

/// How the key could be written: as in the example if it has no default, otherwise the default.
pub(super) fn sample(key: &str, default: &Value) -> String {
    let name = key.rsplit('.').next().unwrap_or(key);
    match (example(key, name, default), default) {
        (Some(example), _) => example.to_owned(),
        (None, Value::Array(items)) if items.is_empty() => format!("{name} = [\"one\", \"two\"]"),
        (None, Value::Null) => format!("{name} = \"…\""),
        (None, default) => format!("{name} = {default}"),
    }
}

/// What the example shows for a key without a default: below its own table, or else, as another table may have the
/// same key, below any.
fn example(key: &str, name: &str, default: &Value) -> Option<&'static str> {
    let table = key.rsplit_once('.').map(|(table, _)| table);
    let (mut here, mut elsewhere) = ("", None);
    for line in super::EXAMPLE.lines() {
        if let Some(opened) = line.strip_prefix('[') {
            here = opened.trim_end_matches(']');
        }
        let Some(example) = line.strip_prefix("# e.g. ").filter(|line| line.split(" = ").next() == Some(name)) else {
            continue;
        };
        if table == Some(here) {
            return Some(example);
        }
        elsewhere = elsewhere.or(Some(example));
    }
    elsewhere.filter(|_| default.is_null())
}
