//! Targets for which no changes are recorded for the time being.

use async_trait::async_trait;

use super::error::refused;
use super::expression::{Condition, Key};
use super::fields::Fields;
use super::query::Range;
use super::requests::unreadable;
use super::{DynamoDb, Op};
use crate::model::row::Suspension;
use crate::model::{Item, Table};
use crate::storage::{ErrorKind, Result, Suspensions};

const TABLE: Table = Table::SubscriptionSuspensions;

fn suspension(id: &str, target: &str, subtarget: &str) -> Suspension {
    let (id, target, subtarget) = (id.to_owned(), target.to_owned(), subtarget.to_owned());
    Suspension { id, target, subtarget, ..Suspension::default() }
}

fn key(suspension: &Suspension) -> Option<Key> {
    Key::new(TABLE, &[&suspension.id, &suspension.target_key()])
}

#[async_trait]
impl Suspensions for DynamoDb {
    async fn is_suspended(&self, id: &str, target: &str, subtarget: &str) -> Result<bool> {
        const OP: Op = Op { name: "is_suspended", phrase: "ask whether a target is suspended" };
        self.measured(OP, async {
            let both = [suspension(id, target, ""), suspension(id, target, subtarget)];
            let keys: Vec<_> = both.iter().filter_map(key).collect();
            let found = self.get_all(OP, TABLE, keys).await?;
            // Two pairs of target and subtarget can share one key; their targets tell them apart.
            Ok(found.iter().map(|item| is_of(OP, item, target)).collect::<Result<Vec<_>>>()?.contains(&true))
        })
        .await
    }

    async fn suspend(&self, id: &str, target: &str, subtarget: &str) -> Result<bool> {
        const OP: Op = Op { name: "suspend", phrase: "suspend a target" };
        self.measured(OP, async {
            let row = Suspension { suspended_at: self.date.now(), ..suspension(id, target, subtarget) };
            if self.create(OP, &row).await? {
                return Ok(true);
            }
            let Some(key) = key(&row) else { return Ok(false) };
            match self.get(OP, &key).await? {
                Some(item) if !is_of(OP, &item, target)? => {
                    let why = "another target and subtarget that are suspended have the same key in DynamoDB";
                    Err(refused(OP, ErrorKind::Limit, why))
                }
                _ => Ok(false),
            }
        })
        .await
    }

    async fn resume_target(&self, id: &str, target: &str, subtarget: &str) -> Result<bool> {
        const OP: Op = Op { name: "resume_target", phrase: "resume a target" };
        let key = key(&suspension(id, target, subtarget));
        self.measured(OP, self.delete(OP, key, Condition::text("target", target))).await
    }

    async fn suspensions(&self, id: &str) -> Result<Vec<Suspension>> {
        const OP: Op = Op { name: "suspensions", phrase: "list suspended targets" };
        self.measured(OP, async {
            let mut suspensions: Vec<Suspension> = self.rows(OP, id, Range::All).await?;
            suspensions.sort_by(|one, other| (&one.target, &one.subtarget).cmp(&(&other.target, &other.subtarget)));
            Ok(suspensions)
        })
        .await
    }

    async fn delete_suspensions(&self, id: &str) -> Result<u64> {
        const OP: Op = Op { name: "delete_suspensions", phrase: "resume all targets" };
        self.measured(OP, self.delete_items(OP, TABLE, id, Range::All, |_| true)).await
    }
}

/// Whether an item suspends this target or a part of it.
fn is_of(op: Op, item: &Item, target: &str) -> Result<bool> {
    let found = Fields::of(TABLE, item).text("target").map_err(|why| unreadable(op, why))?;
    Ok(found == target)
}
