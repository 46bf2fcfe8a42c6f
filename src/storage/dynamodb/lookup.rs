//! Which actor has a property with a given value.

use async_trait::async_trait;

use super::expression::{Condition, Key};
use super::{DynamoDb, Op};
use crate::model::Table;
use crate::model::row::{LookupEntry, LookupOwner, lookup_key};
use crate::storage::{Lookup, Result};

/// The key of the entry for a value.
pub(super) fn key(name: &str, value: &str) -> Option<Key> {
    Key::new(Table::PropertyLookup, &[&lookup_key(name, value)])
}

/// The entry of an actor for a value.
pub(super) fn entry(name: &str, value: &str, actor_id: &str) -> LookupEntry {
    let owner = LookupOwner::Key(lookup_key(name, value));
    LookupEntry { owner, property_name: name.to_owned(), actor_id: actor_id.to_owned() }
}

/// There is no entry, or it is this actor's.
pub(super) fn ours(actor_id: &str) -> Condition {
    Condition::AbsentOr("actor_id", actor_id.to_owned())
}

#[async_trait]
impl Lookup for DynamoDb {
    async fn lookup(&self, name: &str, value: &str) -> Result<Option<String>> {
        const OP: Op = Op { name: "lookup", phrase: "read a look-up entry" };
        self.measured(OP, self.owner(OP, name, value)).await
    }

    async fn create_lookup(&self, name: &str, value: &str, actor_id: &str) -> Result<bool> {
        const OP: Op = Op { name: "create_lookup", phrase: "make a look-up entry" };
        self.measured(OP, self.create(OP, &entry(name, value, actor_id))).await
    }

    async fn delete_lookup(&self, name: &str, value: &str, actor_id: &str) -> Result<bool> {
        const OP: Op = Op { name: "delete_lookup", phrase: "delete a look-up entry" };
        self.measured(OP, self.delete(OP, key(name, value), Condition::text("actor_id", actor_id))).await
    }
}

impl DynamoDb {
    /// The actor of an entry.
    pub(super) async fn owner(&self, op: Op, name: &str, value: &str) -> Result<Option<String>> {
        let entry: Option<LookupEntry> = self.read(op, key(name, value)).await?;
        Ok(entry.map(|entry| entry.actor_id).filter(|actor| !actor.is_empty()))
    }
}
