//! Several items that change together or not at all.

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{ConditionCheck, Delete, Put, ReturnConsumedCapacity, TransactWriteItem};

use uuid::Uuid;

use super::error::{Context, cancellation, is_throttled, refused};
use super::expression::{Condition, Expression, Key};
use super::record;
use super::rest::Rests;
use super::{DynamoDb, Op};
use crate::model::{Item, Table};
use crate::storage::{ErrorKind, Result};

/// How many items can change together.
pub(super) const MOST: usize = 100;

/// How large all of them together may be.
pub(super) const MOST_BYTES: usize = 4 * 1024 * 1024;

/// A part of a transaction.
#[derive(Clone)]
pub(super) enum Part {
    /// An item is put if the condition holds.
    Put(Table, Item, Condition),
    /// An item is deleted, if the condition holds where there is one.
    Delete(Key, Option<Condition>),
    /// Nothing is done if the condition does not hold.
    Check(Key, Condition),
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All of it was done.
    Done,
    /// The condition of this part does not hold, and nothing was done.
    Failed(usize),
}

impl DynamoDb {
    /// Does all parts, or none. The request has a token, so that it can be repeated when its answer
    /// was lost: what was done once is not done again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] when others changed the same items again and again.
    pub(super) async fn transact(&self, op: Op, parts: &[Part]) -> Result<Outcome> {
        Ok(self.transact_metered(op, parts).await?.0)
    }

    /// The same, and what it has cost.
    pub(super) async fn transact_metered(&self, op: Op, parts: &[Part]) -> Result<(Outcome, f64)> {
        let mut rests = Rests::default();
        let items = parts.iter().map(|part| self.part(part)).collect::<Result<Vec<_>, _>>();
        let items = items.map_err(|error| refused(op, ErrorKind::Other, error.to_string()))?;
        let mut token = Uuid::new_v4();
        loop {
            let request = self
                .clients()
                .await
                .work
                .transact_write_items()
                .client_request_token(token)
                .set_transact_items(Some(items.clone()))
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let error = match self.send(op, request.send()).await? {
                Ok(answer) => {
                    let units = self.units_of_tables("write", answer.consumed_capacity());
                    return Ok((Outcome::Done, units));
                }
                Err(error) => error,
            };
            let reasons = cancellation(&error);
            if let Some(failed) = reasons.iter().position(|reason| reason == "ConditionalCheckFailed") {
                return Ok((Outcome::Failed(failed), 0.0));
            }
            let is_busy = |reason: &String| {
                matches!(reason.as_str(), "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded")
            };
            let is_conflict =
                matches!(error.as_service_error(), Some(TransactWriteItemsError::TransactionInProgressException(_)));
            let again = reasons.iter().any(is_busy) || is_conflict || is_throttled(&error);
            if again && rests.take().await {
                // One that was cancelled has done nothing, so a new one may try the same.
                if !reasons.is_empty() {
                    token = Uuid::new_v4();
                }
                continue;
            }
            return match reasons.iter().find(|reason| *reason != "None") {
                Some(reason) => Err(cancelled(op, reason)),
                None => Err(error).op(op),
            };
        }
    }

    fn part(&self, part: &Part) -> Result<TransactWriteItem, aws_sdk_dynamodb::error::BuildError> {
        let mut expression = Expression::default();
        let builder = TransactWriteItem::builder();
        Ok(match part {
            Part::Put(table, item, condition) => {
                let condition = condition.say(*table, &mut expression);
                let (names, values) = expression.split();
                let put = Put::builder()
                    .table_name(self.table(*table))
                    .set_item(Some(record::to_sdk(item.clone())))
                    .condition_expression(condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values);
                builder.put(put.build()?).build()
            }
            Part::Delete(key, condition) => {
                let condition = condition.as_ref().map(|condition| condition.say(key.table(), &mut expression));
                let (names, values) = expression.split();
                let delete = Delete::builder()
                    .table_name(self.table(key.table()))
                    .set_key(Some(key.attributes()))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values);
                builder.delete(delete.build()?).build()
            }
            Part::Check(key, condition) => {
                let condition = condition.say(key.table(), &mut expression);
                let (names, values) = expression.split();
                let check = ConditionCheck::builder()
                    .table_name(self.table(key.table()))
                    .set_key(Some(key.attributes()))
                    .condition_expression(condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values);
                builder.condition_check(check.build()?).build()
            }
        })
    }
}

/// The error for a transaction that was cancelled for this reason.
fn cancelled(op: Op, reason: &str) -> crate::storage::Error {
    let (kind, why) = match reason {
        "TransactionConflict" => (ErrorKind::Conflict, "others changed the same items again and again"),
        "ThrottlingError" | "ProvisionedThroughputExceeded" => (ErrorKind::Throttled, "no capacity is left"),
        "ItemCollectionSizeLimitExceeded" => (ErrorKind::Limit, "the items of one key are too many"),
        _ => (ErrorKind::Other, "DynamoDB cancelled the transaction"),
    };
    refused(op, kind, format!("{why} ({reason})"))
}
