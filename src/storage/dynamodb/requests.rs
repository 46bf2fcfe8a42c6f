//! Requests for single items of the application's tables. Every request of this room's tables goes
//! through [`DynamoDb::send`].
//!
//! The answer to a write can be lost after the write has happened, and the SDK then repeats it.
//! That does no harm where only the state counts in the end. Where the answer says who was first,
//! a repeated request would find its own work and take it for somebody else's, and comparing what
//! it finds with what it wrote is no proof either: two who write the same would both have been
//! first. So a conditional write is repeated only after an answer that says that it was turned
//! away; when there is no answer, the error says so, and whoever asked knows that it does not know.

use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, ReturnValue};
use futures_util::future::BoxFuture;

use super::error::{Context, is_condition_failed, is_throttled, refused};
use super::expression::{Change, Condition, Expression, Key};
use super::record::{self, Stored};
use super::rest::Rests;
use super::{DynamoDb, Op};
use crate::fault;
use crate::model::{BackendKind, Item, Row, Table, Unreadable, limits};
use crate::storage::{Error, ErrorKind, Result};

/// What a request says of the SDK's repetitions: there are none.
fn once() -> Builder {
    Builder::default().retry_config(RetryConfig::disabled())
}

impl DynamoDb {
    /// Sends a request. The outer error is a test's, the inner one the SDK's. The SDK's futures are
    /// large, so each goes to the heap at once: on the stacks of those who wait for it they add up.
    pub(super) fn send<'a, T, E>(
        &self,
        op: Op,
        request: impl Future<Output = Result<T, SdkError<E>>> + Send + 'a,
    ) -> BoxFuture<'a, Result<Result<T, SdkError<E>>>>
    where
        T: Send + 'a,
        E: Send + 'a,
    {
        Box::pin(async move {
            fault_at(op, "before").await?;
            let answer = request.await;
            fault_at(op, "after").await?;
            Ok(answer)
        })
    }

    /// Sends a request that the SDK does not repeat, and repeats it as long as it is turned away
    /// for want of capacity.
    async fn send_once<T, E, F>(&self, op: Op, request: impl Fn() -> F + Send) -> Result<Result<T, SdkError<E>>>
    where
        T: Send,
        E: ProvideErrorMetadata + std::error::Error + Send + 'static,
        F: Future<Output = Result<T, SdkError<E>>> + Send,
    {
        let mut rests = Rests::default();
        loop {
            let answer = self.send(op, request()).await?;
            let again = answer.as_ref().is_err_and(is_throttled);
            if !again || !rests.take().await {
                return Ok(answer);
            }
        }
    }

    /// The item under a key, read consistently.
    pub(super) async fn get(&self, op: Op, key: &Key) -> Result<Option<Item>> {
        let table = key.table();
        let request = self
            .clients()
            .await
            .work
            .get_item()
            .table_name(self.table(table))
            .set_key(Some(key.attributes()))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = self.send(op, request.send()).await?.op(op)?;
        self.read_units(table.name(), answer.consumed_capacity());
        answer.item.map(|item| from_sdk(op, table, item)).transpose()
    }

    /// The row under a key, read consistently. Nothing is under no key.
    pub(super) async fn read<R: Stored>(&self, op: Op, key: Option<Key>) -> Result<Option<R>> {
        let Some(key) = key else { return Ok(None) };
        let item = self.get(op, &key).await?;
        item.map(|item| R::from_item(&item).map_err(|why| unreadable(op, why))).transpose()
    }

    /// Puts an item, whatever was there.
    pub(super) async fn put(&self, op: Op, table: Table, item: Item) -> Result<()> {
        let item = self.within_limits(op, table, item)?;
        let request = self
            .clients()
            .await
            .work
            .put_item()
            .table_name(self.table(table))
            .set_item(Some(record::to_sdk(item)))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = self.send(op, request.send()).await?.op(op)?;
        self.write_units(table.name(), answer.consumed_capacity());
        Ok(())
    }

    /// Puts a row unless there is one with its key (false).
    pub(super) async fn create<R: Stored>(&self, op: Op, row: &R) -> Result<bool> {
        let table = R::TABLE;
        let item = self.within_limits(op, table, row.item())?;
        R::from_item(&item).map_err(|why| refused(op, ErrorKind::Limit, why.to_string()))?;
        let mut expression = Expression::default();
        let condition = Condition::Absent.say(table, &mut expression);
        let (names, values) = expression.split();
        let request = self
            .clients()
            .await
            .work
            .put_item()
            .table_name(self.table(table))
            .set_item(Some(record::to_sdk(item)))
            .condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match self.send_once(op, || request.clone().customize().config_override(once()).send()).await? {
            Ok(answer) => {
                self.write_units(table.name(), answer.consumed_capacity());
                Ok(true)
            }
            Err(error) if is_condition_failed(&error) => Ok(false),
            Err(error) => Err(error).op(op),
        }
    }

    /// Changes an item for which `condition` holds (else false). It says the same however often it
    /// is repeated, so the SDK may.
    pub(super) async fn modify(&self, op: Op, key: Option<Key>, change: Change, condition: Condition) -> Result<bool> {
        let Some(key) = key else { return Ok(false) };
        self.update(op, &key, change, condition, true).await
    }

    /// Changes an item for which `condition` holds (else false); of several who do so at once on the
    /// same condition one has true.
    pub(super) async fn swap(&self, op: Op, key: &Key, change: Change, condition: Condition) -> Result<bool> {
        self.update(op, key, change, condition, false).await
    }

    async fn update(&self, op: Op, key: &Key, change: Change, condition: Condition, repeat: bool) -> Result<bool> {
        let table = key.table();
        if change.is_empty() {
            return Ok(self.get(op, key).await?.is_some_and(|item| condition.holds_for(&item)));
        }
        let mut known = key.item();
        known.extend(change.set.clone());
        self.within_limits(op, table, known)?;
        let mut expression = Expression::default();
        let condition = condition.say(table, &mut expression);
        let change = change.say(&mut expression);
        let (names, values) = expression.split();
        let request = self
            .clients()
            .await
            .work
            .update_item()
            .table_name(self.table(table))
            .set_key(Some(key.attributes()))
            .update_expression(change)
            .condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = if repeat {
            self.send(op, request.send()).await?
        } else {
            self.send_once(op, || request.clone().customize().config_override(once()).send()).await?
        };
        match answer {
            Ok(answer) => {
                self.write_units(table.name(), answer.consumed_capacity());
                Ok(true)
            }
            Err(error) if is_condition_failed(&error) => Ok(false),
            Err(error) => Err(error).op(op),
        }
    }

    /// Deletes an item for which `condition` holds (else false); true for one of several who do so at
    /// once.
    pub(super) async fn delete(&self, op: Op, key: Option<Key>, condition: Condition) -> Result<bool> {
        let Some(key) = key else { return Ok(false) };
        Ok(self.delete_metered(op, &key, &condition).await?.0)
    }

    /// The same, and what it has cost.
    pub(super) async fn delete_metered(&self, op: Op, key: &Key, condition: &Condition) -> Result<(bool, f64)> {
        let table = key.table();
        let mut expression = Expression::default();
        let condition = condition.say(table, &mut expression);
        let (names, values) = expression.split();
        let request = self
            .clients()
            .await
            .work
            .delete_item()
            .table_name(self.table(table))
            .set_key(Some(key.attributes()))
            .condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values(ReturnValue::None)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match self.send_once(op, || request.clone().customize().config_override(once()).send()).await? {
            Ok(answer) => Ok((true, self.write_units(table.name(), answer.consumed_capacity()))),
            Err(error) if is_condition_failed(&error) => Ok((false, 0.0)),
            Err(error) => Err(error).op(op),
        }
    }

    /// The item, if DynamoDB can hold it.
    pub(super) fn within_limits(&self, op: Op, table: Table, item: Item) -> Result<Item> {
        match limits::for_item(table, &item, !self.indexing.by_table) {
            Ok(()) => Ok(item),
            Err(violation) => Err(refused(op, ErrorKind::Limit, violation.to_string())),
        }
    }
}

/// Refuses a row that could not be read back.
pub(super) fn readable(op: Op, row: &Row) -> Result<()> {
    limits::for_python(row).map_err(|violation| refused(op, ErrorKind::Limit, violation.to_string()))
}

/// An item in our words.
pub(super) fn from_sdk(
    op: Op,
    table: Table,
    item: std::collections::HashMap<String, aws_sdk_dynamodb::types::AttributeValue>,
) -> Result<Item> {
    record::from_sdk(item).ok_or_else(|| {
        let why = format!("{table}: an item has an attribute of a type that this build does not know");
        refused(op, ErrorKind::Other, why)
    })
}

/// The error for a row that the library could not read either.
pub(super) fn unreadable(op: Op, why: Unreadable) -> Error {
    Error { source: why.into(), ..refused(op, ErrorKind::Other, "") }
}

/// A point at which tests let a request fail.
async fn fault_at(op: Op, when: &str) -> Result<()> {
    fault::at(|| format!("{}.{}.{when}", BackendKind::Dynamodb, op.name))
        .await
        .map_err(|injected| Error { source: injected.into(), ..refused(op, ErrorKind::Unavailable, "") })
}
