//! Deleting single rows, each only as it was read.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use async_trait::async_trait;
use sqlx::Row as _;

use super::error::{Context, refused};
use super::record::{self, Texts};
use super::transaction::Transaction;
use super::{Op, Place, Postgres};
use crate::model::layout::{postgresql_columns, postgresql_key};
use crate::model::{Source, Table};
use crate::storage::{Batch, ErrorKind, Fence, Guard, Removal, Removals, Removed, Result};

const OP: Op = Op { name: "remove", phrase: "delete rows" };

/// Rows of one table that may go, by their place among the removals: where they are in the table.
type Locked = BTreeMap<usize, String>;

#[async_trait]
impl Removals for Postgres {
    async fn remove(&self, removals: &[Removal], fence: &Fence) -> Result<Removed> {
        self.measured(OP, async {
            let place = self.place().await?;
            let tables = by_table(removals)?;
            let mut tx = self.begin(OP).await?;
            let begun = Instant::now();
            self.fence(&mut tx, fence, OP).await?;
            // The walk is along keys, whatever the statistics say.
            tx.execute(self.query("SELECT set_config('enable_seqscan', 'off', true)")).await?;
            let mut rows = vec![false; removals.len()];
            // An actor takes its look-up entries along, so it goes last.
            for (table, of_table) in tables.into_iter().rev() {
                let mut locked = self.lock(&mut tx, &place, table, &of_table).await?;
                // After the rows are locked, so that what has changed meanwhile shows.
                self.judge(&mut tx, &place, removals, &mut locked).await?;
                let places: Vec<&str> = locked.values().map(String::as_str).collect();
                if !places.is_empty() {
                    let delete = place.statements.removals.of(table).delete.clone();
                    tx.execute(self.query(delete).bind(&places)).await?;
                }
                for index in locked.into_keys() {
                    rows[index] = true;
                }
            }
            let deleted = rows.iter().filter(|deleted| **deleted).count() as u64;
            let counts = (deleted, rows.len() as u64 - deleted);
            let waiters = self.add_counts(&mut tx, fence, counts, OP).await?;
            tx.commit().await?;
            let batch = Batch { deleted, waiters, elapsed: begun.elapsed(), write_units: 0.0 };
            Ok(Removed { rows, batch })
        })
        .await
    }
}

impl Postgres {
    /// Locks those of the rows that are still as they were read.
    async fn lock(
        &self,
        tx: &mut Transaction,
        place: &Place,
        table: Table,
        removals: &[(usize, &Texts)],
    ) -> Result<Locked> {
        // The primary key is the first columns of every table but the look-up's, which has it there too.
        let keys = (0..postgresql_key(table).len())
            .map(|column| removals.iter().map(|(_, texts)| texts[column].as_deref()).collect::<Vec<_>>());
        let keys: Vec<_> = keys.collect();
        let query = keys
            .iter()
            .fold(self.query(place.statements.removals.of(table).lock.clone()), |query, texts| query.bind(texts));
        let mut seen: HashMap<Texts, String> = HashMap::new();
        for row in tx.fetch_all(query).await? {
            let mut texts = record::texts(&row, OP)?;
            let at = texts.pop().flatten().unwrap_or_default();
            seen.insert(texts, at);
        }
        // Taken out, so that a row that is named twice goes once.
        Ok(removals.iter().filter_map(|(index, texts)| Some((*index, seen.remove(*texts)?))).collect())
    }

    /// Leaves only rows whose guards hold.
    async fn judge(
        &self,
        tx: &mut Transaction,
        place: &Place,
        removals: &[Removal],
        locked: &mut Locked,
    ) -> Result<()> {
        let mut absent: BTreeMap<Table, Vec<(usize, &Vec<String>)>> = BTreeMap::new();
        let mut equal = Vec::new();
        for index in locked.keys() {
            match &removals[*index].guard {
                None => {}
                Some(Guard::Absent { table, key }) => absent.entry(*table).or_default().push((*index, key)),
                Some(Guard::Property { id, name, value }) => equal.push((*index, id, name, value)),
            }
        }
        for (table, guards) in absent {
            let columns = (0..postgresql_key(table).len())
                .map(|column| guards.iter().map(|(_, key)| key.get(column)).collect::<Vec<_>>());
            let columns: Vec<_> = columns.collect();
            let query = self.query(place.statements.removals.of(table).present.clone());
            let query = columns.iter().fold(query, |query, texts| query.bind(texts));
            for row in tx.fetch_all(query).await? {
                locked.remove(&guards[ordinal(&row)?].0);
            }
        }
        if !equal.is_empty() {
            let ids: Vec<&String> = equal.iter().map(|(_, id, ..)| *id).collect();
            let names: Vec<&String> = equal.iter().map(|(_, _, name, _)| *name).collect();
            let values: Vec<&String> = equal.iter().map(|(.., value)| *value).collect();
            let query = self.query(place.statements.removals.property.clone()).bind(ids).bind(names).bind(values);
            let mut holds = vec![false; equal.len()];
            for row in tx.fetch_all(query).await? {
                holds[ordinal(&row)?] = true;
            }
            for ((index, ..), _) in equal.iter().zip(&holds).filter(|(_, holds)| !**holds) {
                locked.remove(index);
            }
        }
        Ok(())
    }
}

/// The place in an array that a row is about.
fn ordinal(row: &sqlx::postgres::PgRow) -> Result<usize> {
    let ordinal: i64 = row.try_get(0).op(OP)?;
    Ok(usize::try_from(ordinal - 1).unwrap_or_default())
}

/// The removals by table, each with its place among all. In the order of the tables, so that of two
/// who do so none waits for the other in a circle.
fn by_table(removals: &[Removal]) -> Result<BTreeMap<Table, Vec<(usize, &Texts)>>> {
    let mut tables: BTreeMap<Table, Vec<(usize, &Texts)>> = BTreeMap::new();
    for (index, removal) in removals.iter().enumerate() {
        let table = removal.record.table;
        match &removal.record.source {
            Source::Postgresql(texts) if texts.len() == postgresql_columns(table).len() => {
                tables.entry(table).or_default().push((index, texts));
            }
            _ => return Err(refused(OP, ErrorKind::Other, "a row of another backend cannot be deleted here")),
        }
    }
    Ok(tables)
}
