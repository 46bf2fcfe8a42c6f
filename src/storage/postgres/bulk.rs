//! Whole tables, along their primary keys and in batches.

use std::borrow::Cow;
use std::collections::BTreeMap;

use async_trait::async_trait;
use sqlx::postgres::PgRow;

use super::again::Again;
use super::error::refused;
use super::record::{self, Texts};
use super::rows::{beyond, bound, cannot_be, within_limits};
use super::sweep::{COUNTING, READING, count};
use super::transaction::Transaction;
use super::{Op, Place as Schema, Postgres, Statement};
use crate::model::layout::{postgresql_columns, postgresql_key};
use crate::model::{Record, Source, Table};
use crate::storage::{Bulk, ErrorKind, Place, Result, Segment, Stretch, Written};

/// The most that one statement writes: enough that its cost is that of the rows, and few enough
/// that it stays within the limits of an ordinary transaction.
const MOST_ROWS: usize = 2_000;
const MOST_BYTES: usize = 4 << 20;

/// A row to write: the texts of its columns.
type Texted<'a> = Cow<'a, [Option<String>]>;

#[async_trait]
impl Bulk for Postgres {
    /// Segments are ranges of ids, as most ids are random hexadecimal digits. The look-up table, which
    /// is by name and value, is all in the first one.
    async fn scan(&self, table: Table, segment: Segment, place: &Place, limit: u32) -> Result<Stretch> {
        const OP: Op = Op { name: "scan", phrase: "read a stretch of a table" };
        self.measured(OP, async {
            if table == Table::PropertyLookup && segment.index > 0 {
                return Ok(Stretch::default());
            }
            let limit = limit.max(1);
            let from = place.0.as_deref().map(|place| key_of(OP, table, place)).transpose()?;
            let (lower, upper) = match table {
                Table::PropertyLookup => (String::new(), None),
                _ => bounds_of(segment),
            };
            let schema = self.place().await?;
            let sql = schema.statements.bulk.of(table).page(from.is_some(), upper.is_some());
            let from = from.unwrap_or_else(|| vec![lower]);
            let query = || {
                let query = self.query(sql.clone()).bind(i64::from(limit));
                from.iter().chain(&upper).fold(query, |query, text| query.bind(text))
            };
            let mut tries = Again::Always.tries();
            let rows = loop {
                let tx = self.begin_within(READING, OP).await?;
                match self.page_within(tx, query()).await {
                    Err(error) if tries.another(&error) => {}
                    rows => break rows?,
                }
            };
            let records: Vec<Record> =
                rows.iter().map(|row| Ok(record::record(table, record::texts(row, OP)?))).collect::<Result<_>>()?;
            let last = records.last().filter(|_| records.len() >= limit as usize);
            let next = last.and_then(|last| match &last.source {
                Source::Postgresql(texts) => Some(Place(Some(place_after(table, texts)))),
                _ => None,
            });
            Ok(Stretch { records, next, read_units: 0.0 })
        })
        .await
    }

    async fn read_all(&self, table: Table, id: &str) -> Result<Vec<Record>> {
        const OP: Op = Op { name: "read_all", phrase: "read all rows of an actor" };
        self.measured(OP, async {
            if cannot_be(&[id]) {
                return Ok(Vec::new());
            }
            let schema = self.place().await?;
            let sql = &schema.statements.bulk.of(table).read_all;
            let rows = self.read_again(READING, OP, || bound(self.query(sql.clone()), &[id])).await?;
            rows.iter().map(|row| Ok(record::record(table, record::texts(row, OP)?))).collect()
        })
        .await
    }

    /// Of several rows with one key the last is written.
    async fn write(&self, records: &[Record]) -> Result<Written> {
        const OP: Op = Op { name: "write", phrase: "write rows" };
        self.measured(OP, async {
            let Some(table) = records.first().map(|record| record.table) else { return Ok(Written::default()) };
            let rows = rows_to_write(OP, table, records)?;
            let schema = self.place().await?;
            let mut tries = Again::Always.tries();
            loop {
                let tx = self.begin(OP).await?;
                match self.write_within(tx, &schema, table, &rows).await {
                    Err(error) if tries.another(&error) => {}
                    written => return written,
                }
            }
        })
        .await
    }

    async fn count(&self, table: Table) -> Result<u64> {
        const OP: Op = Op { name: "count", phrase: "count the rows of a table" };
        self.measured(OP, async {
            let schema = self.place().await?;
            let sql = &schema.statements.bulk.of(table).count;
            let rows = self.read_again(COUNTING, OP, || self.query(sql.clone())).await?;
            rows.first().map_or(Ok(0), |row| count(row, 0, OP))
        })
        .await
    }
}

impl Postgres {
    /// A walk along the index is the point, whatever the statistics say.
    pub(super) async fn page_within(&self, mut tx: Transaction, query: Statement<'_>) -> Result<Vec<PgRow>> {
        tx.execute(self.query(
            "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true), \
                 set_config('enable_sort', 'off', true)",
        ))
        .await?;
        let rows = tx.fetch_all(query).await?;
        tx.commit().await?;
        Ok(rows)
    }

