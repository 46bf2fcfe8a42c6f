//! Leases in `maintd.leases`, decided by the server's clock.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::Row;
use uuid::Uuid;

use super::Postgres;
use super::error::Context;
use super::statements::Bounds;
use crate::model::BackendKind;
use crate::storage::{Claim, Claimed, Lease, Leases, Result};
use crate::work::{Report, Run};

const BACKEND: &str = BackendKind::Postgresql.name();

#[async_trait]
impl Leases for Postgres {
    async fn last_slot(&self, job: &'static str, slot: DateTime<Utc>) -> Result<DateTime<Utc>> {
        const OP: &str = "read the job's last slot";
        self.measured("last_slot", async {
            let place = self.place().await?;
            let mut tx = self.begin(OP).await?;
            let known = self
                .query("SELECT last_slot FROM maintd.leases WHERE deployment = $1 AND backend = $2 AND job = $3")
                .bind(&place.schema)
                .bind(BACKEND)
                .bind(job)
                .fetch_optional(&mut *tx)
                .await
                .op(OP)?;
            let last = match known {
                Some(row) => row.try_get::<Option<DateTime<Utc>>, _>(0).op(OP)?,
                None => None,
            };
            let last = match last {
                Some(last) => last,
                None => self
                    .query(
                        "INSERT INTO maintd.leases (deployment, backend, job, last_slot) VALUES ($1, $2, $3, $4) \
                         ON CONFLICT (deployment, backend, job) \
                         DO UPDATE SET last_slot = coalesce(leases.last_slot, excluded.last_slot) \
                         RETURNING last_slot",
                    )
                    .bind(&place.schema)
                    .bind(BACKEND)
                    .bind(job)
                    .bind(slot)
                    .fetch_one(&mut *tx)
                    .await
                    .op(OP)?
                    .try_get(0)
                    .op(OP)?,
            };
            tx.commit().await.op(OP)?;
            Ok(last)
        })
        .await
    }

    async fn claim(&self, claim: &Claim) -> Result<Claimed> {
        const OP: &str = "claim the job's lease";
        self.measured("claim", async {
            let place = self.place().await?;
            // Closing a run that was left behind waits for the batch it may still be in, which the
            // server ends within these limits; hence longer than they are.
            let bounds = Bounds { lock: self.bounds.statement, ..self.bounds };
            let asked = Instant::now();
            let mut tx = self.begin_within(bounds, OP).await?;
            self.query(
                "INSERT INTO maintd.leases (deployment, backend, job) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            )
            .bind(&place.schema)
            .bind(BACKEND)
            .bind(claim.job)
            .execute(&mut *tx)
            .await
            .op(OP)?;
            // clock_timestamp, because waiting for the row may have taken longer than the lease.
            let row = self
                .query(
                    "SELECT secret IS NOT NULL AND expires_at > clock_timestamp(), coalesce(holder, ''), \
                         coalesce(acquired_at, now()), run_id, last_slot \
                     FROM maintd.leases WHERE deployment = $1 AND backend = $2 AND job = $3 FOR UPDATE",
                )
                .bind(&place.schema)
                .bind(BACKEND)
                .bind(claim.job)
                .fetch_one(&mut *tx)
                .await
                .op(OP)?;
            if row.try_get(0).op(OP)? {
                return Ok(Claimed::Held { holder: row.try_get(1).op(OP)?, since: row.try_get(2).op(OP)? });
            }
            let last_slot: Option<DateTime<Utc>> = row.try_get(4).op(OP)?;
            if claim.slot.is_some() && last_slot >= claim.slot {
                return Ok(Claimed::SlotDone);
            }
            if let Some(left_behind) = row.try_get::<Option<Uuid>, _>(3).op(OP)? {
                self.close_lost(&mut tx, left_behind, OP).await?;
            }
            let run_id = Uuid::now_v7();
            let secret = Uuid::new_v4();
            let taken = self
                .query(
                    "UPDATE maintd.leases SET term = term + 1, secret = $4, holder = $5, run_id = $6, \
                         acquired_at = clock_timestamp(), \
                         expires_at = clock_timestamp() + make_interval(secs => $7) \
                     WHERE deployment = $1 AND backend = $2 AND job = $3 RETURNING term, acquired_at",
                )
                .bind(&place.schema)
                .bind(BACKEND)
                .bind(claim.job)
                .bind(secret)
                .bind(&claim.holder)
                .bind(run_id)
                .bind(claim.ttl.as_secs_f64())
                .fetch_one(&mut *tx)
                .await
                .op(OP)?;
            let term: i64 = taken.try_get(0).op(OP)?;
            let started_at: DateTime<Utc> = taken.try_get(1).op(OP)?;
            self.query(
                "INSERT INTO maintd.runs (run_id, deployment, backend, job, slot, trigger, holder, term, started_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            )
            .bind(run_id)
            .bind(&place.schema)
            .bind(BACKEND)
            .bind(claim.job)
            .bind(claim.slot)
            .bind(claim.trigger.name())
            .bind(&claim.holder)
            .bind(term)
            .bind(started_at)
            .execute(&mut *tx)
            .await
            .op(OP)?;
            self.query(
                "INSERT INTO maintd.run_workers (run_id, worker, term, secret) \
                 SELECT $1, worker, $2, $3 FROM generate_series(0, $4::int - 1) AS worker",
            )
            .bind(run_id)
            .bind(term)
            .bind(secret)
            .bind(i32::from(claim.workers))
            .execute(&mut *tx)
            .await
            .op(OP)?;
            tx.commit().await.op(OP)?;
            let run = Run {
                run_id,
                job: claim.job.to_owned(),
                backend: BackendKind::Postgresql,
                slot: claim.slot,
                trigger: claim.trigger,
                outcome: None,
                started_at,
                finished_at: None,
                holder: claim.holder.clone(),
                error: None,
                report: Report::default(),
            };
            Ok(Claimed::Won(Box::new(Lease { run, term, secret, renewed: asked })))
        })
        .await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool> {
        const OP: &str = "renew the job's lease";
        self.measured("renew", async {
            let place = self.place().await?;
            let query = self
                .query(
                    "UPDATE maintd.leases SET expires_at = clock_timestamp() + make_interval(secs => $6) \
                     WHERE deployment = $1 AND backend = $2 AND job = $3 AND term = $4 AND secret = $5",
                )
                .bind(&place.schema)
                .bind(BACKEND)
                .bind(&lease.run.job)
                .bind(lease.term)
                .bind(lease.secret)
                .bind(ttl.as_secs_f64());
            let renewed = self.execute(self.bounds, OP, query).await?;
            Ok(renewed == 1)
        })
        .await
    }
}

impl Postgres {
    /// Closes a run whose holder went away. Its fences go first, which waits for the batch that
    /// may still be on its way and makes the server refuse any later one.
    async fn close_lost(
        &self,
        tx: &mut sqlx::Transaction<'static, sqlx::Postgres>,
        run_id: Uuid,
        op: &'static str,
    ) -> Result<()> {
        let counts = self.take_counts(tx, run_id, op).await?;
        let report = Report { more: true, ..counts.into_report(Report::default()) };
        self.query(
            "UPDATE maintd.runs SET outcome = 'lost', finished_at = clock_timestamp(), report = $2 \
             WHERE run_id = $1 AND outcome IS NULL",
        )
        .bind(run_id)
        .bind(sqlx::types::Json(report))
        .execute(&mut **tx)
        .await
        .op(op)?;
        Ok(())
    }
}
