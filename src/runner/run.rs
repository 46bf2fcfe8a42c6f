//! One run: lease, work, report, history.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::keeper::Keeper;
use super::{Board, Clocks, HistorySettings, LeaseSettings};
use crate::jobs::{Job, Touches, Workplace};
use crate::metrics::Metrics;
use crate::model::BackendKind;
use crate::storage::{
    self, Claim, Claimed, Conclusion, Due, Error, ErrorKind, Finish, Held, Incomplete, Lease, Paused, SlotAfter, Store,
    Won,
};
use crate::work::{Fate, Outcome, Progress, Reason, Report, Run, Stop, StopReason};

/// The longest time before a run that failed is tried again.
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);

/// Between two attempts to write a report.
const REPORTING: Duration = Duration::from_millis(250);

/// Runs jobs on one store. The schedule and the command `job run` take the same way through it.
#[derive(Debug)]
pub struct Runner {
    /// Where jobs work and where their leases and history are.
    pub store: Arc<dyn Store>,
    /// Which backend that is.
    pub backend: BackendKind,
    /// Counted into.
    pub metrics: Arc<Metrics>,
    /// Shown on.
    pub board: Board,
    /// Whether the clocks can be trusted.
    pub clocks: Clocks,
    /// How leases are kept.
    pub lease: LeaseSettings,
    /// How long history is kept; may change while jobs run.
    pub history: watch::Sender<HistorySettings>,
    /// Who runs, for people: host and process.
    pub holder: String,
    /// Told when a run has ended here.
    pub ended: Arc<Notify>,
    /// What is running in this process.
    pub running: Running,
}

