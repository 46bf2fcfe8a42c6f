//! Going on when the store comes back.

use std::time::Instant;

use super::{BACKEND, Workplace};
use crate::storage::{ErrorKind, Result};
use crate::throttle::{Reason, Throttle};

/// Takes `step` again and again while it fails for a reason that may pass: a table that somebody
/// has locked, a server that is restarting. None when the run is asked to stop meanwhile, which
/// happens at the latest when its lease cannot be renewed either. Each step must be one that may
/// be repeated, also after its answer was lost.
///
/// # Errors
///
/// The step's own, when they do not pass.
pub(super) async fn persist<T, S>(
    job: &'static str,
    throttle: &Throttle,
    at: Workplace<'_>,
    step: impl Fn() -> S,
) -> Result<Option<T>>
where
    S: Future<Output = Result<T>>,
{
    let mut since = None;
    loop {
        match step().await {
            Ok(done) => {
                if let Some(since) = since.map(|since: Instant| since.elapsed()) {
                    tracing::info!(job.name = job, "{job} goes on after {since:.1?}");
                }
                return Ok(Some(done));
            }
            Err(error) if error.kind.may_pass() => {
                if since.is_none() {
                    since = Some(Instant::now());
                    tracing::warn!(job.name = job, error = error.chain(), "{job} cannot go on for now");
                }
                let reason = if error.kind == ErrorKind::Timeout { Reason::LockWait } else { Reason::Unavailable };
                let (reason, rest) = throttle.after_failure(reason, at.stop).await;
                at.metrics.throttle_wait(job, BACKEND, reason.name(), rest);
            }
            Err(error) => return Err(error),
        }
        if at.stop.requested().is_some() {
            return Ok(None);
        }
    }
}
