//! The changes that subscribers may still fetch.

use async_trait::async_trait;

use super::again::Again;
use super::rows::cannot_be;
use super::{Op, Postgres};
use crate::model::Row;
use crate::model::row::{SubscriptionDiff, subid_seqnr};
use crate::storage::{Result, SubscriptionDiffs, Through};

#[async_trait]
impl SubscriptionDiffs for Postgres {
    async fn diff(&self, id: &str, subid: &str, seqnr: i64) -> Result<Option<SubscriptionDiff>> {
        const OP: Op = Op { name: "diff", phrase: "read a change" };
        self.select_one(OP, |s| &s.diff, &[id, &subid_seqnr(subid, seqnr), subid]).await
    }

    async fn first_diff(&self, id: &str, subid: &str) -> Result<Option<SubscriptionDiff>> {
        const OP: Op = Op { name: "first_diff", phrase: "read the first change" };
        self.select_one(OP, |s| &s.first_diff, &[id, subid]).await
    }

    async fn diffs(&self, id: &str, subid: Option<&str>) -> Result<Vec<SubscriptionDiff>> {
        const OP: Op = Op { name: "diffs", phrase: "list changes" };
        match subid {
            Some(subid) => self.select(OP, |s| &s.diffs, &[id, subid]).await,
            None => self.select(OP, |s| &s.diffs_of_all, &[id]).await,
        }
    }

    async fn create_diff(&self, diff: &SubscriptionDiff) -> Result<bool> {
        const OP: Op = Op { name: "create_diff", phrase: "add a change" };
        self.create(OP, |s| &s.create_diff, &Row::Diff(diff.clone())).await
    }

    async fn delete_diff(&self, id: &str, subid: &str, seqnr: i64) -> Result<bool> {
        const OP: Op = Op { name: "delete_diff", phrase: "delete a change" };
        Ok(self.change(OP, |s| &s.delete_diff, &[id, &subid_seqnr(subid, seqnr), subid]).await? > 0)
    }

    async fn clear_diffs(&self, id: &str, subid: Option<&str>, through: Through) -> Result<u64> {
        const OP: Op = Op { name: "clear_diffs", phrase: "delete changes" };
        self.measured(OP, async {
            let last = match through {
                Through::All => None,
                Through::Number(last) if last > 0 => Some(last),
                Through::Number(_) => return Ok(0),
            };
            if cannot_be(&[id, subid.unwrap_or_default()]) {
                return Ok(0);
            }
            let place = self.place().await?;
            let sql = &place.statements.tables.clear_diffs;
            self.execute_again(OP, Again::Undone, || self.query(sql.clone()).bind(id).bind(subid).bind(last)).await
        })
        .await
    }
}
