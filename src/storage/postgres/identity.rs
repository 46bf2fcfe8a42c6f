//! Who a deployment is, so that a clone is not taken for the original.

use sqlx::Row;
use sqlx::postgres::PgRow;

use super::error::Context;
use super::{Op, Postgres};
use crate::storage::{Adoption, Home, Identity, Result};

impl Postgres {
    /// The deployment's identity, made now if it has none yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Schema`](crate::storage::ErrorKind::Schema) when our own schema is missing.
    pub(super) async fn read_identity(&self) -> Result<Identity> {
        const OP: Op = Op { name: "identity", phrase: "read the deployment's identity" };
        self.measured(OP, async {
            let place = self.place().await?;
            let mut tx = self.begin(OP).await?;
            tx.execute(
                self.query(
                    "INSERT INTO maintd.deployments (deployment, system_identifier, database) \
                 SELECT $1, system_identifier, current_database() FROM pg_control_system() \
                 ON CONFLICT DO NOTHING",
                )
                .bind(&place.schema),
            )
            .await?;
            let row = tx
                .fetch_one(
                    self.query("SELECT id, system_identifier, database FROM maintd.deployments WHERE deployment = $1")
                        .bind(&place.schema),
                )
                .await?;
            tx.commit().await?;
            identity(&row).op(OP)
        })
        .await
    }

    /// Where the deployment is, as the server says.
    pub(super) async fn read_home(&self) -> Result<Home> {
        const OP: Op = Op { name: "home", phrase: "ask where the deployment is" };
        self.measured(OP, async {
            let query = self.query("SELECT system_identifier, current_database()::text FROM pg_control_system()");
            let row = self.fetch_one(self.bounds, OP, query).await?;
            Ok(Home::Postgresql { system_identifier: row.try_get(0).op(OP)?, database: row.try_get(1).op(OP)? })
        })
        .await
    }

    /// Writes down that the deployment belongs where it is.
    pub(super) async fn adopt_here(&self, how: Adoption) -> Result<Identity> {
        const OP: Op = Op { name: "adopt", phrase: "write down where the deployment is" };
        // The row that is changed is made with the identity.
        self.read_identity().await?;
        self.measured(OP, async {
            let place = self.place().await?;
            let query = self.query(
                "UPDATE maintd.deployments SET system_identifier = s.system_identifier, database = current_database(), \
                     id = CASE WHEN $2 THEN gen_random_uuid() ELSE id END \
                 FROM pg_control_system() s WHERE deployment = $1 \
                 RETURNING id, maintd.deployments.system_identifier, database",
            );
            let query = query.bind(&place.schema).bind(how == Adoption::Copied);
            identity(&self.fetch_one(self.bounds, OP, query).await?).op(OP)
        })
        .await
    }
}

fn identity(row: &PgRow) -> Result<Identity, sqlx::Error> {
    let home = Home::Postgresql { system_identifier: row.try_get(1)?, database: row.try_get(2)? };
    Ok(Identity { id: row.try_get(0)?, home })
}
