//! Thinning out the changes of subscriptions, along their primary key.

use std::time::Instant;

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::again::Again;
use super::error::Context;
use super::rows::cannot_be;
use super::sweep::READING;
use super::{Op, Postgres, Statement};
use crate::model::row::subid_seqnr;
use crate::model::wire::parse_pg_timestamp;
use crate::storage::{Batch, Cut, DiffOwners, DiffText, Fence, NumberedDiff, NumberedDiffs, Pruning, Result};

#[async_trait]
impl Pruning for Postgres {
    async fn diff_owners(&self, after: Option<&str>, limit: u32) -> Result<DiffOwners> {
        const OP: Op = Op { name: "diff_owners", phrase: "look for actors that have changes" };
        self.measured(OP, async {
            // Nobody has a name with a zero byte, nor is anybody's empty.
            let after = after.filter(|after| !cannot_be(&[after])).unwrap_or_default();
            let sql = &self.place().await?.statements.pruning.owners;
            let query = || self.query(sql.clone()).bind(after).bind(i64::from(limit.max(1)));
            let rows = self.along_the_key(OP, query).await?;
            let ids: Vec<String> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().op(OP)?;
            let next = ids.last().filter(|_| ids.len() >= limit.max(1) as usize).cloned();
            Ok(DiffOwners { ids, next, read_units: 0.0 })
        })
        .await
    }

    async fn diff_numbers(&self, id: &str, after: Option<&str>, limit: u32) -> Result<NumberedDiffs> {
        const OP: Op = Op { name: "diff_numbers", phrase: "read the numbers of changes" };
        self.measured(OP, async {
            if cannot_be(&[id]) {
                return Ok(NumberedDiffs::default());
            }
            let sql = &self.place().await?.statements.pruning.numbers;
            let after = after.unwrap_or_default();
            let query = || self.query(sql.clone()).bind(id).bind(after).bind(i64::from(limit.max(1)));
            let rows = self.along_the_key(OP, query).await?;
            let last = rows.last().filter(|_| rows.len() >= limit.max(1) as usize);
            let next = last.map(|row| row.try_get(3)).transpose().op(OP)?;
            let diffs = rows.iter().map(numbered).collect::<Result<_, _>>().op(OP)?;
            Ok(NumberedDiffs { diffs, next, read_units: 0.0 })
        })
        .await
    }

    async fn diff_texts(&self, id: &str, subid: &str, numbers: &[i64]) -> Result<Vec<DiffText>> {
        const OP: Op = Op { name: "diff_texts", phrase: "read changes" };
        self.measured(OP, async {
            if cannot_be(&[id, subid]) {
                return Ok(Vec::new());
            }
            let sql = &self.place().await?.statements.pruning.texts;
            let keys = keys(subid, numbers);
            let rows = self.along_the_key(OP, || self.query(sql.clone()).bind(id).bind(&keys).bind(subid)).await?;
            let read = |row: &PgRow| {
                Ok(DiffText { seqnr: row.try_get(0)?, timestamp: row.try_get(1)?, diff: row.try_get(2)? })
            };
            rows.iter().map(read).collect::<Result<_, _>>().op(OP)
        })
        .await
    }

    async fn prune_diffs(&self, cut: &Cut, fence: &Fence) -> Result<Batch> {
        const OP: Op = Op { name: "prune_diffs", phrase: "delete changes" };
        self.measured(OP, async {
            let statements = &self.place().await?.statements.pruning;
            let sql = if cut.is_orphaned { &statements.prune_orphans } else { &statements.prune };
            let (keys, last) = (keys(&cut.subid, &cut.numbers), cut.numbers.last().copied().unwrap_or_default());
            let mut tx = self.begin(OP).await?;
            let begun = Instant::now();
            self.fence(&mut tx, fence, OP).await?;
            // Each row is found by its key, whatever the statistics say.
            tx.execute(self.query("SELECT set_config('enable_seqscan', 'off', true)")).await?;
            let query = self.query(sql.clone()).bind(&cut.id).bind(&keys).bind(&cut.subid).bind(last);
            let deleted = tx.execute(query).await?;
            let counts = (deleted, (keys.len() as u64).saturating_sub(deleted));
            let waiters = self.add_counts(&mut tx, fence, counts, OP).await?;
            tx.commit().await?;
            Ok(Batch { deleted, waiters, elapsed: begun.elapsed(), write_units: 0.0 })
        })
        .await
    }
}

impl Postgres {
    /// Rows along the primary key, whatever the statistics say.
    async fn along_the_key<'q>(&self, op: Op, query: impl Fn() -> Statement<'q> + Send) -> Result<Vec<PgRow>> {
        let mut tries = Again::Always.tries();
        loop {
            let tx = self.begin_within(READING, op).await?;
            match self.page_within(tx, query()).await {
                Err(error) if tries.another(&error) => {}
                rows => return rows,
            }
        }
    }
}

/// The keys of changes.
fn keys(subid: &str, numbers: &[i64]) -> Vec<String> {
    numbers.iter().map(|seqnr| subid_seqnr(subid, *seqnr)).collect()
}

fn numbered(row: &PgRow) -> Result<NumberedDiff, sqlx::Error> {
    let (subid, seqnr): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
    let (timestamp, key): (Option<String>, String) = (row.try_get(2)?, row.try_get(3)?);
    let is_under_its_key = key == subid_seqnr(&subid, seqnr);
    let timestamp = timestamp.as_deref().and_then(parse_pg_timestamp);
    Ok(NumberedDiff { subid, seqnr, timestamp, is_under_its_key })
}
