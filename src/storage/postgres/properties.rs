//! Properties, and the entries of the look-up table that follow them.

use async_trait::async_trait;
use sqlx::Row as _;

use super::again::Again;
use super::error::{Context, refused};
use super::rows::{bound, cannot_be, within_limits};
use super::sweep::READING;
use super::transaction::Transaction;
use super::{Op, Place, Postgres};
use crate::model::Row;
use crate::model::row::{LIST_PREFIX, Property};
use crate::storage::{ErrorKind, Indexed, Properties, Result};

/// What the server says of a value that its index cannot hold: `program_limit_exceeded`, or
/// `string_data_right_truncation` of a name.
pub(super) const TOO_LONG: &[&str] = &["54000", "22001"];

/// Name and value are not too long when together they have no more bytes than this: the column of
/// names takes as many characters, and an index several times as many bytes.
pub(super) const SHORT: usize = 255;

/// How often others may come in between; each time is a race that was lost within microseconds.
const ROUNDS: u32 = 10;

#[async_trait]
impl Properties for Postgres {
    async fn property(&self, id: &str, name: &str) -> Result<Option<String>> {
        const OP: Op = Op { name: "property", phrase: "read a property" };
        let found = self.select_one::<Property>(OP, |s| &s.property, &[id, name]).await?;
        Ok(found.map(|property| property.value).filter(|value| !value.is_empty()))
    }

    async fn set_property(&self, property: &Property) -> Result<Indexed> {
        const OP: Op = Op { name: "set_property", phrase: "store a property" };
        let Property { id, name, value } = property;
        if value.is_empty() {
            self.remove(OP, id, name).await?;
            return Ok(Indexed::No);
        }
        self.measured(OP, async {
            within_limits(OP, &Row::Property(property.clone()))?;
            let place = self.place().await?;
            if !self.follows(OP, &place, name).await? {
                let sql = &place.statements.tables.set_property;
                let query = || bound(self.query(sql.clone()), &[id, name, value]);
                self.execute_again(OP, Again::Always, query).await?;
                return Ok(Indexed::No);
            }
            let mut tries = Again::Always.tries();
            loop {
                let tx = self.begin(OP).await?;
                match self.set_within(tx, OP, &place, property).await {
                    Err(error) if tries.another(&error) => {}
                    indexed => return indexed,
                }
            }
        })
        .await
    }

    async fn create_property(&self, property: &Property) -> Result<bool> {
        const OP: Op = Op { name: "create_property", phrase: "make a property" };
        if property.value.is_empty() {
            let why = refused(OP, ErrorKind::Limit, "an empty value means that there is no property");
            return self.measured(OP, async { Err(why) }).await;
        }
        self.create(OP, |s| &s.create_property, &Row::Property(property.clone())).await
    }

    async fn swap_property(&self, property: &Property, expected: &str) -> Result<bool> {
        const OP: Op = Op { name: "swap_property", phrase: "replace a property" };
        let Property { id, name, value } = property;
        if let Err(error) = within_limits(OP, &Row::Property(property.clone())) {
            return self.measured(OP, async { Err(error) }).await;
        }
        Ok(self.change(OP, |s| &s.swap_property, &[id, name, value, expected]).await? > 0)
    }

    async fn delete_property_if(&self, id: &str, name: &str, expected: &str) -> Result<bool> {
        const OP: Op = Op { name: "delete_property_if", phrase: "delete a property with this value" };
        Ok(self.change(OP, |s| &s.delete_property_if, &[id, name, expected]).await? > 0)
    }

    async fn delete_property(&self, id: &str, name: &str) -> Result<bool> {
        const OP: Op = Op { name: "delete_property", phrase: "delete a property" };
        self.remove(OP, id, name).await
    }

    async fn delete_properties(&self, id: &str, names: &[String]) -> Result<()> {
        const OP: Op = Op { name: "delete_properties", phrase: "delete properties" };
        self.measured(OP, async {
            let names: Vec<&str> = names.iter().map(String::as_str).filter(|name| !cannot_be(&[name])).collect();
            if names.is_empty() || cannot_be(&[id]) {
                return Ok(());
            }
            let place = self.place().await?;
            let sql = &place.statements.tables.delete_properties;
            self.execute_again(OP, Again::Always, || self.query(sql.clone()).bind(id).bind(&names)).await?;
            Ok(())
        })
        .await
    }

