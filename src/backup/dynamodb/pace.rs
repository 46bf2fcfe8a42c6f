//! How rows are read and written here: within the budget, again after what passes, and no longer than wanted.

use std::time::{Duration, Instant};

use crate::backup::{Desk, Error, Result};
use crate::storage;
use crate::storage::ErrorKind;
use crate::throttle::Reason;

/// How long to rest after a request that failed, for a reason that may pass.
const FAILURE_REST: Duration = Duration::from_millis(500);

/// How often it is asked whether something is done that DynamoDB does by itself.
const POLL: Duration = Duration::from_secs(1);

/// The pace of one backup or restore, shared by those who read and write at the same time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace<'a>(Desk<'a>);

impl<'a> Pace<'a> {
    pub(super) fn of(desk: Desk<'a>) -> Self {
        Self(desk)
    }

    /// Ends the work here if somebody wants that.
    pub(super) fn check(self) -> Result<()> {
        match self.0.stop.requested() {
            Some(_) => Err(Error::Stopped),
            None => Ok(()),
        }
    }

    /// Takes a step, which may be repeated, until it succeeds, fails for a reason that does not pass, or somebody
    /// wants to stop.
    pub(super) async fn persist<T, S>(self, step: impl Fn() -> S) -> Result<T>
    where
        S: Future<Output = storage::Result<T>>,
    {
        let mut since = None;
        loop {
            self.check()?;
            // On the heap: a request of the SDK is large, and would be so in whatever waits for it, down to the stack.
            let error = match Box::pin(step()).await {
                Ok(done) => {
                    if let Some(since) = since.map(|since: Instant| since.elapsed()) {
                        tracing::info!("DynamoDB does it again after {since:.1?}");
                    }
                    return Ok(done);
                }
                Err(error) if error.kind.may_pass() => error,
                Err(error) => return Err(error.into()),
            };
            if since.is_none() {
                since = Some(Instant::now());
                tracing::warn!(
                    error = error.chain(),
                    "DynamoDB does not do it for now, and is asked again until it does"
                );
            }
            let reason = if error.kind == ErrorKind::Throttled { Reason::Throttled } else { Reason::Stalled };
            self.rest(reason, FAILURE_REST).await;
        }
    }

    /// Pays for what was read.
    pub(super) async fn has_read(self, units: f64) {
        self.rest(Reason::Budget, self.0.budget.for_reading(units)).await;
    }

    /// Pays for what was written.
    pub(super) async fn has_written(self, units: f64) {
        self.rest(Reason::Budget, self.0.budget.for_writing(units)).await;
    }

    /// Waits for what DynamoDB does by itself, and asks now and then. What it is of is for the error when it is not
    /// done within `patience`.
    pub(super) async fn wait_for<T, S>(self, what: &str, patience: Duration, ask: impl Fn() -> S) -> Result<T>
    where
        S: Future<Output = storage::Result<Option<T>>>,
    {
        let begun = Instant::now();
        loop {
            if let Some(done) = self.persist(&ask).await? {
                return Ok(done);
            }
            if begun.elapsed() >= patience {
                let hours = patience.as_secs() / 3600;
                return Err(Error::failed(format!("{what} is not ready after {hours} hours")));
            }
            self.0.stop.sleep(POLL).await;
        }
    }

    async fn rest(self, reason: Reason, length: Duration) {
        if !length.is_zero() {
            let _shown = self.0.progress.rest(reason.name());
            self.0.stop.sleep(length).await;
        }
    }
}
