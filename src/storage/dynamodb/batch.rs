//! Many items in one request. Such a request may do a part of its work and hand back the rest,
//! which the SDK takes for success.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::{
    ConsumedCapacity, DeleteRequest, KeysAndAttributes, PutRequest, ReturnConsumedCapacity, WriteRequest,
};

use super::error::{Context, refused};
use super::expression::Key;
use super::record;
use super::requests::from_sdk;
use super::rest::Rests;
use super::{DynamoDb, Op};
use crate::model::{Item, Table, limits};
use crate::storage::{ErrorKind, Result};

/// How many items DynamoDB writes in one request.
const MOST_WRITES: usize = 25;

/// How many items it reads.
const MOST_READS: usize = 100;

/// How many bytes it takes in one request, less some for what is around the items.
const MOST_BYTES: usize = 15 * 1024 * 1024;

/// Something to write.
pub(super) enum Write {
    /// An item, whatever is there.
    Put(Table, Item),
    /// Nothing any more.
    Delete(Key),
}

impl Write {
    fn size(&self) -> usize {
        match self {
            // Quotes, types and escapes take some room too, and the latter can take a lot.
            Self::Put(_, item) => 2 * limits::item_size(item) + 64 * item.len(),
            Self::Delete(_) => limits::MAX_HASH_KEY + limits::MAX_RANGE_KEY,
        }
    }

    fn request(self) -> Result<(Table, WriteRequest), aws_sdk_dynamodb::error::BuildError> {
        let builder = WriteRequest::builder();
        Ok(match self {
            Self::Put(table, item) => {
                let put = PutRequest::builder().set_item(Some(record::to_sdk(item))).build()?;
                (table, builder.put_request(put).build())
            }
            Self::Delete(key) => {
                let delete = DeleteRequest::builder().set_key(Some(key.attributes())).build()?;
                (key.table(), builder.delete_request(delete).build())
            }
        })
    }
}

/// Divides writes into what one request takes.
pub(super) fn batches(writes: impl IntoIterator<Item = Write>) -> Vec<Vec<Write>> {
    let mut batches: Vec<Vec<Write>> = Vec::new();
    let mut bytes = 0;
    for write in writes {
        let size = write.size();
        match batches.last_mut() {
            Some(batch) if batch.len() < MOST_WRITES && bytes + size <= MOST_BYTES => {
                batch.push(write);
                bytes += size;
            }
            _ => {
                batches.push(vec![write]);
                bytes = size;
            }
        }
    }
    batches
}

impl DynamoDb {
    /// Writes a batch, no key of which may come twice. Returns what it has cost.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Throttled`] when a part of it was handed back again and again.
    pub(super) async fn write_batch(&self, op: Op, batch: Vec<Write>) -> Result<f64> {
        let mut left: HashMap<String, Vec<WriteRequest>> = HashMap::new();
        for write in batch {
            let (table, request) = write.request().map_err(|error| refused(op, ErrorKind::Other, error.to_string()))?;
            left.entry(self.table(table)).or_default().push(request);
        }
        let count = |left: &HashMap<String, Vec<WriteRequest>>| left.values().map(Vec::len).sum::<usize>();
        let mut units = 0.0;
        let mut rests = Rests::default();
        while !left.is_empty() {
            let asked = count(&left);
            let request = self
                .clients()
                .await
                .work
                .batch_write_item()
                .set_request_items(Some(left))
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let answer = self.send(op, request.send()).await?.op(op)?;
            units += self.units_of_tables("write", answer.consumed_capacity());
            left = answer.unprocessed_items.unwrap_or_default();
            left.retain(|_, requests| !requests.is_empty());
            // Slow is not stuck: the budget is for requests that achieve nothing.
            if count(&left) < asked {
                rests = Rests::default();
            }
            if !left.is_empty() && !rests.take().await {
                return Err(throttled(op, "written", count(&left)));
            }
        }
        Ok(units)
    }

    /// Deletes items, one batch after the other. Deleting what is not there is no error.
    pub(super) async fn delete_all(&self, op: Op, keys: impl IntoIterator<Item = Key> + Send) -> Result<()> {
        let keys: BTreeSet<Key> = keys.into_iter().collect();
        for batch in batches(keys.into_iter().map(Write::Delete)) {
            self.write_batch(op, batch).await?;
        }
        Ok(())
    }

    /// Those of these items that there are, read consistently, in no order.
    pub(super) async fn get_all(
        &self,
        op: Op,
        table: Table,
        keys: impl IntoIterator<Item = Key> + Send,
    ) -> Result<Vec<Item>> {
        Ok(self.get_all_metered(op, table, keys).await?.0)
    }

    /// The same, and what it has cost.
    pub(super) async fn get_all_metered(
        &self,
        op: Op,
        table: Table,
        keys: impl IntoIterator<Item = Key> + Send,
    ) -> Result<(Vec<Item>, f64)> {
        let keys: BTreeSet<Key> = keys.into_iter().collect();
        let keys: Vec<_> = keys.iter().map(Key::attributes).collect();
        let name = self.table(table);
        let (mut items, mut units) = (Vec::new(), 0.0);
        for batch in keys.chunks(MOST_READS) {
            let mut left = batch.to_vec();
            let mut rests = Rests::default();
            while !left.is_empty() {
                let asked = left.len();
                let keys = KeysAndAttributes::builder().set_keys(Some(left)).consistent_read(true).build();
                let keys = keys.map_err(|error| refused(op, ErrorKind::Other, error.to_string()))?;
                let request = self
                    .clients()
                    .await
                    .work
                    .batch_get_item()
                    .request_items(name.clone(), keys)
                    .return_consumed_capacity(ReturnConsumedCapacity::Total);
                let answer = self.send(op, request.send()).await?.op(op)?;
                units += self.units_of_tables("read", answer.consumed_capacity());
                for item in answer.responses.and_then(|mut tables| tables.remove(&name)).unwrap_or_default() {
                    items.push(from_sdk(op, table, item)?);
                }
                let unprocessed = answer.unprocessed_keys.and_then(|mut tables| tables.remove(&name));
                left = unprocessed.map(|keys| keys.keys).unwrap_or_default();
                if left.len() < asked {
                    rests = Rests::default();
                }
                if !left.is_empty() && !rests.take().await {
                    return Err(throttled(op, "read", left.len()));
                }
            }
        }
        Ok((items, units))
    }

    /// Counts the units that a request on several tables has cost.
    pub(super) fn units_of_tables(&self, unit: &'static str, consumed: &[ConsumedCapacity]) -> f64 {
        let tables = consumed.iter().filter_map(|consumed| {
            let name = consumed.table_name()?;
            // Some answer with the ARN.
            let name = name.rsplit('/').next().unwrap_or(name);
            let table = Table::ALL.into_iter().find(|table| self.table(*table) == name)?;
            Some(self.count_units(table.name(), unit, Some(consumed)))
        });
        tables.sum()
    }
}

fn throttled(op: Op, done: &str, left: usize) -> crate::storage::Error {
    let items = if left == 1 { "item" } else { "items" };
    let why = format!("the last {left} {items} of the batch could not be {done}: no capacity is left, again and again");
    refused(op, ErrorKind::Throttled, why)
}
