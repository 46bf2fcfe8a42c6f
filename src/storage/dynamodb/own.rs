//! The daemon's own table: its items, and the requests for them.
//!
//! | `pk` | `sk` | what |
//! |---|---|---|
//! | `job` | the job | its lease and its slots (`state.rs`) |
//! | `run#` and the job | the run | a run (`runs.rs`) |
//! | `passed#` and the job | the first slot | slots that were passed over (`passed.rs`) |
//! | `deployment` | `identity`, `incomplete` | the deployment (`upkeep.rs`) |
//! | `watermark#` and a digit | digest and number | a watermark (`watermarks.rs`) |
//! | `sighting#` and a digit | two digests | a sighting (`sightings.rs`) |
//! | `cursor` | the job | where its walk was cut off (`sightings.rs`) |

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, Put, ReturnConsumedCapacity, TransactWriteItem};
use chrono::{DateTime, SubsecRound, Utc};
use uuid::Uuid;

use super::error::{Context, cancellation, is_condition_failed, refused};
use super::rest::Rests;
use super::{DynamoDb, Op};
use crate::storage::{Error, ErrorKind, Result};

/// The label of the table in metrics.
pub(super) const LABEL: &str = "maintd";

/// An item, or its key.
pub(super) type Item = HashMap<String, AttributeValue>;

/// The key of an item.
pub(super) fn key(pk: impl Into<String>, sk: impl Into<String>) -> Item {
    HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
}

/// A text.
pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number.
pub(super) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A time, as a text that sorts by time.
pub(super) fn time(value: DateTime<Utc>) -> AttributeValue {
    text(time_text(value))
}

/// The same, for keys.
pub(super) fn time_text(value: DateTime<Utc>) -> String {
    value.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// The attributes of an item, by type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(pub(super) &'a Item, pub(super) Op);

impl Fields<'_> {
    /// A text that may be missing.
    pub(super) fn maybe_text(self, name: &str) -> Option<String> {
        self.0.get(name).and_then(|value| value.as_s().ok()).cloned()
    }

    /// A text.
    pub(super) fn text(self, name: &str) -> Result<String> {
        self.maybe_text(name).ok_or_else(|| self.unreadable(name))
    }

    /// A whole number.
    pub(super) fn number<N: std::str::FromStr>(self, name: &str) -> Result<N> {
        let value = self.0.get(name).and_then(|value| value.as_n().ok());
        value.and_then(|value| value.parse().ok()).ok_or_else(|| self.unreadable(name))
    }

    /// A time.
    pub(super) fn time(self, name: &str) -> Result<DateTime<Utc>> {
        self.maybe_time(name)?.ok_or_else(|| self.unreadable(name))
    }

    /// A time that may be missing.
    pub(super) fn maybe_time(self, name: &str) -> Result<Option<DateTime<Utc>>> {
        let Some(text) = self.maybe_text(name) else { return Ok(None) };
        let time = DateTime::parse_from_rfc3339(&text).map_err(|_| self.unreadable(name))?;
        Ok(Some(time.to_utc()))
    }

    /// An identifier.
    pub(super) fn uuid(self, name: &str) -> Result<Uuid> {
        self.maybe_uuid(name)?.ok_or_else(|| self.unreadable(name))
    }

    /// An identifier that may be missing.
    pub(super) fn maybe_uuid(self, name: &str) -> Result<Option<Uuid>> {
        let Some(text) = self.maybe_text(name) else { return Ok(None) };
        Uuid::parse_str(&text).map(Some).map_err(|_| self.unreadable(name))
    }

    /// What is stored as JSON.
    pub(super) fn json<T: serde::de::DeserializeOwned>(self, name: &str) -> Result<T> {
        serde_json::from_str(&self.text(name)?).map_err(|_| self.unreadable(name))
    }

    fn unreadable(self, name: &str) -> Error {
        let Self(_, op) = self;
        let [pk, sk] = ["pk", "sk"].map(|name| self.maybe_text(name).unwrap_or_default());
        refused(op, ErrorKind::Other, format!("the item {pk} {sk} of our own table has no {name} that can be read"))
    }
}

