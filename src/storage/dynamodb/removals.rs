//! Deleting single items, each only as it was read.

use async_trait::async_trait;

use super::deletion::{AT_ONCE, Deletion};
use super::error::refused;
use super::expression::{Condition, Key};
use super::transact::{Outcome, Part};
use super::watch::Known;
use super::{DynamoDb, Op};
use crate::model::{Source, Table};
use crate::storage::{ErrorKind, Fence, Guard, Removal, Removals, Removed, Result};

const OP: Op = Op { name: "remove", phrase: "delete rows" };

#[async_trait]
impl Removals for DynamoDb {
    async fn remove(&self, removals: &[Removal], fence: &Fence) -> Result<Removed> {
        self.measured(OP, async {
            // Digests, as names of attributes are no business of whoever looks into our memory.
            let names: Vec<String> = removals.iter().map(name).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let remove = |index: usize, is_doubtful| self.remove_one(&removals[index], is_doubtful);
            self.delete_each(&names, AT_ONCE, fence, OP, remove).await
        })
        .await
    }
}

impl DynamoDb {
    /// Deletes an item if it is as it was and its guard holds. `is_doubtful`: an earlier attempt had no
    /// answer.
    async fn remove_one(&self, removal: &Removal, is_doubtful: bool) -> Deletion {
        match self.try_to_remove(removal, is_doubtful).await {
            Ok((known, units)) => Deletion { known: Some(known), units, ..Deletion::default() },
            Err(error) => {
                // In these cases the answer says that nothing was done; in any other it may have been.
                let is_undone = matches!(error.kind, ErrorKind::Throttled | ErrorKind::Denied | ErrorKind::Schema);
                let known = (is_doubtful || !is_undone).then_some(Known::Unanswered);
                Deletion { known, ..Deletion::failed(error) }
            }
        }
    }

    async fn try_to_remove(&self, removal: &Removal, is_doubtful: bool) -> Result<(Known, f64)> {
        let Removal { record, guard } = removal;
        let Source::Dynamodb(item) = &record.source else {
            return Err(refused(OP, ErrorKind::Other, "a row of another backend cannot be deleted here"));
        };
        let Some(key) = Key::of(record.table, item) else {
            return Err(refused(OP, ErrorKind::Other, "an item without its key cannot be deleted"));
        };
        let same = Condition::Same(item.clone());
        let removed = match guard.as_ref().and_then(check) {
            None => self.delete_metered(OP, &key, &same).await,
            Some(check) => {
                let parts = [Part::Delete(key.clone(), Some(same)), check];
                let done = self.transact_metered(OP, &parts).await;
                done.map(|(outcome, units)| (outcome == Outcome::Done, units))
            }
        };
        match removed {
            Ok((true, units)) => Ok((Known::Deleted, units)),
            // It is gone, and one of our own attempts had no answer: that was it.
            Ok((false, units)) if is_doubtful && self.get(OP, &key).await?.is_none() => Ok((Known::Deleted, units)),
            Ok((false, units)) => Ok((Known::Skipped, units)),
            // Somebody else is at one of the two; nothing was done.
            Err(error) if error.kind == ErrorKind::Conflict => Ok((Known::Skipped, 0.0)),
            Err(error) => Err(error),
        }
    }
}

/// What a removal is remembered by.
fn name(removal: &Removal) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(removal.record.table.name().as_bytes());
    if let Source::Dynamodb(item) = &removal.record.source {
        hasher.update(format!("{item:?}").as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// The part of a transaction that holds a guard; none where no item can have the key, so that there
/// is none.
fn check(guard: &Guard) -> Option<Part> {
    match guard {
        Guard::Absent { table, key } => {
            let key: Vec<&str> = key.iter().map(String::as_str).collect();
            Key::new(*table, &key).map(|key| Part::Check(key, Condition::Absent))
        }
        Guard::Property { id, name, value } => {
            let key = Key::new(Table::Properties, &[id, name])?;
            Some(Part::Check(key, Condition::text("value", value)))
        }
    }
}