/// The jobs whose runs are going on in this process, or are about to.
#[derive(Clone, Debug, Default)]
pub struct Running(Arc<Mutex<Vec<(&'static str, Progress)>>>);

impl Running {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Their names, and how far they are.
    pub fn progress(&self) -> Vec<(&'static str, Progress)> {
        self.lock().clone()
    }

    /// Adds `job` until the value returned is dropped.
    fn begin(&self, job: &'static str, progress: &Progress) -> impl Drop + use<> {
        struct Begun(Running, &'static str);

        impl Drop for Begun {
            fn drop(&mut self) {
                self.0.lock().retain(|(job, _)| *job != self.1);
            }
        }

        self.lock().push((job, progress.clone()));
        Begun(self.clone(), job)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(&'static str, Progress)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came of the wish to run a job.
#[derive(Clone, Debug)]
pub enum Ran {
    /// It ran; how it ended is in the run.
    Ended(Box<Run>),
    /// Somebody else is running it.
    Held(Held),
    /// Somebody has paused it.
    Paused(Paused),
    /// Nothing may be done now, for this reason, which is also told in words.
    Refused(Reason, String),
    /// Somebody was quicker: the slots have to be looked at again.
    Moved,
    /// It was asked to stop before it had begun.
    Stopped,
}

/// What makes a job run.
#[derive(Clone, Debug)]
pub enum Start {
    /// Somebody wants it to.
    Manual,
    /// A slot is due.
    Scheduled {
        /// The slot.
        due: Due,
        /// How long the hours last in which the job may run; none if for ever.
        open_for: Option<Duration>,
    },
}

impl Runner {
    /// Runs `job` if its lease can be had, until it is done or asked to stop.
    ///
    /// # Errors
    ///
    /// When the store does not answer. A run that began and failed is not an error here but an
    /// [`Outcome`].
    pub async fn run(
        &self,
        job: &Arc<dyn Job>,
        start: Start,
        stop: &Stop,
        progress: &Progress,
    ) -> storage::Result<Ran> {
        let schema = self.store.schema().await?;
        // What a job that only looks finds at a schema that nobody knows is just what somebody wants to know.
        let refusal = if job.needs_known_schema() { schema.refusal() } else { schema.own_refusal() };
        if let Some(why) = refusal {
            return Ok(Ran::Refused(Reason::Schema, why));
        }
        if let Some(Incomplete { why, by, since }) = self.store.incomplete().await? {
            let since = since.format("%Y-%m-%dT%H:%M:%SZ");
            let why = format!("it is incomplete since {since}, as {by} says: {why}");
            return Ok(Ran::Refused(Reason::Incomplete, why));
        }
        // The clocks of a slot have been judged by whoever found it due.
        if matches!(start, Start::Manual)
            && let Some(why) = self.clocks.ask(&*self.store).await?
        {
            return Ok(Ran::Refused(Reason::Clock, why));
        }
        // In this order, and before the lease is asked for: whoever asks to stop and then looks at
        // what is running either keeps us from beginning or waits for our end.
        let running = self.running.begin(job.name(), progress);
        if stop.requested().is_some() {
            return Ok(Ran::Stopped);
        }
        let (due, open_for) = match start {
            Start::Manual => (None, None),
            Start::Scheduled { due, open_for } => (Some(due), open_for),
        };
        let claim =
            Claim { job: job.name(), due, holder: self.holder.clone(), workers: job.workers(), ttl: self.lease.ttl.0 };
        let claimed = self.store.claim(&claim).await?;
        if let (Claimed::Won(_) | Claimed::Exhausted(_), Some(due)) = (&claimed, &claim.due) {
            self.count_passed(job.name(), &due.before);
        }
        let lease = match claimed {
            Claimed::Won(won) => {
                let Won { lease, lost } = *won;
                self.learn_lost(job.name(), lost.as_ref());
                lease
            }
            Claimed::Held(held) => return Ok(Ran::Held(held)),
            Claimed::Paused(paused) => return Ok(Ran::Paused(paused)),
            Claimed::Moved => return Ok(Ran::Moved),
            Claimed::Exhausted(lost) => {
                self.learn_lost(job.name(), lost.as_deref());
                tracing::error!(job.name = job.name(), "its runs were lost again and again: the slot is given up");
                self.metrics.slots(job.name(), self.backend, Fate::Ran, 1);
                return Ok(Ran::Moved);
            }
        };
        self.metrics.job_running(job.name(), self.backend, true);
        self.metrics.lease_held(job.name(), self.backend, true);
        self.show(job.name(), |shown| {
            shown.running = Some(lease.run.clone());
            shown.progress = Some(progress.clone());
        });
        let begun = Instant::now();
        let (result, report) = self.work(job, &lease, open_for, stop, progress).await;
        let retries = claim.due.as_ref().map_or(0, |due| due.retries);
        let (run, is_written) = self.finish(job, &lease, retries, result, report).await;
        self.show_end(job.name(), &run, begun.elapsed(), is_written);
        log(&run);
        // Nobody has to wait for what follows.
        drop(running);
        let keep = self.history.borrow().keep.0;
        if is_written && let Err(error) = self.store.forget(keep).await {
            tracing::warn!(error = error.chain(), "old runs stay in the history for now");
        }
        self.ended.notify_one();
        Ok(Ran::Ended(Box::new(run)))
    }

    /// Counts the run that the last holder left behind: nobody else does.
    fn learn_lost(&self, job: &'static str, lost: Option<&Run>) {
        if let Some(lost) = lost {
            self.metrics.job_run(job, self.backend, Outcome::Lost, None);
            tracing::warn!(
                job.name = job, run.id = %lost.run_id, run.holder = %lost.holder, rows.deleted = lost.report.deleted,
                "{} has left its run of {job} behind; it is marked lost", lost.holder
            );
        }
    }

    /// Counts what became of slots that were not run, or not to their end.
    pub(super) fn count_passed(&self, job: &'static str, conclusion: &Conclusion) {
        self.metrics.slots(job, self.backend, Fate::Ran, conclusion.begun);
        for passed in &conclusion.passed {
            let fate = passed.reason.fate();
            self.metrics.slots(job, self.backend, fate, passed.count);
            if fate == Fate::Skipped {
                self.metrics.job_skipped(job, self.backend, passed.count);
            }
        }
    }

    /// Works in a task of its own, which is never dropped half way, while the lease is kept.
    async fn work(
        &self,
        job: &Arc<dyn Job>,
        lease: &Lease,
        open_for: Option<Duration>,
        stop: &Stop,
        progress: &Progress,
    ) -> (storage::Result<()>, Report) {
        // Asking this run to stop must not stop the others; asking all must stop this one.
        let own = Stop::new();
        let keeper = Keeper::start(Arc::clone(&self.store), lease.clone(), self.lease.ttl.0, own.clone());
        let task = tokio::spawn({
            let (job, lease, own, progress) = (Arc::clone(job), lease.clone(), own.clone(), progress.clone());
            let (store, metrics) = (Arc::clone(&self.store), Arc::clone(&self.metrics));
            let (backend, clocks, ttl) = (self.backend, self.clocks.clone(), self.lease.ttl.0);
            async move {
                let mut report = Report { limits: job.limits(), ..Report::default() };
                let at = Workplace {
                    backend,
                    lease: &lease,
                    ttl,
                    stop: &own,
                    progress: &progress,
                    metrics: &metrics,
                    clocks: &clocks,
                    pressure: &*store,
                };
                let result = job.run(&*store, at, &mut report).await;
                if report.stopped.is_some() && report.trouble.is_none() {
                    report.trouble = own.why();
                }
                (result, report)
            }
        });
        let (limit, over) = match open_for {
            Some(open_for) if open_for < job.plan().deadline => (open_for, StopReason::Window),
            _ => (job.plan().deadline, StopReason::Deadline),
        };
        let deadline = tokio::time::sleep(limit);
        let ended = async {
            tokio::pin!(task);
            tokio::pin!(deadline);
            loop {
                tokio::select! {
                    ended = &mut task => return ended,
                    () = &mut deadline, if own.requested().is_none() => own.request(over),
                    () = stop.wait(), if own.requested().is_none() => {
                        own.request(stop.requested().unwrap_or(StopReason::Shutdown));
                    }
                }
            }
        };
        let ended = ended.await;
        keeper.stop().await;
        ended.unwrap_or_else(|panic| {
            let error =
                Error { backend: self.backend, op: "run the job", kind: ErrorKind::Other, source: panic.into() };
            (Err(error), Report { more: true, ..Report::default() })
        })
    }

    /// Writes the run's end, as far as it is still ours to write. Returns the run, and whether
    /// history has it.
    async fn finish(
        &self,
        job: &Arc<dyn Job>,
        lease: &Lease,
        retries: u32,
        result: storage::Result<()>,
        report: Report,
    ) -> (Run, bool) {
        let error = result.as_ref().err().map(Error::chain);
        let outcome = match &result {
            Err(error) if error.kind == ErrorKind::Fenced => Outcome::Lost,
            Err(_) => Outcome::Failed,
            Ok(()) if report.stopped == Some(StopReason::LeaseLost) => Outcome::Lost,
            Ok(()) if report.more || report.stopped.is_some() => Outcome::Partial,
            Ok(()) => Outcome::Succeeded,
        };
        let slot = match outcome {
            // What was not done by its deadline is not done sooner the next time.
            Outcome::Failed if report.stopped == Some(StopReason::Deadline) => SlotAfter::Done,
            Outcome::Failed if lease.attempts < retries => SlotAfter::Again(self.wait_before(lease.attempts)),
            Outcome::Partial if report.stopped == Some(StopReason::Shutdown) => SlotAfter::HandedOver,
            // What is lost again and again before it has done anything is not tried for ever.
            Outcome::Lost if report.batches == 0 && lease.attempts < retries => {
                SlotAfter::Again(self.wait_before(lease.attempts))
            }
            Outcome::Lost if report.batches > 0 => SlotAfter::HandedOver,
            _ => SlotAfter::Done,
        };
        let counted = report.deleted;
        let finish = Finish { outcome, error, report, slot };
        match self.write(lease, &finish).await {
            Ok(run) => {
                // A batch may have been committed without its answer reaching us: the store knows.
                let missed = run.report.deleted.saturating_sub(counted);
                let reason = |touches: &Touches| Some((touches.table, *touches.reasons.first()?));
                if let Some((table, reason)) = job.touches().iter().find_map(reason) {
                    self.metrics.rows_deleted(job.name(), self.backend, table.name(), reason, missed);
                }
                if run.slot.is_some() && slot == SlotAfter::Done {
                    self.metrics.slots(job.name(), self.backend, Fate::Ran, 1);
                }
                (run, true)
            }
            Err(error) => {
                tracing::error!(run.id = %lease.run.run_id, error = error.chain(), "the run's report could not be written; the next run marks it lost");
                let Finish { error: first, report, .. } = finish;
                let error = first.or_else(|| Some(error.chain()));
                (Run { outcome: Some(Outcome::Lost), error, report, ..lease.run.clone() }, false)
            }
        }
    }

    /// Writes the run's end, again and again while the lease may still be ours.
    async fn write(&self, lease: &Lease, finish: &Finish) -> storage::Result<Run> {
        let begun = Instant::now();
        loop {
            match self.store.finish(lease, finish).await {
                Err(error) if error.kind.may_pass() && begun.elapsed() < self.lease.ttl.0 => {
                    tracing::warn!(run.id = %lease.run.run_id, error = error.chain(), "the run's report could not be written yet");
                    tokio::time::sleep(REPORTING).await;
                }
                ended => return ended,
            }
        }
    }

    /// How long to wait before a run that failed is tried again: as long as a lease lasts, and
    /// twice as long after each time that it has failed before.
    fn wait_before(&self, attempts: u32) -> Duration {
        (self.lease.ttl.0 * 2_u32.saturating_pow(attempts.min(16))).min(LONGEST_WAIT)
    }

    /// Shows whether somebody has paused `job`.
    pub fn show_paused(&self, job: &'static str, paused: Option<Paused>) {
        self.metrics.job_paused(job, self.backend, paused.is_some());
        self.show(job, |shown| shown.paused = paused);
    }

    /// Counts and shows the end of a run. All at once, so that whoever has read older things meanwhile sees on the board
    /// that they are old, and leaves the metrics alone as well.
    fn show_end(&self, job: &'static str, run: &Run, took: Duration, is_written: bool) {
        let (metrics, backend) = (&self.metrics, self.backend);
        let has_succeeded = run.outcome == Some(Outcome::Succeeded);
        self.board.update(|status| {
            metrics.job_idle(job, backend);
            // Otherwise whoever takes over writes its end, and counts it.
            if is_written {
                metrics.job_run(job, backend, run.outcome.unwrap_or(Outcome::Lost), Some(took));
                metrics.job_last_run(job, backend, run.finished_at);
                if has_succeeded {
                    metrics.job_last_success(job, backend, run.finished_at);
                }
            }
            if let Some(shown) = status.job_mut(job, backend) {
                shown.running = None;
                shown.progress = None;
                shown.last_run = Some(run.clone());
                if has_succeeded {
                    shown.last_success = run.finished_at;
                }
            }
        });
    }

    /// Changes what the board shows of `job`.
    pub fn show(&self, job: &str, change: impl FnOnce(&mut super::JobStatus)) {
        self.board.update(|status| {
            if let Some(shown) = status.job_mut(job, self.backend) {
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
    let what = match &report.backups {
        Some(backups) => backups.set.as_ref().map(|set| format!(": {set}")).unwrap_or_default(),
        None if report.health.as_ref().is_some_and(|seen| seen.looked) => format!(": {} findings", report.remaining()),
        None if report.health.is_some() => String::new(),
        None => format!(": {} rows deleted", report.deleted),
    };
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                job.name = %job, run.id = %run_id, run.trigger = trigger.name(), run.outcome = outcome,
                run.duration_s = seconds, rows.examined = report.examined, rows.deleted = report.deleted,
                rows.skipped = report.skipped, rows.added = (report.added > 0).then_some(report.added),
                batches = report.batches, more = report.more,
                findings = (report.findings.is_some() || report.health.is_some()).then(|| report.remaining()),
                stopped = report.stopped.map(tracing::field::display), error = error.as_deref(),
                "{job} {outcome}{what}"
            )
        };
    }
    match run.outcome {
        Some(Outcome::Failed | Outcome::Lost) => line!(error),
        _ => line!(info),
    }
}
