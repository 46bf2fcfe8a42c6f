//! The attributes of some buckets, page by page of the whole table.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;

use super::bulk::{next, start};
use super::error::Context;
use super::expression::{Expression, Key};
use super::requests::from_sdk;
use super::{DynamoDb, Op, record};
use crate::model::layout::TTL_ATTRIBUTE;
use crate::model::{AttributeValue, Item, Table};
use crate::storage::{AttributePlace, BucketWalk, Located, Place, Result, Segment, Walked, Wanted};

const TABLE: Table = Table::Attributes;

#[async_trait]
impl BucketWalk for DynamoDb {
    async fn walk(&self, wanted: &Wanted, segment: Segment, place: &Place, limit: u32) -> Result<Walked> {
        const OP: Op = Op { name: "walk_buckets", phrase: "look through buckets" };
        self.measured(OP, async {
            let start = start(OP, place)?;
            let count = |number: u32| i32::try_from(number).unwrap_or(i32::MAX).max(1);
            let mut expression = Expression::default();
            let filter = filter(wanted, &mut expression);
            let (names, values) = expression.split();
            let request = self
                .clients()
                .await
                .work
                .scan()
                .table_name(self.table(TABLE))
                .segment(i32::try_from(segment.index).unwrap_or(i32::MAX))
                .total_segments(count(segment.of))
                .limit(count(limit))
                .consistent_read(true)
                .set_filter_expression(filter)
                .set_expression_attribute_names(names)
                .set_expression_attribute_values(values)
                .set_exclusive_start_key(start)
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let answer = self.send(OP, request.send()).await?.op(OP)?;
            let read_units = self.read_units(TABLE.name(), answer.consumed_capacity());
            let examined = u64::try_from(answer.scanned_count()).unwrap_or_default();
            let mut records = Vec::new();
            for item in answer.items.unwrap_or_default() {
                let item = from_sdk(OP, TABLE, item)?;
                // A filter of DynamoDB has an end; ours has none.
                if is_wanted(wanted, &item) {
                    records.push(record::record(TABLE, item));
                }
            }
            let next = answer.last_evaluated_key.map(|key| next(OP, key)).transpose()?;
            Ok(Walked { records, examined, next, read_units })
        })
        .await
    }

    async fn locate(&self, places: &[AttributePlace]) -> Result<Located> {
        const OP: Op = Op { name: "locate", phrase: "read attributes by their keys" };
        self.measured(OP, async {
            let keys: Vec<Option<Key>> =
                places.iter().map(|place| Key::new(TABLE, &[&place.id, &place.bucket_name()])).collect();
            let (items, read_units) = self.get_all_metered(OP, TABLE, keys.iter().flatten().cloned()).await?;
            let found: HashMap<Key, Item> =
                items.into_iter().filter_map(|item| Some((Key::of(TABLE, &item)?, item))).collect();
            let record = |key: &Option<Key>| Some(record::record(TABLE, found.get(key.as_ref()?)?.clone()));
            Ok(Located { records: keys.iter().map(record).collect(), read_units })
        })
        .await
    }
}

/// What is wanted in DynamoDB's words. A TTL that is stored as nothing is none.
fn filter(wanted: &Wanted, expression: &mut Expression) -> Option<String> {
    /// So many operands `IN` may have; more buckets are sorted out here.
    const OPERANDS: usize = 100;
    let Wanted { all_of, endless_of } = wanted;
    if all_of.len().max(endless_of.len()) > OPERANDS {
        return None;
    }
    let is_in = |buckets: &[String], expression: &mut Expression| {
        if buckets.is_empty() {
            return None;
        }
        let bucket = expression.name("bucket");
        let texts: Vec<String> = buckets.iter().map(|name| expression.text(name)).collect();
        Some(format!("{bucket} IN ({})", texts.join(", ")))
    };
    let all = is_in(all_of, expression);
    let endless = is_in(endless_of, expression).map(|is_in| {
        let (ttl, null) = (expression.name(TTL_ATTRIBUTE), expression.text("NULL"));
        format!("({is_in} AND (attribute_not_exists({ttl}) OR attribute_type({ttl}, {null})))")
    });
    let either: Vec<String> = [all, endless].into_iter().flatten().collect();
    (!either.is_empty()).then(|| either.join(" OR "))
}

fn is_wanted(wanted: &Wanted, item: &Item) -> bool {
    let Some(AttributeValue::S(bucket)) = item.get("bucket") else { return false };
    let is_endless = matches!(item.get(TTL_ATTRIBUTE), None | Some(AttributeValue::Null(_)));
    wanted.all_of.contains(bucket) || (is_endless && wanted.endless_of.contains(bucket))
}
