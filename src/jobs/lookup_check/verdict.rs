//! What an entry of the look-up table and a property say of each other.

use crate::model::row::{LookupEntry, LookupOwner, Property, lookup_key};
use crate::model::{BackendKind, Record, Row, Table};
use crate::storage::Guard;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A property has no entry.
    Missing,
    /// An entry's property is gone or has another value.
    Stale,
    /// Two actors have one value, and one of them the entry. Which of the two should have it only
    /// people can tell.
    Collision,
    /// The value is too long for PostgreSQL's index.
    TooLong,
    /// The property's actor does not exist: nobody would be found.
    NoActor,
}

impl Kind {
    /// The word in reports.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Stale => "stale",
            Self::Collision => "collision",
            Self::TooLong => "too_long",
            Self::NoActor => "no_actor",
        }
    }
}

/// The entry of a row of the look-up table, if it can be read.
pub(super) fn entry(record: &Record) -> Option<&LookupEntry> {
    match &record.meaning {
        Ok(Row::Lookup(entry)) if !entry.actor_id.is_empty() && !entry.property_name.is_empty() => Some(entry),
        _ => None,
    }
}

/// The property of a row, if it can be read.
pub(super) fn property(record: &Record) -> Option<&Property> {
    match &record.meaning {
        Ok(Row::Property(property)) => Some(property),
        _ => None,
    }
}

/// What must still hold for an entry to be removed as stale; none when it is not. `found` is what stands
/// under the entry's actor and name.
pub(super) fn stale(entry: &LookupEntry, found: Option<&Record>) -> Option<Guard> {
    let LookupEntry { actor_id, property_name, .. } = entry;
    let Some(found) = found else {
        let key = vec![actor_id.clone(), property_name.clone()];
        return Some(Guard::Absent { table: Table::Properties, key });
    };
    // What cannot be read says nothing.
    let Property { id, name, value } = property(found)?;
    (!is_of(entry, value)).then(|| Guard::Property { id: id.clone(), name: name.clone(), value: value.clone() })
}

/// Whether an entry is the one for this value. Nothing is looked up by an empty one.
pub(super) fn is_of(entry: &LookupEntry, value: &str) -> bool {
    !value.is_empty()
        && match &entry.owner {
            LookupOwner::Value(known) => known == value,
            LookupOwner::Key(key) => *key == lookup_key(&entry.property_name, value),
        }
}

/// What is known of a property that is to be looked up and whose actor has no entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unfound<'a> {
    /// The property.
    pub(super) property: &'a Property,
    /// The value that another actor's property of this name has, if that actor has the entry.
    pub(super) holder: Option<&'a Record>,
    /// Whether somebody has the entry.
    pub(super) is_taken: bool,
    /// Whether the actor exists.
    pub(super) has_actor: bool,
}

/// Why it is not found.
pub(super) fn unfound(what: Unfound<'_>, backend: BackendKind) -> Kind {
    let Unfound { property, holder, is_taken, has_actor } = what;
    let has_same = holder.and_then(self::property).is_some_and(|other| other.value == property.value);
    if is_taken && has_same {
        Kind::Collision
    } else if !has_actor {
        Kind::NoActor
    } else if !is_taken && backend == BackendKind::Postgresql && may_be_too_long(property) {
        Kind::TooLong
    } else {
        Kind::Missing
    }
}

/// Bytes that an entry of a B-tree of PostgreSQL takes, less what is around name and value.
const LONGEST: usize = 2_650;

/// Whether PostgreSQL may have no room for an entry. Only the server knows, as it compresses first; a
/// repair asks it.
fn may_be_too_long(property: &Property) -> bool {
    property.name.len() + property.value.len() > LONGEST
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Unreadable;

    fn with(id: &str, value: &str) -> Record {
        let (id, name, value) = (id.to_owned(), "email".to_owned(), value.to_owned());
        Record::from(Row::Property(Property { id, name, value }))
    }

    fn unreadable() -> Record {
        let table = Table::Properties;
        let why = Unreadable { table, attribute: "value".to_owned(), why: "is no text".to_owned() };
        Record { table, source: crate::model::Source::Nowhere, meaning: Err(why) }
    }

    fn entries(value: &str) -> [LookupEntry; 2] {
        [LookupOwner::Value(value.to_owned()), LookupOwner::Key(lookup_key("email", value))].map(|owner| LookupEntry {
            owner,
            property_name: "email".to_owned(),
            actor_id: "a".to_owned(),
        })
    }

    #[test]
    fn an_entry_is_stale_without_its_property_or_with_another_value() {
        for entry in entries("v") {
            assert_eq!(stale(&entry, Some(&with("a", "v"))), None);
            assert_eq!(stale(&entry, Some(&unreadable())), None);
            let key = vec!["a".to_owned(), "email".to_owned()];
            assert_eq!(stale(&entry, None), Some(Guard::Absent { table: Table::Properties, key }));
            for value in ["w", "V", ""] {
                let (id, name, value) = ("a".to_owned(), "email".to_owned(), value.to_owned());
                let guard = Guard::Property { id, name, value: value.clone() };
                assert_eq!(stale(&entry, Some(&with("a", &value))), Some(guard), "{value}");
            }
        }
        for entry in entries("") {
            assert!(stale(&entry, Some(&with("a", ""))).is_some());
        }
    }

    #[test]
    fn whoever_is_not_found_is_so_for_one_reason() {
        use BackendKind::{Dynamodb, Postgresql};
        let short = Property { id: "b".to_owned(), name: "email".to_owned(), value: "v".to_owned() };
        let long = Property { value: "v".repeat(3_000), ..short.clone() };
        let (same, other, broken) = (with("a", "v"), with("a", "w"), unreadable());
        for (property, is_taken, holder, has_actor, backend, expected) in [
            (&short, false, None, true, Postgresql, Kind::Missing),
            (&short, false, None, false, Postgresql, Kind::NoActor),
            (&short, false, None, false, Dynamodb, Kind::NoActor),
            (&short, true, Some(&same), true, Postgresql, Kind::Collision),
            (&short, true, Some(&same), false, Postgresql, Kind::Collision),
            // Another's entry without another's value is in the way.
            (&short, true, Some(&other), true, Postgresql, Kind::Missing),
            (&short, true, Some(&broken), true, Dynamodb, Kind::Missing),
            (&short, true, None, true, Dynamodb, Kind::Missing),
            (&long, false, None, true, Postgresql, Kind::TooLong),
            (&long, false, None, true, Dynamodb, Kind::Missing),
        ] {
            let what = Unfound { property, holder, is_taken, has_actor };
            assert_eq!(unfound(what, backend), expected, "{what:?} on {backend}");
        }
    }
}
