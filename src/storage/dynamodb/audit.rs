//! What checks ask.

use std::collections::HashMap;
use std::time::Instant;

use async_trait::async_trait;
use aws_sdk_dynamodb::types::{Get, ReturnConsumedCapacity, TransactGetItem};

use super::error::{Context, refused};
use super::expression::{Condition, Key};
use super::query::Range;
use super::record::Stored as _;
use super::requests::from_sdk;
use super::rest::Rests;
use super::runs::TAKEN_OVER;
use super::transact::{MOST, Outcome, Part};
use super::watch::Counts;
use super::{DynamoDb, Op, lookup, properties, record};
use crate::model::limits::item_size;
use crate::model::row::{Property, lookup_key};
use crate::model::{Indexing, Item, Table, clock, layout};
use crate::storage::{Added, Audit, Batch, Entry, ErrorKind, Fence, Found, Result, Stretch};

const ADD: Op = Op { name: "add_entries", phrase: "make missing look-up entries" };

/// How many bytes may be read at one instant, with room for what grows meanwhile.
const MOST_BYTES: usize = 3 * 1024 * 1024;

#[async_trait]
impl Audit for DynamoDb {
    async fn rows_by_key(&self, table: Table, keys: &[Vec<String>]) -> Result<Found> {
        const OP: Op = Op { name: "rows_by_key", phrase: "read rows by their keys" };
        self.measured(OP, async {
            let keys: Vec<Option<Key>> = keys.iter().map(|key| key_of(table, key)).collect();
            let (items, read_units) = self.get_all_metered(OP, table, keys.iter().flatten().cloned()).await?;
            let found: HashMap<Key, Item> =
                items.into_iter().filter_map(|item| Some((Key::of(table, &item)?, item))).collect();
            let record = |key: &Option<Key>| {
                let item = found.get(key.as_ref()?)?;
                Some(record::record(table, item.clone()))
            };
            Ok(Found { records: keys.iter().map(record).collect(), read_units })
        })
        .await
    }

    async fn orphans(&self, table: Table, id: &str, keys: &[Vec<String>]) -> Result<Stretch> {
        const OP: Op = Op { name: "orphans", phrase: "look whether rows are without their actor" };
        self.measured(OP, async {
            let (items, mut read_units) = match table {
                Table::PropertyLookup => {
                    let keys = keys.iter().filter_map(|key| key_of(table, key));
                    self.get_all_metered(OP, table, keys).await?
                }
                _ => (self.items(OP, table, id, Range::All).await?, 0.0),
            };
            // Under such an id there can be no actor.
            let Some(actor) = Key::new(Table::Actors, &[id]) else { return Ok(Stretch::default()) };
            let mut records = Vec::new();
            for group in groups(&items) {
                let keys: Vec<Key> = group.iter().filter_map(|item| Key::of(table, item)).collect();
                let (alone, units) = self.without(OP, &actor, keys).await?;
                read_units += units;
                // Whoever has made the actor meanwhile has taken the others over as well.
                let Some(alone) = alone else { return Ok(Stretch { read_units, ..Stretch::default() }) };
                records.extend(alone.into_iter().map(|item| record::record(table, item)));
            }
            records.retain(|record| record.id() == id);
            Ok(Stretch { records, next: None, read_units })
        })
        .await
    }

    async fn looked_up(&self) -> Result<Option<Indexing>> {
        let is_used = self.indexing.by_table && !self.indexing.names.is_empty();
        Ok(is_used.then(|| self.indexing.clone()))
    }

    async fn add_entries(&self, properties: &[Property], fence: &Fence) -> Result<Added> {
        self.measured(ADD, async {
            let begun = Instant::now();
            let (mut entries, mut write_units) = (Vec::new(), 0.0);
            let mut job = None;
            for property in properties {
                job = self.holdings.admits(fence, clock::steady());
                if job.is_none() {
                    return Err(refused(ADD, ErrorKind::Fenced, TAKEN_OVER));
                }
                let (entry, units) = self.add_entry(property).await?;
                entries.push(entry);
                write_units += units;
            }
            if let Some(job) = job {
                let skipped = entries.iter().filter(|entry| **entry == Entry::Changed).count() as u64;
                let counts = self.holdings.add(fence, Counts { batches: 1, deleted: 0, skipped });
                write_units += self.write_counts(&job, fence, counts, ADD).await?;
            }
            Ok(Added { entries, batch: Batch { deleted: 0, waiters: 0, elapsed: begun.elapsed(), write_units } })
        })
        .await
    }
}

