//! Deleting a batch of rows, each with one conditional request.
//!
//! A batch is no transaction here. What makes it safe to break off anywhere is that every deletion
//! repeats the whole condition; what makes it count right is that what was deleted is added up in
//! this process, written as a sum that only grows, and that what is known of the rows of a batch
//! that broke off is remembered for its repetition. Only a row whose deletion was never answered,
//! and that is not tried again before the run ends, may be gone without being counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use aws_sdk_dynamodb::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure};
use futures_util::{StreamExt, stream};

use super::error::{Context, refused};
use super::own::{number, text};
use super::runs::TAKEN_OVER;
use super::sweep::{LABEL, Row};
use super::watch::{Counts, Known};
use super::{DynamoDb, Op};
use crate::model::{Table, clock};
use crate::storage::{Batch, Candidate, Error, ErrorKind, Expired, Fence, Removed, Result};

/// Requests at once, where one does not depend on another.
pub(super) const AT_ONCE: usize = 16;

/// What came of one row.
#[derive(Debug, Default)]
pub(super) struct Deletion {
    /// What is known of it now; nothing if it was not tried, or was tried in vain.
    pub(super) known: Option<Known>,
    /// Whether that was known and counted before.
    pub(super) is_old: bool,
    pub(super) units: f64,
    pub(super) error: Option<Error>,
}

impl Deletion {
    /// Nothing came of it.
    pub(super) fn failed(error: Error) -> Self {
        Self { error: Some(error), ..Self::default() }
    }
}

impl DynamoDb {
    /// Deletes the rows that still have expired, and adds to the counts of the run.
    pub(super) async fn delete_batch(
        &self,
        which: &Expired,
        candidates: &[Candidate],
        fence: &Fence,
        op: Op,
    ) -> Result<Batch> {
        let names: Vec<&str> = candidates.iter().map(|candidate| candidate.0.as_str()).collect();
        let removed = self.delete_each(&names, AT_ONCE, fence, op, |index, is_doubtful| async move {
            match serde_json::from_str::<Row>(&candidates[index].0) {
                Ok(row) => self.delete_row(which, &row, is_doubtful, op).await,
                Err(_) => Deletion::failed(refused(op, ErrorKind::Other, "this is no row of the store's")),
            }
        });
        Ok(removed.await?.batch)
    }

    /// Deletes rows, each by itself with `delete`, and adds to the counts of the run. By their `names`
    /// it is remembered what is known of them. So many `at_once`; with one none is begun before those before
    /// it are done, nor after one that failed. `delete` is given the place of a row among them, and
    /// whether an earlier attempt had no answer.
    pub(super) async fn delete_each<D>(
        &self,
        names: &[&str],
        at_once: usize,
        fence: &Fence,
        op: Op,
        delete: impl Fn(usize, bool) -> D,
    ) -> Result<Removed>
    where
        D: Future<Output = Deletion>,
    {
        let begun = Instant::now();
        let Some(job) = self.holdings.admits(fence, clock::steady()) else {
            return Err(refused(op, ErrorKind::Fenced, TAKEN_OVER));
        };
        let broken = AtomicBool::new(false);
        let deletions = names.iter().enumerate().map(|(index, name)| {
            let delete = &delete;
            self.delete_unless_broken(name, fence, &broken, op, move |is_doubtful| delete(index, is_doubtful))
        });
        let deletions: Vec<_> = deletions.collect();
        // All that were begun are waited for, as each may have deleted its row.
        let mut deletions: Vec<Deletion> = stream::iter(deletions).buffered(at_once).collect().await;
        let count = |known, is_old| {
            deletions.iter().filter(|row| row.known == Some(known) && row.is_old == is_old).count() as u64
        };
        let more = Counts { batches: 1, deleted: count(Known::Deleted, false), skipped: count(Known::Skipped, false) };
        let mut batch = Batch {
            deleted: more.deleted + count(Known::Deleted, true),
            waiters: 0,
            elapsed: begun.elapsed(),
            write_units: deletions.iter().map(|row| row.units).sum(),
        };
        let error = deletions.iter_mut().find_map(|row| row.error.take());
        let written = if error.is_none() || more.deleted + more.skipped > 0 {
            let counts = self.holdings.add(fence, more);
            self.write_counts(&job, fence, counts, op).await
        } else {
            Ok(0.0)
        };
        let is_done = error.is_none() && written.is_ok();
        let rows = names.iter().zip(&deletions);
        let rows = rows.map(|(name, row)| (*name, row.known.filter(|_| !is_done)));
        self.holdings.remember(fence, rows);
        if let Some(error) = error {
            return Err(error);
        }
        batch.write_units += written?;
        batch.elapsed = begun.elapsed();
        let rows = deletions.iter().map(|row| row.known == Some(Known::Deleted)).collect();
        Ok(Removed { rows, batch })
    }

