//! Going on when the store comes back.

use std::time::Instant;

use super::Workplace;
use crate::storage::Result;
use crate::throttle::Throttle;

/// What came of a step.
#[derive(Debug)]
pub(super) enum Step<T> {
    /// It was taken.
    Done(T),
    /// The run was asked to stop while the step failed for this reason.
    GivenUp(String),
}

/// Takes `step` again and again while it fails for a reason that may pass: a table that somebody
/// has locked, a server that is restarting. It is given up when the run is asked to stop, which
/// happens at the latest when its lease cannot be renewed either. Each step must be one that may
/// be repeated, also after its answer was lost.
///
/// # Errors
///
/// The step's own, when they do not pass.
pub(super) async fn persist<T, S>(
    job: &'static str,
    throttle: &Throttle<'_>,
    at: Workplace<'_>,
    step: impl Fn() -> S,
) -> Result<Step<T>>
where
    S: Future<Output = Result<T>>,
{
    let mut since = None;
    loop {
        let error = match step().await {
            Ok(done) => {
                if let Some(since) = since.map(|since: Instant| since.elapsed()) {
                    tracing::info!(job.name = job, "{job} goes on after {since:.1?}");
                }
                return Ok(Step::Done(done));
            }
            Err(error) if error.kind.may_pass() => error,
            Err(error) => return Err(error),
        };
        let (kind, error) = (error.kind, error.chain());
        if since.is_none() {
            since = Some(Instant::now());
            tracing::warn!(job.name = job, error, "{job} cannot go on for now");
        }
        throttle.after_failure(kind).await;
        if at.stop.requested().is_some() {
            return Ok(Step::GivenUp(error));
        }
    }
}