/// Under which condition something is written.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    expression: String,
    values: Option<Item>,
}

impl Condition {
    /// There is no such item yet.
    pub(super) fn absent() -> Self {
        Self { expression: "attribute_not_exists(pk)".to_owned(), values: None }
    }

    /// What `expression` says, with these values in it.
    pub(super) fn holds<const N: usize>(expression: &str, values: [(&str, AttributeValue); N]) -> Self {
        let values = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { expression: expression.to_owned(), values: Some(values) }
    }
}

/// Which items of one `pk` are read.
#[derive(Clone, Debug)]
pub(super) struct Range {
    /// The `pk`.
    pub(super) pk: String,
    /// A condition on `sk`, with `:sk` in it.
    pub(super) sk: Option<(&'static str, String)>,
    /// Whether the last come first.
    pub(super) backwards: bool,
    /// Only items for which this holds.
    pub(super) filter: Option<Condition>,
    /// How many are looked at in one page at most.
    pub(super) limit: Option<u32>,
    /// Where the page starts.
    pub(super) from: Option<Item>,
}

impl Range {
    /// Everything under `pk`.
    pub(super) fn all(pk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: None, backwards: false, filter: None, limit: None, from: None }
    }
}

/// How often a write may come too late before it is given up.
#[derive(Debug)]
pub(super) struct Tries(Rests, Op);

impl Tries {
    /// None yet.
    pub(super) fn new(op: Op) -> Self {
        Self(Rests::default(), op)
    }

    /// Waits a little before the next.
    pub(super) async fn again(&mut self) -> Result<()> {
        let Self(rests, op) = self;
        if rests.take().await {
            return Ok(());
        }
        Err(refused(*op, ErrorKind::Conflict, "others changed the same thing again and again"))
    }
}

