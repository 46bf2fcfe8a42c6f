//! What holds the transactions of a run: the fence before, and the counts after.

use super::error::refused;
use super::sweep::count;
use super::transaction::Transaction;
use super::{Op, Postgres};
use crate::storage::{ErrorKind, Fence, Result};

impl Postgres {
    /// Holds the run's own row until the end of the transaction, so that whoever takes the lease over
    /// waits for it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fenced`] when somebody has taken it over.
    pub(super) async fn fence(&self, tx: &mut Transaction, fence: &Fence, op: Op) -> Result<()> {
        let query = self
            .query(
                "/* fence */ UPDATE maintd.run_workers SET worker = worker \
                 WHERE run_id = $1 AND worker = $2 AND term = $3 AND secret = $4",
            )
            .bind(fence.run_id)
            .bind(worker(fence))
            .bind(fence.term)
            .bind(fence.secret);
        match tx.execute(query).await? {
            1 => Ok(()),
            _ => Err(refused(op, ErrorKind::Fenced, "somebody else has taken the lease over")),
        }
    }

    /// Adds what the transaction has done to the counts of the run, as its last statement. Returns how
    /// many others wait for a lock of ours.
    pub(super) async fn add_counts(
        &self,
        tx: &mut Transaction,
        fence: &Fence,
        (deleted, skipped): (u64, u64),
        op: Op,
    ) -> Result<u64> {
        let query = self
            .query(
                "/* counts */ UPDATE maintd.run_workers SET batches = batches + 1, deleted = deleted + $3, \
                     skipped = skipped + $4 WHERE run_id = $1 AND worker = $2 \
                 RETURNING (SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted \
                     AND transactionid = pg_current_xact_id()::xid)",
            )
            .bind(fence.run_id)
            .bind(worker(fence))
            .bind(deleted.cast_signed())
            .bind(skipped.cast_signed());
        count(&tx.fetch_one(query).await?, 0, op)
    }
}

/// The number of the worker as its row has it.
pub(super) fn worker(fence: &Fence) -> i16 {
    i16::try_from(fence.worker).unwrap_or(i16::MAX)
}
