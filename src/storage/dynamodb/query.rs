//! Reading the items of one hash key, page by page.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue as Sdk, ReturnConsumedCapacity};

use super::error::{Context, is_missing_index, refused};
use super::expression::{Expression, Key};
use super::record::Stored;
use super::requests::{from_sdk, unreadable};
use super::{DynamoDb, Op};
use crate::model::limits::{MAX_HASH_KEY, MAX_RANGE_KEY};
use crate::model::{Item, Table, layout};
use crate::storage::{ErrorKind, Result};

/// Which items of a hash key, by their range key.
#[derive(Clone, Copy)]
pub(super) enum Range<'a> {
    /// All.
    All,
    /// Those that begin so.
    Prefix(&'a str),
    /// Those before this, exclusively.
    Before(&'a str),
    /// Those from this on, inclusively.
    From(&'a str),
    /// Those up to this, inclusively.
    To(&'a str),
    /// Those from the first to the second, both included.
    Between(&'a str, &'a str),
}

/// A page of items, and where the next one begins.
type PageOf = (Vec<Item>, Option<HashMap<String, Sdk>>);

impl DynamoDb {
    /// All items of a table with this hash key, read consistently and in the order of the bytes of
    /// their range keys. No request is made where no item can be.
    pub(super) async fn items(&self, op: Op, table: Table, hash: &str, range: Range<'_>) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let (page, next) = self.page(op, table, hash, range, true, start).await?;
            items.extend(page);
            start = next;
            if start.is_none() {
                return Ok(items);
            }
        }
    }

    /// The same as rows.
    pub(super) async fn rows<R: Stored>(&self, op: Op, hash: &str, range: Range<'_>) -> Result<Vec<R>> {
        let items = self.items(op, R::TABLE, hash, range).await?;
        items.iter().map(|item| R::from_item(item).map_err(|why| unreadable(op, why))).collect()
    }

    /// Deletes the items of a table with this hash key for which `wanted` holds; returns how many
    /// there were.
    pub(super) async fn delete_items(
        &self,
        op: Op,
        table: Table,
        hash: &str,
        range: Range<'_>,
        wanted: impl Fn(&Item) -> bool + Send,
    ) -> Result<u64> {
        let items = self.items(op, table, hash, range).await?;
        let keys: Vec<_> = items.iter().filter(|item| wanted(item)).filter_map(|item| Key::of(table, item)).collect();
        let count = keys.len() as u64;
        self.delete_all(op, keys).await?;
        Ok(count)
    }

    /// The last item of a table with this hash key for which `wanted` holds.
    pub(super) async fn last_item(
        &self,
        op: Op,
        table: Table,
        hash: &str,
        range: Range<'_>,
        wanted: impl Fn(&Item) -> bool + Send,
    ) -> Result<Option<Item>> {
        let mut start = None;
        loop {
            let (page, next) = self.page(op, table, hash, range, false, start).await?;
            let found = page.into_iter().find(|item| wanted(item));
            if found.is_some() || next.is_none() {
                return Ok(found);
            }
            start = next;
        }
    }

    /// The rows that the index of their table has under a value. It lags behind a little, so they
    /// are read again, consistently, and whoever asks must look whether they still have the value.
    pub(super) async fn rows_by_index<R: Stored>(
        &self,
        op: Op,
        value: &str,
        filter: Option<(&'static str, &str)>,
    ) -> Result<Vec<R>> {
        let table = R::TABLE;
        let found = self.indexed_items(op, table, value, filter).await?;
        let found = found.ok_or_else(|| {
            let index = layout::dynamodb_index(table, true).map_or("", |index| index.name);
            refused(op, ErrorKind::Schema, format!("the table {} has no index `{index}`", self.table(table)))
        })?;
        let keys: Vec<_> = found.iter().filter_map(|item| Key::of(table, item)).collect();
        let items = self.get_all(op, table, keys).await?;
        items.iter().map(|item| R::from_item(item).map_err(|why| unreadable(op, why))).collect()
    }

    /// What the index of a table has under a value, perhaps late. None when there is no index.
    pub(super) async fn indexed_items(
        &self,
        op: Op,
        table: Table,
        value: &str,
        filter: Option<(&'static str, &str)>,
    ) -> Result<Option<Vec<Item>>> {
        let Some(index) = layout::dynamodb_index(table, true) else { return Ok(None) };
        if value.is_empty() || value.len() > MAX_HASH_KEY {
            return Ok(Some(Vec::new()));
        }
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let mut expression = Expression::default();
            let key = format!("{} = {}", expression.name(index.attribute), expression.text(value));
            let filter = filter.map(|(name, text)| format!("{} = {}", expression.name(name), expression.text(text)));
            let request = self.query(table, key, expression).await.index_name(index.name);
            let request = request.set_filter_expression(filter).set_exclusive_start_key(start);
            let answer = match self.send(op, request.send()).await? {
                Err(error) if is_missing_index(&error) => return Ok(None),
                answer => answer.op(op)?,
            };
            self.read_units(table.name(), answer.consumed_capacity());
            for item in answer.items.unwrap_or_default() {
                items.push(from_sdk(op, table, item)?);
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(Some(items));
            }
        }
    }

    /// One page. Backwards it has one item only.
    async fn page(
        &self,
        op: Op,
        table: Table,
        hash: &str,
        range: Range<'_>,
        forward: bool,
        start: Option<HashMap<String, Sdk>>,
    ) -> Result<PageOf> {
        let (hash_name, range_name) = layout::dynamodb_key(table);
        let mut expression = Expression::default();
        let mut key = format!("{} = {}", expression.name(hash_name), expression.text(hash));
        let part = range_name.map_or(Some(String::new()), |name| range.say(name, &mut expression));
        let Some(part) = part.filter(|_| !hash.is_empty() && hash.len() <= MAX_HASH_KEY) else {
            return Ok((Vec::new(), None));
        };
        key.push_str(&part);
        let request = self
            .query(table, key, expression)
            .await
            .consistent_read(true)
            .scan_index_forward(forward)
            .set_limit((!forward).then_some(1))
            .set_exclusive_start_key(start);
        let answer = self.send(op, request.send()).await?.op(op)?;
        self.read_units(table.name(), answer.consumed_capacity());
        let items = answer.items.unwrap_or_default().into_iter().map(|item| from_sdk(op, table, item));
        Ok((items.collect::<Result<_>>()?, answer.last_evaluated_key))
    }

    async fn query(&self, table: Table, key: String, expression: Expression) -> QueryFluentBuilder {
        let (names, values) = expression.split();
        self.clients()
            .await
            .work
            .query()
            .table_name(self.table(table))
            .key_condition_expression(key)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
    }
}

impl Range<'_> {
    /// The range in words, to follow the hash key; none when no item can be in it.
    fn say(self, name: &str, expression: &mut Expression) -> Option<String> {
        // DynamoDB refuses bounds that no key can have, and bounds that are the wrong way round.
        let is_key = |text: &str| !text.is_empty() && text.len() <= MAX_RANGE_KEY;
        let name = match self {
            Self::All => return Some(String::new()),
            Self::Prefix(text) | Self::Before(text) | Self::From(text) | Self::To(text) if !is_key(text) => {
                return None;
            }
            Self::Between(lower, upper) if !is_key(lower) || !is_key(upper) || lower > upper => return None,
            _ => expression.name(name),
        };
        Some(match self {
            Self::All => String::new(),
            Self::Prefix(prefix) => format!(" AND begins_with({name}, {})", expression.text(prefix)),
            Self::Before(text) => format!(" AND {name} < {}", expression.text(text)),
            Self::From(text) => format!(" AND {name} >= {}", expression.text(text)),
            Self::To(text) => format!(" AND {name} <= {}", expression.text(text)),
            Self::Between(lower, upper) => {
                format!(" AND {name} BETWEEN {} AND {}", expression.text(lower), expression.text(upper))
            }
        })
    }
}
