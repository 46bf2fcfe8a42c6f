//! Attributes.

use async_trait::async_trait;

use super::again::Again;
use super::error::refused;
use super::record::{self, Texts};
use super::rows::{bound, bound_texts, cannot_be, within_limits};
use super::transaction::Transaction;
use super::{Op, Place, Postgres, Statement};
use crate::model::row::Attribute;
use crate::model::{Row, json, wire};
use crate::storage::{AttributeKey, Attributes, ErrorKind, NewValue, Result};

#[async_trait]
impl Attributes for Postgres {
    async fn attribute(&self, key: AttributeKey<'_>) -> Result<Option<Attribute>> {
        const OP: Op = Op { name: "attribute", phrase: "read an attribute" };
        self.select_one(OP, |s| &s.attribute, &[key.id, &bucket_name(key), key.bucket, key.name]).await
    }

    async fn live_attribute(&self, key: AttributeKey<'_>) -> Result<Option<Attribute>> {
        const OP: Op = Op { name: "live_attribute", phrase: "read an attribute unless it has expired" };
        self.select_one(OP, |s| &s.live_attribute, &[key.id, &bucket_name(key), key.bucket, key.name]).await
    }

    async fn bucket(&self, id: &str, bucket: &str) -> Result<Vec<Attribute>> {
        const OP: Op = Op { name: "bucket", phrase: "read a bucket" };
        self.select(OP, |s| &s.bucket, &[id, bucket]).await
    }

    async fn buckets(&self, id: &str) -> Result<Vec<Attribute>> {
        const OP: Op = Op { name: "buckets", phrase: "read an actor's attributes" };
        self.select(OP, |s| &s.buckets, &[id]).await
    }

    async fn set_attribute(&self, key: AttributeKey<'_>, value: &NewValue<'_>) -> Result<()> {
        const OP: Op = Op { name: "set_attribute", phrase: "store an attribute" };
        let composite = bucket_name(key);
        let key_texts = [key.id, &composite, key.bucket, key.name];
        if !value.data.is_truthy() {
            self.change(OP, |s| &s.delete_attribute, &key_texts).await?;
            return Ok(());
        }
        self.measured(OP, async {
            let texts = new_texts(OP, key, value)?;
            let place = self.place().await?;
            let sql = &place.statements.tables.set_attribute;
            let query = || bound_value(bound(self.query(sql.clone()), &key_texts), &texts, value);
            self.execute_again(OP, Again::Always, query).await?;
            Ok(())
        })
        .await
    }

    async fn swap_attribute(
        &self,
        key: AttributeKey<'_>,
        expected: &json::Value,
        value: &NewValue<'_>,
    ) -> Result<bool> {
        const OP: Op = Op { name: "swap_attribute", phrase: "replace an attribute" };
        self.measured(OP, async {
            let texts = new_texts(OP, key, value)?;
            if expected.unfit_for_jsonb().is_some() {
                return Ok(false);
            }
            let place = self.place().await?;
            let mut tries = Again::Undone.tries();
            loop {
                let tx = self.begin(OP).await?;
                match self.swap_within(tx, OP, &place, (key, &texts), expected, value).await {
                    Err(error) if tries.another(&error) => {}
                    swapped => return swapped,
                }
            }
        })
        .await
    }

    async fn delete_attribute(&self, key: AttributeKey<'_>) -> Result<bool> {
        const OP: Op = Op { name: "delete_attribute", phrase: "delete an attribute" };
        let key = [key.id, &bucket_name(key), key.bucket, key.name];
        Ok(self.change(OP, |s| &s.delete_attribute, &key).await? > 0)
    }

    async fn delete_bucket(&self, id: &str, bucket: &str) -> Result<u64> {
        const OP: Op = Op { name: "delete_bucket", phrase: "delete a bucket" };
        self.change(OP, |s| &s.delete_bucket, &[id, bucket]).await
    }

    async fn delete_attributes(&self, id: &str) -> Result<u64> {
        const OP: Op = Op { name: "delete_attributes", phrase: "delete an actor's attributes" };
        self.change(OP, |s| &s.delete_attributes, &[id]).await
    }

    /// All of them go at once, so none needs to be the last.
    async fn delete_chain(&self, id: &str, buckets: &[String], chain_id: &str, _last: Option<&str>) -> Result<u64> {
        const OP: Op = Op { name: "delete_chain", phrase: "delete a chain of attributes" };
        self.measured(OP, async {
            let buckets: Vec<&str> =
                buckets.iter().map(String::as_str).filter(|bucket| !cannot_be(&[bucket])).collect();
            if cannot_be(&[id, chain_id]) || chain_id.is_empty() || buckets.is_empty() {
                return Ok(0);
            }
            let place = self.place().await?;
            let sql = &place.statements.tables.delete_chain;
            let query = || self.query(sql.clone()).bind(id).bind(&buckets).bind(chain_id);
            self.execute_again(OP, Again::Undone, query).await
        })
        .await
    }
}

impl Postgres {
    /// Replaces an attribute in a transaction of its own. The server compares first; what it finds
    /// different may still be equal for Python, to which `True` is 1, so then we compare.
    async fn swap_within(
        &self,
        mut tx: Transaction,
        op: Op,
        place: &Place,
        (key, texts): (AttributeKey<'_>, &Texts),
        expected: &json::Value,
        value: &NewValue<'_>,
    ) -> Result<bool> {
        let statements = &place.statements.tables;
        let composite = bucket_name(key);
        let key = [key.id, &composite, key.bucket, key.name];
        let swap = |expected: String| {
            bound_value(bound(self.query(statements.swap_attribute.clone()), &key), texts, value).bind(expected)
        };
        let mut swapped = tx.execute(swap(expected.to_string())).await? > 0;
        if !swapped {
            let locked = tx.fetch_optional(bound(self.query(statements.lock_attribute.clone()), &key)).await?;
            if let Some(row) = locked {
                let row = record::texts(&row, op)?;
                let row: Attribute =
                    record::read(&row).map_err(|why| refused(op, ErrorKind::Other, why.to_string()))?;
                let data = row.data.unwrap_or(json::Value::Null);
                swapped = data == *expected && tx.execute(swap(data.to_string())).await? > 0;
            }
        }
        tx.commit().await?;
        Ok(swapped)
    }
}

/// The second part of the key.
fn bucket_name(key: AttributeKey<'_>) -> String {
    format!("{}:{}", key.bucket, key.name)
}

/// The texts of value and time, once it is sure that they can be stored.
fn new_texts(op: Op, key: AttributeKey<'_>, value: &NewValue<'_>) -> Result<Texts> {
    let row = Attribute {
        timestamp: value.timestamp,
        ..Attribute::new(key.id, key.bucket, key.name, Some(value.data.clone()))
    };
    within_limits(op, &Row::Attribute(row))?;
    Ok(vec![Some(value.data.to_string()), value.timestamp.map(wire::format_pg_timestamp)])
}

/// A statement with a new value for its further parameters.
fn bound_value<'q>(query: Statement<'q>, texts: &'q Texts, value: &NewValue<'_>) -> Statement<'q> {
    bound_texts(query, texts).bind(value.ttl_seconds)
}
