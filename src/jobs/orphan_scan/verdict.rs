//! Whose rows may be orphans.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};

use crate::model::{Record, Row};

/// What the ids begin with that the library keeps for itself: not all of them are actors.
pub(super) const RESERVED: &str = "_actingweb_";

/// Where the library writes down whom it has deleted.
pub(super) const TOMBSTONES: (&str, &str) = ("_actingweb_deleted", "_deleted_actors");

/// Why rows with an id are never orphans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spared {
    /// The library's own.
    Reserved,
    /// The settings say so.
    Allowed,
    /// The row says no id.
    Nameless,
}

impl Spared {
    /// The word in the report.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Allowed => "allowed",
            Self::Nameless => "without_id",
        }
    }
}

/// Why rows with this id are never orphans, if so.
pub(super) fn spared(id: &str, allow: &[String]) -> Option<Spared> {
    let is_allowed = |pattern: &String| match pattern.strip_suffix('*') {
        Some(prefix) => id.starts_with(prefix),
        None => id == pattern,
    };
    if id.is_empty() {
        Some(Spared::Nameless)
    } else if id.starts_with(RESERVED) {
        Some(Spared::Reserved)
    } else {
        allow.iter().any(is_allowed).then_some(Spared::Allowed)
    }
}

/// When an actor was deleted, as its tombstone says.
pub(super) fn deleted_at(tombstone: &Record) -> Option<DateTime<Utc>> {
    let Ok(Row::Attribute(attribute)) = &tombstone.meaning else { return None };
    let text = attribute.data.as_ref()?.get("deleted_at")?.as_str()?;
    let with_zone = DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
    // As Python writes a time without one.
    let naive = || NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok().map(|time| time.and_utc());
    with_zone.or_else(naive)
}

/// Whether the deletion that began then may still be going on.
pub(super) fn is_settling(deleted_at: Option<DateTime<Utc>>, now: DateTime<Utc>, settle: Duration) -> bool {
    let Some(age) = deleted_at.map(|deleted_at| now - deleted_at) else { return false };
    // One in the future is younger than any.
    age.to_std().map_or(true, |age| age < settle)
}

/// Ids that are actors': the last ones that were seen, as far as they are worth their memory.
#[derive(Debug, Default)]
pub(super) struct Known {
    young: HashSet<String>,
    old: HashSet<String>,
}

impl Known {
    /// How many make a generation.
    const GENERATION: usize = 50_000;

    pub(super) fn contains(&self, id: &str) -> bool {
        self.young.contains(id) || self.old.contains(id)
    }

    pub(super) fn insert(&mut self, id: String) {
        if self.young.len() >= Self::GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::json;
    use crate::model::row::Attribute;

    #[test]
    fn some_ids_are_never_orphans() {
        let allow = ["app".to_owned(), "cache-*".to_owned()];
        for (id, expected) in [
            ("", Some(Spared::Nameless)),
            ("_actingweb_system", Some(Spared::Reserved)),
            ("_actingweb_", Some(Spared::Reserved)),
            ("_actingwebs", None),
            ("app", Some(Spared::Allowed)),
            ("apps", None),
            ("cache-", Some(Spared::Allowed)),
            ("cache-1", Some(Spared::Allowed)),
            ("my-cache-1", None),
        ] {
            assert_eq!(spared(id, &allow), expected, "{id}");
        }
        assert_eq!(spared("anybody", &["*".to_owned()]), Some(Spared::Allowed));
        assert_eq!(spared("anybody", &[]), None);
    }

    #[test]
    fn a_tombstone_says_when_in_the_ways_of_python() {
        let at = |data: &str| {
            let attribute = Attribute::new("_actingweb_deleted", "_deleted_actors", "a", json::parse(data).ok());
            deleted_at(&Record::from(Row::Attribute(attribute))).map(|time| time.to_rfc3339())
        };
        let expected = Some("2026-01-02T03:04:05.000678+00:00".to_owned());
        assert_eq!(at(r#"{"actor_id": "a", "deleted_at": "2026-01-02T03:04:05.000678+00:00"}"#), expected);
        assert_eq!(at(r#"{"deleted_at": "2026-01-02T05:04:05.000678+02:00"}"#), expected);
        assert_eq!(at(r#"{"deleted_at": "2026-01-02T03:04:05.000678"}"#), expected);
        for none in ["{}", r#"{"deleted_at": 5}"#, r#"{"deleted_at": "yesterday"}"#, "null", "[]"] {
            assert_eq!(at(none), None, "{none}");
        }
    }

    #[test]
    fn a_deletion_goes_on_for_a_while() {
        let now = "2026-01-02T03:04:05Z".parse().unwrap();
        let ago = |seconds| Some(now - chrono::TimeDelta::seconds(seconds));
        let settle = Duration::from_secs(60);
        for (deleted_at, expected) in
            [(ago(59), true), (ago(60), false), (ago(3_600), false), (ago(-3_600), true), (None, false)]
        {
            assert_eq!(is_settling(deleted_at, now, settle), expected, "{deleted_at:?}");
        }
        assert!(!is_settling(ago(0), now, Duration::ZERO));
    }

    #[test]
    fn what_is_known_is_bounded_and_the_newest_stays() {
        let mut known = Known::default();
        for n in 0..Known::GENERATION * 3 {
            known.insert(n.to_string());
            assert!(known.contains(&n.to_string()) && known.contains(&n.saturating_sub(1_000).to_string()));
        }
        assert!(known.young.len() + known.old.len() <= Known::GENERATION * 2);
    }
}
