//! One run: lease, work, report, history.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use chrono::{DateTime, Utc};
use tokio::sync::Notify;

use super::keeper::Keeper;
use super::{Board, HistorySettings, LeaseSettings};
use crate::jobs::{BACKEND, Deletes, Job, Workplace};
use crate::metrics::Metrics;
use crate::storage::postgres::Postgres;
use crate::storage::{self, Claim, Claimed, Error, ErrorKind, Finish, Lease, Leases, Runs};
use crate::work::{Outcome, Progress, Report, Run, Stop, StopReason, Trigger};

/// Runs jobs on one store. The schedule and the command `job run` take the same way through it.
#[derive(Debug)]
pub struct Runner {
    /// Where jobs work and where their leases and history are.
    pub store: Arc<Postgres>,
    /// Counted into.
    pub metrics: Arc<Metrics>,
    /// Shown on.
    pub board: Board,
    /// How leases are kept.
    pub lease: LeaseSettings,
    /// How long history is kept.
    pub history: HistorySettings,
    /// Who runs, for people: host and process.
    pub holder: String,
    /// Told when a run has ended here.
    pub ended: Arc<Notify>,
    /// What is running in this process.
    pub running: Running,
}

/// The jobs whose runs are going on in this process, or are about to.
#[derive(Clone, Debug, Default)]
pub struct Running(Arc<Mutex<Vec<&'static str>>>);

impl Running {
    /// Their names.
    pub fn jobs(&self) -> Vec<&'static str> {
        self.lock().clone()
    }

    /// Adds `job` until the value returned is dropped.
    fn begin(&self, job: &'static str) -> impl Drop + use<> {
        struct Begun(Running, &'static str);

        impl Drop for Begun {
            fn drop(&mut self) {
                self.0.lock().retain(|job| *job != self.1);
            }
        }

        self.lock().push(job);
        Begun(self.clone(), job)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<&'static str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came of the wish to run a job.
#[derive(Clone, Debug)]
pub enum Ran {
    /// It ran; how it ended is in the run.
    Ended(Box<Run>),
    /// Somebody else is running it.
    Held {
        /// Who: host and process.
        holder: String,
        /// Since when.
        since: DateTime<Utc>,
    },
    /// Its slot has been dealt with already.
    SlotDone,
    /// It was asked to stop before it had begun.
    Stopped,
}

impl Runner {
    /// Runs `job` if its lease can be had, until it is done or asked to stop.
    ///
    /// # Errors
    ///
    /// When the store does not answer, or when its schema is one that nothing may be deleted from
    /// ([`ErrorKind::Schema`]). A run that began and failed is not an error here but an
    /// [`Outcome`].
    pub async fn run(
        &self,
        job: &Arc<dyn Job>,
        slot: Option<DateTime<Utc>>,
        trigger: Trigger,
        stop: &Stop,
        progress: &Progress,
    ) -> storage::Result<Ran> {
        if let Some(why) = self.store.schema().await?.refusal() {
            return Err(Error { backend: BACKEND, op: "run the job", kind: ErrorKind::Schema, source: why.into() });
        }
        // In this order, and before the lease is asked for: whoever asks to stop and then looks at
        // what is running either keeps us from beginning or waits for our end.
        let _running = self.running.begin(job.name());
        if stop.requested().is_some() {
            return Ok(Ran::Stopped);
        }
        let claim = Claim {
            job: job.name(),
            slot,
            trigger,
            holder: self.holder.clone(),
            workers: job.workers(),
            ttl: self.lease.ttl.0,
        };
        let lease = match self.store.claim(&claim).await? {
            Claimed::Won(lease) => lease,
            Claimed::Held { holder, since } => return Ok(Ran::Held { holder, since }),
            Claimed::SlotDone => return Ok(Ran::SlotDone),
        };
        self.metrics.job_running(job.name(), BACKEND, true);
        self.metrics.lease_held(job.name(), BACKEND, true);
        self.show(job.name(), |shown| shown.running = Some(lease.run.clone()));
        let begun = Instant::now();
        let (result, report) = self.work(job, &lease, stop, progress).await;
        let run = self.finish(job, &lease, result, report).await;
        let outcome = run.outcome.unwrap_or(Outcome::Lost);
        self.metrics.job_idle(job.name(), BACKEND);
        self.metrics.job_run(job.name(), BACKEND, outcome, Some(begun.elapsed()));
        self.metrics.job_last_run(job.name(), BACKEND, run.finished_at);
        if outcome == Outcome::Succeeded {
            self.metrics.job_last_success(job.name(), BACKEND, run.finished_at);
        }
        self.show(job.name(), |shown| {
            shown.running = None;
            shown.last_run = Some(run.clone());
            if outcome == Outcome::Succeeded {
                shown.last_success = run.finished_at;
            }
        });
        log(&run);
        if let Err(error) = self.store.forget(self.history.keep.0).await {
            tracing::warn!(error = error.chain(), "old runs stay in the history for now");
        }
        self.ended.notify_one();
        Ok(Ran::Ended(Box::new(run)))
    }

    /// Works in a task of its own, which is never dropped half way, while the lease is kept.
    async fn work(
        &self,
        job: &Arc<dyn Job>,
        lease: &Lease,
        stop: &Stop,
        progress: &Progress,
    ) -> (storage::Result<()>, Report) {
        // Asking this run to stop must not stop the others; asking all must stop this one.
        let own = Stop::new();
        let keeper = Keeper::start(Arc::clone(&self.store), lease.clone(), self.lease.ttl.0, own.clone());
        let task = tokio::spawn({
            let (job, lease, own, progress) = (Arc::clone(job), lease.clone(), own.clone(), progress.clone());
            let (store, metrics) = (Arc::clone(&self.store), Arc::clone(&self.metrics));
            async move {
                let mut report = Report { limits: job.limits(), ..Report::default() };
                let at = Workplace { lease: &lease, stop: &own, progress: &progress, metrics: &metrics };
                let result = job.run(&*store, at, &mut report).await;
                (result, report)
            }
        });
        let deadline = tokio::time::sleep(job.plan().deadline);
        let ended = async {
            tokio::pin!(task);
            tokio::pin!(deadline);
            loop {
                tokio::select! {
                    ended = &mut task => return ended,
                    () = &mut deadline, if own.requested().is_none() => own.request(StopReason::Deadline),
                    () = stop.wait(), if own.requested().is_none() => {
                        own.request(stop.requested().unwrap_or(StopReason::Shutdown));
                    }
                }
            }
        };
        let ended = ended.await;
        keeper.stop().await;
        ended.unwrap_or_else(|panic| {
            let error = Error { backend: BACKEND, op: "run the job", kind: ErrorKind::Other, source: panic.into() };
            (Err(error), Report { more: true, ..Report::default() })
        })
    }

    /// Writes the run's end, as far as it is still ours to write.
    async fn finish(&self, job: &Arc<dyn Job>, lease: &Lease, result: storage::Result<()>, report: Report) -> Run {
        let error = result.as_ref().err().map(Error::chain);
        let outcome = match &result {
            Err(error) if error.kind == ErrorKind::Fenced => Outcome::Lost,
            Err(_) => Outcome::Failed,
            Ok(()) if report.stopped == Some(StopReason::LeaseLost) => Outcome::Lost,
            Ok(()) if report.more || report.stopped.is_some() => Outcome::Partial,
            Ok(()) => Outcome::Succeeded,
        };
        let counted = report.deleted;
        let finish = Finish { outcome, error, report };
        match self.store.finish(lease, &finish).await {
            Ok(run) => {
                // A batch may have been committed without its answer reaching us: the store knows.
                let missed = run.report.deleted.saturating_sub(counted);
                let Deletes { table, reason } = job.deletes();
                self.metrics.rows_deleted(job.name(), BACKEND, table, reason, missed);
                run
            }
            Err(error) => {
                tracing::error!(run.id = %lease.run.run_id, error = error.chain(), "the run's report could not be written; the next run marks it lost");
                let Finish { error: first, report, .. } = finish;
                let error = first.or_else(|| Some(error.chain()));
                Run { outcome: Some(Outcome::Lost), error, report, ..lease.run.clone() }
            }
        }
    }

    /// Changes what the board shows of `job`.
    pub fn show(&self, job: &str, change: impl FnOnce(&mut super::JobStatus)) {
        self.board.update(|status| {
            if let Some(shown) = status.jobs.iter_mut().find(|shown| shown.job == job) {
                change(shown);
            }
        });
    }
}

/// One line a run, at a level that its outcome deserves.
fn log(run: &Run) {
    let seconds = run.seconds();
    let Run { job, run_id, trigger, outcome, error, report, .. } = run;
    let outcome = outcome.map_or("running", Outcome::name);
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                job.name = %job, run.id = %run_id, run.trigger = trigger.name(), run.outcome = outcome,
                run.duration_s = seconds, rows.examined = report.examined, rows.deleted = report.deleted,
                rows.skipped = report.skipped, batches = report.batches, more = report.more,
                stopped = report.stopped.map(tracing::field::display), error = error.as_deref(),
                "{job} {outcome}: {} rows deleted", report.deleted
            )
        };
    }
    match run.outcome {
        Some(Outcome::Failed | Outcome::Lost) => line!(error),
        _ => line!(info),
    }
}
