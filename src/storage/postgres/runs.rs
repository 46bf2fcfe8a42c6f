//! History in `maintd.runs`.

use std::time::Duration;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as WordError, StrDeserializer};
use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::error::{Context, refused};
use super::sweep::count;
use super::transaction::Transaction;
use super::{Op, Postgres};
use crate::model::BackendKind;
use crate::storage::{ErrorKind, Finish, Lease, Result, Runs, SlotAfter};
use crate::work::{Outcome, PassedSlots, Report, Run};

const BACKEND: &str = BackendKind::Postgresql.name();

/// A run with what its workers have committed so far.
macro_rules! select_runs {
    ($rest:literal) => {
        concat!(
            "SELECT r.run_id, r.job, r.backend, r.slot, r.trigger, r.outcome, r.started_at, r.finished_at, \
                 r.holder, r.error, r.report, coalesce(w.batches, 0), coalesce(w.deleted, 0), coalesce(w.skipped, 0) \
             FROM maintd.runs r LEFT JOIN LATERAL ( \
                 SELECT sum(batches)::bigint AS batches, sum(deleted)::bigint AS deleted, \
                     sum(skipped)::bigint AS skipped \
                 FROM maintd.run_workers WHERE run_id = r.run_id) w ON true ",
            $rest
        )
    };
}

/// What the store itself has counted of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    batches: u64,
    deleted: u64,
    skipped: u64,
}

impl Counts {
    /// `report` with these counts in the place of its own.
    pub(super) fn into_report(self, report: Report) -> Report {
        Report { batches: self.batches, deleted: self.deleted, skipped: self.skipped, ..report }
    }
}

#[async_trait]
impl Runs for Postgres {
    async fn finish(&self, lease: &Lease, finish: &Finish) -> Result<Run> {
        const OP: Op = Op { name: "finish", phrase: "write the run's report" };
        self.measured(OP, async {
            let place = self.place().await?;
            let mut tx = self.begin(OP).await?;
            let wait = match finish.slot {
                SlotAfter::Again(wait) => Some(wait.as_secs_f64()),
                SlotAfter::Done | SlotAfter::HandedOver => None,
            };
            // A run by hand leaves the slots of the schedule alone.
            let query = self
                .query(
                    "UPDATE maintd.leases SET secret = NULL, holder = NULL, run_id = NULL, expires_at = NULL, \
                         released_at = clock_timestamp(), \
                         last_slot = CASE WHEN $7 THEN greatest(last_slot, $6) ELSE last_slot END, \
                         open_slot = CASE WHEN $7 THEN NULL ELSE open_slot END, \
                         attempts = CASE WHEN $7 THEN 0 WHEN $8 IS NOT NULL THEN attempts + 1 ELSE attempts END, \
                         retry_at = coalesce(clock_timestamp() + make_interval(secs => $8), retry_at) \
                     WHERE deployment = $1 AND backend = $2 AND job = $3 AND term = $4 AND secret = $5",
                )
                .bind(&place.schema)
                .bind(BACKEND)
                .bind(&lease.run.job)
                .bind(lease.term)
                .bind(lease.secret)
                .bind(lease.run.slot)
                .bind(lease.run.slot.is_some() && finish.slot == SlotAfter::Done)
                .bind(wait.filter(|_| lease.run.slot.is_some()));
            if tx.execute(query).await? != 1 {
                // The answer to an earlier attempt may have been lost on its way.
                let run = self.run(&mut tx, lease.run.run_id, OP).await?;
                tx.rollback().await?;
                // Whoever takes over marks it as lost as well, and knows no reason.
                let is_ours = finish.outcome != Outcome::Lost
                    || finish.report.stopped.is_some() && run.report.stopped == finish.report.stopped;
                if run.outcome == Some(finish.outcome) && is_ours {
                    return Ok(run);
                }
                return Err(refused(OP, ErrorKind::Fenced, "somebody else has taken the lease over"));
            }
            let counts = self.take_counts(&mut tx, lease.run.run_id, OP).await?;
            let report = counts.into_report(finish.report.clone());
            let row = tx
                .fetch_one(
                    self.query(
                        "UPDATE maintd.runs SET outcome = $2, error = $3, report = $4, finished_at = clock_timestamp() \
                     WHERE run_id = $1 RETURNING finished_at",
                    )
                    .bind(lease.run.run_id)
                    .bind(finish.outcome.name())
                    .bind(&finish.error)
                    .bind(Json(&report)),
                )
                .await?;
            tx.commit().await?;
            Ok(Run {
                outcome: Some(finish.outcome),
                error: finish.error.clone(),
                finished_at: row.try_get(0).op(OP)?,
                report,
                ..lease.run.clone()
            })
        })
        .await
    }

