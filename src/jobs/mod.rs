//! The jobs, one room each. A job takes no input, works in bounded batches, asks between them
//! whether to stop, and fills in a report; it never sees configuration files, the wall clock or
//! signals.

pub mod backup;
pub mod backup_drill;
pub mod diff_prune;
pub mod findings;
pub mod index_health;
pub mod lookup_check;
pub mod orphan_scan;
mod pace;
mod persist;
mod purge;
mod settings;
mod shift;
pub mod token_cleanup;
pub mod ttl_cleanup;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use self::backup::BackupJob;
use self::backup_drill::DrillJob;
use self::diff_prune::DiffPrune;
use self::index_health::IndexHealth;
use self::lookup_check::LookupCheck;
use self::orphan_scan::OrphanScan;
use self::token_cleanup::TokenCleanup;
use self::ttl_cleanup::TtlCleanup;
use crate::backup::Workshop;
use crate::metrics::Metrics;
use crate::model::setting::Problem;
use crate::model::{BackendKind, Table};
use crate::storage::{self, Lease, Pressure, Store};
use crate::throttle::{self, Budget};
use crate::work::{Limits, Progress, Report, Stop};

/// The table `[jobs]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The table `[jobs.ttl_cleanup]`.
    pub ttl_cleanup: ttl_cleanup::Settings,
    /// The table `[jobs.diff_prune]`.
    pub diff_prune: diff_prune::Settings,
    /// The table `[jobs.token_cleanup]`.
    pub token_cleanup: token_cleanup::Settings,
    /// The table `[jobs.orphan_scan]`.
    pub orphan_scan: orphan_scan::Settings,
    /// The table `[jobs.lookup_check]`.
    pub lookup_check: lookup_check::Settings,
    /// The table `[jobs.index_health]`.
    pub index_health: index_health::Settings,
    /// The table `[jobs.backup]`.
    pub backup: backup::Settings,
    /// The table `[jobs.backup_drill]`.
    pub backup_drill: backup_drill::Settings,
}

impl Settings {
    /// What is wrong with these values together.
    pub fn problems(&self) -> Vec<Problem> {
        let tables = [
            (ttl_cleanup::NAME, self.ttl_cleanup.problems()),
            (diff_prune::NAME, self.diff_prune.problems()),
            (token_cleanup::NAME, self.token_cleanup.problems()),
            (orphan_scan::NAME, self.orphan_scan.problems()),
            (lookup_check::NAME, self.lookup_check.problems()),
            (index_health::NAME, self.index_health.problems()),
            (backup::NAME, self.backup.problems()),
            (backup_drill::NAME, self.backup_drill.problems()),
        ];
        tables.into_iter().flat_map(|(table, found)| found.into_iter().map(|problem| problem.within(table))).collect()
    }

    /// When each of them runs, by name.
    pub fn plans(&self) -> [(&'static str, Plan); 8] {
        [
            (ttl_cleanup::NAME, self.ttl_cleanup.plan()),
            (diff_prune::NAME, self.diff_prune.plan()),
            (token_cleanup::NAME, self.token_cleanup.plan()),
            (orphan_scan::NAME, self.orphan_scan.plan()),
            (lookup_check::NAME, self.lookup_check.plan()),
            (index_health::NAME, self.index_health.plan()),
            (backup::NAME, self.backup.plan()),
            (backup_drill::NAME, self.backup_drill.plan()),
        ]
    }
}

/// When a job runs and for how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whether its schedule starts it.
    pub enabled: bool,
    /// The one host whose daemons run it, where that is another than this.
    pub only_on: Option<String>,
    /// The schedule as it was written.
    pub schedule: String,
    /// How long a run may take.
    pub deadline: Duration,
    /// The hours when it may run, as they were written; none for any time.
    pub window: Option<String>,
    /// How often a run that failed is tried again for the same slot.
    pub retries: u32,
}

impl Plan {
    /// The same, unless only another host may run it.
    #[must_use]
    pub fn only_on(self, node: Option<&str>) -> Self {
        let only_on = node.filter(|_| self.enabled).map(str::to_owned);
        Self { enabled: self.enabled && node.is_none(), only_on, ..self }
    }

    /// Whether a schedule starts it, here or on another host.
    pub fn is_wanted(&self) -> bool {
        self.enabled || self.only_on.is_some()
    }
}

