//! The entries of the look-up table by themselves.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use sqlx::Row as _;

use super::again::Again;
use super::error::{Context, refused};
use super::rows::{bound, cannot_be, within_limits};
use super::{Op, Place, Postgres};
use crate::model::Row;
use crate::model::row::{LookupEntry, LookupOwner};
use crate::storage::{ErrorKind, Lookup, Result};

#[async_trait]
impl Lookup for Postgres {
    async fn lookup(&self, name: &str, value: &str) -> Result<Option<String>> {
        const OP: Op = Op { name: "lookup", phrase: "read a look-up entry" };
        if cannot_be(&[name, value]) {
            return self.measured(OP, async { Ok(None) }).await;
        }
        self.select_text(self.bounds, OP, |s| &s.lookup, &[name, value]).await
    }

    async fn create_lookup(&self, name: &str, value: &str, actor_id: &str) -> Result<bool> {
        const OP: Op = Op { name: "create_lookup", phrase: "make a look-up entry" };
        self.measured(OP, async {
            let entry = LookupEntry {
                owner: LookupOwner::Value(value.to_owned()),
                property_name: name.to_owned(),
                actor_id: actor_id.to_owned(),
            };
            within_limits(OP, &Row::Lookup(entry))?;
            let place = self.place().await?;
            let sql = &place.statements.tables.create_lookup;
            let query = || bound(self.query(sql.clone()), &[name, value, actor_id]);
            let rows = self.fetch_again(self.bounds, OP, Again::Undone, query).await?;
            let Some(row) = rows.first() else { return Ok(false) };
            let (has_actor, made): (bool, bool) = (row.try_get(0).op(OP)?, row.try_get(1).op(OP)?);
            if has_actor {
                Ok(made)
            } else {
                Err(refused(OP, ErrorKind::Limit, "property_lookup: actor_id names no actor, and each entry needs one"))
            }
        })
        .await
    }

    async fn delete_lookup(&self, name: &str, value: &str, actor_id: &str) -> Result<bool> {
        const OP: Op = Op { name: "delete_lookup", phrase: "delete a look-up entry" };
        Ok(self.change(OP, |s| &s.delete_lookup, &[name, value, actor_id]).await? > 0)
    }
}

impl Postgres {
    /// Whether there is a look-up table: the first revision of the schema has none. Once seen, it
    /// stays.
    pub(super) async fn has_lookup(&self, op: Op, place: &Place) -> Result<bool> {
        if place.has_lookup.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let query = || {
            self.query(
                "SELECT EXISTS (SELECT FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace \
                 WHERE nspname = $1 AND relname = 'property_lookup')",
            )
            .bind(&place.schema)
        };
        let rows = self.read_again(self.bounds, op, query).await?;
        let found = rows.first().map_or(Ok(false), |row| row.try_get(0).op(op))?;
        place.has_lookup.store(found, Ordering::Relaxed);
        Ok(found)
    }
}
