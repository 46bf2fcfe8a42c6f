//! Rows that come close to what DynamoDB takes, in a sample of each table.
//!
//! It is the first rows that a scan meets, which come in the order of a hash of their actors: as good as any others,
//! and the same each time, so that a finding does not come and go.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::index_object;
use crate::health::{Examined, Finding, Visit};
use crate::metrics::Check;
use crate::model::limits::{MAX_HASH_KEY, MAX_ITEM, MAX_RANGE_KEY, item_size};
use crate::model::{AttributeValue, Item, Source, Table};
use crate::storage::dynamodb::{DynamoDb, KeyPart, TableState};
use crate::storage::{ErrorKind, Place, Stretch};
use crate::throttle::Reason;

/// How many rows are read at once at most; DynamoDB hands out a megabyte of them at most.
const PAGE: u32 = 1000;

/// A sample takes no more read units than this for each row that it may have: whole rows of 16 KB on average. Where they
/// are larger, it has fewer of them.
const UNITS: f64 = 2.0;

/// How often a page is asked for that the table has no capacity for.
const ATTEMPTS: u32 = 20;

/// How long to rest in between.
const REST: Duration = Duration::from_millis(500);

/// What comes close to a limit, and how close.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Near {
    rows: u64,
    largest: usize,
}

/// A limit of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Limit {
    /// The whole item.
    Item,
    /// An attribute in a key; of the table, or of the named index.
    Key { index: Option<String>, attribute: String, most: usize },
}

/// Whether something comes close to its limit: from four fifths on.
const fn is_near(bytes: usize, most: usize) -> bool {
    bytes * 5 > most * 4
}

/// Looks at a sample of each table.
pub(super) async fn look(store: &DynamoDb, visit: Visit<'_>, sound: &[(Table, &TableState)], examined: &mut Examined) {
    let sample = visit.criteria.sample;
    visit.progress.expect(sound.iter().map(|(_, state)| state.rows.unwrap_or_default().min(sample)).sum());
    for (table, state) in sound {
        let mut found: BTreeMap<Limit, Near> = BTreeMap::new();
        let (mut rows, mut units, mut next) = (0, 0.0, Some(Place::default()));
        while let Some(place) = next.filter(|_| rows < sample && units < sample as f64 * UNITS) {
            let page = u32::try_from(sample - rows).unwrap_or(PAGE).min(PAGE);
            let stretch = match read(store, visit, *table, &place, page).await {
                Ok(stretch) => stretch,
                Err(why) => {
                    let what = format!("only {rows} rows of {} could be looked at: {why}", state.name);
                    examined.leave_out([Check::KeySize, Check::ItemSize], what);
                    break;
                }
            };
            for record in &stretch.records {
                if let Source::Dynamodb(item) = &record.source {
                    measure(state, item, &mut found);
                }
            }
            rows += stretch.records.len() as u64;
            visit.progress.add(stretch.records.len() as u64);
            units += stretch.read_units;
            next = stretch.next;
        }
        examined.findings.extend(found.into_iter().map(|(limit, near)| finding(state, &limit, near, rows)));
        if visit.stop.requested().is_some() {
            break;
        }
    }
}

/// Reads a page, and again while the table has no capacity for it; or says why not. Rests as long as each request has
/// taken, or until the budget allows more.
async fn read(store: &DynamoDb, visit: Visit<'_>, table: Table, place: &Place, page: u32) -> Result<Stretch, String> {
    let mut attempt = 1;
    loop {
        if visit.stop.requested().is_some() {
            return Err("the look was stopped".to_owned());
        }
        let begun = Instant::now();
        let answer = Box::pin(store.sample(table, place, page)).await;
        let took = begun.elapsed();
        match answer {
            Ok(stretch) => {
                let budget = visit.budget.for_reading(stretch.read_units);
                let reason = if budget > took { Reason::Budget } else { Reason::Rate };
                rest(visit, reason, took.max(budget)).await;
                return Ok(stretch);
            }
            Err(error) if error.kind == ErrorKind::Throttled && attempt < ATTEMPTS => {
                rest(visit, Reason::Throttled, REST).await;
                attempt += 1;
            }
            Err(error) => return Err(error.chain()),
        }
    }
}

async fn rest(visit: Visit<'_>, reason: Reason, length: Duration) {
    if !length.is_zero() {
        let _shown = visit.progress.rest(reason.name());
        visit.stop.sleep(length).await;
    }
}

/// Adds what of a row comes close to its limit.
fn measure(state: &TableState, item: &Item, found: &mut BTreeMap<Limit, Near>) {
    let mut add = |limit: Limit, bytes: usize| {
        let near = found.entry(limit).or_default();
        *near = Near { rows: near.rows + 1, largest: near.largest.max(bytes) };
    };
    let bytes = item_size(item);
    if is_near(bytes, MAX_ITEM) {
        add(Limit::Item, bytes);
    }
    let of_table = state.key.iter().map(|part| (None, part));
    let of_indexes = state.indexes.iter().flat_map(|index| index.key.iter().map(|part| (Some(&index.name), part)));
    for (index, KeyPart { attribute, is_range, .. }) in of_table.chain(of_indexes) {
        let most = if *is_range { MAX_RANGE_KEY } else { MAX_HASH_KEY };
        match item.get(attribute) {
            Some(AttributeValue::S(text)) if is_near(text.len(), most) => {
                add(Limit::Key { index: index.cloned(), attribute: attribute.clone(), most }, text.len());
            }
            _ => {}
        }
    }
}

fn finding(state: &TableState, limit: &Limit, near: Near, of: u64) -> Finding {
    let (name, Near { rows, largest }) = (&state.name, near);
    let counted = format!("{rows} of the {of} rows of {name} that were looked at");
    let finding = match limit {
        Limit::Item => Finding::new(
            Check::ItemSize,
            name,
            format!("{counted} come close to the {MAX_ITEM} bytes that an item may have; the largest has {largest}"),
            "let the application store less in one value: at the limit DynamoDB refuses every write that makes the \
             row larger",
        ),
        Limit::Key { index, attribute, most } => {
            // Two attributes of one key are two things to know of.
            let of = index.as_ref().map_or_else(|| name.clone(), |index| index_object(state, index));
            let object = format!("{of}/{attribute}");
            let of = index.as_ref().map_or_else(|| "the key".to_owned(), |index| format!("the index `{index}`"));
            let what = format!(
                "{counted} have a `{attribute}` that comes close to the {most} bytes that {of} takes; the longest has \
                 {largest}"
            );
            let remedy =
                format!("let the application use a shorter `{attribute}`: DynamoDB refuses rows with longer ones");
            Finding::new(Check::KeySize, object, what, remedy)
        }
    };
    Finding { rows: Some(rows), ..finding }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing but the two numbers counts, so that the same row is always told the same.
    #[test]
    fn close_is_more_than_four_fifths() {
        for (most, first) in [(MAX_ITEM, 320 * 1024 + 1), (MAX_HASH_KEY, 1639), (MAX_RANGE_KEY, 820)] {
            assert!(is_near(first, most) && is_near(most, most) && !is_near(first - 1, most), "{most}");
        }
    }
}
