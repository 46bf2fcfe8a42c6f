//! The list of all metrics: the name, the labels and the meaning of each.

use prometheus::core::Collector;
use prometheus::{CounterVec, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

/// What every name begins with, except those of the process itself.
const NAMESPACE: &str = "maintd";

macro_rules! families {
    ($(
        $(#[doc = $help:literal])+
        $field:ident: $kind:ident($name:literal, $labels:tt $(, [$($bucket:literal),+])?),
    )+) => {
        /// The metrics of this process.
        #[derive(Debug)]
        pub struct Metrics {
            pub(super) registry: Registry,
            $($(#[doc = $help])+ pub(super) $field: $kind,)+
        }

        impl Metrics {
            pub(super) fn families() -> Self {
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
    /// Bytes of an index of the application's tables; those that are none of ActingWeb's together as "other".
    index_size: GaugeVec("index_size_bytes", ["backend", "table", "index"]),
    /// Which part of an index would go if it were built anew, from 0 to 1; an estimate unless the last look was a deep one.
    index_bloat: GaugeVec("index_bloat_ratio", ["backend", "table", "index"]),
    /// How often an index was used, on the server and its replicas, as their own statistics have it.
    index_scans: IntCounterVec("index_scans_total", ["backend", "table", "index"]),
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
