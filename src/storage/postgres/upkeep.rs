//! The store as a whole: its schemas, who it is, and whether it is being filled.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::error::Context;
use super::{Op, Postgres};
use crate::model::BackendKind;
use crate::storage::{Adoption, Applied, Home, Identity, Incomplete, Result, SchemaStatus, Upkeep};

#[async_trait]
impl Upkeep for Postgres {
    fn backend(&self) -> BackendKind {
        BackendKind::Postgresql
    }

    fn describe(&self) -> String {
        Self::describe(self)
    }

    async fn probe(&self) -> Result<()> {
        Self::probe(self).await
    }

    async fn touch(&self) -> Result<()> {
        Self::touch(self).await
    }

    async fn schema(&self) -> Result<SchemaStatus> {
        Self::schema(self).await.map(SchemaStatus::Postgresql)
    }

    async fn apply(&self, application: bool) -> Result<Applied> {
        Self::apply(self, application).await.map(Applied::Postgresql)
    }

    async fn identity(&self) -> Result<Identity> {
        self.read_identity().await
    }

    async fn home(&self) -> Result<Home> {
        self.read_home().await
    }

    async fn adopt(&self, how: Adoption) -> Result<Identity> {
        self.adopt_here(how).await
    }

    async fn incomplete(&self) -> Result<Option<Incomplete>> {
        const OP: Op = Op { name: "incomplete", phrase: "ask whether the deployment is complete" };
        self.measured(OP, async {
            let place = self.place().await?;
            let query = self.query(
                "SELECT incomplete_why, incomplete_by, incomplete_since FROM maintd.deployments \
                 WHERE deployment = $1 AND incomplete_since IS NOT NULL",
            );
            let rows = self.fetch_all(self.bounds, OP, query.bind(&place.schema)).await?;
            rows.first().map(read_incomplete).transpose().op(OP)
        })
        .await
    }

    async fn mark_incomplete(&self, why: &str, by: &str) -> Result<Incomplete> {
        const OP: Op = Op { name: "mark_incomplete", phrase: "mark the deployment as incomplete" };
        // The row that is to be marked is made with the identity.
        self.read_identity().await?;
        self.measured(OP, async {
            let place = self.place().await?;
            let query = self.query(
                "UPDATE maintd.deployments SET incomplete_why = coalesce(incomplete_why, $2), \
                     incomplete_by = coalesce(incomplete_by, $3), \
                     incomplete_since = coalesce(incomplete_since, clock_timestamp()) \
                 WHERE deployment = $1 RETURNING incomplete_why, incomplete_by, incomplete_since",
            );
            let query = query.bind(&place.schema).bind(why).bind(by);
            read_incomplete(&self.fetch_one(self.bounds, OP, query).await?).op(OP)
        })
        .await
    }

    async fn mark_complete(&self) -> Result<Option<Incomplete>> {
        const OP: Op = Op { name: "mark_complete", phrase: "mark the deployment as complete" };
        self.measured(OP, async {
            let place = self.place().await?;
            let query = self.query(
                "UPDATE maintd.deployments d SET incomplete_why = NULL, incomplete_by = NULL, incomplete_since = NULL \
                 FROM (SELECT * FROM maintd.deployments WHERE deployment = $1 FOR UPDATE) was \
                 WHERE d.deployment = was.deployment AND was.incomplete_since IS NOT NULL \
                 RETURNING was.incomplete_why, was.incomplete_by, was.incomplete_since",
            );
            let rows = self.fetch_all(self.bounds, OP, query.bind(&place.schema)).await?;
            rows.first().map(read_incomplete).transpose().op(OP)
        })
        .await
    }

    async fn reserve(&self) {
        Self::reserve(self).await;
    }

    async fn cancel(&self) -> Result<i64> {
        Self::cancel(self).await
    }

    async fn close(&self, grace: Duration) {
        Self::close(self, grace).await;
    }
}

fn read_incomplete(row: &PgRow) -> Result<Incomplete, sqlx::Error> {
    Ok(Incomplete { why: row.try_get(0)?, by: row.try_get(1)?, since: row.try_get(2)? })
}