    async fn write_within(
        &self,
        mut tx: Transaction,
        schema: &Schema,
        table: Table,
        rows: &[Texted<'_>],
    ) -> Result<Written> {
        let sql = &schema.statements.bulk.of(table).write;
        let mut written = Written::default();
        let mut rest = rows;
        while !rest.is_empty() {
            let (batch, others) = rest.split_at(batch_length(rest));
            rest = others;
            let mut query = self.query(sql.clone());
            for column in 0..postgresql_columns(table).len() {
                let texts: Vec<Option<&str>> =
                    batch.iter().map(|row| row.get(column).and_then(Option::as_deref)).collect();
                query = query.bind(texts);
            }
            written.records += tx.execute(query).await?;
        }
        tx.commit().await?;
        Ok(written)
    }
}

/// How many of these rows the next statement writes.
fn batch_length(rows: &[Texted<'_>]) -> usize {
    let mut bytes = 0;
    let fits = rows.iter().take(MOST_ROWS).take_while(|row| {
        bytes += row.iter().flatten().map(String::len).sum::<usize>();
        bytes <= MOST_BYTES
    });
    fits.count().max(1)
}

/// The texts of these records in the order of their keys, one for each key: a statement cannot write
/// a row twice, and whoever writes others of them at the same time must lock them in the same order.
fn rows_to_write<'a>(op: Op, table: Table, records: &'a [Record]) -> Result<Vec<Texted<'a>>> {
    let key = key_columns(table);
    let mut rows: BTreeMap<Vec<Option<String>>, Texted<'a>> = BTreeMap::new();
    for record in records {
        if record.table != table {
            let why = format!("rows of {table} and of {} at once", record.table);
            return Err(refused(op, ErrorKind::Other, why));
        }
        let texts = match (&record.source, &record.meaning) {
            (Source::Postgresql(texts), _) => Cow::Borrowed(texts.as_slice()),
            (_, Ok(row)) => {
                within_limits(op, row)?;
                Cow::Owned(record::write(row))
            }
            (_, Err(unreadable)) => return Err(beyond(op, unreadable.clone())),
        };
        rows.insert(key.iter().map(|column| texts.get(*column).cloned().flatten()).collect(), texts);
    }
    Ok(rows.into_values().collect())
}

/// Where the columns of the primary key are.
fn key_columns(table: Table) -> Vec<usize> {
    let columns = postgresql_columns(table);
    postgresql_key(table).iter().filter_map(|name| columns.iter().position(|column| column.name == *name)).collect()
}

/// The place behind a row: the texts of its key.
fn place_after(table: Table, texts: &Texts) -> String {
    let key: Vec<&str> = key_columns(table)
        .into_iter()
        .map(|column| texts.get(column).and_then(Option::as_deref).unwrap_or(""))
        .collect();
    serde_json::Value::from(key).to_string()
}

/// The key in a place.
fn key_of(op: Op, table: Table, place: &str) -> Result<Vec<String>> {
    let key: Option<Vec<String>> = serde_json::from_str(place).ok();
    key.filter(|key| key.len() == postgresql_key(table).len())
        .ok_or_else(|| refused(op, ErrorKind::Other, format!("the place is none in {table}")))
}

/// The ids of a segment: from a lower bound on, and to an upper one unless it is the last. Between
/// them lie evenly split prefixes of hexadecimal digits. Whatever the collation, digits come before
/// letters and both in their order, so that bounds of one length are in order, and each id is in
/// exactly one segment.
fn bounds_of(segment: Segment) -> (String, Option<String>) {
    let (index, of) = (u64::from(segment.index), u64::from(segment.of.max(1)));
    let bound = |index: u64| format!("{:08x}", (index << 32) / of);
    let lower = if index == 0 { String::new() } else { bound(index) };
    (lower, (index + 1 < of).then(|| bound(index + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_touch_each_other_and_are_open_at_both_ends() {
        for of in [1, 2, 3, 7, 16, 1000] {
            let bounds: Vec<_> = (0..of).map(|index| bounds_of(Segment { index, of })).collect();
            assert_eq!(bounds[0].0, "");
            assert_eq!(bounds[bounds.len() - 1].1, None);
            for pair in bounds.windows(2) {
                assert_eq!(pair[0].1.as_ref(), Some(&pair[1].0));
                assert!(pair[0].0 < pair[1].0);
            }
        }
        assert_eq!(bounds_of(Segment { index: 1, of: 4 }), ("40000000".to_owned(), Some("80000000".to_owned())));
    }

    #[test]
    fn batches_are_bounded_by_rows_and_by_bytes() {
        let row = |length: usize| Cow::Owned(vec![Some("x".repeat(length)), None]);
        assert_eq!(batch_length(&vec![row(1); MOST_ROWS + 5]), MOST_ROWS);
        assert_eq!(batch_length(&vec![row(MOST_BYTES / 2); 5]), 2);
        assert_eq!(batch_length(&[row(MOST_BYTES * 2), row(1)]), 1);
    }
}
