//! Expired attributes, found along `idx_attributes_ttl` and deleted by their place in the table.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::Row;

use super::error::Context;
use super::fenced::worker;
use super::statements::Bounds;
use super::{Op, Postgres};
use crate::model::clock;
use crate::storage::{Backlog, Batch, Candidate, Cursor, Cutoff, Expired, Fence, Page, Result, Segment, Sweep};

/// Reading ahead locks nothing and changes nothing, so it need not end within the lease; it may
/// have to walk over what earlier runs left dead while somebody holds an old snapshot.
pub(super) const READING: Bounds = Bounds { statement: 30_000, lock: 1_000, idle: 2_000 };

/// Counting for people may take longer than a batch, but not for ever.
pub(super) const COUNTING: Bounds = Bounds { statement: 60_000, lock: 1_000, idle: 10_000 };

/// The gauge of the backlog is worth two seconds of the server's time, not more.
const MEASURING: Bounds = Bounds { statement: 2_000, lock: 500, idle: 2_000 };

#[async_trait]
impl Sweep for Postgres {
    async fn cutoff(&self, grace: Duration) -> Result<Cutoff> {
        const OP: Op = Op { name: "cutoff", phrase: "ask the server for the time" };
        self.measured(OP, async {
            // floor, because a plain cast rounds half of the time up, into the future.
            let query =
                self.query("SELECT floor(extract(epoch FROM now()) - $1)::bigint, now()").bind(grace.as_secs_f64());
            let row = self.fetch_one(self.bounds, OP, query).await?;
            Ok(Cutoff { epoch: row.try_get(0).op(OP)?, now: row.try_get(1).op(OP)? })
        })
        .await
    }

    async fn expired(&self, which: &Expired, segment: Segment, cursor: &Cursor, limit: u32) -> Result<Page> {
        const OP: Op = Op { name: "expired", phrase: "read expired attributes" };
        self.measured(OP, async {
            if segment.index > 0 {
                return Ok(Page::default());
            }
            let place = self.place().await?;
            let (ttl, tid) = match &cursor.0 {
                Some(place) => place.split_once(' ').unwrap_or((place, "(0,0)")),
                None => ("", "(0,0)"),
            };
            let ttl: i64 = ttl.parse().unwrap_or(i64::MIN);
            let mut tx = self.begin_within(READING, OP).await?;
            // The order of the index is the point: never anything but a walk along it, whatever
            // the statistics say.
            tx.execute(self.query(
                "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true)",
            ))
            .await?;
            let rows = tx
                .fetch_all(
                    self.query(place.statements.expired.clone())
                        .bind(which.cutoff)
                        .bind(&which.buckets)
                        .bind(ttl)
                        .bind(tid)
                        .bind(i64::from(limit)),
                )
                .await?;
            tx.commit().await?;
            let mut page = Page { examined: rows.len() as u64, ..Page::default() };
            if let Some(last) = rows.last()
                && rows.len() >= limit as usize
            {
                let (tid, ttl): (String, i64) = (last.try_get(0).op(OP)?, last.try_get(1).op(OP)?);
                page.next = Some(Cursor(Some(format!("{ttl} {tid}"))));
            }
            for row in &rows {
                if row.try_get(2).op(OP)? {
                    page.candidates.push(Candidate(row.try_get(0).op(OP)?));
                }
            }
            Ok(page)
        })
        .await
    }

    async fn delete_expired(&self, which: &Expired, candidates: &[Candidate], fence: &Fence) -> Result<Batch> {
        const OP: Op = Op { name: "delete_expired", phrase: "delete expired attributes" };
        self.measured(OP, async {
            let place = self.place().await?;
            let places = array_of_places(candidates);
            let mut tx = self.begin(OP).await?;
            let begun = Instant::now();
            self.fence(&mut tx, fence, OP).await?;
            let row = tx
                .fetch_one(
                    self.query(place.statements.delete_expired.clone())
                        .bind(places)
                        .bind(which.cutoff)
                        .bind(&which.buckets)
                        .bind(candidates.len() as i64)
                        .bind(fence.run_id)
                        .bind(worker(fence)),
                )
                .await?;
            tx.commit().await?;
            Ok(Batch {
                deleted: count(&row, 0, OP)?,
                waiters: count(&row, 1, OP)?,
                elapsed: begun.elapsed(),
                write_units: 0.0,
            })
        })
        .await
    }

    async fn any_expired(&self, which: &Expired) -> Result<bool> {
        const OP: Op = Op { name: "any_expired", phrase: "look for expired attributes" };
        self.measured(OP, async {
            let place = self.place().await?;
            let query = self.query(place.statements.any_expired.clone()).bind(which.cutoff).bind(&which.buckets);
            let row = self.fetch_one(READING, OP, query).await?;
            row.try_get(0).op(OP)
        })
        .await
    }

    async fn count_expired(&self, which: &Expired) -> Result<BTreeMap<String, u64>> {
        const OP: Op = Op { name: "count_expired", phrase: "count expired attributes" };
        self.measured(OP, async {
            let place = self.place().await?;
            let query = self.query(place.statements.count_expired.clone()).bind(which.cutoff).bind(&which.buckets);
            let rows = self.fetch_all(COUNTING, OP, query).await?;
            rows.iter().map(|row| Ok((row.try_get(0).op(OP)?, count(row, 1, OP)?))).collect()
        })
        .await
    }

    async fn backlog(&self) -> Result<Backlog> {
        const OP: Op = Op { name: "backlog", phrase: "measure the backlog" };
        self.measured(OP, async {
            let place = self.place().await?;
            let query = self.query(place.statements.backlog.clone()).bind(Backlog::CAP as i64);
            let row = self.fetch_one(MEASURING, OP, query).await?;
            let expired_rows = count(&row, 0, OP)?;
            let oldest: Option<i64> = row.try_get(1).op(OP)?;
            Ok(Backlog {
                expired_rows,
                capped: expired_rows >= Backlog::CAP,
                oldest_age_seconds: oldest.map(i64::unsigned_abs),
                measured_at: clock::now(),
            })
        })
        .await
    }
}

impl Postgres {
    /// Looks whether the table that jobs work on can be read, which it cannot while somebody has
    /// locked it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Timeout`] when it is locked.
    pub async fn touch(&self) -> Result<()> {
        const OP: Op = Op { name: "touch", phrase: "read the attributes" };
        self.measured(OP, async {
            let place = self.place().await?;
            self.fetch_one(MEASURING, OP, self.query(place.statements.touch.clone())).await?;
            Ok(())
        })
        .await
    }
}

/// The places of rows as the text of an array: one value is quicker to send and to read than a
/// thousand. Places have no quotes in them.
fn array_of_places(candidates: &[Candidate]) -> String {
    let places: Vec<&str> = candidates.iter().map(|candidate| candidate.0.as_str()).collect();
    if places.is_empty() { "{}".to_owned() } else { format!("{{\"{}\"}}", places.join("\",\"")) }
}

/// A count of rows, which the server has as a signed number.
pub(super) fn count(row: &sqlx::postgres::PgRow, column: usize, op: Op) -> Result<u64> {
    let count: i64 = row.try_get(column).op(op)?;
    Ok(count.unsigned_abs())
}
