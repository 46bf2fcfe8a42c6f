//! Who a deployment is, so that a clone is not taken for the original.

use sqlx::Row;

use super::error::Context;
use super::{Op, Postgres};
use crate::storage::{Home, Identity, Result};

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
            Ok(Identity {
                id: row.try_get(0).op(OP)?,
                home: Home::Postgresql { system_identifier: row.try_get(1).op(OP)?, database: row.try_get(2).op(OP)? },
            })
        })
        .await
    }
}
