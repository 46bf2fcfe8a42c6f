//! Whole tables.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use aws_sdk_dynamodb::types::{AttributeValue as Sdk, ReturnConsumedCapacity, Select};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::batch::{self, Write};
use super::error::{Context, refused};
use super::expression::{Expression, Key};
use super::query::Range;
use super::requests::{from_sdk, readable};
use super::{DynamoDb, Op, record};
use crate::model::{Item, Record, Source, Table};
use crate::storage::{Bulk, ErrorKind, Place, Result, Segment, Stretch, Written};

const SCAN: Op = Op { name: "scan", phrase: "read a stretch of a table" };

/// How many batches of one call are on their way at once.
const BATCHES: usize = 4;

/// Where a page begins, in the words of the SDK.
pub(super) type Start = Option<HashMap<String, Sdk>>;

#[async_trait]
impl Bulk for DynamoDb {
    async fn scan(&self, table: Table, segment: Segment, place: &Place, limit: u32) -> Result<Stretch> {
        self.measured(SCAN, self.stretch(table, segment, place, limit, true)).await
    }

    async fn read_all(&self, table: Table, id: &str) -> Result<Vec<Record>> {
        const OP: Op = Op { name: "read_all", phrase: "read all rows of an actor" };
        self.measured(OP, async {
            let items = match table {
                Table::PropertyLookup => self.entries_of(OP, id).await?,
                _ => self.items(OP, table, id, Range::All).await?,
            };
            Ok(items.into_iter().map(|item| record::record(table, item)).collect())
        })
        .await
    }

    async fn write(&self, records: &[Record]) -> Result<Written> {
        const OP: Op = Op { name: "write", phrase: "write rows" };
        self.measured(OP, async {
            // DynamoDB refuses the same key twice in one request; the last one stays, as it would
            // if they were written one by one.
            let mut places: HashMap<Key, usize> = HashMap::new();
            let mut writes: Vec<Write> = Vec::new();
            for found in records {
                let table = found.table;
                if let (Source::Nowhere | Source::Postgresql(_), Ok(row)) = (&found.source, &found.meaning) {
                    readable(OP, row)?;
                }
                let item = record::item(found).map_err(|why| refused(OP, ErrorKind::Limit, why.to_string()))?;
                let item = self.within_limits(OP, table, item)?;
                let key = Key::of(table, &item);
                let key = key.ok_or_else(|| refused(OP, ErrorKind::Limit, format!("{table}: the key is no text")))?;
                let place = *places.entry(key).or_insert(writes.len());
                let write = Write::Put(table, item);
                match writes.get_mut(place) {
                    Some(before) => *before = write,
                    None => writes.push(write),
                }
            }
            let records = writes.len() as u64;
            let batches = stream::iter(batch::batches(writes)).map(|batch| self.write_batch(OP, batch));
            let write_units =
                batches.buffer_unordered(BATCHES).try_fold(0.0, async |sum, units| Ok(sum + units)).await?;
            Ok(Written { records, write_units })
        })
        .await
    }

    async fn count(&self, table: Table) -> Result<u64> {
        const OP: Op = Op { name: "count", phrase: "count the rows of a table" };
        self.measured(OP, async {
            let mut rows = 0;
            let mut start: Start = None;
            loop {
                let request = self
                    .clients()
                    .await
                    .work
                    .scan()
                    .table_name(self.table(table))
                    .select(Select::Count)
                    .consistent_read(true)
                    .set_exclusive_start_key(start)
                    .return_consumed_capacity(ReturnConsumedCapacity::Total);
                let answer = self.send(OP, request.send()).await?.op(OP)?;
                self.read_units(table.name(), answer.consumed_capacity());
                rows += u64::from(answer.count.unsigned_abs());
                start = answer.last_evaluated_key;
                if start.is_none() {
                    return Ok(rows);
                }
            }
        })
        .await
    }
}

impl DynamoDb {
    /// Reads a stretch of a table as [`Bulk::scan`] does, but perhaps not what was written within the last second: for
    /// half of the price.
    ///
    /// # Errors
    ///
    /// When DynamoDB does not answer, or not with rows.
    pub async fn sample(&self, table: Table, place: &Place, limit: u32) -> Result<Stretch> {
        self.measured(SCAN, self.stretch(table, Segment::WHOLE, place, limit, false)).await
    }

    async fn stretch(
        &self,
        table: Table,
        segment: Segment,
        place: &Place,
        limit: u32,
        is_consistent: bool,
    ) -> Result<Stretch> {
        let start = start(SCAN, place)?;
        let count = |number: u32| i32::try_from(number).unwrap_or(i32::MAX).max(1);
        let request = self
            .clients()
            .await
            .work
            .scan()
            .table_name(self.table(table))
            .segment(i32::try_from(segment.index).unwrap_or(i32::MAX))
            .total_segments(count(segment.of))
            .limit(count(limit))
            .consistent_read(is_consistent)
            .set_exclusive_start_key(start)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = self.send(SCAN, request.send()).await?.op(SCAN)?;
        let read_units = self.read_units(table.name(), answer.consumed_capacity());
        let items = answer.items.unwrap_or_default().into_iter();
        let records =
            items.map(|item| Ok(record::record(table, from_sdk(SCAN, table, item)?))).collect::<Result<_>>()?;
        let next = answer.last_evaluated_key.map(|key| next(SCAN, key)).transpose()?;
        Ok(Stretch { records, next, read_units })
    }

    /// The look-up entries of an actor. They are not kept by actor, so this reads the whole table.
    async fn entries_of(&self, op: Op, id: &str) -> Result<Vec<Item>> {
        let table = Table::PropertyLookup;
        let mut items = Vec::new();
        let mut start: Start = None;
        loop {
            let mut expression = Expression::default();
            let filter = format!("{} = {}", expression.name("actor_id"), expression.text(id));
            let (names, values) = expression.split();
            let request = self
                .clients()
                .await
                .work
                .scan()
                .table_name(self.table(table))
                .filter_expression(filter)
                .set_expression_attribute_names(names)
                .set_expression_attribute_values(values)
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let answer = self.send(op, request.send()).await?.op(op)?;
            self.read_units(table.name(), answer.consumed_capacity());
            for item in answer.items.unwrap_or_default() {
                items.push(from_sdk(op, table, item)?);
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }
}

/// Where a page begins. Keys are texts, so a place is an object of texts.
pub(super) fn start(op: Op, Place(place): &Place) -> Result<Start> {
    let Some(text) = place else { return Ok(None) };
    let key: BTreeMap<String, String> =
        serde_json::from_str(text).map_err(|_| refused(op, ErrorKind::Other, "the place is none of this table"))?;
    Ok(Some(key.into_iter().map(|(name, text)| (name, Sdk::S(text))).collect()))
}

/// The place after a page.
pub(super) fn next(op: Op, key: HashMap<String, Sdk>) -> Result<Place> {
    let texts = key.into_iter().map(|(name, value)| match value {
        Sdk::S(text) => Ok((name, text)),
        _ => Err(refused(op, ErrorKind::Schema, format!("the key `{name}` is not text"))),
    });
    let key = texts.collect::<Result<BTreeMap<_, _>>>()?;
    let text = serde_json::to_string(&key).map_err(|error| refused(op, ErrorKind::Other, error.to_string()))?;
    Ok(Place(Some(text)))
}
