//! Where schedules stand, in `maintd.leases`, and the slots that were passed over, in
//! `maintd.passed_slots`.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::error::Context;
use super::transaction::Transaction;
use super::{Op, Postgres};
use crate::model::BackendKind;
use crate::storage::{Conclusion, Held, OpenSlot, Paused, Result, Slots, Standing};

const BACKEND: &str = BackendKind::Postgresql.name();

#[async_trait]
impl Slots for Postgres {
    async fn time(&self) -> Result<DateTime<Utc>> {
        const OP: Op = Op { name: "time", phrase: "ask the server for the time" };
        self.measured(OP, async {
            self.fetch_one(self.bounds, OP, self.query("SELECT clock_timestamp()")).await?.try_get(0).op(OP)
        })
        .await
    }

    async fn standing(&self, job: &str) -> Result<Standing> {
        const OP: Op = Op { name: "standing", phrase: "read where the job stands" };
        self.measured(OP, async {
            let place = self.place().await?;
            let query = self.query(
                "SELECT clock_timestamp() AS now, last_slot, schedule, open_slot, coalesce(attempts, 0) AS attempts, \
                     greatest(extract(epoch FROM retry_at - clock_timestamp()), 0)::float8 AS wait, \
                     busy_since, acquired_at, holder, coalesce(secret IS NOT NULL AND expires_at > clock_timestamp(), false) AS held, \
                     CASE WHEN secret IS NULL THEN released_at \
                          ELSE least(expires_at, clock_timestamp()) END AS busy_until, \
                     paused_at, paused_by \
                 FROM (SELECT) AS one LEFT JOIN maintd.leases \
                     ON deployment = $1 AND backend = $2 AND job = $3",
            );
            let query = query.bind(&place.schema).bind(BACKEND).bind(job);
            read_standing(&self.fetch_one(self.bounds, OP, query).await?).op(OP)
        })
        .await
    }

    async fn begin_schedule(&self, job: &str, slot: DateTime<Utc>, schedule: &str) -> Result<()> {
        const OP: Op = Op { name: "begin_schedule", phrase: "begin the job's schedule" };
        self.measured(OP, async {
            let place = self.place().await?;
            let query = self
                .query(
                    "INSERT INTO maintd.leases (deployment, backend, job, last_slot, schedule) \
                     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (deployment, backend, job) \
                     DO UPDATE SET last_slot = excluded.last_slot, schedule = excluded.schedule \
                     WHERE leases.last_slot IS NULL",
                )
                .bind(&place.schema)
                .bind(BACKEND)
                .bind(job)
                .bind(slot)
                .bind(schedule);
            self.execute(self.bounds, OP, query).await?;
            Ok(())
        })
        .await
    }

    async fn end_schedule(&self, job: &str, name: &str) -> Result<()> {
        const OP: Op = Op { name: "end_schedule", phrase: "end the job's schedule" };
        self.measured(OP, async {
            let place = self.place().await?;
            let query = self.query(
                "UPDATE maintd.leases SET schedule = $4 \
                 WHERE deployment = $1 AND backend = $2 AND job = $3 AND schedule <> $4 \
                     AND NOT (secret IS NOT NULL AND expires_at > clock_timestamp())",
            );
            let query = query.bind(&place.schema).bind(BACKEND).bind(job).bind(name);
            self.execute(self.bounds, OP, query).await?;
            Ok(())
        })
        .await
    }

    async fn turn_back(&self, job: &str, from: DateTime<Utc>, slot: DateTime<Utc>) -> Result<()> {
        const OP: Op = Op { name: "turn_back", phrase: "turn the job's schedule back" };
        self.measured(OP, async {
            let place = self.place().await?;
            let mut tx = self.begin(OP).await?;
            // To before the first stretch that reaches beyond it, which is written anew.
            let query = self
                .query(
                    "UPDATE maintd.leases AS l SET open_slot = NULL, attempts = 0, retry_at = NULL, last_slot = ( \
                         SELECT least($5, min(p.first_slot) - interval '1 second') FROM maintd.passed_slots p \
                         WHERE p.deployment = $1 AND p.backend = $2 AND p.job = $3 AND p.last_slot > $5) \
                     WHERE deployment = $1 AND backend = $2 AND job = $3 AND last_slot = $4 \
                         AND NOT (secret IS NOT NULL AND expires_at > clock_timestamp())",
                )
                .bind(&place.schema)
                .bind(BACKEND)
                .bind(job)
                .bind(from)
                .bind(slot);
            if tx.execute(query).await? == 1 {
                let query = self.query(
                    "DELETE FROM maintd.passed_slots \
                     WHERE deployment = $1 AND backend = $2 AND job = $3 AND last_slot > $4",
                );
                tx.execute(query.bind(&place.schema).bind(BACKEND).bind(job).bind(slot)).await?;
            }
            tx.commit().await
        })
        .await
    }

