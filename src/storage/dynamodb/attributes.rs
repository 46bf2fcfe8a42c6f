//! What the library itself stores for actors.

use async_trait::async_trait;

use super::error::refused;
use super::expression::{Change, Condition, Key};
use super::fields::{Fields, Written};
use super::query::Range;
use super::record::Stored;
use super::requests::{readable, unreadable};
use super::{DynamoDb, Op};
use crate::model::row::{Attribute, TTL_CLOCK_SKEW_BUFFER};
use crate::model::{AttributeValue, Item, Row, Table, json};
use crate::storage::{AttributeKey, Attributes, ErrorKind, NewValue, Result};

const TABLE: Table = Table::Attributes;

/// How often a swap begins anew because the text of the value changed and its meaning did not.
const SWAPS: u32 = 5;

fn key(AttributeKey { id, bucket, name }: AttributeKey<'_>) -> Option<Key> {
    Key::new(TABLE, &[id, &format!("{bucket}:{name}")])
}

/// The item is of this bucket: two pairs of bucket and name can share one key.
fn of_bucket(bucket: &str) -> Condition {
    Condition::text("bucket", bucket)
}

fn is_of_bucket(item: &Item, bucket: &str) -> bool {
    matches!(item.get("bucket"), Some(AttributeValue::S(found)) if found == bucket)
}

#[async_trait]
impl Attributes for DynamoDb {
    async fn attribute(&self, key: AttributeKey<'_>) -> Result<Option<Attribute>> {
        const OP: Op = Op { name: "attribute", phrase: "read an attribute" };
        self.measured(OP, self.attribute_of(OP, key)).await
    }

    async fn live_attribute(&self, key: AttributeKey<'_>) -> Result<Option<Attribute>> {
        const OP: Op = Op { name: "live_attribute", phrase: "read an attribute that has not expired" };
        self.measured(OP, async {
            let found = self.attribute_of(OP, key).await?;
            let now = self.date.now().timestamp();
            Ok(found.filter(|found| found.ttl_timestamp.is_none_or(|ttl| ttl > now)))
        })
        .await
    }

    async fn bucket(&self, id: &str, bucket: &str) -> Result<Vec<Attribute>> {
        const OP: Op = Op { name: "bucket", phrase: "read a bucket" };
        self.measured(OP, self.bucket_of(OP, id, bucket)).await
    }

    async fn buckets(&self, id: &str) -> Result<Vec<Attribute>> {
        const OP: Op = Op { name: "buckets", phrase: "read all buckets" };
        self.measured(OP, async {
            let mut attributes: Vec<Attribute> = self.rows(OP, id, Range::All).await?;
            attributes.sort_by(|one, other| (&one.bucket, &one.name).cmp(&(&other.bucket, &other.name)));
            Ok(attributes)
        })
        .await
    }

    async fn set_attribute(&self, key: AttributeKey<'_>, value: &NewValue<'_>) -> Result<()> {
        const OP: Op = Op { name: "set_attribute", phrase: "store an attribute" };
        self.measured(OP, async {
            if !value.data.is_truthy() {
                self.delete(OP, self::key(key), of_bucket(key.bucket)).await?;
                return Ok(());
            }
            let attribute = self.new_attribute(OP, key, value)?;
            self.put(OP, TABLE, attribute.item()).await
        })
        .await
    }

    async fn swap_attribute(
        &self,
        key: AttributeKey<'_>,
        expected: &json::Value,
        value: &NewValue<'_>,
    ) -> Result<bool> {
        const OP: Op = Op { name: "swap_attribute", phrase: "exchange the value of an attribute" };
        self.measured(OP, self.swap_if_equal(OP, key, expected, value)).await
    }

    async fn delete_attribute(&self, key: AttributeKey<'_>) -> Result<bool> {
        const OP: Op = Op { name: "delete_attribute", phrase: "delete an attribute" };
        self.measured(OP, self.delete(OP, self::key(key), of_bucket(key.bucket))).await
    }

    async fn delete_bucket(&self, id: &str, bucket: &str) -> Result<u64> {
        const OP: Op = Op { name: "delete_bucket", phrase: "delete a bucket" };
        let prefix = format!("{bucket}:");
        let wanted = |item: &Item| is_of_bucket(item, bucket);
        self.measured(OP, self.delete_items(OP, TABLE, id, Range::Prefix(&prefix), wanted)).await
    }

