//! Asks the store how it is, and what all replicas have done, so that the page, the metrics and
//! `/readyz` can answer from memory.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::Notifier;
use crate::jobs::index_health;
use crate::jobs::{Job, findings};
use crate::metrics::{Check, Severity};
use crate::runner::{HealthStatus, JobStatus, Runner, Status, Told, place_of};
use crate::storage::Pressure;
use crate::storage::postgres::{PoolUse, Postgres};
use crate::storage::{Applied, Backend, Backlog, Error, ErrorKind, Reading, SchemaStatus};
use crate::work::{Run, Stop};

/// Between two questions whether the store is there.
const ASKING: Duration = Duration::from_secs(5);

/// Between two looks at what costs something: history and backlog.
const LOOKING: Duration = Duration::from_secs(60);

/// Runs that are looked through for the newest findings; one that was cut short has none.
const RECENT: u32 = 20;

/// The task that watches one store.
#[derive(Debug)]
pub(super) struct Watcher {
    backend: Backend,
    runner: Arc<Runner>,
    notifier: Arc<Notifier>,
    jobs: Vec<&'static str>,
    /// Our own schema is still to be made.
    apply_schema: bool,
    /// The store answered the last question.
    up: bool,
    /// Something was said: what is wrong, or that nothing is.
    has_told: bool,
    told: Told,
}

impl Watcher {
    /// A watch over `backend`, on which `runner` runs those of `jobs` that are its.
    pub(super) fn new(
        backend: Backend,
        runner: Arc<Runner>,
        notifier: Arc<Notifier>,
        jobs: &[Arc<dyn Job>],
        apply_schema: bool,
    ) -> Self {
        let jobs = jobs.iter().filter(|job| job.backend() == runner.backend).map(|job| job.name()).collect();
        Self { backend, runner, notifier, jobs, apply_schema, up: false, has_told: false, told: Told::default() }
    }

    /// Watches until it is asked to stop.
    pub(super) async fn watch(mut self, stop: &Stop) {
        let mut looked: Option<Instant> = None;
        let mut ended = true;
        while stop.requested().is_none() {
            let answers = self.ask().await;
            self.show_pool();
            if !answers {
                self.show_backlog(None);
                looked = None;
            }
            // A run that has ended is a reason to look earlier, but not earlier than we ask anyway:
            // with a schedule of seconds the looking would be the greater work.
            let patience = if ended { ASKING } else { LOOKING };
            if answers && looked.is_none_or(|looked| looked.elapsed() >= patience) {
                self.look().await;
                looked = Some(Instant::now());
                ended = false;
            }
            tokio::select! {
                () = stop.sleep(ASKING) => {}
                () = self.runner.ended.notified() => ended = true,
            }
        }
    }

    /// Asks the store how it is. Returns whether it answers and has the tables in which the history is: whatever else
    /// keeps jobs from running there, people want to know of what that leaves behind.
    async fn ask(&mut self) -> bool {
        let answer = self.schema().await;
        self.up = answer.is_ok();
        let (kind, mut clocks) = (self.runner.backend, None);
        let mut has_history = false;
        let (schema, problem) = match answer {
            Ok(schema) => {
                let store = &*self.runner.store;
                clocks = self.runner.clocks.ask(store).await.ok();
                has_history = schema.own_refusal().is_none();
                let refusal = schema.refusal().or_else(|| clocks.clone().flatten());
                let problem = match refusal {
                    Some(why) => Some(format!("{kind}: {why}")),
                    None => store.touch().await.err().map(|error| error.chain()),
                };
                (Some(schema), problem)
            }
            Err(error) => (None, Some(error.chain())),
        };
        let up = self.up;
        self.runner.metrics.up(kind, up);
        let unknown = schema.as_ref().map(|schema| u64::from(schema.is_unknown()));
        self.runner.metrics.findings(kind, Check::SchemaRevision, Severity::Critical, unknown);
        let wrong = clocks.map(|wrong| u64::from(wrong.is_some()));
        self.runner.metrics.findings(kind, Check::ClockSkew, Severity::Critical, wrong);
        self.tell(problem.clone()).await;
        let place = self.runner.store.describe();
        self.runner.board.update(|status| {
            if let Some(backend) = status.backends.iter_mut().find(|backend| backend.backend == kind) {
                backend.up = Some(up);
                backend.place = place;
                backend.problem = problem.clone();
                if let Some(schema) = schema {
                    backend.schema_revision = schema.revision().map(str::to_owned);
                }
            }
            status.judge();
            self.notifier.readiness(status.not_ready.first().map(String::as_str));
        });
        has_history
    }

