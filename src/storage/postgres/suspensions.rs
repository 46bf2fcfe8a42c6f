//! Targets for which no changes are recorded.

use async_trait::async_trait;
use chrono::DateTime;
use sqlx::Row as _;

use super::error::Context;
use super::record;
use super::rows::{bound, cannot_be, within_limits};
use super::{Op, Postgres};
use crate::model::Row;
use crate::model::row::Suspension;
use crate::storage::{Result, Suspensions};

#[async_trait]
impl Suspensions for Postgres {
    async fn is_suspended(&self, id: &str, target: &str, subtarget: &str) -> Result<bool> {
        const OP: Op = Op { name: "is_suspended", phrase: "ask whether a target is suspended" };
        self.measured(OP, async {
            if cannot_be(&[id, target]) {
                return Ok(false);
            }
            // What cannot be suspended itself still is with its whole target.
            let subtarget = if cannot_be(&[subtarget]) { "" } else { subtarget };
            let place = self.place().await?;
            let sql = &place.statements.tables.is_suspended;
            let query = || bound(self.query(sql.clone()), &[id, target, subtarget]);
            let rows = self.read_again(self.bounds, OP, query).await?;
            rows.first().map_or(Ok(false), |row| row.try_get(0).op(OP))
        })
        .await
    }

    async fn suspend(&self, id: &str, target: &str, subtarget: &str) -> Result<bool> {
        const OP: Op = Op { name: "suspend", phrase: "suspend a target" };
        self.measured(OP, async {
            let [id, target, subtarget] = [id, target, subtarget].map(str::to_owned);
            let row = Row::Suspension(Suspension { id, target, subtarget, suspended_at: DateTime::UNIX_EPOCH });
            within_limits(OP, &row)?;
            let mut texts = record::write(&row);
            // The server's clock says since when.
            texts[3] = None;
            self.create_of(OP, |s| &s.suspend, &texts).await
        })
        .await
    }

    async fn resume_target(&self, id: &str, target: &str, subtarget: &str) -> Result<bool> {
        const OP: Op = Op { name: "resume_target", phrase: "end the suspension of a target" };
        Ok(self.change(OP, |s| &s.resume_target, &[id, target, subtarget]).await? > 0)
    }

    async fn suspensions(&self, id: &str) -> Result<Vec<Suspension>> {
        const OP: Op = Op { name: "suspensions", phrase: "list suspensions" };
        self.select(OP, |s| &s.suspensions, &[id]).await
    }

    async fn delete_suspensions(&self, id: &str) -> Result<u64> {
        const OP: Op = Op { name: "delete_suspensions", phrase: "delete an actor's suspensions" };
        self.change(OP, |s| &s.delete_suspensions, &[id]).await
    }
}
