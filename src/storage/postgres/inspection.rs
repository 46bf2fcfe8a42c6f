//! Reading whole tables and indexes to see how they are: what the catalogue does not tell.

use std::time::Instant;

use sqlx::Row;
use sqlx::postgres::PgRow;

use super::catalog::IndexFacts;
use super::error::Context;
use super::snapshot::READS_RANGES;
use super::statements::{Bounds, inspection as sql, parts};
use super::transaction::Transaction;
use super::{Op, Postgres};
use crate::model::Table;
use crate::storage::Result;
use crate::work::{Progress, Stop};

const OP: Op = Op { name: "inspect", phrase: "look into tables and indexes" };

/// The most that one statement may take: it reads one index, or a piece of a table.
const PATIENCE: u64 = 2 * 60 * 60 * 1000;

/// A table is read in pieces of so many pages, with rests between them that are as long as the readings.
const PIECE: u64 = 8192;

/// `data_corrupted` and `index_corrupted`, `io_error` and `undefined_file`.
const CORRUPTED: &[&str] = &["XX001", "XX002", "58030", "58P01"];

/// The schemas of the extensions that look into indexes; none where they are not, or not for us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// `pgstattuple`
    pub density: Option<String>,
    /// `amcheck`
    pub content: Option<String>,
}

/// How full an index is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Density {
    /// Its bytes.
    pub bytes: u64,
    /// Pages between the root and the leaves.
    pub inner_pages: u64,
    /// Pages with entries.
    pub leaf_pages: u64,
    /// How full these are, in hundredths.
    pub filled: f64,
}

/// What came of reading an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexRead<T> {
    /// This was seen.
    Done(T),
    /// It cannot be read any more: somebody has dropped it since the catalogue was read, or has put another in its place.
    Gone,
    /// Somebody asked to stop.
    Stopped,
}

/// Keys of rows that come close to the largest that an index takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LongKeys {
    /// How many.
    pub rows: u64,
    /// The bytes of the longest key of all rows.
    pub longest: u64,
}

impl Postgres {
    /// Which extensions there are that look into indexes.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn extensions(&self) -> Result<Extensions> {
        self.measured(OP, async {
            let row = self.fetch_one(self.bounds, OP, self.query(sql::EXTENSIONS)).await?;
            Ok(Extensions { density: row.try_get(0).op(OP)?, content: row.try_get(1).op(OP)? })
        })
        .await
    }

    /// Reads an index to see how full it is.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn density(&self, extension: &str, index: &IndexFacts, stop: &Stop) -> Result<IndexRead<Density>> {
        self.measured(OP, async {
            let reading = async {
                let mut tx = self.patient().await?;
                let row = tx.fetch_optional(self.query(sql::density(extension)).bind(index.oid)).await?;
                tx.commit().await?;
                row.as_ref().map(density).transpose()
            };
            self.unless_gone(index, unless_stopped(stop, reading).await).await
        })
        .await
    }

    /// Holds the content of an index against its table. What is wrong with it, if anything.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn content(
        &self,
        extension: &str,
        index: &IndexFacts,
        stop: &Stop,
    ) -> Result<IndexRead<Result<(), String>>> {
        self.measured(OP, async {
            let reading = async {
                let mut tx = self.patient().await?;
                let query = self.query(sql::content(extension)).bind(index.oid);
                let found = tx.attempt(query, CORRUPTED).await?;
                tx.commit().await?;
                Ok(found.map(|rows| rows.first().map(drop)).transpose())
            };
            self.unless_gone(index, unless_stopped(stop, reading).await).await
        })
        .await
    }

    /// What came of reading an index. Whoever waits for somebody who drops it, or who puts another in its place, is
    /// refused with no more than that it cannot be read.
    async fn unless_gone<T>(&self, index: &IndexFacts, read: Result<Option<Option<T>>>) -> Result<IndexRead<T>> {
        match read {
            Ok(Some(Some(found))) => Ok(IndexRead::Done(found)),
            Ok(Some(None)) => Ok(IndexRead::Gone),
            Ok(None) => Ok(IndexRead::Stopped),
            Err(error) => {
                let row = self.fetch_one(self.bounds, OP, self.query(sql::HAS_INDEX).bind(index.oid)).await?;
                if row.try_get(0).op(OP)? { Err(error) } else { Ok(IndexRead::Gone) }
            }
        }
    }

    /// Reads a table, piece by piece, for keys of more than `limit` bytes. Pages are counted in `progress`. None when
    /// somebody asked to stop.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn long_keys(
        &self,
        table: Table,
        keys: &[&str],
        (limit, pages, version): (u64, u64, i32),
        stop: &Stop,
        progress: &Progress,
    ) -> Result<Option<LongKeys>> {
        self.measured(OP, async {
            let schema = self.place().await?.schema.clone();
            let pieces = if version >= READS_RANGES { parts(pages, PIECE) } else { vec![None] };
            let mut found = LongKeys::default();
            for blocks in pieces {
                let begun = Instant::now();
                let reading = async {
                    let mut tx = self.patient().await?;
                    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
                    let row =
                        tx.fetch_one(self.query(sql::long_keys(&schema, table, keys, blocks)).bind(limit)).await?;
                    tx.commit().await?;
                    let number = |column: usize| row.try_get::<i64, _>(column).op(OP).map(i64::unsigned_abs);
                    Ok(LongKeys { rows: number(0)?, longest: number(1)? })
                };
                let Some(here) = unless_stopped(stop, reading).await? else { return Ok(None) };
                found = LongKeys { rows: found.rows + here.rows, longest: found.longest.max(here.longest) };
                let (from, to) = blocks.unwrap_or((0, None));
                progress.add(to.unwrap_or(pages).saturating_sub(from));
                // Half of the time is for others.
                stop.sleep(begun.elapsed()).await;
            }
            Ok(Some(found))
        })
        .await
    }

    /// A transaction that reads for long, and locks out nobody.
    async fn patient(&self) -> Result<Transaction> {
        let mut tx = self.begin_within(Bounds { statement: PATIENCE, ..self.bounds }, OP).await?;
        tx.run(sql::NOTICE_OUR_END).await?;
        Ok(tx)
    }
}

fn density(row: &PgRow) -> Result<Density> {
    let number = |column: usize| row.try_get::<i64, _>(column).op(OP).map(i64::unsigned_abs);
    let filled: f64 = row.try_get(3).op(OP)?;
    Ok(Density {
        bytes: number(0)?,
        inner_pages: number(1)?,
        leaf_pages: number(2)?,
        // Of an index without entries it is no number.
        filled: if filled.is_finite() { filled } else { 0.0 },
    })
}

/// What somebody reads, or none when it is asked to stop: its connection is closed, and the server ends it.
async fn unless_stopped<T>(stop: &Stop, reading: impl Future<Output = Result<T>>) -> Result<Option<T>> {
    if stop.requested().is_some() {
        return Ok(None);
    }
    tokio::select! {
        read = reading => read.map(Some),
        () = stop.wait() => Ok(None),
    }
}