    async fn delete_attributes(&self, id: &str) -> Result<u64> {
        const OP: Op = Op { name: "delete_attributes", phrase: "delete all attributes" };
        self.measured(OP, self.delete_items(OP, TABLE, id, Range::All, |_| true)).await
    }

    async fn delete_chain(&self, id: &str, buckets: &[String], chain_id: &str, last: Option<&str>) -> Result<u64> {
        const OP: Op = Op { name: "delete_chain", phrase: "delete the attributes of a chain" };
        self.measured(OP, async {
            let mut chain = Vec::new();
            for bucket in buckets {
                chain.extend(self.bucket_of(OP, id, bucket).await?);
            }
            let is_of_chain = |data: &json::Value| data.get("chain_id").and_then(json::Value::as_str) == Some(chain_id);
            chain.retain(|attribute| attribute.data.as_ref().is_some_and(is_of_chain));
            let (at_last, first): (Vec<_>, Vec<_>) =
                chain.into_iter().partition(|attribute| last == Some(attribute.name.as_str()));
            let keys = |attributes: &[Attribute]| {
                let keys = attributes.iter().map(|found| Key::new(TABLE, &[&found.id, &found.bucket_name]));
                keys.flatten().collect::<std::collections::BTreeSet<_>>()
            };
            let (first, at_last) = (keys(&first), keys(&at_last));
            let count = first.union(&at_last).count() as u64;
            self.delete_all(OP, first).await?;
            self.delete_all(OP, at_last).await?;
            Ok(count)
        })
        .await
    }
}

impl DynamoDb {
    async fn attribute_of(&self, op: Op, key: AttributeKey<'_>) -> Result<Option<Attribute>> {
        let found: Option<Attribute> = self.read(op, self::key(key)).await?;
        Ok(found.filter(|found| found.bucket == key.bucket))
    }

    /// Attributes whose keys begin as those of the bucket may belong to another one.
    async fn bucket_of(&self, op: Op, id: &str, bucket: &str) -> Result<Vec<Attribute>> {
        let prefix = format!("{bucket}:");
        let items = self.items(op, TABLE, id, Range::Prefix(&prefix)).await?;
        let items = items.iter().filter(|item| is_of_bucket(item, bucket));
        items.map(|item| Attribute::from_item(item).map_err(|why| unreadable(op, why))).collect()
    }

    /// The value is compared here, as DynamoDB does not know what Python takes for equal; what then
    /// must still stand is the very text that was compared.
    async fn swap_if_equal(
        &self,
        op: Op,
        key: AttributeKey<'_>,
        expected: &json::Value,
        value: &NewValue<'_>,
    ) -> Result<bool> {
        let Some(place) = self::key(key) else { return Ok(false) };
        for _ in 0..SWAPS {
            let Some(item) = self.get(op, &place).await? else { return Ok(false) };
            if !is_of_bucket(&item, key.bucket) {
                return Ok(false);
            }
            let stands = Fields::of(TABLE, &item).json("data").map_err(|why| unreadable(op, why))?;
            if stands.unwrap_or(json::Value::Null) != *expected {
                return Ok(false);
            }
            let condition = Condition::Has(vec![
                ("bucket", Some(AttributeValue::S(key.bucket.to_owned()))),
                ("data", item.get("data").cloned()),
            ]);
            let new = self.new_attribute(op, key, value)?;
            let set = Written::default()
                .json("data", new.data.as_ref())
                .time("timestamp", new.timestamp)
                .number("ttl_timestamp", new.ttl_timestamp)
                .item();
            if self.swap(op, &place, Change { set, ..Change::default() }, condition).await? {
                return Ok(true);
            }
        }
        let why = format!("its text changed {SWAPS} times in a row while its value stayed the same");
        Err(refused(op, ErrorKind::Conflict, why))
    }

    /// The attribute with a new value, if it can be read back.
    fn new_attribute(&self, op: Op, key: AttributeKey<'_>, value: &NewValue<'_>) -> Result<Attribute> {
        let attribute = Attribute {
            timestamp: value.timestamp,
            ttl_timestamp: self.deadline(value),
            ..Attribute::new(key.id, key.bucket, key.name, Some(value.data.clone()))
        };
        readable(op, &Row::Attribute(attribute.clone()))?;
        Ok(attribute)
    }

    fn deadline(&self, value: &NewValue<'_>) -> Option<i64> {
        let now = self.date.now().timestamp();
        value.ttl_seconds.map(|ttl| now.saturating_add(ttl).saturating_add(TTL_CLOCK_SKEW_BUFFER))
    }
}
