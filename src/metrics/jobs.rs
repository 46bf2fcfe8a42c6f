//! What jobs do, and when.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Metrics, epoch, set, set_or_remove};
use crate::model::BackendKind;
use crate::work::{Fate, Outcome};

impl Metrics {
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

    /// A job rested for `reason`.
    pub fn throttle_wait(&self, job: &'static str, backend: BackendKind, reason: &'static str, rest: Duration) {
        self.throttle_wait.with_label_values(&[job, backend.name(), reason]).inc_by(rest.as_secs_f64());
    }

    /// How many rows the next batch of the job will have.
    pub fn throttle_batch_size(&self, job: &'static str, backend: BackendKind, rows: u32) {
        self.throttle_batch_size.with_label_values(&[job, backend.name()]).set(rows.into());
    }

    /// Whether this process holds the lease of the job.
    pub fn lease_held(&self, job: &'static str, backend: BackendKind, held: bool) {
        set(&self.lease_held, &[job, backend.name()], held);
    }

    /// The job has ended, and with it its lease and whatever described its batches.
    pub fn job_idle(&self, job: &'static str, backend: BackendKind) {
        self.job_running(job, backend, false);
        self.lease_held(job, backend, false);
        set_or_remove(&self.throttle_batch_size, &[job, backend.name()], None);
    }
}
