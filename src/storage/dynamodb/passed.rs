//! Slots that were passed over, in our own table: each stretch is the very JSON that every surface
//! shows. Stretches of a job never overlap, so they are in order of their last slots as well.

use aws_sdk_dynamodb::types::{Delete, TransactWriteItem};
use chrono::{DateTime, Utc};

use super::error::refused;
use super::own::{Condition, Fields, Item, Range, key, text, time, time_text};
use super::runs::passed_of;
use super::{DynamoDb, Op};
use crate::model::BackendKind;
use crate::storage::{Conclusion, ErrorKind, Result};
use crate::work::PassedSlots;

fn write(passed: &PassedSlots, op: Op) -> Result<Item> {
    let mut item = key(passed_of(&passed.job), time_text(passed.from));
    let json = serde_json::to_string(passed).map_err(|error| refused(op, ErrorKind::Other, error.to_string()))?;
    item.insert("passed".to_owned(), text(json));
    item.insert("last_slot".to_owned(), time(passed.to));
    item.insert("recorded_at".to_owned(), time(passed.recorded_at));
    Ok(item)
}

impl DynamoDb {
    /// What adds the slots that are passed over, as parts of a transaction. A stretch that goes on
    /// where the last one ended, for the same reason, is one stretch with it.
    pub(super) async fn passing(
        &self,
        job: &str,
        conclusion: &Conclusion,
        holder: &str,
        now: DateTime<Utc>,
        op: Op,
    ) -> Result<Vec<TransactWriteItem>> {
        let mut parts = Vec::new();
        for (index, passed) in conclusion.passed.iter().enumerate() {
            let mut stretch = PassedSlots {
                job: job.to_owned(),
                backend: BackendKind::Dynamodb,
                from: passed.first,
                to: passed.last,
                count: passed.count,
                fate: passed.reason.fate(),
                reason: passed.reason,
                recorded_at: now,
                recorded_by: holder.to_owned(),
            };
            let mut condition = None;
            if index == 0
                && conclusion.goes_on
                && let Some(last) = self.newest_passed(job, op).await?
                && last.to == conclusion.since
                && last.reason == passed.reason
            {
                stretch.from = last.from;
                stretch.count = last.count.saturating_add(passed.count);
                condition = Some(Condition::holds("last_slot = :since", [(":since", time(last.to))]));
            }
            parts.push(self.putting(write(&stretch, op)?, condition, op)?);
        }
        Ok(parts)
    }

    async fn newest_passed(&self, job: &str, op: Op) -> Result<Option<PassedSlots>> {
        let newest = Range { backwards: true, limit: Some(1), ..Range::all(passed_of(job)) };
        let items = self.own_items(newest, Some(1), op).await?;
        items.first().map(|item| Fields(item, op).json("passed")).transpose()
    }

    /// The newest stretches that reach beyond `slot`, `count` at most, and what deletes them as
    /// parts of a transaction.
    pub(super) async fn passed_beyond(
        &self,
        job: &str,
        slot: DateTime<Utc>,
        count: u32,
        op: Op,
    ) -> Result<(Vec<PassedSlots>, Vec<TransactWriteItem>)> {
        let newest = Range { backwards: true, limit: Some(count), ..Range::all(passed_of(job)) };
        let (mut stretches, mut parts) = (Vec::new(), Vec::new());
        for item in self.own_items(newest, Some(count), op).await? {
            let stretch: PassedSlots = Fields(&item, op).json("passed")?;
            if stretch.to <= slot {
                break;
            }
            let key = key(passed_of(job), time_text(stretch.from));
            let delete = Delete::builder().table_name(self.own_table()).set_key(Some(key)).build();
            let delete = delete.map_err(|error| refused(op, ErrorKind::Other, error.to_string()))?;
            parts.push(TransactWriteItem::builder().delete(delete).build());
            stretches.push(stretch);
        }
        Ok((stretches, parts))
    }
}
