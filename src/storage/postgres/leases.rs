//! Leases in `maintd.leases`, decided by the server's clock.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::Row;
use uuid::Uuid;

use super::error::Context;
use super::slots::{held, paused};
use super::statements::Bounds;
use super::transaction::Transaction;
use super::{Op, Postgres};
use crate::model::BackendKind;
use crate::storage::{Claim, Claimed, Due, Lease, Leases, Renewal, Result, Won};
use crate::work::{Report, Run};

const BACKEND: &str = BackendKind::Postgresql.name();

/// What a claim finds in the lease's row.
struct Found {
    left_behind: Option<Uuid>,
    last_slot: Option<DateTime<Utc>>,
    open_slot: Option<DateTime<Utc>>,
    attempts: u32,
}

#[async_trait]
impl Leases for Postgres {
    async fn claim(&self, claim: &Claim) -> Result<Claimed> {
        const OP: Op = Op { name: "claim", phrase: "claim the job's lease" };
        self.measured(OP, async {
            let place = self.place().await?;
            // Closing a run that was left behind waits for the batch it may still be in, which the
            // server ends within these limits; hence longer than they are.
            let bounds = Bounds { lock: self.bounds.statement, ..self.bounds };
            let mut tx = self.begin_within(bounds, OP).await?;
            let found = match self.find(&mut tx, &place.schema, claim, OP).await? {
                Ok(found) => found,
                Err(refusal) => {
                    tx.rollback().await?;
                    return Ok(refusal);
                }
            };
            let mut attempts = found.attempts;
            let mut lost = None;
            if let Some(left_behind) = found.left_behind {
                let run = self.close_lost(&mut tx, left_behind, OP).await?;
                // Whatever ends the process before it has done anything may do so again.
                attempts += u32::from(run.slot.is_some() && run.report.batches == 0);
                lost = Some(run);
            }
            if let Some(due) = &claim.due {
                if found.open_slot != Some(due.slot) {
                    attempts = 0;
                }
                let exhausted = attempts > due.retries;
                self.open_slot(&mut tx, &place.schema, claim, due, attempts, exhausted).await?;
                if exhausted {
                    tx.commit().await?;
                    return Ok(Claimed::Exhausted(lost.map(Box::new)));
                }
            }
            let goes_on = claim.due.as_ref().is_some_and(|due| found.open_slot == Some(due.slot));
            let lease = self.take(&mut tx, &place.schema, claim, attempts, goes_on, OP).await?;
            tx.commit().await?;
            Ok(Claimed::Won(Box::new(Won { lease, lost })))
        })
        .await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Renewal> {
        const OP: Op = Op { name: "renew", phrase: "renew the job's lease" };
        self.measured(OP, async {
            let place = self.place().await?;
            let mut tx = self.begin_reserved(OP).await?;
            let query = self
                .query(
                    "UPDATE maintd.leases SET expires_at = clock_timestamp() + make_interval(secs => $6) \
                     WHERE deployment = $1 AND backend = $2 AND job = $3 AND term = $4 AND secret = $5 \
                     RETURNING paused_at IS NOT NULL",
                )
                .bind(&place.schema)
                .bind(BACKEND)
                .bind(&lease.run.job)
                .bind(lease.term)
                .bind(lease.secret)
                .bind(ttl.as_secs_f64());
            let row = tx.fetch_optional(query).await?;
            tx.commit().await?;
            let Some(row) = row else { return Ok(Renewal::Lost) };
            Ok(if row.try_get(0).op(OP)? { Renewal::Paused } else { Renewal::Kept })
        })
        .await
    }
}

impl Postgres {
    /// Locks the lease's row and looks whether it may be taken.
    async fn find(
        &self,
        tx: &mut Transaction,
        deployment: &str,
        claim: &Claim,
        op: Op,
    ) -> Result<Result<Found, Claimed>> {
        let query = self
            .query("INSERT INTO maintd.leases (deployment, backend, job) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING");
        tx.execute(query.bind(deployment).bind(BACKEND).bind(claim.job)).await?;
        // clock_timestamp, because waiting for the row may have taken longer than the lease.
        let query = self.query(
            "SELECT secret IS NOT NULL AND expires_at > clock_timestamp() AS held, holder, acquired_at, \
                 paused_by, paused_at, retry_at > clock_timestamp() AS waits, \
                 run_id, last_slot, open_slot, attempts \
             FROM maintd.leases WHERE deployment = $1 AND backend = $2 AND job = $3 FOR UPDATE",
        );
        let row = tx.fetch_one(query.bind(deployment).bind(BACKEND).bind(claim.job)).await?;
        if let Some(held) = held(&row).op(op)? {
            return Ok(Err(Claimed::Held(held)));
        }
        if let Some(paused) = paused(&row).op(op)? {
            return Ok(Err(Claimed::Paused(paused)));
        }
        let attempts: i32 = row.try_get("attempts").op(op)?;
        let found = Found {
            left_behind: row.try_get("run_id").op(op)?,
            last_slot: row.try_get("last_slot").op(op)?,
            open_slot: row.try_get("open_slot").op(op)?,
            attempts: attempts.unsigned_abs(),
        };
        if let Some(due) = &claim.due {
            let waits = row.try_get::<Option<bool>, _>("waits").op(op)?.unwrap_or(false);
            let must_wait = waits && found.open_slot == Some(due.slot);
            if must_wait || found.last_slot != Some(due.before.since) {
                return Ok(Err(Claimed::Moved));
            }
        }
        Ok(Ok(found))
    }

