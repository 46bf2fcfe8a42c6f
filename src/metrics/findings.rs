//! What is wrong with a deployment.

use super::{Metrics, Severity, set_or_remove};
use crate::model::BackendKind;

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
    /// Tables of DynamoDB without point-in-time recovery, where it is asked for.
    PointInTimeRecovery,
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
            Self::PointInTimeRecovery => "point_in_time_recovery",
            Self::WalArchiving => "wal_archiving",
        }
    }
}

impl Metrics {
    /// How many findings a check has; nothing when it could not be made.
    pub fn findings(&self, backend: BackendKind, check: Check, severity: Severity, count: Option<u64>) {
        let labels = [backend.name(), check.name(), severity.name()];
        set_or_remove(&self.findings, &labels, count.map(|count| count as f64));
    }
}
