//! The loop that starts jobs when their slots are due.
//!
//! A ring of the bell only means "look": what is due is computed from the schedule and from what
//! the store remembers, so a ring that is late, doubled or lost changes nothing. The loop itself
//! never waits for a database; attempts do, in tasks of their own.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Heartbeat, Ran, Runner};
use crate::jobs::{BACKEND, Job};
use crate::model::clock;
use crate::schedule::{Bell, Schedule};
use crate::storage::{self, Leases};
use crate::work::{Progress, Stop, Trigger};

/// After an attempt that came to nothing, the next one waits this long.
const RETRY: Duration = Duration::from_secs(5);

/// Starts jobs on schedule.
#[derive(Debug)]
pub struct Scheduler {
    runner: Arc<Runner>,
    jobs: Vec<Scheduled>,
    attempts: JoinSet<(usize, Attempt)>,
}

/// A job and its schedule.
pub struct Scheduled {
    job: Arc<dyn Job>,
    schedule: Schedule,
    /// The newest slot that has been dealt with, as far as this process knows.
    last: Option<DateTime<Utc>>,
    /// An attempt is on its way.
    busy: bool,
    not_before: Instant,
    /// What was said last, so that a lasting problem is not told every few seconds.
    complaint: Option<String>,
}

impl std::fmt::Debug for Scheduled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scheduled").field("job", &self.job.name()).field("last", &self.last).finish_non_exhaustive()
    }
}

/// What came of an attempt to deal with a slot.
#[derive(Debug)]
struct Attempt {
    /// The newest slot known to be dealt with.
    last: Option<DateTime<Utc>>,
    complaint: Option<String>,
}

impl Scheduled {
    /// `job`, to be started by `schedule`.
    pub fn new(job: Arc<dyn Job>, schedule: Schedule) -> Self {
        Self { job, schedule, last: None, busy: false, not_before: Instant::now(), complaint: None }
    }

    /// The slot that is due and, as far as we know, not dealt with.
    fn due(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.schedule.latest(now).filter(|slot| self.last.is_none_or(|last| *slot > last))
    }
}

impl Scheduler {
    /// A scheduler of `jobs`, those that are enabled.
    pub fn new(runner: Arc<Runner>, jobs: Vec<Scheduled>) -> Self {
        Self { runner, jobs, attempts: JoinSet::new() }
    }

    /// Turns until it is asked to stop. Runs that are going on then are asked to stop as well and
    /// are left for [`Scheduler::drain`].
    pub async fn turn(&mut self, bell: &mut Bell, heartbeat: &Heartbeat, stop: &Stop) {
        while stop.requested().is_none() {
            heartbeat.beat();
            self.start_due(stop);
            let now = clock::now();
            if let Some(next) = self.jobs.iter().filter_map(|job| self.announce(job, now)).min() {
                bell.ring_at(next, now);
            }
            tokio::select! {
                _ = bell.next_ring(self.patience()) => {}
                Some(ended) = self.attempts.join_next() => self.learn(ended),
                () = stop.wait() => {}
            }
        }
    }

    /// Waits until the runs that are going on have ended. An attempt that has not become a run
    /// yet, because the database does not answer perhaps, is not waited for.
    pub async fn drain(&mut self) {
        while !self.runner.running.jobs().is_empty() {
            let Some(ended) = self.attempts.join_next().await else { break };
            self.learn(ended);
        }
    }

    fn start_due(&mut self, stop: &Stop) {
        let now = clock::now();
        for (index, job) in self.jobs.iter_mut().enumerate() {
            if job.busy || Instant::now() < job.not_before {
                continue;
            }
            let Some(slot) = job.due(now) else { continue };
            job.busy = true;
            let attempt = attempt(Arc::clone(&self.runner), Arc::clone(&job.job), slot, job.last, stop.clone());
            self.attempts.spawn(async move { (index, attempt.await) });
        }
    }

    /// Shows when `job` is due next, and returns it.
    fn announce(&self, job: &Scheduled, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let next = job.schedule.next(now);
        self.runner.metrics.job_next_run(job.job.name(), BACKEND, next);
        self.runner.show(job.job.name(), |shown| shown.next_run = next);
        next
    }

    /// How long to wait for the bell at most: until the next attempt of a slot that is overdue,
    /// and never longer than the heartbeat allows.
    fn patience(&self) -> Duration {
        let now = clock::now();
        let overdue = self.jobs.iter().filter(|job| !job.busy && job.due(now).is_some());
        let retry = overdue.map(|job| job.not_before.saturating_duration_since(Instant::now())).min();
        retry.unwrap_or(Heartbeat::PERIOD).min(Heartbeat::PERIOD)
    }

    fn learn(&mut self, ended: Result<(usize, Attempt), tokio::task::JoinError>) {
        let (index, attempt) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                // Which job it was is not known any more; the panic itself has been logged.
                tracing::error!(%error, "an attempt to start a job broke off");
                self.jobs.iter_mut().for_each(|job| job.busy = false);
                return;
            }
        };
        let job = &mut self.jobs[index];
        job.busy = false;
        job.last = job.last.max(attempt.last);
        if let Some(complaint) = &attempt.complaint {
            job.not_before = Instant::now() + RETRY;
            if job.complaint.as_ref() != Some(complaint) {
                tracing::warn!(job.name = job.job.name(), "{} does not run: {complaint}", job.job.name());
            }
        }
        job.complaint = attempt.complaint;
    }
}

/// Deals with `slot`, unless it turns out that somebody has.
async fn attempt(
    runner: Arc<Runner>,
    job: Arc<dyn Job>,
    slot: DateTime<Utc>,
    last: Option<DateTime<Utc>>,
    stop: Stop,
) -> Attempt {
    let ran: storage::Result<(DateTime<Utc>, Option<Ran>)> = async {
        // A job that was never seen before starts with the next slot, not with one of the past.
        let last = match last {
            Some(last) => last,
            None => runner.store.last_slot(job.name(), slot).await?,
        };
        if slot <= last {
            return Ok((last, None));
        }
        let ran = runner.run(&job, Some(slot), Trigger::Schedule, &stop, &Progress::new()).await?;
        Ok((last, Some(ran)))
    }
    .await;
    match ran {
        Ok((last, None | Some(Ran::Stopped))) => Attempt { last: Some(last), complaint: None },
        Ok((_, Some(Ran::Ended(_) | Ran::SlotDone))) => Attempt { last: Some(slot), complaint: None },
        // Not done until its holder has closed the slot: it may die before.
        Ok((last, Some(Ran::Held { holder, since }))) => Attempt {
            last: Some(last),
            complaint: Some(format!("it has been running on {holder} since {}", since.format("%Y-%m-%dT%H:%M:%SZ"))),
        },
        Err(error) => Attempt { last, complaint: Some(error.chain()) },
    }
}
