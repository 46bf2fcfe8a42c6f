//! Every metric, once: its name, its labels, and what it means, which is also its help text.
//!
//! Callers never write a label themselves: each method takes what the metric is about, as an enum
//! or a `&'static str`, so that no label can grow with the data. Counters stand at zero from the
//! moment their labels are registered; a gauge appears when it is first measured and goes when it
//! is set to nothing, because a zero that nobody measured is a lie.

use std::time::Duration;

use chrono::{DateTime, Utc};
use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{CounterVec, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder};

use crate::model::BackendKind;
pub use crate::work::Severity;
use crate::work::{Fate, Outcome};

/// What every name begins with, except those of the process itself.
const NAMESPACE: &str = "maintd";

/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

macro_rules! families {
    ($(
        $(#[doc = $help:literal])+
        $field:ident: $kind:ident($name:literal, $labels:tt $(, [$($bucket:literal),+])?),
    )+) => {
        /// The metrics of this process.
        #[derive(Debug)]
        pub struct Metrics {
            registry: Registry,
            $($(#[doc = $help])+ $field: $kind,)+
        }

        impl Metrics {
            fn families() -> Self {
                let registry = Registry::new();
                $(
                    let help = concat!($($help),+);
                    let $field: $kind = register(&registry, $name, help, &$labels, &[$($($bucket),+)?]);
                )+
                Self { registry, $($field,)+ }
            }
        }
    };
}

families! {
    /// The version and the revision of the running daemon; always 1.
    build_info: GaugeVec("build_info", ["version", "revision"]),
    /// Whether the backend answered when it was last asked (1) or not (0).
    up: GaugeVec("up", ["backend"]),
    /// Runs that ended, by how they ended.
    job_runs: IntCounterVec("job_runs_total", ["job", "backend", "outcome"]),
    /// How long runs took, from taking the lease to giving it back.
    job_duration: HistogramVec("job_duration_seconds", ["job", "backend"], [
        0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0
    ]),
    /// Whether this process is running the job (1) or not (0).
    job_running: GaugeVec("job_running", ["job", "backend"]),
    /// When the job last succeeded, on whichever replica.
    job_last_success: GaugeVec("job_last_success_timestamp_seconds", ["job", "backend"]),
    /// When a run of the job last ended, on whichever replica and however it ended.
    job_last_run: GaugeVec("job_last_run_timestamp_seconds", ["job", "backend"]),
    /// When the job is due next; absent while its schedule does not start it.
    job_next_run: GaugeVec("job_next_run_timestamp_seconds", ["job", "backend"]),
    /// Whether the schedule starts the job (1) or not (0), on whichever host.
    job_enabled: GaugeVec("job_enabled", ["job", "backend"]),
    /// Whether somebody paused the job (1) or not (0).
    job_paused: GaugeVec("job_paused", ["job", "backend"]),
    /// Slots of the schedule, by what became of them: ran, skipped for a reason, or missed because nobody could run them.
    schedule_slots: IntCounterVec("schedule_slots_total", ["job", "backend", "fate"]),
    /// Rows that jobs looked at.
    rows_examined: IntCounterVec("rows_examined_total", ["job", "backend", "table"]),
    /// Rows that jobs deleted, as the server counted them.
    rows_deleted: IntCounterVec("rows_deleted_total", ["job", "backend", "table", "reason"]),
    /// Expired rows that are still there; counted once a minute, to 100000 at most.
    expired_rows: GaugeVec("expired_rows", ["backend"]),
    /// How long ago the oldest row expired that is still there; absent when there is none.
    oldest_expired_age: GaugeVec("oldest_expired_age_seconds", ["backend"]),
    /// Time that jobs spent resting between batches, by what they rested for.
    throttle_wait: CounterVec("throttle_wait_seconds_total", ["job", "backend", "reason"]),
    /// Rows in a batch, as the last batch of the job left it; absent while the job does not run.
    throttle_batch_size: GaugeVec("throttle_batch_size", ["job", "backend"]),
    /// What is wrong with the deployment, counted when it was last looked at.
    findings: GaugeVec("findings", ["backend", "check", "severity"]),
    /// When the newest backup was done that is not damaged.
    backup_last_success: GaugeVec("backup_last_success_timestamp_seconds", ["backend", "kind"]),
    /// When the newest backup was done that is verified: every byte is what was written.
    backup_verified: GaugeVec("backup_verified_timestamp_seconds", ["backend", "kind"]),
    /// When a backup was last drilled: restored, and found to be what was backed up.
    backup_drilled: GaugeVec("backup_drilled_timestamp_seconds", ["backend", "kind"]),
    /// Bytes of the newest backup that is not damaged.
    backup_size: GaugeVec("backup_size_bytes", ["backend", "kind"]),
    /// How long the last drill took from an empty place to a database that answers.
    backup_restore: GaugeVec("backup_restore_seconds", ["backend", "kind"]),
    /// How old the data was that the last drill restored.
    backup_data_age: GaugeVec("backup_data_age_seconds", ["backend", "kind"]),
    /// Backups that are there, each in one state: taken, verified, drilled or damaged.
    backup_sets: GaugeVec("backup_sets", ["backend", "kind", "state"]),
    /// Whether the server's last attempt to archive its write-ahead log failed (1) or not (0); absent while it archives nothing.
    wal_archive_failing: GaugeVec("wal_archive_failing", ["backend"]),
    /// Files of the write-ahead log that wait to be archived; absent where that cannot be told.
    wal_archive_waiting: GaugeVec("wal_archive_waiting_files", ["backend"]),
    /// When a file of the write-ahead log was last archived; absent when none ever was.
    wal_archive_last_success: GaugeVec("wal_archive_last_success_timestamp_seconds", ["backend"]),
    /// Whether this process holds the lease of the job (1) or not (0).
    lease_held: GaugeVec("lease_held", ["job", "backend"]),
    /// How long operations on the store took, failed ones included.
    store_operation: HistogramVec("store_operation_seconds", ["backend", "op"], [
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0
    ]),
    /// Operations on the store that failed, by what the failure means.
    store_errors: IntCounterVec("store_errors_total", ["backend", "op", "kind"]),
    /// Capacity units that DynamoDB says it has charged.
    dynamodb_consumed_units: CounterVec("dynamodb_consumed_units_total", ["table", "unit"]),
    /// Connections to the database that this process holds open, by what they are doing.
    pool_connections: GaugeVec("pool_connections", ["state"]),
    /// Whether the configuration could be used when it was last loaded (1) or the one before is kept (0).
    config_reload_success: GaugeVec("config_reload_success", []),
    /// When the configuration was last loaded and could be used.
    config_last_reload: GaugeVec("config_last_reload_timestamp_seconds", []),
}

/// What there is of backups of one kind.
#[derive(Clone, Debug, Default)]
pub struct BackupsSeen {
    /// When the newest was done that is not damaged.
    pub taken_at: Option<DateTime<Utc>>,
    /// Its bytes.
    pub size: Option<u64>,
    /// When the newest was done that is verified.
    pub verified_at: Option<DateTime<Utc>>,
    /// When one was last drilled.
    pub drilled_at: Option<DateTime<Utc>>,
    /// How long that restore took.
    pub restore_seconds: Option<f64>,
    /// How old the data was that it restored.
    pub data_age_seconds: Option<f64>,
    /// How many there are in each of [`BackupsSeen::STATES`].
    pub sets: [u64; 4],
}

impl BackupsSeen {
    /// The words of the label `state`.
    pub const STATES: [&'static str; 4] = ["taken", "verified", "drilled", "damaged"];
}

/// A kind of metric, by how it is made.
trait Family: Collector + Clone + 'static {
    fn create(opts: Opts, labels: &[&str], buckets: &[f64]) -> prometheus::Result<Self>;
}

impl Family for GaugeVec {
    fn create(opts: Opts, labels: &[&str], _buckets: &[f64]) -> prometheus::Result<Self> {
        Self::new(opts, labels)
    }
}

impl Family for CounterVec {
    fn create(opts: Opts, labels: &[&str], _buckets: &[f64]) -> prometheus::Result<Self> {
        Self::new(opts, labels)
    }
}

impl Family for IntCounterVec {
    fn create(opts: Opts, labels: &[&str], _buckets: &[f64]) -> prometheus::Result<Self> {
        Self::new(opts, labels)
    }
}

impl Family for HistogramVec {
    fn create(opts: Opts, labels: &[&str], buckets: &[f64]) -> prometheus::Result<Self> {
        Self::new(HistogramOpts::from(opts).buckets(buckets.to_vec()), labels)
    }
}

fn register<F: Family>(registry: &Registry, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> F {
    let opts = Opts::new(name, help.trim()).namespace(NAMESPACE);
    let family = F::create(opts, labels, buckets).expect("names and labels of metrics are valid");
    registry.register(Box::new(family.clone())).expect("each metric is registered once");
    family
}

/// A check whose findings are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The application's schema is at a revision that this build does not know, or lacks what the
    /// jobs need.
    SchemaRevision,
    /// The clocks of this machine and of the database disagree, or one of them has jumped.
    ClockSkew,
    /// Rows of actors that do not exist.
    Orphans,
    /// Properties that are not found by their value, as the look-up table has no entry.
    LookupMissing,
    /// Entries of the look-up table whose property is gone or has another value.
    LookupStale,
    /// Properties that are not found by their value, as another actor has the same one.
    LookupCollision,
    /// Properties that cannot be found by their value: too long for the index, or without their actor.
    LookupImpossible,
    /// Signals that the throttle is told to heed and cannot see.
    ThrottleSignals,
    /// Tables of the application that autovacuum will not come to.
    Autovacuum,
    /// A `VACUUM` that a job was told to do after a large purge, and that was not done.
    Vacuum,
    /// DynamoDB does not delete by itself what has expired, or cannot.
    NativeTtl,
    /// Backups that are not what was written.
    BackupDamaged,
    /// Backups that nobody has verified.
    BackupUnverified,
    /// The place where backups are cannot be looked at.
    BackupPlace,
    /// The server does not get rid of its write-ahead log, so that nobody can restore to a moment of today.
    WalArchiving,
}

impl Check {
    /// The word for the label `check`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SchemaRevision => "schema_revision",
            Self::ClockSkew => "clock_skew",
            Self::Orphans => "orphans",
            Self::LookupMissing => "lookup_missing",
            Self::LookupStale => "lookup_stale",
            Self::LookupCollision => "lookup_collision",
            Self::LookupImpossible => "lookup_impossible",
            Self::ThrottleSignals => "throttle_signals",
            Self::Autovacuum => "autovacuum",
            Self::Vacuum => "vacuum",
            Self::NativeTtl => "native_ttl",
            Self::BackupDamaged => "backup_damaged",
            Self::BackupUnverified => "backup_unverified",
            Self::BackupPlace => "backup_place",
            Self::WalArchiving => "wal_archiving",
        }
    }
}

impl Metrics {
    /// The metrics of a process that has measured nothing yet.
    pub fn new(version: &str, revision: &str) -> Self {
        let metrics = Self::families();
        metrics.registry.register(Box::new(ProcessCollector::for_self())).expect("the process has its own names");
        metrics.build_info.with_label_values(&[version, revision]).set(1.0);
        metrics
    }

    /// Everything measured, in the text format of Prometheus. Asks nobody but `/proc`.
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(32 * 1024);
        TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text).expect("gathered families are complete");
        text
    }

    /// Lets the counters of a job begin at zero: `tables` are those it looks at, each with the
    /// reasons for which it deletes there, `waits` what it may have to wait for.
    pub fn register_job(
        &self,
        job: &'static str,
        backend: BackendKind,
        tables: &[(&'static str, &[&'static str])],
        waits: &[&'static str],
    ) {
        for outcome in Outcome::ALL {
            self.job_runs.with_label_values(&[job, backend.name(), outcome.name()]);
        }
        for fate in Fate::ALL {
            self.schedule_slots.with_label_values(&[job, backend.name(), fate.name()]);
        }
        self.job_duration.with_label_values(&[job, backend.name()]);
        for (table, reasons) in tables {
            self.rows_examined.with_label_values(&[job, backend.name(), table]);
            for reason in *reasons {
                self.rows_deleted.with_label_values(&[job, backend.name(), table, reason]);
            }
        }
        for reason in waits {
            self.throttle_wait.with_label_values(&[job, backend.name(), reason]);
        }
    }

    /// Lets the counters of a store begin at zero: `ops` are the operations it measures, `kinds`
    /// the ways in which they can fail.
    pub fn register_store(
        &self,
        backend: BackendKind,
        ops: &[&'static str],
        kinds: impl Iterator<Item = &'static str> + Clone,
    ) {
        for op in ops {
            self.store_operation.with_label_values(&[backend.name(), op]);
            for kind in kinds.clone() {
                self.store_errors.with_label_values(&[backend.name(), op, kind]);
            }
        }
    }

    /// Whether the backend answered when it was last asked.
    pub fn up(&self, backend: BackendKind, up: bool) {
        set(&self.up, &[backend.name()], up);
    }

    /// Slots came to this end.
    pub fn slots(&self, job: &'static str, backend: BackendKind, fate: Fate, count: u64) {
        self.schedule_slots.with_label_values(&[job, backend.name(), fate.name()]).inc_by(count);
    }

    /// Runs were skipped.
    pub fn job_skipped(&self, job: &'static str, backend: BackendKind, count: u64) {
        self.job_runs.with_label_values(&[job, backend.name(), Outcome::Skipped.name()]).inc_by(count);
    }

    /// A run ended. How long one took that its holder left behind, nobody knows.
    pub fn job_run(&self, job: &'static str, backend: BackendKind, outcome: Outcome, took: Option<Duration>) {
        self.job_runs.with_label_values(&[job, backend.name(), outcome.name()]).inc();
        if let Some(took) = took {
            self.job_duration.with_label_values(&[job, backend.name()]).observe(took.as_secs_f64());
        }
    }

    /// Whether this process is running the job.
    pub fn job_running(&self, job: &'static str, backend: BackendKind, running: bool) {
        set(&self.job_running, &[job, backend.name()], running);
    }

    /// Whether the schedule starts the job, on whichever host.
    pub fn job_enabled(&self, job: &'static str, backend: BackendKind, enabled: bool) {
        set(&self.job_enabled, &[job, backend.name()], enabled);
    }

    /// Whether somebody has paused the job.
    pub fn job_paused(&self, job: &'static str, backend: BackendKind, paused: bool) {
        set(&self.job_paused, &[job, backend.name()], paused);
    }

    /// When the job last succeeded, if it ever did.
    pub fn job_last_success(&self, job: &'static str, backend: BackendKind, at: Option<DateTime<Utc>>) {
        set_or_remove(&self.job_last_success, &[job, backend.name()], at.map(epoch));
    }

    /// When a run of the job last ended, if one ever did.
    pub fn job_last_run(&self, job: &'static str, backend: BackendKind, at: Option<DateTime<Utc>>) {
        set_or_remove(&self.job_last_run, &[job, backend.name()], at.map(epoch));
    }

    /// When the job is due next, if its schedule starts it.
    pub fn job_next_run(&self, job: &'static str, backend: BackendKind, at: Option<DateTime<Utc>>) {
        set_or_remove(&self.job_next_run, &[job, backend.name()], at.map(epoch));
    }

    /// A job looked at rows.
    pub fn rows_examined(&self, job: &'static str, backend: BackendKind, table: &'static str, rows: u64) {
        self.rows_examined.with_label_values(&[job, backend.name(), table]).inc_by(rows);
    }

    /// The server deleted rows for a job.
    pub fn rows_deleted(
        &self,
        job: &'static str,
        backend: BackendKind,
        table: &'static str,
        reason: &'static str,
        rows: u64,
    ) {
        self.rows_deleted.with_label_values(&[job, backend.name(), table, reason]).inc_by(rows);
    }

    /// How many expired rows there are; nothing when that is no longer known.
    pub fn expired_rows(&self, backend: BackendKind, rows: Option<u64>) {
        set_or_remove(&self.expired_rows, &[backend.name()], rows.map(|rows| rows as f64));
    }

    /// How many seconds ago the oldest of them expired; nothing when there is none.
    pub fn oldest_expired_age(&self, backend: BackendKind, seconds: Option<u64>) {
        set_or_remove(&self.oldest_expired_age, &[backend.name()], seconds.map(|seconds| seconds as f64));
    }

    /// A job rested for `reason`.
    pub fn throttle_wait(&self, job: &'static str, backend: BackendKind, reason: &'static str, rest: Duration) {
        self.throttle_wait.with_label_values(&[job, backend.name(), reason]).inc_by(rest.as_secs_f64());
    }

    /// How many rows the next batch of the job will have.
    pub fn throttle_batch_size(&self, job: &'static str, backend: BackendKind, rows: u32) {
        self.throttle_batch_size.with_label_values(&[job, backend.name()]).set(rows.into());
    }

    /// The job has ended, and with it its lease and whatever described its batches.
    pub fn job_idle(&self, job: &'static str, backend: BackendKind) {
        self.job_running(job, backend, false);
        self.lease_held(job, backend, false);
        set_or_remove(&self.throttle_batch_size, &[job, backend.name()], None);
    }

    /// How many findings a check has; nothing when it could not be made.
    pub fn findings(&self, backend: BackendKind, check: Check, severity: Severity, count: Option<u64>) {
        let labels = [backend.name(), check.name(), severity.name()];
        set_or_remove(&self.findings, &labels, count.map(|count| count as f64));
    }

    /// How the server's archive of its write-ahead log is: whether its last attempt failed, how many files wait, and
    /// when one was last archived; nothing where that is not known, or nothing is archived.
    pub fn wal_archive(
        &self,
        backend: BackendKind,
        failing: Option<bool>,
        waiting: Option<u64>,
        last_success: Option<DateTime<Utc>>,
    ) {
        let labels = [backend.name()];
        set_or_remove(&self.wal_archive_failing, &labels, failing.map(|failing| f64::from(u8::from(failing))));
        set_or_remove(&self.wal_archive_waiting, &labels, waiting.map(|files| files as f64));
        set_or_remove(&self.wal_archive_last_success, &labels, last_success.map(epoch));
    }

    /// Whether this process holds the lease of the job.
    pub fn lease_held(&self, job: &'static str, backend: BackendKind, held: bool) {
        set(&self.lease_held, &[job, backend.name()], held);
    }

    /// What there is of backups of one kind; nothing when there are none.
    pub fn backups(&self, backend: BackendKind, kind: &'static str, seen: Option<&BackupsSeen>) {
        let labels = [backend.name(), kind];
        let measured = |value: fn(&BackupsSeen) -> Option<f64>| seen.and_then(value);
        set_or_remove(&self.backup_last_success, &labels, measured(|seen| seen.taken_at.map(epoch)));
        set_or_remove(&self.backup_verified, &labels, measured(|seen| seen.verified_at.map(epoch)));
        set_or_remove(&self.backup_drilled, &labels, measured(|seen| seen.drilled_at.map(epoch)));
        set_or_remove(&self.backup_size, &labels, measured(|seen| seen.size.map(|size| size as f64)));
        set_or_remove(&self.backup_restore, &labels, measured(|seen| seen.restore_seconds));
        set_or_remove(&self.backup_data_age, &labels, measured(|seen| seen.data_age_seconds));
        for (position, state) in BackupsSeen::STATES.into_iter().enumerate() {
            let count = seen.map(|seen| seen.sets[position] as f64);
            set_or_remove(&self.backup_sets, &[backend.name(), kind, state], count);
        }
    }

    /// An operation on a store ended, well or not.
    pub fn store_operation(&self, backend: BackendKind, op: &'static str, took: Duration) {
        self.store_operation.with_label_values(&[backend.name(), op]).observe(took.as_secs_f64());
    }

    /// An operation on a store failed.
    pub fn store_error(&self, backend: BackendKind, op: &'static str, kind: &'static str) {
        self.store_errors.with_label_values(&[backend.name(), op, kind]).inc();
    }

    /// DynamoDB has charged `units` for reading or writing a table.
    pub fn dynamodb_consumed_units(&self, table: &'static str, unit: &'static str, units: f64) {
        self.dynamodb_consumed_units.with_label_values(&[table, unit]).inc_by(units);
    }

    /// How many connections of the pool are open, and what they are doing.
    pub fn pool_connections(&self, idle: u32, used: u32) {
        self.pool_connections.with_label_values(&["idle"]).set(idle.into());
        self.pool_connections.with_label_values(&["used"]).set(used.into());
    }

    /// The configuration was loaded at this time, or what was loaded could not be used.
    pub fn config_loaded(&self, at: Option<DateTime<Utc>>) {
        set(&self.config_reload_success, &[], at.is_some());
        if let Some(at) = at {
            set_or_remove(&self.config_last_reload, &[], Some(epoch(at)));
        }
    }
}

fn set(family: &GaugeVec, labels: &[&str], value: bool) {
    family.with_label_values(labels).set(f64::from(u8::from(value)));
}

fn set_or_remove(family: &GaugeVec, labels: &[&str], value: Option<f64>) {
    match value {
        Some(value) => family.with_label_values(labels).set(value),
        None => {
            // The error says that the gauge was not there, which is what was wanted.
            let _absent = family.remove_label_values(labels);
        }
    }
}

fn epoch(at: DateTime<Utc>) -> f64 {
    // Milliseconds are exact in an f64 and finer than anybody's schedule.
    at.timestamp_millis() as f64 / 1000.0
}

#[cfg(test)]
mod tests;
