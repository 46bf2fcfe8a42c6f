//! Coming to an end without leaving anything half done.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, interval_at, sleep, sleep_until};

use super::{Notifier, Signal};
use crate::runner::{Runner, Scheduler};

/// Between two lines about what is still running.
const REPORTING: Duration = Duration::from_secs(5);

/// How long the server may take to end what it was told to end, and we to write that down.
const CUTTING: Duration = Duration::from_secs(2);

/// Waits for running jobs. When the `grace` is over, or a second signal comes, the server is told
/// to end what they are doing, which leaves nothing of their last batches. Returns the jobs that
/// were cut that way.
pub(super) async fn drain(
    runners: &[Arc<Runner>],
    notifier: &Notifier,
    scheduler: &mut Scheduler,
    second: impl Future<Output = Signal>,
    grace: Duration,
) -> Vec<String> {
    let running = running(runners);
    if !running.is_empty() {
        tracing::info!(running = running.join(", "), grace = ?grace, "waiting for running jobs");
        notifier.status(&format!("draining: {}", running.join(", ")));
    }
    tokio::pin!(second);
    let over = Instant::now() + grace;
    let mut reports = interval_at(Instant::now() + REPORTING, REPORTING);
    loop {
        tokio::select! {
            () = scheduler.drain() => return Vec::new(),
            () = sleep_until(over) => {
                tracing::error!("the grace to drain is over");
                break;
            }
            signal = &mut second => {
                tracing::error!(%signal, "stopping at once, as the second signal asks");
                break;
            }
            _ = reports.tick() => report(runners, over),
        }
    }
    let cut = self::running(runners);
    // Here as well as at the very end: whoever manages the service may have no patience for that.
    tracing::error!(cut = cut.join(", "), "cutting what is still running");
    let ending = async {
        for runner in runners.iter().filter(|runner| !runner.running.is_empty()) {
            match runner.store.cancel().await {
                Ok(transactions) => tracing::warn!(transactions, "the server was told to end what is on its way"),
                Err(error) => {
                    tracing::error!(error = error.chain(), "the server could not be told to end what is on its way")
                }
            }
        }
        scheduler.drain().await;
    };
    tokio::select! {
        () = ending => {}
        () = sleep(CUTTING) => {}
    }
    cut
}

/// What is running, with the backend where there are several.
fn running(runners: &[Arc<Runner>]) -> Vec<String> {
    let name = |runner: &Runner, job: &str| match runners {
        [_] => job.to_owned(),
        _ => format!("{job} on {}", runner.backend),
    };
    let jobs = |runner: &Arc<Runner>| {
        let running = runner.running.progress().into_iter();
        running.map(|(job, _)| name(runner, job)).collect::<Vec<_>>()
    };
    runners.iter().flat_map(jobs).collect()
}

/// Says what is still running, and how far it is.
fn report(runners: &[Arc<Runner>], over: Instant) {
    let running = runners.iter().flat_map(|runner| {
        let backend = runner.backend;
        runner.running.progress().into_iter().map(move |(job, progress)| (backend, job, progress))
    });
    for (backend, job, progress) in running {
        tracing::info!(
            job.name = job,
            %backend,
            rows.done = progress.done(),
            left_s = over.saturating_duration_since(Instant::now()).as_secs(),
            "still waiting for {job}"
        );
    }
}
