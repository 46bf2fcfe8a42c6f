//! What checks ask.

use std::collections::HashMap;
use std::time::Instant;

use async_trait::async_trait;
use sqlx::Row as _;

use super::again::Again;
use super::error::{Context, refused};
use super::properties::{SHORT, TOO_LONG};
use super::record;
use super::rows::{bound, cannot_be};
use super::sweep::READING;
use super::transaction::Transaction;
use super::{Op, Place, Postgres};
use crate::model::layout::postgresql_key;
use crate::model::row::Property;
use crate::model::{Indexing, Record, Table};
use crate::storage::{Added, Audit, Batch, Entry, ErrorKind, Fence, Found, Result, Stretch};

const ADD: Op = Op { name: "add_entries", phrase: "make missing look-up entries" };

#[async_trait]
impl Audit for Postgres {
    async fn rows_by_key(&self, table: Table, keys: &[Vec<String>]) -> Result<Found> {
        const OP: Op = Op { name: "rows_by_key", phrase: "read rows by their keys" };
        self.measured(OP, async {
            let parts = postgresql_key(table).len();
            if keys.iter().any(|key| key.len() != parts) {
                return Err(refused(OP, ErrorKind::Other, format!("a key of {table} has {parts} parts")));
            }
            let can_be: Vec<&Vec<String>> =
                keys.iter().filter(|key| !key.iter().any(|part| cannot_be(&[part]))).collect();
            if can_be.is_empty() {
                return Ok(Found { records: vec![None; keys.len()], read_units: 0.0 });
            }
            let columns = (0..parts).map(|part| can_be.iter().map(|key| key[part].as_str()).collect::<Vec<_>>());
            let columns: Vec<Vec<&str>> = columns.collect();
            let place = self.place().await?;
            let mut tries = Again::Always.tries();
            let rows = loop {
                let sql = place.statements.audit.of(table).by_key.clone();
                let query = columns.iter().fold(self.query(sql), |query, texts| query.bind(texts));
                let tx = self.begin_within(READING, OP).await?;
                match self.by_key_within(tx, query).await {
                    Err(error) if tries.another(&error) => {}
                    rows => break rows?,
                }
            };
            let mut found: HashMap<Vec<String>, Record> = HashMap::new();
            for row in &rows {
                let record = record::record(table, record::texts(row, OP)?);
                if let Some(key) = record.key() {
                    found.insert(key, record);
                }
            }
            // A key may be asked for twice.
            Ok(Found { records: keys.iter().map(|key| found.get(key).cloned()).collect(), read_units: 0.0 })
        })
        .await
    }

    async fn orphans(&self, table: Table, id: &str, _keys: &[Vec<String>]) -> Result<Stretch> {
        const OP: Op = Op { name: "orphans", phrase: "look whether rows are without their actor" };
        self.measured(OP, async {
            if cannot_be(&[id]) {
                return Ok(Stretch::default());
            }
            let place = self.place().await?;
            let sql = &place.statements.audit.of(table).orphans;
            let rows = self.read_again(READING, OP, || bound(self.query(sql.clone()), &[id])).await?;
            let records = rows.iter().map(|row| Ok(record::record(table, record::texts(row, OP)?)));
            Ok(Stretch { records: records.collect::<Result<_>>()?, ..Stretch::default() })
        })
        .await
    }

    async fn looked_up(&self) -> Result<Option<Indexing>> {
        const OP: Op = Op { name: "schema", phrase: "look for the look-up table" };
        self.measured(OP, async {
            let is_used = self.indexing.by_table && !self.indexing.names.is_empty();
            let is_there = is_used && self.has_lookup(OP, &*self.place().await?).await?;
            Ok(is_there.then(|| self.indexing.clone()))
        })
        .await
    }

    async fn add_entries(&self, properties: &[Property], fence: &Fence) -> Result<Added> {
        self.measured(ADD, async {
            let place = self.place().await?;
            let mut tx = self.begin(ADD).await?;
            let begun = Instant::now();
            self.fence(&mut tx, fence, ADD).await?;
            // In the order of the entries, so that of two who make them none waits for the other in a
            // circle.
            let mut order: Vec<usize> = (0..properties.len()).collect();
            order.sort_by_key(|index| (&properties[*index].name, &properties[*index].value));
            let mut entries = vec![Entry::Changed; properties.len()];
            for index in order {
                entries[index] = self.add_entry(&mut tx, &place, &properties[index]).await?;
            }
            let passed_over = entries.iter().filter(|entry| **entry == Entry::Changed).count() as u64;
            let waiters = self.add_counts(&mut tx, fence, (0, passed_over), ADD).await?;
            tx.commit().await?;
            Ok(Added { entries, batch: Batch { deleted: 0, waiters, elapsed: begun.elapsed(), write_units: 0.0 } })
        })
        .await
    }
}

impl Postgres {
    /// Each key is looked up in the index, whatever the statistics say.
    async fn by_key_within(
        &self,
        mut tx: Transaction,
        query: super::Statement<'_>,
    ) -> Result<Vec<sqlx::postgres::PgRow>> {
        tx.execute(self.query(
            "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_mergejoin', 'off', true), \
                 set_config('enable_hashjoin', 'off', true)",
        ))
        .await?;
        let rows = tx.fetch_all(query).await?;
        tx.let_go();
        Ok(rows)
    }

    async fn add_entry(&self, tx: &mut Transaction, place: &Place, property: &Property) -> Result<Entry> {
        let Property { id, name, value } = property;
        if cannot_be(&[id, name, value]) {
            return Ok(Entry::Changed);
        }
        let query = bound(self.query(place.statements.audit.add_entry.clone()), &[id, name, value]);
        // Being able to undo it alone takes two round trips.
        let rows = if name.len() + value.len() > SHORT {
            tx.attempt(query, TOO_LONG).await?.ok()
        } else {
            Some(tx.fetch_all(query).await?)
        };
        let Some(rows) = rows else { return Ok(Entry::TooLong) };
        let Some(row) = rows.first() else { return Ok(Entry::Changed) };
        let shown = |column: usize| row.try_get::<bool, _>(column).op(ADD);
        Ok(match (shown(0)?, shown(1)?, shown(2)?) {
            (_, false, _) => Entry::Changed,
            (false, true, _) => Entry::NoActor,
            (true, true, true) => Entry::Made,
            (true, true, false) => Entry::Taken,
        })
    }
}