    /// Writes down what became of the slots before the one that is due, and begins it; or, when it
    /// was tried often enough, ends it.
    async fn open_slot(
        &self,
        tx: &mut Transaction,
        deployment: &str,
        claim: &Claim,
        due: &Due,
        attempts: u32,
        exhausted: bool,
    ) -> Result<()> {
        self.write_passed(tx, deployment, claim.job, &due.before, &claim.holder).await?;
        let query = self
            .query(
                "UPDATE maintd.leases SET schedule = $4, retry_at = NULL, \
                     last_slot = CASE WHEN $7 THEN $6 ELSE $5 END, open_slot = CASE WHEN $7 THEN NULL ELSE $6 END, \
                     attempts = CASE WHEN $7 THEN 0 ELSE $8 END, \
                     released_at = coalesce(expires_at, released_at), \
                     secret = NULL, holder = NULL, run_id = NULL, expires_at = NULL \
                 WHERE deployment = $1 AND backend = $2 AND job = $3",
            )
            .bind(deployment)
            .bind(BACKEND)
            .bind(claim.job)
            .bind(&due.before.schedule)
            .bind(due.before.until)
            .bind(due.slot)
            .bind(exhausted)
            .bind(i32::try_from(attempts).unwrap_or(i32::MAX));
        tx.execute(query).await?;
        Ok(())
    }

    /// Takes the lease and begins the run, which goes on with the slot of the last one or has
    /// another.
    async fn take(
        &self,
        tx: &mut Transaction,
        deployment: &str,
        claim: &Claim,
        attempts: u32,
        goes_on: bool,
        op: Op,
    ) -> Result<Lease> {
        let run_id = Uuid::now_v7();
        let secret = Uuid::new_v4();
        let query = self
            .query(
                "UPDATE maintd.leases SET term = term + 1, secret = $4, holder = $5, run_id = $6, \
                     acquired_at = clock_timestamp(), released_at = NULL, \
                     busy_since = CASE WHEN $8 THEN busy_since ELSE clock_timestamp() END, \
                     expires_at = clock_timestamp() + make_interval(secs => $7) \
                 WHERE deployment = $1 AND backend = $2 AND job = $3 RETURNING term, acquired_at",
            )
            .bind(deployment)
            .bind(BACKEND)
            .bind(claim.job)
            .bind(secret)
            .bind(&claim.holder)
            .bind(run_id)
            .bind(claim.ttl.as_secs_f64())
            .bind(goes_on);
        // Not earlier: getting here may have taken longer than the lease lasts.
        let asked = Instant::now();
        let taken = tx.fetch_one(query).await?;
        let term: i64 = taken.try_get(0).op(op)?;
        let run = Run {
            run_id,
            job: claim.job.to_owned(),
            backend: BackendKind::Postgresql,
            slot: claim.due.as_ref().map(|due| due.slot),
            trigger: claim.trigger(),
            outcome: None,
            started_at: taken.try_get(1).op(op)?,
            finished_at: None,
            holder: claim.holder.clone(),
            error: None,
            report: Report::default(),
        };
        let query = self
            .query(
                "INSERT INTO maintd.runs (run_id, deployment, backend, job, slot, trigger, holder, term, started_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            )
            .bind(run_id)
            .bind(deployment)
            .bind(BACKEND)
            .bind(claim.job)
            .bind(run.slot)
            .bind(run.trigger.name())
            .bind(&claim.holder)
            .bind(term)
            .bind(run.started_at);
        tx.execute(query).await?;
        let query = self
            .query(
                "INSERT INTO maintd.run_workers (run_id, worker, term, secret) \
                 SELECT $1, worker, $2, $3 FROM generate_series(0, $4::int - 1) AS worker",
            )
            .bind(run_id)
            .bind(term)
            .bind(secret)
            .bind(i32::from(claim.workers));
        tx.execute(query).await?;
        Ok(Lease { run, attempts, term, secret, renewed: asked })
    }

    /// Closes a run whose holder went away. Its fences go first, which waits for the batch that
    /// may still be on its way and makes the server refuse any later one.
    async fn close_lost(&self, tx: &mut Transaction, run_id: Uuid, op: Op) -> Result<Run> {
        let counts = self.take_counts(tx, run_id, op).await?;
        let report = Report { more: true, ..counts.into_report(Report::default()) };
        let query = self.query(
            "UPDATE maintd.runs SET outcome = 'lost', finished_at = clock_timestamp(), report = $2 \
             WHERE run_id = $1 AND outcome IS NULL",
        );
        tx.execute(query.bind(run_id).bind(sqlx::types::Json(report))).await?;
        self.run(tx, run_id, op).await
    }
}
