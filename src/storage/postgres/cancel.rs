//! Ending what is on its way, when there is no time to wait for it.

use sqlx::Row;

use super::error::Context;
use super::{Op, Postgres};
use crate::storage::Result;

impl Postgres {
    /// Makes the server end the statements of all transactions that are open here, which leaves
    /// nothing of them. Returns how many it was told to end.
    ///
    /// # Errors
    ///
    /// When the server does not answer; then it will end them by their own limits.
    pub async fn cancel(&self) -> Result<i64> {
        const OP: Op = Op { name: "cancel", phrase: "cancel the open transactions" };
        self.measured(OP, async {
            let open = self.open.open();
            let (backends, begun): (Vec<i32>, Vec<i64>) =
                open.iter().map(|begun| (begun.backend, begun.microseconds)).unzip();
            let mut tx = self.begin_reserved(OP).await?;
            // Behind a pooler a backend may serve somebody else by now: the time it began tells.
            let query = self.query(
                "SELECT count(*) FILTER (WHERE pg_cancel_backend(pid)) \
                 FROM unnest($1::int[], $2::bigint[]) AS open (pid, begun) JOIN pg_stat_activity USING (pid) \
                 WHERE (extract(epoch FROM xact_start) * 1000000)::bigint = begun",
            );
            let row = tx.fetch_one(query.bind(backends).bind(begun)).await?;
            tx.commit().await?;
            row.try_get(0).op(OP)
        })
        .await
    }
}
