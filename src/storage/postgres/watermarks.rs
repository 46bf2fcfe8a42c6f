//! What number a subscription had when, in our own schema.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::again::Again;
use super::error::Context;
use super::rows::cannot_be;
use super::{Op, Postgres};
use crate::storage::{Result, Watermark, Watermarks};

#[async_trait]
impl Watermarks for Postgres {
    async fn mark(&self, newest: &[(String, String, i64)]) -> Result<()> {
        const OP: Op = Op { name: "mark", phrase: "remember the numbers of subscriptions" };
        self.measured(OP, async {
            if newest.is_empty() {
                return Ok(());
            }
            let place = self.place().await?;
            let (ids, subids, numbers) = columns(newest);
            // In order, so that of two who do so none waits for the other in a circle.
            let query = || {
                self.query(
                    "INSERT INTO maintd.watermarks (deployment, id, subid, seqnr, seen_at) \
                     SELECT $1, u.id, u.subid, u.seqnr, now() \
                     FROM unnest($2::text[], $3::text[], $4::bigint[]) AS u (id, subid, seqnr) \
                     ORDER BY u.id, u.subid, u.seqnr ON CONFLICT DO NOTHING",
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

    async fn watermark(&self, id: &str, subid: &str, before: DateTime<Utc>) -> Result<Option<Watermark>> {
        const OP: Op = Op { name: "watermark", phrase: "read a watermark" };
        self.measured(OP, async {
            if cannot_be(&[id, subid]) {
                return Ok(None);
            }
            let place = self.place().await?;
            let query = || {
                self.query(
                    "SELECT id, subid, seqnr, seen_at FROM maintd.watermarks \
                     WHERE deployment = $1 AND id = $2 AND subid = $3 AND seen_at < $4 ORDER BY seqnr DESC LIMIT 1",
                )
                .bind(&place.schema)
                .bind(id)
                .bind(subid)
                .bind(before)
            };
            let rows = self.read_again(self.bounds, OP, query).await?;
            rows.first().map(read).transpose().op(OP)
        })
        .await
    }

    async fn watermarks(&self, id: &str, subid: &str) -> Result<Vec<Watermark>> {
        const OP: Op = Op { name: "watermarks", phrase: "list watermarks" };
        self.measured(OP, async {
            if cannot_be(&[id, subid]) {
                return Ok(Vec::new());
            }
            let place = self.place().await?;
            let query = || {
                self.query(
                    "SELECT id, subid, seqnr, seen_at FROM maintd.watermarks \
                     WHERE deployment = $1 AND id = $2 AND subid = $3 ORDER BY seen_at, seqnr",
                )
                .bind(&place.schema)
                .bind(id)
                .bind(subid)
            };
            let rows = self.read_again(self.bounds, OP, query).await?;
            rows.iter().map(read).collect::<Result<_, _>>().op(OP)
        })
        .await
    }

    async fn forget_watermarks_of(&self, id: &str, subid: &str) -> Result<u64> {
        const OP: Op = Op { name: "forget_watermarks_of", phrase: "forget the watermarks of a subscription" };
        self.measured(OP, async {
            if cannot_be(&[id, subid]) {
                return Ok(0);
            }
            let place = self.place().await?;
            let query = || {
                self.query("DELETE FROM maintd.watermarks WHERE deployment = $1 AND id = $2 AND subid = $3")
                    .bind(&place.schema)
                    .bind(id)
                    .bind(subid)
            };
            self.execute_again(OP, Again::Undone, query).await
        })
        .await
    }

    /// Of what was seen before `before` the highest number of each subscription stays, so that the
    /// age of its changes is known as well as it was.
    async fn forget_watermarks(&self, before: DateTime<Utc>) -> Result<u64> {
        const OP: Op = Op { name: "forget_watermarks", phrase: "forget old watermarks" };
        self.measured(OP, async {
            let place = self.place().await?;
            let query = || {
                self.query(
                    "DELETE FROM maintd.watermarks w WHERE deployment = $1 AND seen_at < $2 \
                     AND EXISTS (SELECT FROM maintd.watermarks higher WHERE higher.deployment = w.deployment \
                         AND higher.id = w.id AND higher.subid = w.subid AND higher.seqnr > w.seqnr \
                         AND higher.seen_at < $2)",
                )
                .bind(&place.schema)
                .bind(before)
            };
            self.execute_again(OP, Again::Undone, query).await
        })
        .await
    }
}

/// Numbers of subscriptions as the arrays of their parts: actor, subscription and number.
pub(super) fn columns(numbers: &[(String, String, i64)]) -> (Vec<&str>, Vec<&str>, Vec<i64>) {
    numbers.iter().map(|(id, subid, number)| (id.as_str(), subid.as_str(), *number)).collect()
}

fn read(row: &PgRow) -> Result<Watermark, sqlx::Error> {
    Ok(Watermark { id: row.try_get(0)?, subid: row.try_get(1)?, seqnr: row.try_get(2)?, seen_at: row.try_get(3)? })
}