    async fn schema(&self) -> Result<SchemaStatus, Error> {
        // A pool would wait for as long as it may before it says that nobody is there.
        if !self.up {
            self.runner.store.probe().await?;
        }
        match self.runner.store.schema().await? {
            schema if self.apply_schema && !schema.is_current() => self.apply().await,
            schema => Ok(schema),
        }
    }

    async fn apply(&self) -> Result<SchemaStatus, Error> {
        match self.runner.store.apply(false).await? {
            Applied::Postgresql(applied) if !applied.maintd.is_empty() => {
                tracing::info!(migrations = ?applied.maintd, "made the daemon's own schema maintd");
            }
            Applied::Dynamodb(applied) if applied.maintd => tracing::info!("made the daemon's own table"),
            Applied::Postgresql(_) | Applied::Dynamodb(_) => {}
        }
        self.runner.store.schema().await
    }

    async fn tell(&mut self, problem: Option<String>) {
        let is_new = self.told.is_new(problem.as_deref());
        if self.has_told && !is_new {
            return;
        }
        self.has_told = true;
        let backend = self.runner.backend;
        match &problem {
            Some(problem) => tracing::warn!(%backend, "not ready: {problem}"),
            None => match self.runner.store.identity().await {
                Ok(identity) => tracing::info!(%backend, deployment.id = %identity.id, "ready"),
                Err(error) => {
                    tracing::warn!(%backend, error = error.chain(), "ready, but without an identity")
                }
            },
        }
    }

    fn show_pool(&self) {
        let Backend::Postgresql(store) = &self.backend else { return };
        let PoolUse { idle, used } = store.pool_use();
        self.runner.metrics.pool_connections(idle, used);
    }

    /// Looks at history and backlog. What cannot be had keeps its last value, except the backlog:
    /// a number that is not true any more would hide a problem.
    async fn look(&self) {
        let store = &self.runner.store;
        let backlog = store.backlog().await.inspect_err(|error| {
            tracing::warn!(error = error.chain(), "the backlog could not be measured");
        });
        let is_gone = backlog.as_ref().is_err_and(|error| error.kind == ErrorKind::Unavailable);
        self.show_backlog(backlog.ok());
        if let Backend::Postgresql(store) = &self.backend
            && !is_gone
        {
            self.look_at_archive(store).await;
        }
        // Each question to a store that has gone away takes long, and the next one to `ask` tells.
        for job in self.jobs.iter().filter(|_| !is_gone) {
            if let Err(error) = self.look_at(job).await {
                tracing::warn!(job.name = job, error = error.chain(), "the history could not be read");
            }
        }
    }

    /// Shows what has expired and is still there; nothing if nobody knows.
    fn show_backlog(&self, backlog: Option<Backlog>) {
        let Runner { backend: kind, metrics, board, .. } = &*self.runner;
        board.update(|status| {
            metrics.expired_rows(*kind, backlog.map(|backlog| backlog.expired_rows));
            metrics.oldest_expired_age(*kind, backlog.and_then(|backlog| backlog.oldest_age_seconds));
            if let Some(backend) = status.backends.iter_mut().find(|backend| backend.backend == *kind) {
                backend.backlog = backlog;
            }
        });
    }

