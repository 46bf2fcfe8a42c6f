//! Changes that subscribers may still fetch.

use async_trait::async_trait;

use super::expression::{Condition, Key};
use super::fields::Fields;
use super::query::Range;
use super::requests::unreadable;
use super::transact::{self, Part};
use super::{DynamoDb, Op};
use crate::model::row::{SubscriptionDiff, subid_seqnr};
use crate::model::{Item, Table, Unreadable, limits};
use crate::storage::{Result, SubscriptionDiffs, Through};

const TABLE: Table = Table::SubscriptionDiffs;

fn key(id: &str, subid: &str, seqnr: i64) -> Option<Key> {
    Key::new(TABLE, &[id, &subid_seqnr(subid, seqnr)])
}

/// What the keys of a subscription begin with. Those of another one may begin so too, as ids may
/// hold colons.
fn prefix(subid: Option<&str>) -> Option<String> {
    subid.map(|subid| format!("{subid}:"))
}

fn range(prefix: Option<&String>) -> Range<'_> {
    prefix.map_or(Range::All, |prefix| Range::Prefix(prefix))
}

#[async_trait]
impl SubscriptionDiffs for DynamoDb {
    async fn diff(&self, id: &str, subid: &str, seqnr: i64) -> Result<Option<SubscriptionDiff>> {
        const OP: Op = Op { name: "diff", phrase: "read a change" };
        self.measured(OP, self.read(OP, key(id, subid, seqnr))).await
    }

    async fn first_diff(&self, id: &str, subid: &str) -> Result<Option<SubscriptionDiff>> {
        const OP: Op = Op { name: "first_diff", phrase: "read the first change of a subscription" };
        self.measured(OP, async { Ok(self.diffs_of(OP, id, Some(subid)).await?.into_iter().next()) }).await
    }

    async fn diffs(&self, id: &str, subid: Option<&str>) -> Result<Vec<SubscriptionDiff>> {
        const OP: Op = Op { name: "diffs", phrase: "list changes" };
        self.measured(OP, self.diffs_of(OP, id, subid)).await
    }

    async fn create_diff(&self, diff: &SubscriptionDiff) -> Result<bool> {
        const OP: Op = Op { name: "create_diff", phrase: "add a change" };
        self.measured(OP, self.create(OP, diff)).await
    }

    async fn delete_diff(&self, id: &str, subid: &str, seqnr: i64) -> Result<bool> {
        const OP: Op = Op { name: "delete_diff", phrase: "delete a change" };
        self.measured(OP, self.delete(OP, key(id, subid, seqnr), Condition::Present)).await
    }

    async fn clear_diffs(&self, id: &str, subid: Option<&str>, through: Through) -> Result<u64> {
        const OP: Op = Op { name: "clear_diffs", phrase: "delete changes" };
        self.measured(OP, self.clear(OP, id, subid, through)).await
    }
}

impl DynamoDb {
    async fn diffs_of(&self, op: Op, id: &str, subid: Option<&str>) -> Result<Vec<SubscriptionDiff>> {
        let prefix = prefix(subid);
        let mut diffs: Vec<SubscriptionDiff> = self.rows(op, id, range(prefix.as_ref())).await?;
        diffs.retain(|diff| subid.is_none_or(|subid| diff.subid == subid));
        diffs.sort_by(|one, other| (&one.subid, one.seqnr).cmp(&(&other.subid, other.seqnr)));
        Ok(diffs)
    }

    /// A batch that is half done would leave a hole among the numbers, and a subscriber takes what
    /// is missing there for delivered. So each step is a transaction, though that costs twice as
    /// much.
    async fn clear(&self, op: Op, id: &str, subid: Option<&str>, through: Through) -> Result<u64> {
        let prefix = prefix(subid);
        let mut old = Vec::new();
        for item in self.items(op, TABLE, id, range(prefix.as_ref())).await? {
            let (of, seqnr) = place(&item).map_err(|why| unreadable(op, why))?;
            if subid.is_none_or(|subid| of == subid) && through.includes(seqnr) {
                let key = Key::of(TABLE, &item);
                old.extend(key.map(|key| (of, seqnr, key, limits::item_size(&item))));
            }
        }
        old.sort_by(|(of, seqnr, ..), (other, other_seqnr, ..)| (of, seqnr).cmp(&(other, other_seqnr)));
        let count = old.len() as u64;
        let mut step = Vec::new();
        let mut bytes = 0;
        for (_, _, key, size) in old {
            if step.len() == transact::MOST || (bytes + size > transact::MOST_BYTES && !step.is_empty()) {
                self.transact(op, &step).await?;
                step.clear();
                bytes = 0;
            }
            step.push(Part::Delete(key, None));
            bytes += size;
        }
        if !step.is_empty() {
            self.transact(op, &step).await?;
        }
        Ok(count)
    }
}

/// Whose change an item is, and its number.
fn place(item: &Item) -> Result<(String, i64), Unreadable> {
    let fields = Fields::of(TABLE, item);
    Ok((fields.text("subid")?, fields.number("seqnr")?))
}