    async fn history(&self, job: Option<&str>, limit: u32) -> Result<Vec<Run>> {
        const OP: Op = Op { name: "history", phrase: "read the history" };
        self.measured(OP, async {
            let place = self.place().await?;
            let query = self
                .query(select_runs!(
                    "WHERE r.deployment = $1 AND r.backend = $2 AND ($3::text IS NULL OR r.job = $3) \
                     ORDER BY r.started_at DESC, r.run_id DESC LIMIT $4"
                ))
                .bind(&place.schema)
                .bind(BACKEND)
                .bind(job)
                .bind(i64::from(limit));
            let rows = self.fetch_all(self.bounds, OP, query).await?;
            rows.iter().map(|row| read_run(row, OP)).collect()
        })
        .await
    }

    async fn passed(&self, job: Option<&str>, limit: u32) -> Result<Vec<PassedSlots>> {
        const OP: Op = Op { name: "passed", phrase: "read the slots that were passed over" };
        self.measured(OP, async {
            let place = self.place().await?;
            let query = self
                .query(
                    "SELECT job, backend, first_slot, last_slot, count, fate, reason, recorded_at, recorded_by \
                     FROM maintd.passed_slots \
                     WHERE deployment = $1 AND backend = $2 AND ($3::text IS NULL OR job = $3) \
                     ORDER BY last_slot DESC LIMIT $4",
                )
                .bind(&place.schema)
                .bind(BACKEND)
                .bind(job)
                .bind(i64::from(limit));
            let rows = self.fetch_all(self.bounds, OP, query).await?;
            rows.iter().map(|row| read_passed(row, OP)).collect()
        })
        .await
    }

    async fn last_success(&self, job: &str) -> Result<Option<Run>> {
        const OP: Op = Op { name: "last_success", phrase: "read the last success" };
        self.measured(OP, async {
            let place = self.place().await?;
            let query = self
                .query(select_runs!(
                    "WHERE r.deployment = $1 AND r.backend = $2 AND r.job = $3 AND r.outcome = 'succeeded' \
                     ORDER BY r.started_at DESC LIMIT 1"
                ))
                .bind(&place.schema)
                .bind(BACKEND)
                .bind(job);
            let rows = self.fetch_all(self.bounds, OP, query).await?;
            rows.first().map(|row| read_run(row, OP)).transpose()
        })
        .await
    }