    async fn delete_all_properties(&self, id: &str) -> Result<u64> {
        const OP: Op = Op { name: "delete_all_properties", phrase: "delete an actor's properties" };
        self.measured(OP, async {
            if cannot_be(&[id]) {
                return Ok(0);
            }
            let place = self.place().await?;
            let has_lookup = self.has_lookup(OP, &place).await?;
            let mut tries = Again::Undone.tries();
            loop {
                let tx = self.begin(OP).await?;
                match self.delete_all_within(tx, &place, has_lookup, id).await {
                    Err(error) if tries.another(&error) => {}
                    deleted => return deleted,
                }
            }
        })
        .await
    }

    async fn property_range(&self, id: &str, lower: &str, upper: &str) -> Result<Vec<Property>> {
        const OP: Op = Op { name: "property_range", phrase: "read a range of properties" };
        self.select_within(OP, |s| &s.property_range, &[id, lower, upper]).await
    }

    async fn property_prefix(&self, id: &str, prefix: &str) -> Result<Vec<Property>> {
        const OP: Op = Op { name: "property_prefix", phrase: "read properties by prefix" };
        if prefix.is_empty() {
            return self.measured(OP, async { Ok(Vec::new()) }).await;
        }
        self.select(OP, |s| &s.property_prefix, &[id, prefix]).await
    }

    async fn last_property_name(&self, id: &str, lower: &str, upper: &str) -> Result<Option<String>> {
        const OP: Op = Op { name: "last_property_name", phrase: "look for the last property of a range" };
        self.select_text(self.bounds, OP, |s| &s.last_property_name, &[id, lower, upper]).await
    }

    async fn plain_properties(&self, id: &str) -> Result<Vec<Property>> {
        const OP: Op = Op { name: "plain_properties", phrase: "list plain properties" };
        self.select(OP, |s| &s.plain_properties, &[id, LIST_PREFIX]).await
    }

    async fn all_properties(&self, id: &str) -> Result<Vec<Property>> {
        const OP: Op = Op { name: "all_properties", phrase: "list properties" };
        self.select(OP, |s| &s.all_properties, &[id]).await
    }

    /// Properties that are not looked up find nobody, as with the library, unless it works without
    /// the look-up table.
    async fn actor_by_property(&self, name: &str, value: &str) -> Result<Option<String>> {
        const OP: Op = Op { name: "actor_by_property", phrase: "look for an actor by a property" };
        let is_looked_up = self.indexing.covers(name) || !self.indexing.by_table;
        if name.is_empty() || value.is_empty() || cannot_be(&[name, value]) || !is_looked_up {
            return self.measured(OP, async { Ok(None) }).await;
        }
        let place = self.place().await?;
        if self.follows(OP, &place, name).await? {
            self.select_text(READING, OP, |s| &s.actor_by_property, &[name, value]).await
        } else {
            self.select_text(READING, OP, |s| &s.actor_by_reading_all, &[name, value]).await
        }
    }
}

impl Postgres {
    /// Whether the look-up table has entries that follow properties of this name.
    async fn follows(&self, op: Op, place: &Place, name: &str) -> Result<bool> {
        Ok(self.indexing.covers(name) && self.has_lookup(op, place).await?)
    }