/// What a run is given.
#[derive(Clone, Copy, Debug)]
pub struct Workplace<'a> {
    /// The backend it works on.
    pub backend: BackendKind,
    /// The lease it runs under; its writes carry the fence of it.
    pub lease: &'a Lease,
    /// How long the lease holds without being renewed.
    pub ttl: Duration,
    /// Asked between batches.
    pub stop: &'a Stop,
    /// Kept up to date for whoever watches.
    pub progress: &'a Progress,
    /// Counted into.
    pub metrics: &'a Metrics,
    /// Asked whether the clocks can be trusted, when the store has just shown its own.
    pub clocks: &'a dyn Judge,
    /// Asked between batches how others are.
    pub pressure: &'a dyn Pressure,
}

/// Judges the clocks that decide what has expired.
pub trait Judge: fmt::Debug + Send + Sync {
    /// Why rows may not be deleted by them, if so. The store showed the time `server` in the answer
    /// to a question that was `asked` at this time of [`steady`](crate::model::clock::steady).
    fn distrust(&self, asked: Duration, server: DateTime<Utc>) -> Option<String>;
}

/// A table that a job looks at, in the words of the labels `table` and `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touches {
    /// The table.
    pub table: Table,
    /// Why rows leave it; none when they do not.
    pub reasons: &'static [&'static str],
}

/// A job.
#[async_trait]
pub trait Job: Send + Sync {
    /// Its name: of the table, the label, the history and the command.
    fn name(&self) -> &'static str;

    /// The backend it works on: a job is one for each.
    fn backend(&self) -> BackendKind;

    /// The tables that it looks at, and why it deletes there. What the store has counted without its
    /// answer having come here is told as deleted for the first reason of the first.
    fn touches(&self) -> &'static [Touches];

    /// When it runs and for how long.
    fn plan(&self) -> Plan;

    /// Whether it only runs where the application's tables are those that this build knows: whatever deletes by what
    /// it believes of them.
    fn needs_known_schema(&self) -> bool {
        true
    }

    /// Connections that write at the same time.
    fn workers(&self) -> u16 {
        1
    }

    /// The limits it works under, for the report.
    fn limits(&self) -> Limits;

    /// Does the work. The report is filled in as it goes, so that it is right whenever the run
    /// ends. Being asked to stop is not an error.
    async fn run(&self, store: &dyn Store, at: Workplace<'_>, report: &mut Report) -> storage::Result<()>;

    /// Says what a run would do now, and changes nothing.
    async fn preview(&self, store: &dyn Store) -> storage::Result<Report>;
}

/// Every job that works on rows or looks at tables, on each of `backends`, in the order in which they are shown.
pub fn registry(settings: &Settings, throttle: &throttle::Settings, backends: &[Place]) -> Vec<Arc<dyn Job>> {
    let jobs = backends.iter().flat_map(|place| -> [Arc<dyn Job>; 6] {
        let throttle = || throttle.clone();
        [
            Arc::new(TtlCleanup::new(settings.ttl_cleanup.clone(), throttle(), place.clone())),
            Arc::new(DiffPrune::new(settings.diff_prune.clone(), throttle(), place.clone())),
            Arc::new(TokenCleanup::new(settings.token_cleanup.clone(), throttle(), place.clone())),
            Arc::new(OrphanScan::new(settings.orphan_scan.clone(), throttle(), place.clone())),
            Arc::new(LookupCheck::new(settings.lookup_check.clone(), throttle(), place.clone())),
            Arc::new(IndexHealth::new(settings.index_health.clone(), throttle(), place.clone())),
        ]
    });
    jobs.collect()
}

/// Every job that has to do with backups, of what is at `place`; days begin and end in `zone`.
pub fn backups(settings: &Settings, shop: &Arc<Workshop>, zone: Tz, place: &Place) -> Vec<Arc<dyn Job>> {
    vec![
        Arc::new(BackupJob::new(settings.backup.clone(), Arc::clone(shop), zone, place.clone())),
        Arc::new(DrillJob::new(settings.backup_drill.clone(), Arc::clone(shop), place.clone())),
    ]
}

/// Where a job works, and how much it may use there.
#[derive(Clone, Debug)]
pub struct Place {
    /// The backend.
    pub backend: BackendKind,
    /// What all jobs there may use together, where the backend bills.
    pub budget: Arc<Budget>,
}

impl Place {
    /// On `backend`, without limits.
    pub fn on(backend: BackendKind) -> Self {
        Self { backend, budget: Arc::default() }
    }
}