    async fn delete_unless_broken<D>(
        &self,
        name: &str,
        fence: &Fence,
        broken: &AtomicBool,
        op: Op,
        delete: impl Fn(bool) -> D,
    ) -> Deletion
    where
        D: Future<Output = Deletion>,
    {
        let known = self.holdings.known(fence, name);
        if matches!(known, Some(Known::Deleted | Known::Skipped)) {
            return Deletion { known, is_old: true, ..Deletion::default() };
        }
        if broken.load(Ordering::Relaxed) {
            return Deletion { known, ..Deletion::default() };
        }
        if self.holdings.admits(fence, clock::steady()).is_none() {
            broken.store(true, Ordering::Relaxed);
            let error = refused(op, ErrorKind::Fenced, "the lease has run out");
            return Deletion { known, error: Some(error), ..Deletion::default() };
        }
        let deletion = delete(known.is_some()).await;
        if deletion.error.is_some() {
            broken.store(true, Ordering::Relaxed);
        }
        deletion
    }

    /// Deletes a row if it still has expired. `is_doubtful`: an earlier attempt had no answer.
    async fn delete_row(&self, which: &Expired, row: &Row, is_doubtful: bool, op: Op) -> Deletion {
        if !row.is_in(&which.buckets) {
            return Deletion { known: Some(Known::Skipped), ..Deletion::default() };
        }
        let attempts = Attempts::default();
        attempts.0.is_doubtful.store(is_doubtful, Ordering::Relaxed);
        let mut condition = "ttl_timestamp = :seen AND ttl_timestamp < :cutoff".to_owned();
        let mut request = self.clients().await.work.delete_item().table_name(self.table(Table::Attributes));
        request = request
            .key("id", text(row.id.as_str()))
            .key("bucket_name", text(row.bucket_name.as_str()))
            .expression_attribute_values(":seen", number(&row.ttl))
            .expression_attribute_values(":cutoff", number(which.cutoff))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        if let Some(bucket) = row.bucket.as_ref().filter(|_| !which.buckets.is_empty()) {
            condition.push_str(" AND #bucket = :bucket");
            request = request
                .expression_attribute_names("#bucket", "bucket")
                .expression_attribute_values(":bucket", text(bucket));
        }
        let request = request.condition_expression(condition).customize().interceptor(attempts.clone());
        let error = match self.send(op, request.send()).await {
            Err(error) => {
                let known = attempts.may_have_deleted().then_some(Known::Unanswered);
                return Deletion { known, error: Some(error), ..Deletion::default() };
            }
            Ok(Ok(answer)) => {
                let units = self.write_units(LABEL, answer.consumed_capacity());
                return Deletion { known: Some(Known::Deleted), units, ..Deletion::default() };
            }
            Ok(Err(error)) => error,
        };
        if let Some(DeleteItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() {
            // It is gone, and one of our own attempts had no answer: that was it.
            let is_ours = failed.item().is_none() && attempts.0.is_doubtful.load(Ordering::Relaxed);
            let known = if is_ours { Known::Deleted } else { Known::Skipped };
            return Deletion { known: Some(known), ..Deletion::default() };
        }
        let known = attempts.may_have_deleted().then_some(Known::Unanswered);
        Deletion { known, error: Err::<(), _>(error).op(op).err(), ..Deletion::default() }
    }
}

/// Whether one of the attempts that the SDK makes for a request may have done its work without our
/// hearing of it.
#[derive(Clone, Debug, Default)]
struct Attempts(Arc<Heard>);

#[derive(Debug, Default)]
struct Heard {
    /// An attempt was sent, and was not refused.
    is_open: AtomicBool,
    /// So was one before it.
    is_doubtful: AtomicBool,
}

impl Attempts {
    fn may_have_deleted(&self) -> bool {
        self.0.is_open.load(Ordering::Relaxed) || self.0.is_doubtful.load(Ordering::Relaxed)
    }
}

impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "Attempts"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if self.0.is_open.swap(true, Ordering::Relaxed) {
            self.0.is_doubtful.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if context.response().status().is_client_error() {
            self.0.is_open.store(false, Ordering::Relaxed);
        }
        Ok(())
    }
}
