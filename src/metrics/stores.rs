//! How a store is, and what operations on it came to.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Metrics, epoch, set, set_or_remove};
use crate::model::BackendKind;

impl Metrics {
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

    /// How many expired rows there are; nothing when that is no longer known.
    pub fn expired_rows(&self, backend: BackendKind, rows: Option<u64>) {
        set_or_remove(&self.expired_rows, &[backend.name()], rows.map(|rows| rows as f64));
    }

    /// How many seconds ago the oldest of them expired; nothing when there is none.
    pub fn oldest_expired_age(&self, backend: BackendKind, seconds: Option<u64>) {
        set_or_remove(&self.oldest_expired_age, &[backend.name()], seconds.map(|seconds| seconds as f64));
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
}
