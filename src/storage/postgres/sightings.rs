//! What was seen once, and where walks were cut off, in our own schema.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::again::Again;
use super::error::Context;
use super::rows::cannot_be;
use super::watermarks::columns;
use super::{Op, Postgres};
use crate::storage::{Cursors, Result, Sighting, Sightings};

#[async_trait]
impl Sightings for Postgres {
    async fn sightings(&self, id: &str) -> Result<Vec<Sighting>> {
        const OP: Op = Op { name: "sightings", phrase: "read what was seen before" };
        self.measured(OP, async {
            if cannot_be(&[id]) {
                return Ok(Vec::new());
            }
            let place = self.place().await?;
            let query = || {
                self.query(
                    "SELECT id, subid, through, seen_at FROM maintd.sightings WHERE deployment = $1 AND id = $2 \
                     ORDER BY subid",
                )
                .bind(&place.schema)
                .bind(id)
            };
            let rows = self.read_again(self.bounds, OP, query).await?;
            rows.iter().map(read).collect::<Result<_, _>>().op(OP)
        })
        .await
    }

    async fn sight(&self, seen: &[(String, String, i64)]) -> Result<()> {
        const OP: Op = Op { name: "sight", phrase: "remember what was seen" };
        self.measured(OP, async {
            if seen.is_empty() {
                return Ok(());
            }
            let place = self.place().await?;
            let (ids, subids, numbers) = columns(seen);
            // In order, so that of two who do so none waits for the other in a circle; and once each, as
            // no statement changes a row twice.
            let query = || {
                self.query(
                    "INSERT INTO maintd.sightings AS s (deployment, id, subid, through, seen_at, again_at) \
                     SELECT $1, u.id, u.subid, max(u.through), now(), now() \
                     FROM unnest($2::text[], $3::text[], $4::bigint[]) AS u (id, subid, through) \
                     GROUP BY u.id, u.subid ORDER BY u.id, u.subid \
                     ON CONFLICT (deployment, id, subid) DO UPDATE SET again_at = now()",
                )
                .bind(&place.schema)
                .bind(&ids)
                .bind(&subids)
                .bind(&numbers)
            };
            self.execute_again(OP, Again::Always, query).await?;
            Ok(())
        })
        .await
    }

    async fn forget_sighting(&self, id: &str, subid: &str) -> Result<()> {
        const OP: Op = Op { name: "forget_sighting", phrase: "forget what was seen" };
        self.measured(OP, async {
            if cannot_be(&[id, subid]) {
                return Ok(());
            }
            let place = self.place().await?;
            let query = || {
                self.query("DELETE FROM maintd.sightings WHERE deployment = $1 AND id = $2 AND subid = $3")
                    .bind(&place.schema)
                    .bind(id)
                    .bind(subid)
            };
            self.execute_again(OP, Again::Always, query).await?;
            Ok(())
        })
        .await
    }

    async fn forget_sightings(&self, since: DateTime<Utc>) -> Result<u64> {
        const OP: Op = Op { name: "forget_sightings", phrase: "forget what was not seen again" };
        self.measured(OP, async {
            let place = self.place().await?;
            let query = || {
                self.query("DELETE FROM maintd.sightings WHERE deployment = $1 AND again_at < $2")
                    .bind(&place.schema)
                    .bind(since)
            };
            self.execute_again(OP, Again::Undone, query).await
        })
        .await
    }
}

#[async_trait]
impl Cursors for Postgres {
    async fn cursor(&self, job: &str) -> Result<Option<String>> {
        const OP: Op = Op { name: "cursor", phrase: "read where the walk was" };
        self.measured(OP, async {
            let place = self.place().await?;
            let query = || {
                self.query("SELECT place FROM maintd.cursors WHERE deployment = $1 AND job = $2")
                    .bind(&place.schema)
                    .bind(job)
            };
            let rows = self.read_again(self.bounds, OP, query).await?;
            rows.first().map(|row| row.try_get(0)).transpose().op(OP)
        })
        .await
    }

    async fn keep_cursor(&self, job: &str, place: Option<&str>) -> Result<()> {
        const OP: Op = Op { name: "keep_cursor", phrase: "remember where the walk is" };
        self.measured(OP, async {
            let schema = &self.place().await?.schema;
            let query = || match place {
                Some(place) => self
                    .query(
                        "INSERT INTO maintd.cursors (deployment, job, place) VALUES ($1, $2, $3) \
                         ON CONFLICT (deployment, job) DO UPDATE SET place = EXCLUDED.place",
                    )
                    .bind(schema)
                    .bind(job)
                    .bind(place),
                None => {
                    self.query("DELETE FROM maintd.cursors WHERE deployment = $1 AND job = $2").bind(schema).bind(job)
                }
            };
            self.execute_again(OP, Again::Always, query).await?;
            Ok(())
        })
        .await
    }
}

fn read(row: &PgRow) -> Result<Sighting, sqlx::Error> {
    Ok(Sighting { id: row.try_get(0)?, subid: row.try_get(1)?, through: row.try_get(2)?, seen_at: row.try_get(3)? })
}
