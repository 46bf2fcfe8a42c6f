//! The loop that starts jobs when their slots are due.
//!
//! A ring of the bell only means "look": what is due is computed from the schedule and from what
//! the store remembers, so a ring that is late, doubled or lost changes nothing. The loop itself
//! never waits for a database; attempts do, in tasks of their own.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::Instant;

use super::attempt::{Attempt, Learned};
use super::due::{self, Blocked, Policy};
use super::{Heartbeat, Runner, Told};
use crate::jobs::Job;
use crate::model::clock;
use crate::schedule::{self, Bell, Schedule};
use crate::work::{Reason, Stop};

/// Starts jobs on schedule.
#[derive(Debug)]
pub struct Scheduler {
    jobs: Vec<Scheduled>,
    attempts: JoinSet<(usize, Learned)>,
    /// What writes down that a job has no schedule.
    retirements: JoinSet<()>,
}

/// A job and its schedule.
pub struct Scheduled {
    /// Runs it, on its backend.
    runner: Arc<Runner>,
    job: Arc<dyn Job>,
    /// None while the job is disabled.
    policy: Option<Arc<Policy>>,
    /// The newest slot that has been dealt with, as far as this process knows.
    last: Option<DateTime<Utc>>,
    /// An attempt is on its way, for this slot and in this task.
    attempted: Option<(DateTime<Utc>, task::Id)>,
    /// It is disabled, and that was written down, or is about to be.
    is_retired: bool,
    /// The settings are other than those of the attempt that is on its way.
    is_replaced: bool,
    not_before: Instant,
    told: Told,
    /// Since which slot this process has been kept from running it, and why.
    blocked: Option<Blocked>,
    /// Why the last slot was passed over, if it was and this process has told it.
    passed: Option<Reason>,
}

impl std::fmt::Debug for Scheduled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scheduled")
            .field("job", &self.job.name())
            .field("backend", &self.runner.backend)
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

impl Scheduled {
    /// `job`, to be started by `runner` in the way that its own plan and `settings` say. `deployment`
    /// tells its splay from that of other deployments.
    ///
    /// # Errors
    ///
    /// When its schedule or its window cannot be read; the configuration has been checked for that.
    pub fn new(
        runner: Arc<Runner>,
        job: Arc<dyn Job>,
        settings: &schedule::Settings,
        deployment: &str,
    ) -> Result<Self, String> {
        let plan = job.plan();
        let schedule = Schedule::parse(&plan.schedule, settings.timezone).map_err(|error| error.to_string())?;
        let window = plan.window.map(|window| window.parse()).transpose()?;
        let delay = schedule::splay(settings.splay.0, &format!("{deployment}/{}", job.name()));
        let policy = Policy {
            schedule,
            delay: TimeDelta::from_std(delay).unwrap_or_default(),
            zone: settings.timezone,
            catch_up: settings.catch_up,
            window,
            retries: plan.retries,
        };
        Ok(Self {
            runner,
            job,
            policy: plan.enabled.then(|| Arc::new(policy)),
            last: None,
            attempted: None,
            is_retired: false,
            is_replaced: false,
            not_before: Instant::now(),
            told: Told::default(),
            blocked: None,
            passed: None,
        })
    }

    /// The slot that is due and, as far as we know, not dealt with.
    fn due(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let is_open = |slot: &DateTime<Utc>| self.last.is_none_or(|last| *slot > last || due::is_too_far(last, now));
        self.policy.as_ref()?.latest(now).filter(is_open)
    }

    /// When it starts next.
    pub fn next(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.policy.as_ref()?.next_run(now)
    }

    /// Runs it.
    pub fn runner(&self) -> &Arc<Runner> {
        &self.runner
    }

    /// The job itself.
    pub fn job(&self) -> &Arc<dyn Job> {
        &self.job
    }

    fn learn(&mut self, learned: Learned) {
        let attempted = self.attempted.take();
        // Not the later of the two: a clock that was wrong may have been put right. And where the
        // job stands is looked at again under settings that the attempt did not know.
        self.last = if std::mem::take(&mut self.is_replaced) { None } else { learned.last.or(self.last) };
        self.not_before = Instant::now() + learned.rest;
        self.passed = learned.passed;
        self.blocked = learned.blocked.zip(attempted).map(|(reason, (slot, _))| {
            let since = learned.since.map_or(slot, |since| since.min(slot));
            let before = self.blocked.filter(|before| before.reason == reason);
            Blocked { since: before.map_or(since, |before| before.since.min(since)), reason }
        });
        if self.told.is_new(learned.complaint.as_deref())
            && let Some(complaint) = &learned.complaint
        {
            tracing::warn!(job.name = self.job.name(), "{} does not run: {complaint}", self.job.name());
        }
    }
}