    /// Stores a property that is looked up by its value, and its entry.
    ///
    /// Who writes the same property meanwhile must not leave an entry of a value that is no longer
    /// there, so whoever deletes the entry of the value before must be sure of that value: it is
    /// read under the row's lock, which also the application's own writes respect. Without a row
    /// there is nothing to lock; then the row is only inserted, and when somebody else was first,
    /// there is one to lock.
    async fn set_within(&self, mut tx: Transaction, op: Op, place: &Place, property: &Property) -> Result<Indexed> {
        let statements = &place.statements.tables;
        let Property { id, name, value } = property;
        let mut rounds = 0..ROUNDS;
        let (has_actor, old) = loop {
            let row = tx.fetch_one(bound(self.query(statements.lock_property.clone()), &[id, name])).await?;
            let (has_actor, old): (bool, Option<String>) = (row.try_get(0).op(op)?, row.try_get(1).op(op)?);
            let sql = if old.is_some() { &statements.set_property } else { &statements.create_property };
            if tx.execute(bound(self.query(sql.clone()), &[id, name, value])).await? > 0 {
                break (has_actor, old);
            }
            if rounds.next().is_none() {
                tx.rollback().await?;
                return Err(refused(op, ErrorKind::Conflict, "somebody else made and deleted it again and again"));
            }
        };
        let old = old.filter(|old| old != value);
        let delete = || self.query(statements.delete_lookup.clone()).bind(name);
        // Two actors that change into each other's values must not wait for each other: both begin with
        // the lower value.
        let (before, after) = match old {
            Some(old) if old < *value => (Some(old), None),
            old => (None, old),
        };
        if let Some(old) = before {
            tx.execute(delete().bind(old).bind(id)).await?;
        }
        let indexed = loop {
            if !has_actor {
                break Indexed::NoActor;
            }
            let claim = bound(self.query(statements.claim_lookup.clone()), &[name, value, id]);
            // Being able to undo it alone takes two round trips.
            let rows = if name.len() + value.len() > SHORT {
                tx.attempt(claim, TOO_LONG).await?.ok()
            } else {
                Some(tx.fetch_all(claim).await?)
            };
            let Some(rows) = rows else { break Indexed::TooLong };
            if let Some(row) = rows.first() {
                let owner: String = row.try_get(0).op(op)?;
                break if owner == *id { Indexed::Yes } else { Indexed::Taken(owner) };
            }
            if rounds.next().is_none() {
                tx.rollback().await?;
                let why = "somebody else made and deleted its look-up entry again and again";
                return Err(refused(op, ErrorKind::Conflict, why));
            }
        };
        if let Some(old) = after {
            tx.execute(delete().bind(old).bind(id)).await?;
        }
        tx.commit().await?;
        Ok(indexed)
    }

    /// Deletes a property, and its entry if it is looked up.
    async fn remove(&self, op: Op, id: &str, name: &str) -> Result<bool> {
        self.measured(op, async {
            if cannot_be(&[id, name]) {
                return Ok(false);
            }
            let place = self.place().await?;
            let follows = self.follows(op, &place, name).await?;
            let mut tries = Again::Undone.tries();
            loop {
                let tx = self.begin(op).await?;
                match self.remove_within(tx, op, &place, follows, [id, name]).await {
                    Err(error) if tries.another(&error) => {}
                    removed => return removed,
                }
            }
        })
        .await
    }

    /// Two statements, because an entry that somebody made while we waited for the row is only seen
    /// by the second.
    async fn remove_within(
        &self,
        mut tx: Transaction,
        op: Op,
        place: &Place,
        follows: bool,
        [id, name]: [&str; 2],
    ) -> Result<bool> {
        let statements = &place.statements.tables;
        let gone = tx.fetch_optional(bound(self.query(statements.delete_property.clone()), &[id, name])).await?;
        if let Some(row) = &gone
            && follows
        {
            let value: String = row.try_get(0).op(op)?;
            tx.execute(bound(self.query(statements.delete_lookup.clone()), &[name, &value, id])).await?;
        }
        tx.commit().await?;
        Ok(gone.is_some())
    }

    async fn delete_all_within(&self, mut tx: Transaction, place: &Place, has_lookup: bool, id: &str) -> Result<u64> {
        let statements = &place.statements.tables;
        let deleted = tx.execute(self.query(statements.delete_all_properties.clone()).bind(id)).await?;
        if has_lookup {
            tx.execute(self.query(statements.delete_lookups.clone()).bind(id)).await?;
        }
        tx.commit().await?;
        Ok(deleted)
    }
}