    /// Looks whether the server gets rid of its write-ahead log. What nobody can tell is not shown as well.
    async fn look_at_archive(&self, store: &Postgres) {
        let Runner { backend, metrics, .. } = &*self.runner;
        let archive = match store.strain(None, &[]).await {
            Ok(strain) => strain.archive,
            Err(error) => {
                tracing::warn!(error = error.chain(), "nobody knows whether the write-ahead log is archived");
                Reading::Hidden
            }
        };
        let (failing, waiting, last_success) = match archive {
            Reading::Seen(archive) => (Some(archive.is_failing), archive.waiting, archive.last_success),
            Reading::Absent | Reading::Hidden => (None, None, None),
        };
        metrics.wal_archive(*backend, failing, waiting, last_success);
        metrics.findings(*backend, Check::WalArchiving, Severity::Critical, failing.map(u64::from));
    }

    /// Shows what runs have seen of the tables and indexes, whichever replica or command that was.
    fn show_health(&self, runs: &[Run]) {
        let Runner { backend, metrics, board, .. } = &*self.runner;
        let Some(run) = index_health::newest_look(runs) else { return };
        let (Some(looked_at), Some(seen)) = (run.finished_at, run.report.health.as_deref()) else { return };
        let findings = run.report.defects.clone();
        let shown = HealthStatus { backend: *backend, looked_at, findings, health: seen.clone() };
        // The metrics with the board, so that whoever has seen the one finds the same on the other.
        board.update(|status| {
            index_health::show(metrics, *backend, &run.report);
            let Status { backends, health, .. } = status;
            match place_of(backends, health, |shown| shown.backend, *backend) {
                Ok(at) => health[at] = shown,
                Err(at) => health.insert(at, shown),
            }
        });
    }

    async fn look_at(&self, job: &'static str) -> Result<(), Error> {
        let Runner { store, backend, metrics, .. } = &*self.runner;
        let before = self.runs_shown(job);
        let newest = store.history(Some(job), if findings::finds(job) { RECENT } else { 2 }).await?;
        // A run shows its findings itself, and before it is in the history.
        if !before.is_ours && self.runs_shown(job) == before {
            if let Some(found) = newest.iter().find_map(|run| run.report.findings.as_ref()) {
                findings::show(metrics, *backend, job, found);
            }
            if job == index_health::NAME {
                self.show_health(&newest);
            }
        }
        let standing = store.standing(job).await?;
        // Without its lease it was left behind, and stays open until somebody closes it.
        let running = newest.first().filter(|run| run.outcome.is_none() && standing.held.is_some()).cloned();
        let last = newest.into_iter().find(|run| run.outcome.is_some());
        let success = store.last_success(job).await?.and_then(|run| run.finished_at);
        self.runner.show_paused(job, standing.paused);
        self.runner.show(job, |shown| {
            // A run that began or ended here meanwhile has shown what is newer.
            if RunsShown::of(shown) != before {
                return;
            }
            metrics.job_last_run(job, *backend, last.as_ref().and_then(|run| run.finished_at));
            metrics.job_last_success(job, *backend, success);
            shown.running = running;
            shown.last_run = last.or(shown.last_run.take());
            shown.last_success = success.or(shown.last_success);
        });
        Ok(())
    }

    fn runs_shown(&self, job: &str) -> RunsShown {
        let mut shown = RunsShown::default();
        self.runner.show(job, |job| shown = RunsShown::of(job));
        shown
    }
}

/// Which runs of a job are shown. Whoever asks the store first sees by it whether something newer came to be shown while
/// the store answered.
#[derive(Debug, Default, PartialEq)]
struct RunsShown {
    running: Option<Uuid>,
    last: Option<Uuid>,
    /// The one that is going on is this process's.
    is_ours: bool,
}

impl RunsShown {
    fn of(job: &JobStatus) -> Self {
        let id = |run: &Option<Run>| run.as_ref().map(|run| run.run_id);
        Self { running: id(&job.running), last: id(&job.last_run), is_ours: job.progress.is_some() }
    }
}