impl Scheduler {
    /// A scheduler of `jobs`, all there are.
    pub fn new(jobs: Vec<Scheduled>) -> Self {
        Self { jobs, attempts: JoinSet::new(), retirements: JoinSet::new() }
    }

    /// Goes on with other settings of the same jobs. What is known of each stays; a run that is
    /// going on ends under the settings it began with.
    pub fn replace(&mut self, jobs: Vec<Scheduled>) {
        for Scheduled { runner, job, policy, .. } in jobs {
            let is_it =
                |known: &&mut Scheduled| known.job.name() == job.name() && known.runner.backend == runner.backend;
            if let Some(known) = self.jobs.iter_mut().find(is_it) {
                known.job = job;
                known.policy = policy;
                // Its schedule may be another one, which begins now.
                known.last = None;
                known.is_replaced = known.attempted.is_some();
                known.is_retired = false;
                known.not_before = Instant::now();
            }
        }
    }

    /// Turns until it is asked to stop. Runs that are going on then are asked to stop as well and
    /// are left for [`Scheduler::drain`]. May be dropped and called again.
    pub async fn turn(&mut self, bell: &mut Bell, heartbeat: &Heartbeat, stop: &Stop) {
        while stop.requested().is_none() {
            heartbeat.beat();
            self.start_due(stop);
            let now = clock::now();
            self.announce(now);
            let next = |job: &Scheduled| job.policy.as_ref()?.next_start(now);
            if let Some(next) = self.jobs.iter().filter_map(next).min() {
                bell.ring_at(next, now);
            }
            tokio::select! {
                _ = bell.next_ring(self.patience(heartbeat)) => {}
                Some(ended) = self.attempts.join_next() => self.learn(ended),
                () = stop.wait() => {}
            }
        }
    }

    /// Waits until the runs that are going on have ended. An attempt that has not become a run
    /// yet, because the database does not answer perhaps, is not waited for.
    pub async fn drain(&mut self) {
        while self.jobs.iter().any(|job| !job.runner.running.is_empty()) {
            let Some(ended) = self.attempts.join_next().await else { break };
            self.learn(ended);
        }
    }

    fn start_due(&mut self, stop: &Stop) {
        let now = clock::now();
        for (index, job) in self.jobs.iter_mut().enumerate() {
            if job.attempted.is_some() || Instant::now() < job.not_before {
                continue;
            }
            let Some(policy) = &job.policy else {
                if !job.is_retired {
                    job.is_retired = true;
                    self.retirements.spawn(retire(Arc::clone(&job.runner), job.job.name()));
                }
                continue;
            };
            let Some(slot) = job.due(now) else { continue };
            let attempt = Attempt {
                runner: Arc::clone(&job.runner),
                job: Arc::clone(&job.job),
                policy: Arc::clone(policy),
                blocked: job.blocked,
                passed: job.passed,
                stop: stop.clone(),
            };
            let task = self.attempts.spawn(async move { (index, attempt.make().await) });
            job.attempted = Some((slot, task.id()));
        }
    }

    /// Shows when the jobs run next.
    fn announce(&self, now: DateTime<Utc>) {
        for job in &self.jobs {
            let next = job.next(now);
            job.runner.metrics.job_next_run(job.job.name(), job.runner.backend, next);
            job.runner.show(job.job.name(), |shown| shown.next_run = next);
        }
    }

    /// How long to wait for the bell at most: until the next attempt of a slot that is overdue,
    /// and never longer than the heartbeat allows.
    fn patience(&self, heartbeat: &Heartbeat) -> Duration {
        let now = clock::now();
        let overdue = self.jobs.iter().filter(|job| job.attempted.is_none() && job.due(now).is_some());
        let retry = overdue.map(|job| job.not_before.saturating_duration_since(Instant::now())).min();
        retry.map_or(heartbeat.period(), |retry| retry.min(heartbeat.period()))
    }

    fn learn(&mut self, ended: Result<(usize, Learned), JoinError>) {
        match ended {
            Ok((index, learned)) => self.jobs[index].learn(learned),
            Err(error) => {
                // The panic itself has been logged.
                tracing::error!(%error, "an attempt to start a job broke off");
                let is_its = |job: &&mut Scheduled| job.attempted.is_some_and(|(_, task)| task == error.id());
                if let Some(job) = self.jobs.iter_mut().find(is_its) {
                    job.learn(Learned::nothing());
                }
            }
        }
    }
}

