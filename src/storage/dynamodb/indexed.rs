//! Properties that actors are found by: the property and its look-up entry change together.

use aws_sdk_dynamodb::types::{AttributeValue as Sdk, ReturnConsumedCapacity};
use tokio::sync::OnceCell;

use super::error::{Context, is_missing_table, refused};
use super::expression::{Condition, Key};
use super::fields::Fields;
use super::record::Stored;
use super::rest::Rests;
use super::transact::{Outcome, Part};
use super::{DynamoDb, Op, lookup, properties};
use crate::model::limits::{MAX_HASH_KEY, MAX_RANGE_KEY};
use crate::model::row::Property;
use crate::model::{AttributeValue, Item, Table};
use crate::storage::{ErrorKind, Indexed, Result};

/// The table of look-ups by name and value themselves, which the library has read since it has the
/// newer one, and never made.
const FIRST_LOOKUP: &str = "_property_lookup";

/// What is known of the older ways to find an actor; nothing until they were tried.
#[derive(Debug, Default)]
pub(super) struct OlderWays {
    /// Whether the first look-up table is there.
    table: OnceCell<bool>,
    /// Whether the index on values is there.
    index: OnceCell<bool>,
}

impl DynamoDb {
    /// Stores a property and makes its look-up entry, if that is nobody else's.
    pub(super) async fn set_indexed(&self, op: Op, property: &Property) -> Result<Indexed> {
        let Property { id, name, value } = property;
        let item = self.within_limits(op, Table::Properties, property.item())?;
        let entry = self.within_limits(op, Table::PropertyLookup, lookup::entry(name, value, id).item())?;
        let (Some(place), Some(entry_key)) = (properties::key(id, name), lookup::key(name, value)) else {
            return Ok(Indexed::No);
        };
        // Who has the entries of the old and of the new value, once we know that it is not us.
        let (mut old_is_foreign, mut taken) = (false, None::<String>);
        let mut rests = Rests::default();
        loop {
            let old = self.get(op, &place).await?;
            let mut parts = vec![Part::Put(Table::Properties, item.clone(), unchanged(old.as_ref()))];
            parts.push(match &taken {
                None => Part::Put(Table::PropertyLookup, entry.clone(), lookup::ours(id)),
                Some(other) => Part::Check(entry_key.clone(), Condition::text("actor_id", other)),
            });
            let old_key = old.as_ref().and_then(|old| old_entry(old, name)).filter(|key| *key != entry_key);
            if let Some(key) = old_key.filter(|_| !old_is_foreign) {
                parts.push(Part::Delete(key, Some(lookup::ours(id))));
            }
            match self.transact(op, &parts).await? {
                Outcome::Done => return Ok(taken.map_or(Indexed::Yes, Indexed::Taken)),
                Outcome::Failed(1) => taken = self.owner(op, name, value).await?.filter(|owner| owner != id),
                Outcome::Failed(2) => old_is_foreign = true,
                Outcome::Failed(_) => (old_is_foreign, taken) = (false, None),
            }
            if !rests.take().await {
                return Err(restless(op));
            }
        }
    }

    /// Deletes a property, and its look-up entry if that is the actor's; false when there was none.
    pub(super) async fn delete_indexed(&self, op: Op, id: &str, name: &str) -> Result<bool> {
        let Some(place) = properties::key(id, name) else { return Ok(false) };
        let mut is_foreign = false;
        let mut rests = Rests::default();
        loop {
            let Some(old) = self.get(op, &place).await? else { return Ok(false) };
            let mut parts = vec![Part::Delete(place.clone(), Some(unchanged(Some(&old))))];
            if let Some(key) = old_entry(&old, name).filter(|_| !is_foreign) {
                parts.push(Part::Delete(key, Some(lookup::ours(id))));
            }
            match self.transact(op, &parts).await? {
                Outcome::Done => return Ok(true),
                Outcome::Failed(1) => is_foreign = true,
                Outcome::Failed(_) => is_foreign = false,
            }
            if !rests.take().await {
                return Err(restless(op));
            }
        }
    }

    /// The actor that has a property with this value.
    pub(super) async fn find_actor(&self, op: Op, name: &str, value: &str) -> Result<Option<String>> {
        if name.is_empty() || value.is_empty() {
            return Ok(None);
        }
        if self.indexing.by_table {
            let mut owner = self.owner(op, name, value).await?;
            if !self.has(op, owner.as_deref(), name, value).await? {
                owner = self.first_lookup(op, name, value).await?;
            }
            if self.has(op, owner.as_deref(), name, value).await? {
                return Ok(owner);
            }
        }
        self.indexed_value(op, name, value).await
    }

    /// Whether the actor has the property with this value now.
    async fn has(&self, op: Op, id: Option<&str>, name: &str, value: &str) -> Result<bool> {
        let Some(id) = id else { return Ok(false) };
        Ok(self.value_of(op, id, name).await?.as_deref() == Some(value))
    }

    /// The name of the first look-up table, whether it is there or not.
    pub(super) fn first_lookup_table(&self) -> String {
        format!("{}{FIRST_LOOKUP}", self.settings.table_prefix)
    }

    /// The actor by the first look-up table, where it is still there.
    async fn first_lookup(&self, op: Op, name: &str, value: &str) -> Result<Option<String>> {
        let cannot_be = name.len() > MAX_HASH_KEY || value.len() > MAX_RANGE_KEY;
        if cannot_be || self.older_ways.table.get() == Some(&false) {
            return Ok(None);
        }
        let request = self
            .clients()
            .await
            .work
            .get_item()
            .table_name(self.first_lookup_table())
            .key("property_name", Sdk::S(name.to_owned()))
            .key("value", Sdk::S(value.to_owned()))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = match self.send(op, request.send()).await? {
            Err(error) if is_missing_table(&error) => {
                let _known_already = self.older_ways.table.set(false);
                return Ok(None);
            }
            answer => answer.op(op)?,
        };
        self.read_units("property_lookup_v1", answer.consumed_capacity());
        let found = answer.item.and_then(|mut item| item.remove("actor_id"));
        Ok(match found {
            Some(Sdk::S(actor)) if !actor.is_empty() => Some(actor),
            _ => None,
        })
    }

    /// The actor by the index on values, where it is there; of several the first by id.
    async fn indexed_value(&self, op: Op, name: &str, value: &str) -> Result<Option<String>> {
        if self.older_ways.index.get() == Some(&false) {
            return Ok(None);
        }
        let filter = Some(("name", name));
        let found = self.indexed_items(op, Table::Properties, value, filter).await?;
        let Some(found) = found else {
            let _known_already = self.older_ways.index.set(false);
            return Ok(None);
        };
        let id = |item: &Item| Fields::of(Table::Properties, item).text("id").unwrap_or_default();
        let mut ids: Vec<String> = found.iter().map(id).collect();
        ids.sort();
        for id in ids {
            if self.has(op, Some(&id), name, value).await? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }
}

/// The item is as it was read, as far as it counts.
fn unchanged(old: Option<&Item>) -> Condition {
    old.map_or(Condition::Absent, |old| Condition::Has(vec![("value", old.get("value").cloned())]))
}

/// The entry of the value that stands, if it is one that can be looked up.
fn old_entry(old: &Item, name: &str) -> Option<Key> {
    match old.get("value") {
        Some(AttributeValue::S(value)) => lookup::key(name, value),
        _ => None,
    }
}

fn restless(op: Op) -> crate::storage::Error {
    refused(op, ErrorKind::Conflict, "others changed the same property or look-up entry again and again")
}