    async fn pass(&self, job: &str, conclusion: &Conclusion, holder: &str) -> Result<bool> {
        const OP: Op = Op { name: "pass", phrase: "pass the job's slots over" };
        self.measured(OP, async {
            let place = self.place().await?;
            let mut tx = self.begin(OP).await?;
            let query = self
                .query(
                    "UPDATE maintd.leases SET last_slot = $5, schedule = $6, \
                         open_slot = NULL, attempts = 0, retry_at = NULL \
                     WHERE deployment = $1 AND backend = $2 AND job = $3 AND last_slot = $4 \
                         AND NOT (secret IS NOT NULL AND expires_at > clock_timestamp())",
                )
                .bind(&place.schema)
                .bind(BACKEND)
                .bind(job)
                .bind(conclusion.since)
                .bind(conclusion.until)
                .bind(&conclusion.schedule);
            if tx.execute(query).await? != 1 {
                tx.rollback().await?;
                return Ok(false);
            }
            self.write_passed(&mut tx, &place.schema, job, conclusion, holder).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn pause(&self, job: &str, by: &str) -> Result<Paused> {
        const OP: Op = Op { name: "pause", phrase: "pause the job" };
        self.measured(OP, async {
            let place = self.place().await?;
            let query = self
                .query(
                    "INSERT INTO maintd.leases (deployment, backend, job, paused_at, paused_by) \
                     VALUES ($1, $2, $3, clock_timestamp(), $4) ON CONFLICT (deployment, backend, job) \
                     DO UPDATE SET paused_at = coalesce(leases.paused_at, excluded.paused_at), \
                         paused_by = coalesce(leases.paused_by, excluded.paused_by) \
                     RETURNING paused_by, paused_at",
                )
                .bind(&place.schema)
                .bind(BACKEND)
                .bind(job)
                .bind(by);
            let row = self.fetch_one(self.bounds, OP, query).await?;
            Ok(Paused { by: row.try_get(0).op(OP)?, since: row.try_get(1).op(OP)? })
        })
        .await
    }

    async fn resume(&self, job: &str) -> Result<Option<Paused>> {
        const OP: Op = Op { name: "resume", phrase: "resume the job" };
        self.measured(OP, async {
            let place = self.place().await?;
            let mut tx = self.begin(OP).await?;
            let query = self.query(
                "SELECT paused_by, paused_at FROM maintd.leases \
                 WHERE deployment = $1 AND backend = $2 AND job = $3 FOR UPDATE",
            );
            let row = tx.fetch_optional(query.bind(&place.schema).bind(BACKEND).bind(job)).await?;
            let was = row.as_ref().map(paused).transpose().op(OP)?.flatten();
            let query = self.query(
                "UPDATE maintd.leases SET paused_at = NULL, paused_by = NULL \
                 WHERE deployment = $1 AND backend = $2 AND job = $3",
            );
            tx.execute(query.bind(&place.schema).bind(BACKEND).bind(job)).await?;
            tx.commit().await?;
            Ok(was)
        })
        .await
    }
}

impl Postgres {
    /// Adds the slots that are passed over. A stretch that goes on where the last one ended, for
    /// the same reason, is one stretch with it.
    pub(super) async fn write_passed(
        &self,
        tx: &mut Transaction,
        deployment: &str,
        job: &str,
        conclusion: &Conclusion,
        holder: &str,
    ) -> Result<()> {
        for (index, passed) in conclusion.passed.iter().enumerate() {
            let count = i64::try_from(passed.count).unwrap_or(i64::MAX);
            let query = self
                .query(
                    "UPDATE maintd.passed_slots SET last_slot = $5, count = count + $6, \
                         recorded_at = clock_timestamp(), recorded_by = $8 \
                     WHERE deployment = $1 AND backend = $2 AND job = $3 AND last_slot = $4 AND reason = $7",
                )
                .bind(deployment)
                .bind(BACKEND)
                .bind(job)
                .bind(conclusion.since)
                .bind(passed.last)
                .bind(count)
                .bind(passed.reason.name())
                .bind(holder);
            let goes_on = index == 0 && conclusion.goes_on && tx.execute(query).await? > 0;
            if !goes_on {
                let query = self
                    .query(
                        "INSERT INTO maintd.passed_slots \
                             (deployment, backend, job, first_slot, last_slot, count, fate, reason, recorded_by) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                    )
                    .bind(deployment)
                    .bind(BACKEND)
                    .bind(job)
                    .bind(passed.first)
                    .bind(passed.last)
                    .bind(count)
                    .bind(passed.reason.fate().name())
                    .bind(passed.reason.name())
                    .bind(holder);
                tx.execute(query).await?;
            }
        }
        Ok(())
    }
}

fn read_standing(row: &PgRow) -> Result<Standing, sqlx::Error> {
    let open: Option<DateTime<Utc>> = row.try_get("open_slot")?;
    let attempts: i32 = row.try_get("attempts")?;
    let wait: Option<f64> = row.try_get("wait")?;
    let busy: Option<DateTime<Utc>> = row.try_get("busy_since")?;
    Ok(Standing {
        now: row.try_get("now")?,
        last_slot: row.try_get("last_slot")?,
        schedule: row.try_get("schedule")?,
        open: open.map(|slot| OpenSlot {
            slot,
            attempts: attempts.unsigned_abs(),
            wait: Duration::from_secs_f64(wait.unwrap_or_default()),
        }),
        busy: busy.zip(row.try_get("busy_until")?),
        held: held(row)?,
        paused: paused(row)?,
    })
}

/// Who holds the lease of a row, if somebody does.
pub(super) fn held(row: &PgRow) -> Result<Option<Held>, sqlx::Error> {
    if !row.try_get::<bool, _>("held")? {
        return Ok(None);
    }
    Ok(Some(Held { holder: row.try_get("holder")?, since: row.try_get("acquired_at")? }))
}

/// Who has paused the job of a row, if somebody has.
pub(super) fn paused(row: &PgRow) -> Result<Option<Paused>, sqlx::Error> {
    let by: Option<String> = row.try_get("paused_by")?;
    let since: Option<DateTime<Utc>> = row.try_get("paused_at")?;
    Ok(by.zip(since).map(|(by, since)| Paused { by, since }))
}