/// Writes down that `job` has no schedule, so that its slots end here and do not count as missed
/// when it gets one again.
async fn retire(runner: Arc<Runner>, job: &'static str) {
    if let Err(error) = runner.store.end_schedule(job, due::DISABLED).await {
        tracing::debug!(job.name = job, error = error.chain(), "that the job is disabled is not written down");
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Board, ClockSettings, Clocks, HistorySettings, LeaseSettings, Running};
    use super::*;
    use crate::jobs;
    use crate::metrics::Metrics;
    use crate::model::BackendKind;
    use crate::storage::postgres::Postgres;

    /// A runner that is never asked to run anything.
    fn runner() -> Runner {
        let metrics = Arc::new(Metrics::new("test", "test"));
        let store = Postgres::new(Default::default(), Duration::from_secs(10), Arc::clone(&metrics)).unwrap();
        Runner {
            backend: BackendKind::Postgresql,
            store: Arc::new(store),
            metrics,
            board: Board::default(),
            clocks: Clocks::new(&ClockSettings::default()),
            lease: LeaseSettings::default(),
            history: tokio::sync::watch::Sender::new(HistorySettings::default()),
            holder: "test".to_owned(),
            ended: Arc::default(),
            running: Running::default(),
        }
    }

    fn each_hour() -> Scheduled {
        let mut settings = jobs::Settings::default();
        settings.ttl_cleanup.schedule = "@hourly".to_owned();
        let place = jobs::Place::on(BackendKind::Postgresql);
        let job = jobs::registry(&settings, &Default::default(), &[place]).remove(0);
        Scheduled::new(Arc::new(runner()), job, &schedule::Settings::default(), "test").unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// Lets an attempt end that was made for the slot of twelve o'clock.
    async fn learn(job: &mut Scheduled, learned: Learned) {
        let task = tokio::spawn(async {});
        job.attempted = Some((at("2026-03-12T12:00:00Z"), task.id()));
        job.learn(learned);
        task.await.unwrap();
    }

    #[tokio::test]
    async fn a_slot_is_due_until_it_is_known_to_be_dealt_with() {
        let mut job = each_hour();
        let now = at("2026-03-12T12:30:00Z");
        assert_eq!(job.due(now), Some(at("2026-03-12T12:00:00Z")));
        learn(&mut job, Learned { last: Some(at("2026-03-12T12:00:00Z")), ..Learned::default() }).await;
        assert_eq!(job.due(now), None);
        // An attempt that has learned nothing changes nothing.
        learn(&mut job, Learned::nothing()).await;
        assert_eq!(job.due(now), None);
        assert_eq!(job.due(at("2026-03-12T13:00:00Z")), Some(at("2026-03-12T13:00:00Z")));
    }

    #[tokio::test]
    async fn after_a_clock_went_back_the_store_is_asked_again_only_if_it_went_back_far() {
        let mut job = each_hour();
        learn(&mut job, Learned { last: Some(at("2026-03-12T12:00:00Z")), ..Learned::default() }).await;
        assert_eq!(job.due(at("2026-03-12T09:30:00Z")), None);
        assert_eq!(job.due(at("2026-03-11T12:30:00Z")), Some(at("2026-03-11T12:00:00Z")));
    }

    #[tokio::test]
    async fn what_keeps_a_job_from_running_counts_from_the_earliest_slot_that_met_it() {
        let mut job = each_hour();
        let unavailable = || Learned { blocked: Some(Reason::Unavailable), ..Learned::nothing() };
        let since = |job: &Scheduled| job.blocked.map(|blocked| (blocked.since, blocked.reason));
        learn(&mut job, unavailable()).await;
        assert_eq!(since(&job), Some((at("2026-03-12T12:00:00Z"), Reason::Unavailable)));
        // By another clock it is earlier.
        let clock = |since| Learned { blocked: Some(Reason::Clock), since: Some(at(since)), ..Learned::nothing() };
        learn(&mut job, clock("2026-03-12T11:00:00Z")).await;
        assert_eq!(since(&job), Some((at("2026-03-12T11:00:00Z"), Reason::Clock)));
        learn(&mut job, clock("2026-03-12T13:00:00Z")).await;
        assert_eq!(since(&job), Some((at("2026-03-12T11:00:00Z"), Reason::Clock)));
        learn(&mut job, Learned::default()).await;
        assert_eq!(since(&job), None);
    }

    #[tokio::test]
    async fn under_other_settings_it_is_looked_again_where_the_job_stands() {
        let mut job = each_hour();
        learn(&mut job, Learned { last: Some(at("2026-03-12T12:00:00Z")), ..Learned::default() }).await;
        job.is_replaced = true;
        learn(&mut job, Learned { last: Some(at("2026-03-12T12:00:00Z")), ..Learned::default() }).await;
        assert_eq!(job.due(at("2026-03-12T12:30:00Z")), Some(at("2026-03-12T12:00:00Z")));
    }
}
