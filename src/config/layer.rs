//! The values of one source, before they are merged with those of the others.

use std::collections::BTreeMap;

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

use super::origin::Origin;

/// The values of one source. It has no `Debug`, because it holds secrets.
#[derive(Default)]
pub(super) struct Layer {
    pub(super) values: Dict,
    /// Where each key and table was written, by its dotted key.
    pub(super) origins: BTreeMap<String, Origin>,
}

impl Layer {
    /// Sets a dotted key.
    pub(super) fn set(&mut self, key: &str, value: impl Into<Value>, origin: Origin) {
        self.origins.insert(key.to_owned(), origin);
        let (tables, name) = key.rsplit_once('.').unwrap_or(("", key));
        let mut dict = &mut self.values;
        for table in tables.split('.').filter(|table| !table.is_empty()) {
            let entry = dict.entry(table.to_owned()).or_insert_with(|| Dict::new().into());
            if !matches!(entry, Value::Dict(..)) {
                *entry = Dict::new().into();
            }
            let Value::Dict(_, below) = entry else { unreachable!("it was just made a table") };
            dict = below;
        }
        dict.insert(name.to_owned(), value.into());
    }

    /// The value at a path.
    pub(super) fn get<S: AsRef<str>>(&self, path: &[S]) -> Option<&Value> {
        let (name, tables) = path.split_last()?;
        let dict = tables.iter().try_fold(&self.values, |dict, table| match dict.get(table.as_ref()) {
            Some(Value::Dict(_, below)) => Some(below),
            _ => None,
        })?;
        dict.get(name.as_ref())
    }

    /// Whether a dotted key is set.
    pub(super) fn has(&self, key: &str) -> bool {
        self.get(&key.split('.').collect::<Vec<_>>()).is_some()
    }

    /// Removes what is at a path, or the value that the path leads into; says which path that was.
    pub(super) fn remove<S: AsRef<str>>(&mut self, path: &[S]) -> Option<Vec<String>> {
        let mut dict = &mut self.values;
        for (depth, name) in path.iter().enumerate() {
            let is_table = matches!(dict.get(name.as_ref())?, Value::Dict(..));
            if depth + 1 == path.len() || !is_table {
                dict.remove(name.as_ref());
                return Some(path[..=depth].iter().map(|name| name.as_ref().to_owned()).collect());
            }
            let Some(Value::Dict(_, below)) = dict.get_mut(name.as_ref()) else { return None };
            dict = below;
        }
        None
    }

    /// Where a dotted key, or else the table around it, was written.
    pub(super) fn origin(&self, key: &str) -> Option<&Origin> {
        let mut key = key;
        loop {
            if let Some(origin) = self.origins.get(key) {
                return Some(origin);
            }
            key = key.rsplit_once('.')?.0;
        }
    }
}

impl Provider for &Layer {
    fn metadata(&self) -> Metadata {
        Metadata::default()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}
