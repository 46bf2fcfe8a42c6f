//! What differs between two configurations, and which of it may change while the daemon runs.

use std::fmt;

use serde_json::Value;

use super::keys::{self, Tree};
use super::password::secrets;
use super::settings::Config;
use super::show::written;

/// Keys and tables that a running daemon takes over.
const LIVE: [&str; 14] = [
    "backup",
    "clock",
    "deployment",
    "drain",
    "history",
    "jobs",
    "log.filter",
    "schedule",
    "storage.dynamodb.read_units_per_second",
    "storage.dynamodb.write_units_per_second",
    "storage.postgresql.password",
    "storage.postgresql.password_file",
    "targets",
    "throttle",
];

/// Keys and tables that are only read at the start. What is in neither list counts as one of these.
const AT_START: [&str; 4] = ["http", "lease", "log.format", "storage"];

/// A key whose value is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The dotted key.
    pub key: String,
    /// Whether a running daemon can take it over.
    pub is_live: bool,
    /// Both values as they would be written; none for a secret.
    values: Option<(String, String)>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.values {
            Some((old, new)) => write!(f, "{} {old} → {new}", self.key),
            None => write!(f, "{} changed", self.key),
        }
    }
}

/// What is other in `new` than in `old`, in the order in which the configuration is shown.
pub fn changes(old: &Config, new: &Config) -> Vec<Change> {
    let (old_tree, new_tree) = (Tree::of(old), Tree::of(new));
    let (old_values, new_values) = (old_tree.leaves(), new_tree.leaves());
    let (old_secrets, new_secrets) = (secrets(old), secrets(new));
    let find = |values: &[(String, &Value)], key: &str| -> Value {
        values.iter().find(|(known, _)| known == key).map_or(Value::Null, |(_, value)| (*value).clone())
    };
    let is_new = |key: &String| !old_values.iter().any(|(known, _)| known == key);
    let keys =
        old_values.iter().map(|(key, _)| key).chain(new_values.iter().map(|(key, _)| key).filter(|key| is_new(key)));
    let change = |key: &String| {
        let (old, new) = (find(&old_values, key), find(&new_values, key));
        let values = (!keys::is_secret(key)).then(|| (shown(&old), shown(&new)));
        let is_other = old != new || old_secrets.get(key.as_str()) != new_secrets.get(key.as_str());
        is_other.then(|| Change { key: key.clone(), is_live: decided(key) == Some(true), values })
    };
    keys.filter_map(change).collect()
}

/// Whether a running daemon takes a key over; the longest entry of the two lists that fits decides.
fn decided(key: &str) -> Option<bool> {
    let fits = |table: &str| key.strip_prefix(table).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let live = LIVE.into_iter().map(|table| (table, true));
    let at_start = AT_START.into_iter().map(|table| (table, false));
    live.chain(at_start).filter(|(table, _)| fits(table)).max_by_key(|(table, _)| table.len()).map(|(_, live)| live)
}

fn shown(value: &Value) -> String {
    if value.is_null() { "unset".to_owned() } else { written(value) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::setting::{Bounded, Span};
    use crate::storage::{Target, postgres};

    fn told(old: &Config, new: &Config) -> Vec<String> {
        changes(old, new).iter().map(Change::to_string).collect()
    }

    #[test]
    fn every_key_is_decided() {
        for (key, _) in Tree::of(&Config::default()).leaves() {
            assert!(decided(&key).is_some(), "say in {} whether a running daemon takes {key} over", file!());
        }
    }

    #[test]
    fn every_decision_is_about_something() {
        let tree = Tree::of(&Config::default());
        for key in LIVE.iter().chain(&AT_START) {
            assert!(tree.at(key).is_some(), "there is no {key}");
        }
    }

    #[test]
    fn what_nobody_has_decided_waits_for_a_restart() {
        assert_eq!(decided("maintd.name"), None);
        // Only whole names count.
        assert_eq!(decided("jobsworth.name"), None);
        assert_eq!(decided("storage.postgresql.password_file"), Some(true));
        assert_eq!(decided("storage.postgresql.password_files"), Some(false));
    }

    #[test]
    fn every_secret_is_compared_by_its_value() {
        let mut config = Config::default();
        config.storage.postgresql.password = Some("a".to_owned().into());
        let other = postgres::Settings { password: Some("b".to_owned().into()), ..postgres::Settings::default() };
        config.targets.insert("other".to_owned(), Target::Postgresql(other));
        let tree = Tree::of(&config);
        let keys = tree.leaves().into_iter().map(|(key, _)| key).filter(|key| keys::is_secret(key));
        assert_eq!(keys.collect::<BTreeSet<_>>(), secrets(&config).into_keys().collect::<BTreeSet<_>>());
    }

    #[test]
    fn what_is_equal_has_no_changes() {
        let mut config = Config::default();
        config.storage.postgresql.password = Some("the same".to_owned().into());
        assert_eq!(changes(&config, &config.clone()), []);
    }

    #[test]
    fn each_key_is_told_with_both_values() {
        let old = Config::default();
        let mut new = old.clone();
        new.deployment.name = Some("a \"name\"".to_owned());
        new.jobs.ttl_cleanup.schedule = "@daily".to_owned();
        new.jobs.ttl_cleanup.buckets = vec!["one".to_owned(), "two".to_owned()];
        new.storage.postgresql.pool.max_size = Bounded::new(20);
        new.lease.ttl = Span::secs(90);
        assert_eq!(
            told(&old, &new),
            [
                "deployment.name unset → \"a \\\"name\\\"\"",
                "storage.postgresql.pool.max_size 10 → 20",
                "jobs.ttl_cleanup.schedule \"every 15m\" → \"@daily\"",
                "jobs.ttl_cleanup.buckets [] → [\"one\", \"two\"]",
                "lease.ttl \"10s\" → \"1m 30s\"",
            ]
        );
        let live: Vec<bool> = changes(&old, &new).iter().map(|change| change.is_live).collect();
        assert_eq!(live, [true, false, true, true, false]);
    }

    #[test]
    fn a_secret_has_changed_and_that_is_all() {
        let mut old = Config::default();
        let mut new = old.clone();
        new.storage.postgresql.password = Some("Kanarienvogel".to_owned().into());
        assert_eq!(told(&old, &new), ["storage.postgresql.password changed"]);
        assert_eq!(told(&new, &old), ["storage.postgresql.password changed"]);
        old.storage.postgresql.password = Some("Nachtigall".to_owned().into());
        assert_eq!(told(&old, &new), ["storage.postgresql.password changed"]);
        assert!(changes(&old, &new).iter().all(|change| change.is_live));
        let debug = format!("{:?}", changes(&old, &new));
        assert!(!debug.contains("Kanarienvogel") && !debug.contains("Nachtigall"), "{debug}");
    }
}
