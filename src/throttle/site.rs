//! Where somebody works: who may end it, and where rests are told while they last.

use std::time::Duration;

use tokio::time::Instant;

use super::Reason;
use crate::metrics::Metrics;
use crate::model::BackendKind;
use crate::work::{Progress, Stop};

/// The longest stretch of a rest that is told at once.
const STRETCH: Duration = Duration::from_millis(250);

/// Where a writer works.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// Its job.
    pub job: &'static str,
    /// The backend.
    pub backend: BackendKind,
    /// Ends every rest at once; a writer that must not go on asks for it, too.
    pub stop: &'a Stop,
    /// Shows what it rests for.
    pub progress: &'a Progress,
    /// Counts how long.
    pub metrics: &'a Metrics,
}

impl Site<'_> {
    /// Rests for `reason`, as long as `length` at most. Returns how long it was.
    pub(super) async fn rest(&self, reason: Reason, length: Duration) -> Duration {
        if length.is_zero() {
            return length;
        }
        let _shown = self.progress.rest(reason.name());
        let begun = Instant::now();
        let mut rested = Duration::ZERO;
        while rested < length && self.stop.requested().is_none() {
            self.stop.sleep(STRETCH.min(length - rested)).await;
            let now = begun.elapsed();
            self.metrics.throttle_wait(self.job, self.backend, reason.name(), now - rested);
            rested = now;
        }
        rested
    }
}
