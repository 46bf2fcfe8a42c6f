//! What DynamoDB tells of itself: only that it turned requests away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use aws_sdk_dynamodb::config::interceptors::FinalizerInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;

use super::DynamoDb;
use crate::model::Table;
use crate::storage::{Pressure, Result, Strain, Vacuumed};
use crate::work::Stop;

/// What answers that turn a request away for want of capacity have in their first line.
const WORDS: [&str; 3] = ["ProvisionedThroughputExceeded", "ThrottlingException", "RequestLimitExceeded"];

/// Answers are looked at this far; the word is at their beginning.
const LOOKED_AT: usize = 256;

/// Counts the attempts that were turned away for want of capacity, also those that the SDK repeats
/// without a word.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusals(Arc<AtomicU64>);

impl Refusals {
    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Intercept for Refusals {
    fn name(&self) -> &'static str {
        "Refusals"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let refused = context.response().filter(|response| response.status().is_client_error());
        if let Some(body) = refused.and_then(|response| response.body().bytes()) {
            let beginning = String::from_utf8_lossy(&body[..body.len().min(LOOKED_AT)]);
            if WORDS.iter().any(|word| beginning.contains(word)) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Pressure for DynamoDb {
    async fn strain(&self, _table: Option<Table>, _ignored_replicas: &[String]) -> Result<Strain> {
        Ok(Strain { throttled: self.refusals.count(), ..Strain::default() })
    }

    async fn vacuum(&self, _table: Table, _stop: &Stop) -> Result<Vacuumed> {
        Ok(Vacuumed::Needless)
    }

    async fn unvacuumed(&self) -> Result<Option<Vec<Table>>> {
        Ok(None)
    }
}