    async fn forget(&self, keep: Duration) -> Result<u64> {
        const OP: Op = Op { name: "forget", phrase: "forget old runs" };
        self.measured(OP, async {
            let place = self.place().await?;
            let query = self
                .query(
                    "DELETE FROM maintd.runs WHERE run_id IN ( \
                         SELECT run_id FROM maintd.runs r WHERE deployment = $1 AND backend = $2 \
                             AND finished_at < now() - make_interval(secs => $3) \
                             AND NOT (outcome = 'succeeded' AND NOT EXISTS ( \
                                 SELECT FROM maintd.runs newer WHERE newer.deployment = r.deployment \
                                     AND newer.backend = r.backend AND newer.job = r.job \
                                     AND newer.outcome = 'succeeded' AND newer.started_at > r.started_at)) \
                         LIMIT 1000)",
                )
                .bind(&place.schema)
                .bind(BACKEND)
                .bind(keep.as_secs_f64());
            let forgotten = self.execute(self.bounds, OP, query).await?;
            let query = self.query(
                "DELETE FROM maintd.passed_slots WHERE deployment = $1 AND backend = $2 \
                     AND recorded_at < now() - make_interval(secs => $3)",
            );
            let query = query.bind(&place.schema).bind(BACKEND).bind(keep.as_secs_f64());
            self.execute(self.bounds, OP, query).await?;
            Ok(forgotten)
        })
        .await
    }
}

impl Postgres {
    /// One run, as history has it.
    pub(super) async fn run(&self, tx: &mut Transaction, run_id: Uuid, op: Op) -> Result<Run> {
        let row = tx.fetch_one(self.query(select_runs!("WHERE r.run_id = $1")).bind(run_id)).await?;
        read_run(&row, op)
    }

    /// Takes the counts of a run's workers, and their fences with them.
    pub(super) async fn take_counts(&self, tx: &mut Transaction, run_id: Uuid, op: Op) -> Result<Counts> {
        let row = tx
            .fetch_one(
                self.query(
                    "WITH workers AS (DELETE FROM maintd.run_workers WHERE run_id = $1 RETURNING *) \
                 SELECT coalesce(sum(batches), 0)::bigint, coalesce(sum(deleted), 0)::bigint, \
                     coalesce(sum(skipped), 0)::bigint FROM workers",
                )
                .bind(run_id),
            )
            .await?;
        Ok(Counts { batches: count(&row, 0, op)?, deleted: count(&row, 1, op)?, skipped: count(&row, 2, op)? })
    }
}

fn read_run(row: &PgRow, op: Op) -> Result<Run> {
    let outcome: Option<String> = row.try_get(5).op(op)?;
    let report = match row.try_get::<Option<Json<Report>>, _>(10).op(op)? {
        Some(Json(report)) => report,
        None => {
            let counts =
                Counts { batches: count(row, 11, op)?, deleted: count(row, 12, op)?, skipped: count(row, 13, op)? };
            counts.into_report(Report::default())
        }
    };
    Ok(Run {
        run_id: row.try_get(0).op(op)?,
        job: row.try_get(1).op(op)?,
        backend: read_word(row.try_get(2).op(op)?, op)?,
        slot: row.try_get(3).op(op)?,
        trigger: read_word(row.try_get(4).op(op)?, op)?,
        outcome: outcome.as_deref().map(|word| read_word(word, op)).transpose()?,
        started_at: row.try_get(6).op(op)?,
        finished_at: row.try_get(7).op(op)?,
        holder: row.try_get(8).op(op)?,
        error: row.try_get(9).op(op)?,
        report,
    })
}

fn read_passed(row: &PgRow, op: Op) -> Result<PassedSlots> {
    Ok(PassedSlots {
        job: row.try_get(0).op(op)?,
        backend: read_word(row.try_get(1).op(op)?, op)?,
        from: row.try_get(2).op(op)?,
        to: row.try_get(3).op(op)?,
        count: count(row, 4, op)?,
        fate: read_word(row.try_get(5).op(op)?, op)?,
        reason: read_word(row.try_get(6).op(op)?, op)?,
        recorded_at: row.try_get(7).op(op)?,
        recorded_by: row.try_get(8).op(op)?,
    })
}

/// Reads one of the closed words of a column, which are those of JSON.
fn read_word<T: DeserializeOwned>(word: &str, op: Op) -> Result<T> {
    let deserializer: StrDeserializer<'_, WordError> = word.into_deserializer();
    T::deserialize(deserializer).map_err(|error| refused(op, ErrorKind::Other, error.to_string()))
}