impl DynamoDb {
    /// What the server's clock shows, as it is stored.
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.date.now().trunc_subsecs(6)
    }

    /// An item as it is now.
    pub(super) async fn own_item(&self, key: Item, op: Op) -> Result<Option<Item>> {
        let request = self.clients().await.work.get_item().table_name(self.own_table()).set_key(Some(key));
        let request = request.consistent_read(true).return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = self.send(op, request.send()).await?.op(op).map_err(|error| self.with_remedy(error))?;
        self.read_units(LABEL, answer.consumed_capacity());
        Ok(answer.item)
    }

    /// One page of the items in `range`, as they are now, and where the next one starts.
    pub(super) async fn own_page(&self, range: &Range, op: Op) -> Result<(Vec<Item>, Option<Item>)> {
        let request = self.clients().await.work.query().table_name(self.own_table()).consistent_read(true);
        let mut request = request
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .expression_attribute_values(":pk", text(range.pk.as_str()))
            .scan_index_forward(!range.backwards)
            .set_limit(range.limit.map(|limit| i32::try_from(limit.max(1)).unwrap_or(i32::MAX)))
            .set_exclusive_start_key(range.from.clone());
        let mut keys = "pk = :pk".to_owned();
        if let Some((condition, sk)) = &range.sk {
            keys = format!("{keys} AND {condition}");
            request = request.expression_attribute_values(":sk", text(sk.as_str()));
        }
        if let Some(Condition { expression, values }) = &range.filter {
            request = request.filter_expression(expression);
            for (name, value) in values.iter().flatten() {
                request = request.expression_attribute_values(name, value.clone());
            }
        }
        let answer = self.send(op, request.key_condition_expression(keys).send()).await?;
        let answer = answer.op(op).map_err(|error| self.with_remedy(error))?;
        self.read_units(LABEL, answer.consumed_capacity());
        Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key))
    }

    /// The first items in `range`, `count` at most; all of them without one.
    pub(super) async fn own_items(&self, mut range: Range, count: Option<u32>, op: Op) -> Result<Vec<Item>> {
        let count = count.map_or(usize::MAX, |count| count as usize);
        let mut items = Vec::new();
        loop {
            let (page, next) = self.own_page(&range, op).await?;
            items.extend(page);
            if items.len() >= count || next.is_none() {
                items.truncate(count);
                return Ok(items);
            }
            range.from = next;
        }
    }

    /// Puts an item under a condition. Returns whether it held.
    pub(super) async fn put_own(&self, item: Item, condition: Condition, op: Op) -> Result<bool> {
        let request = self.clients().await.work.put_item().table_name(self.own_table()).set_item(Some(item));
        let request = request
            .condition_expression(condition.expression)
            .set_expression_attribute_values(condition.values)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match self.send(op, request.send()).await? {
            Ok(answer) => {
                self.write_units(LABEL, answer.consumed_capacity());
                Ok(true)
            }
            Err(error) if is_condition_failed(&error) => Ok(false),
            Err(error) => Err(error).op(op).map_err(|error| self.with_remedy(error)),
        }
    }

    /// Deletes an item under a condition. Returns whether it held.
    pub(super) async fn delete_own(&self, key: Item, condition: Condition, op: Op) -> Result<bool> {
        let request = self.clients().await.work.delete_item().table_name(self.own_table()).set_key(Some(key));
        let request = request
            .condition_expression(condition.expression)
            .set_expression_attribute_values(condition.values)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match self.send(op, request.send()).await? {
            Ok(answer) => {
                self.write_units(LABEL, answer.consumed_capacity());
                Ok(true)
            }
            Err(error) if is_condition_failed(&error) => Ok(false),
            Err(error) => Err(error).op(op).map_err(|error| self.with_remedy(error)),
        }
    }

    /// Puts an item as a part of a transaction, whatever was there before or under a condition.
    pub(super) fn putting(&self, item: Item, condition: Option<Condition>, op: Op) -> Result<TransactWriteItem> {
        let mut put = Put::builder().table_name(self.own_table()).set_item(Some(item));
        if let Some(Condition { expression, values }) = condition {
            put = put.condition_expression(expression).set_expression_attribute_values(values);
        }
        let put = put.build().map_err(|error| refused(op, ErrorKind::Other, error.to_string()))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Writes all of `parts` or none: a transaction. Returns whether their conditions held and
    /// nobody else was at the same items. The SDK gives each a token, so that one whose answer was
    /// lost is not done twice.
    pub(super) async fn transact_own(&self, parts: Vec<TransactWriteItem>, op: Op) -> Result<bool> {
        let request = self.clients().await.work.transact_write_items().set_transact_items(Some(parts));
        let request = request.return_consumed_capacity(ReturnConsumedCapacity::Total);
        match self.send(op, request.send()).await? {
            Ok(answer) => {
                for consumed in answer.consumed_capacity() {
                    self.write_units(LABEL, Some(consumed));
                }
                Ok(true)
            }
            Err(error) => {
                let reasons = cancellation(&error);
                let is = |codes: &[&str]| reasons.iter().any(|reason| codes.contains(&reason.as_str()));
                if is(&["ConditionalCheckFailed", "TransactionConflict"]) {
                    return Ok(false);
                }
                let error = Err(error).op(op).map_err(|error| self.with_remedy(error));
                if is(&["ThrottlingError", "ProvisionedThroughputExceeded"]) {
                    return error.map_err(|error| Error { kind: ErrorKind::Throttled, ..error });
                }
                error
            }
        }
    }

    /// Says what to do, where that is known.
    pub(super) fn with_remedy(&self, error: Error) -> Error {
        if error.kind != ErrorKind::Schema {
            return error;
        }
        let table = self.own_table();
        let why = format!("the daemon's own table {table} is missing: run `actingweb-maintd schema apply`");
        Error { source: why.into(), ..error }
    }
}
