//! Keeps a lease while a job runs, and stops the job before the lease could run out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::storage::{Lease, Renewal, Store};
use crate::work::{Stop, StopReason};

/// Two tasks: one renews the lease, the other watches the time. The watcher asks no database, so
/// that it also ends the work in time when the renewal hangs.
#[derive(Debug)]
pub(super) struct Keeper {
    /// Stops the renewal between two requests, so that none is dropped half way.
    done: Stop,
    renewer: JoinHandle<()>,
    watcher: JoinHandle<()>,
}

impl Keeper {
    /// Keeps `lease` for `ttl` at a time, and makes `stop` the one to ask when it is lost.
    pub(super) fn start(store: Arc<dyn Store>, lease: Lease, ttl: Duration, stop: Stop) -> Self {
        let (renewed, seen) = watch::channel(lease.renewed);
        let done = Stop::new();
        let watcher = tokio::spawn(watch_the_time(seen, ttl, stop.clone()));
        let renewer = tokio::spawn(renew(store, lease, ttl, renewed, stop, done.clone()));
        Self { done, renewer, watcher }
    }

    /// Stops keeping; the lease is still held, to be released with the report.
    pub(super) async fn stop(self) {
        self.watcher.abort();
        self.done.request(StopReason::Shutdown);
        // A panic in there has been logged by the hook and cost nothing but the lease.
        let _ended = self.renewer.await;
    }
}

async fn renew(
    store: Arc<dyn Store>,
    lease: Lease,
    ttl: Duration,
    renewed: watch::Sender<Instant>,
    stop: Stop,
    done: Stop,
) {
    store.reserve().await;
    let mut wait = ttl / 3;
    loop {
        done.sleep(wait).await;
        // A lease that was not kept in time is not asked for again: the work has been stopped.
        if done.requested().is_some() || stop.requested() == Some(StopReason::LeaseLost) {
            return;
        }
        let asked = Instant::now();
        wait = ttl / 3;
        match store.renew(&lease, ttl).await {
            Ok(kept @ (Renewal::Kept | Renewal::Paused)) => {
                renewed.send_replace(asked);
                if kept == Renewal::Paused {
                    stop.request(StopReason::Paused);
                }
            }
            Ok(Renewal::Lost) => {
                tracing::error!(job.name = %lease.run.job, run.id = %lease.run.run_id, "the lease was taken over");
                stop.request(StopReason::LeaseLost);
                return;
            }
            Err(error) => {
                tracing::warn!(job.name = %lease.run.job, error = error.chain(), "the lease could not be renewed yet");
                // There is time for one more attempt, or two.
                wait = ttl / 12;
            }
        }
    }
}

async fn watch_the_time(mut renewed: watch::Receiver<Instant>, ttl: Duration, stop: Stop) {
    // Earlier than the server would end it, so that the last batch is over by then.
    let trusted = ttl * 4 / 5;
    loop {
        let until = *renewed.borrow_and_update() + trusted;
        tokio::select! {
            () = tokio::time::sleep_until(until.into()) => {
                stop.request(StopReason::LeaseLost);
                return;
            }
            changed = renewed.changed() => if changed.is_err() { return },
        }
    }
}
