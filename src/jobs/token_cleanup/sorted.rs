//! Rows that were read, by what is to become of them. What an index entry points at and what belongs to
//! an access token is read in between; here nothing is read.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::rules::{Lines, Target, Verdict, judge, judge_target, provider_token};
use crate::model::row::Attribute;
use crate::model::{Record, Row, Table};
use crate::storage::{AttributePlace, Guard, Located, Removal};

/// Rows that are left alone and that somebody may want to look at, by why.
pub(super) type Left = BTreeMap<&'static str, u64>;

/// Its end cannot be told.
const UNDATED: &str = "undated";
/// It is not as the library writes it.
const UNDECIDED: &str = "undecided";
/// A provider token without an end.
const PROVIDER_TOKENS: &str = "provider_tokens";

/// A token, a code or a session that has expired.
#[derive(Debug)]
struct Expired {
    record: Record,
    /// Whether it is counted here: what was found where an index entry points may be seen by the walk as
    /// well.
    counts: bool,
}

/// Rows by what is to become of them.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// Tokens, codes and sessions that have expired.
    expired: Vec<Expired>,
    /// Index entries that name nobody.
    orphans: Vec<Record>,
    /// Index entries, and what they point at.
    entries: Vec<(Record, AttributePlace)>,
    /// Index entries that point at nothing, or at what goes before them.
    loose: Vec<(Record, AttributePlace)>,
    /// Provider tokens that go before the access tokens they belong to.
    providers: Vec<Record>,
    /// Those access tokens' places in `expired`, each with the provider token's.
    owners: HashMap<usize, usize>,
    /// What is left alone.
    pub(super) left: Left,
}

impl Sorted {
    /// Sorts rows that were read.
    pub(super) fn of(records: Vec<Record>, lines: Lines) -> Self {
        let mut sorted = Self::default();
        for record in records {
            match judge(&record, lines) {
                Verdict::Stays => {}
                Verdict::Expired => sorted.expired.push(Expired { record, counts: true }),
                Verdict::Orphan => sorted.orphans.push(record),
                Verdict::Points(place) => sorted.entries.push((record, place)),
                Verdict::Undated => sorted.leave(UNDATED),
                Verdict::ProviderToken => sorted.leave(PROVIDER_TOKENS),
                Verdict::Strange => sorted.leave(UNDECIDED),
            }
        }
        sorted
    }

    /// Where the index entries point.
    pub(super) fn targets(&self) -> Vec<AttributePlace> {
        self.entries.iter().map(|(_, place)| place.clone()).collect()
    }

    /// Sorts the index entries by what is there.
    pub(super) fn settle(&mut self, found: Located, lines: Lines) {
        let known: HashSet<(String, String)> = self.expired.iter().filter_map(|expired| key(&expired.record)).collect();
        let entries = std::mem::take(&mut self.entries);
        for ((entry, place), found) in entries.into_iter().zip(found.records) {
            match judge_target(&place, found.as_ref(), lines) {
                Target::Absent => self.loose.push((entry, place)),
                Target::Expired => {
                    if let Some(record) = found.filter(|target| key(target).is_some_and(|key| !known.contains(&key))) {
                        // The walk looks at none that has a TTL.
                        let counts = has_ttl(&record);
                        self.expired.push(Expired { record, counts });
                    }
                    self.loose.push((entry, place));
                }
                Target::Lives => {}
                Target::Strange => self.leave(UNDECIDED),
            }
        }
    }

    /// Where the provider tokens are that belong to access tokens that have expired; each once.
    pub(super) fn provider_places(&self) -> Vec<AttributePlace> {
        let mut places: Vec<AttributePlace> =
            self.expired.iter().filter_map(|expired| provider_token(&expired.record)).collect();
        places.sort();
        places.dedup();
        places
    }

    /// Takes the provider tokens that were found there.
    pub(super) fn add_providers(&mut self, places: &[AttributePlace], found: Located) {
        let mut known = HashMap::new();
        for (place, record) in places.iter().zip(found.records) {
            if let Some(record) = record.filter(|record| place_of(record).as_ref() == Some(place)) {
                known.insert(place, self.providers.len());
                self.providers.push(record);
            }
        }
        for (index, expired) in self.expired.iter().enumerate() {
            if let Some(provider) = provider_token(&expired.record).and_then(|place| known.get(&place).copied()) {
                self.owners.insert(index, provider);
            }
        }
    }

    /// What goes first.
    pub(super) fn providers(&self) -> Vec<Removal> {
        self.providers.iter().cloned().map(|record| Removal { record, guard: None }).collect()
    }

    /// What goes then; and what does not: an access token stays with a provider token that did not go,
    /// as `gone` says of each, because nothing else knows where that is.
    pub(super) fn expired(&self, gone: &[bool]) -> (Vec<Removal>, Vec<Record>) {
        let stays = |index: &usize| {
            self.owners.get(index).is_some_and(|provider| !gone.get(*provider).copied().unwrap_or_default())
        };
        let (stay, go): (Vec<usize>, Vec<usize>) = (0..self.expired.len()).partition(stays);
        let of = |index: usize| self.expired[index].record.clone();
        let go = go.into_iter().map(|index| Removal { record: of(index), guard: None }).collect();
        (go, stay.into_iter().map(of).collect())
    }

    /// What goes last: index entries, those that point somewhere only while nothing is there.
    pub(super) fn orphans(&self) -> Vec<Removal> {
        let guard = |place: &AttributePlace| Guard::Absent {
            table: Table::Attributes,
            key: vec![place.id.clone(), place.bucket_name()],
        };
        let orphans = self.orphans.iter().map(|record| Removal { record: record.clone(), guard: None });
        let loose =
            self.loose.iter().map(|(record, place)| Removal { record: record.clone(), guard: Some(guard(place)) });
        orphans.chain(loose).collect()
    }

    /// The buckets of everything that may go, row by row, each once in a whole walk: provider tokens that
    /// are among the `counted` were counted before.
    pub(super) fn buckets(&self, counted: &mut HashSet<(String, String)>) -> Vec<String> {
        let expired = self.expired.iter().filter(|expired| expired.counts).map(|expired| &expired.record);
        let providers = self.providers.iter().filter(|record| key(record).is_some_and(|key| counted.insert(key)));
        let entries = self.orphans.iter().chain(self.loose.iter().map(|(record, _)| record));
        let rows = expired.chain(providers).chain(entries);
        rows.filter_map(|record| Some(attribute(record)?.bucket.clone())).collect()
    }

    fn leave(&mut self, why: &'static str) {
        *self.left.entry(why).or_default() += 1;
    }
}

fn attribute(record: &Record) -> Option<&Attribute> {
    match &record.meaning {
        Ok(Row::Attribute(attribute)) => Some(attribute),
        _ => None,
    }
}

/// The key that a row is stored under.
fn key(record: &Record) -> Option<(String, String)> {
    attribute(record).map(|row| (row.id.clone(), row.bucket_name.clone()))
}

fn has_ttl(record: &Record) -> bool {
    attribute(record).is_some_and(|row| row.ttl_timestamp.is_some())
}

/// Where a row is, to read it again.
pub(super) fn place_of(record: &Record) -> Option<AttributePlace> {
    let row = attribute(record)?;
    Some(AttributePlace { id: row.id.clone(), bucket: row.bucket.clone(), name: row.name.clone() })
}