impl DynamoDb {
    /// The items that there are under these keys at one instant, if there is no `actor` then; and what
    /// that has cost.
    async fn without(&self, op: Op, actor: &Key, keys: Vec<Key>) -> Result<(Option<Vec<Item>>, f64)> {
        let get = |key: &Key| {
            let get = Get::builder().table_name(self.table(key.table())).set_key(Some(key.attributes())).build();
            Ok(TransactGetItem::builder().get(get?).build())
        };
        let gets = std::iter::once(actor).chain(&keys).map(get).collect::<Result<Vec<_>, _>>();
        let gets = gets
            .map_err(|error: aws_sdk_dynamodb::error::BuildError| refused(op, ErrorKind::Other, error.to_string()))?;
        let mut rests = Rests::default();
        let answer = loop {
            let request = self
                .clients()
                .await
                .work
                .transact_get_items()
                .set_transact_items(Some(gets.clone()))
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            match self.send(op, request.send()).await?.op(op) {
                // Somebody is changing one of them.
                Err(error) if error.kind == ErrorKind::Conflict && rests.take().await => {}
                answer => break answer?,
            }
        };
        let units = self.units_of_tables("read", answer.consumed_capacity());
        let mut items = answer.responses.unwrap_or_default().into_iter().map(|response| response.item);
        if items.next().flatten().is_some() {
            return Ok((None, units));
        }
        let found = items.zip(&keys).filter_map(|(item, key)| Some(from_sdk(op, key.table(), item?)));
        Ok((Some(found.collect::<Result<_>>()?), units))
    }

    async fn add_entry(&self, property: &Property) -> Result<(Entry, f64)> {
        let Property { id, name, value } = property;
        let keys = (properties::key(id, name), Key::new(Table::Actors, &[id]));
        let (Some(property), Some(actor)) = keys else { return Ok((Entry::NoActor, 0.0)) };
        let item = self.within_limits(ADD, Table::PropertyLookup, lookup::entry(name, value, id).item())?;
        let parts = [
            Part::Put(Table::PropertyLookup, item, Condition::Absent),
            Part::Check(property, Condition::text("value", value)),
            Part::Check(actor, Condition::Present),
        ];
        match self.transact_metered(ADD, &parts).await {
            Ok((Outcome::Done, units)) => Ok((Entry::Made, units)),
            Ok((Outcome::Failed(0), units)) => Ok((Entry::Taken, units)),
            Ok((Outcome::Failed(1), units)) => Ok((Entry::Changed, units)),
            Ok((Outcome::Failed(_), units)) => Ok((Entry::NoActor, units)),
            // Somebody else is at one of them; nothing was done.
            Err(error) if error.kind == ErrorKind::Conflict => Ok((Entry::Changed, 0.0)),
            Err(error) => Err(error),
        }
    }
}

/// The key of these parts; of name and value for a look-up entry, which has a digest of them.
fn key_of(table: Table, parts: &[String]) -> Option<Key> {
    match (table, parts) {
        (Table::PropertyLookup, [name, value]) => Key::new(table, &[&lookup_key(name, value)]),
        _ => {
            let (hash, range) = layout::dynamodb_key(table);
            let expected = [Some(hash), range].into_iter().flatten().count();
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            (parts.len() == expected).then(|| Key::new(table, &parts)).flatten()
        }
    }
}

/// Divides items into what can be read at one instant, beside their actor.
fn groups(items: &[Item]) -> Vec<&[Item]> {
    let mut groups = Vec::new();
    let (mut begin, mut bytes) = (0, 0);
    for (index, item) in items.iter().enumerate() {
        let size = item_size(item);
        if index > begin && (index - begin >= MOST - 1 || bytes + size > MOST_BYTES) {
            groups.push(&items[begin..index]);
            (begin, bytes) = (index, 0);
        }
        bytes += size;
    }
    if begin < items.len() {
        groups.push(&items[begin..]);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AttributeValue;

    fn items(count: usize, bytes: usize) -> Vec<Item> {
        let item = Item::from([("id".to_owned(), AttributeValue::S("x".repeat(bytes)))]);
        vec![item; count]
    }

    #[test]
    fn what_is_read_at_one_instant_is_bounded_by_items_and_by_bytes() {
        let lengths = |items: &[Item]| groups(items).into_iter().map(<[Item]>::len).collect::<Vec<_>>();
        assert_eq!(lengths(&items(0, 1)), [0; 0]);
        assert_eq!(lengths(&items(250, 1)), [99, 99, 52]);
        assert_eq!(lengths(&items(20, 400 * 1024)), [7, 7, 6]);
    }
}
