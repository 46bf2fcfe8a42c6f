//! What the daemon knows about itself and its deployment right now: the document behind the
//! status page, the API and `/readyz`.

use std::sync::{Arc, RwLock};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::backup::Ledger;
use crate::model::BackendKind;
use crate::storage::{Backlog, Paused};
use crate::work::{Defect, Health, Progress, Run};

/// A snapshot of everything.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Status {
    /// The deployment's name, if it was given one.
    pub deployment: Option<String>,
    /// The version of the daemon.
    pub version: &'static str,
    /// When this process started.
    pub started_at: DateTime<Utc>,
    /// What keeps the daemon from doing its work; empty when it is ready.
    pub not_ready: Vec<String>,
    /// The backends, in the order of the configuration.
    pub backends: Vec<BackendStatus>,
    /// The jobs, in the order of the registry.
    pub jobs: Vec<JobStatus>,
    /// The tables and indexes, as far as they have been looked at, in the order of the backends.
    pub health: Vec<HealthStatus>,
    /// The backups, where a place for them is configured, in the order of the backends.
    pub backups: Vec<BackupStatus>,
}

impl Status {
    /// What keeps the daemon from its work before the stores have been asked.
    pub const NO_ANSWER: &str = "no store has answered yet";

    /// Puts together again what keeps the daemon from its work, after something has been learned of
    /// a backend.
    pub fn judge(&mut self) {
        let nobody = self.backends.iter().all(|backend| backend.up.is_none());
        self.not_ready =
            if nobody { vec![Self::NO_ANSWER.to_owned()] } else { self.backends.iter().filter_map(unready).collect() };
    }

    /// What is shown of `job` on `backend`.
    pub fn job_mut(&mut self, job: &str, backend: BackendKind) -> Option<&mut JobStatus> {
        self.jobs.iter_mut().find(|shown| shown.job == job && shown.backend == backend)
    }
}

/// Where the status shows something of `backend` among what it shows of all, which is in the order of `backends`; or
/// where it would have to.
pub fn place_of<T>(
    backends: &[BackendStatus],
    shown: &[T],
    of: impl Fn(&T) -> BackendKind,
    backend: BackendKind,
) -> Result<usize, usize> {
    let rank = |kind| backends.iter().position(|shown| shown.backend == kind);
    let at = shown.partition_point(|other| rank(of(other)) < rank(backend));
    if shown.get(at).is_some_and(|other| of(other) == backend) { Ok(at) } else { Err(at) }
}

fn unready(status: &BackendStatus) -> Option<String> {
    match status.up {
        None => Some(format!("{} has not answered yet", status.backend)),
        Some(_) => status.problem.clone(),
    }
}

/// One backend.
#[derive(Clone, Debug, Serialize)]
pub struct BackendStatus {
    /// Which one.
    pub backend: BackendKind,
    /// Whether it answered lately; none before the first question.
    pub up: Option<bool>,
    /// Where it is, without secrets: host, port, database and schema, or region and tables.
    pub place: String,
    /// Why it is down, or what is wrong with it.
    pub problem: Option<String>,
    /// The application's schema revision, on PostgreSQL.
    pub schema_revision: Option<String>,
    /// Expired rows that are still there, when they were last counted.
    pub backlog: Option<Backlog>,
}

/// One job on one backend.
#[derive(Clone, Debug, Serialize)]
pub struct JobStatus {
    /// Its name.
    pub job: &'static str,
    /// The backend it works on.
    pub backend: BackendKind,
    /// Whether its schedule starts it.
    pub enabled: bool,
    /// The one host whose daemons run it, where that is another than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only_on: Option<String>,
    /// Its schedule as it was written.
    pub schedule: String,
    /// Who has paused it, if somebody has.
    pub paused: Option<Paused>,
    /// When it starts next; none while it is disabled.
    pub next_run: Option<DateTime<Utc>>,
    /// The run that is going on, here or on another replica.
    pub running: Option<Run>,
    /// How far it is, while this process runs it.
    pub progress: Option<Progress>,
    /// The newest run that has ended.
    pub last_run: Option<Run>,
    /// When it last succeeded.
    pub last_success: Option<DateTime<Utc>>,
}

/// The backups of one backend.
#[derive(Clone, Debug, Serialize)]
pub struct BackupStatus {
    /// Which backend.
    pub backend: BackendKind,
    /// Where they are, without secrets.
    pub place: String,
    /// Why they could not be looked at last, if so; the rest is from before.
    pub problem: Option<String>,
    /// What was there when it was last looked at.
    pub ledger: Option<Ledger>,
    /// When that was.
    pub looked_at: Option<DateTime<Utc>>,
}

/// What was last seen of the tables and indexes of one backend.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HealthStatus {
    /// Which backend.
    pub backend: BackendKind,
    /// When the run ended that looked.
    pub looked_at: DateTime<Utc>,
    /// What it has found.
    pub findings: Vec<Defect>,
    /// What it has seen and repaired.
    #[serde(flatten)]
    pub health: Health,
}

/// The status that everybody shares. Reading never waits for a database.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<RwLock<Status>>);

impl Board {
    /// A board that shows `status`.
    pub fn new(status: Status) -> Self {
        Self(Arc::new(RwLock::new(status)))
    }

    /// What it shows now.
    pub fn snapshot(&self) -> Status {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Changes what it shows.
    pub fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}
