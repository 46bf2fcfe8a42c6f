//! What is wrong with a deployment.

use super::{Metrics, Severity, set_or_remove};
use crate::model::BackendKind;

/// A check whose findings are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    /// Tables that must be there and are not.
    TableMissing,
    /// Columns that must be there and are not.
    ColumnMissing,
    /// Columns of another type than they must have.
    ColumnDifferent,
    /// Columns that nobody expects.
    ColumnExtra,
    /// Tables with another key than they must have, or none.
    KeyDifferent,
    /// Foreign keys that are missing, are others than they must be, or that nobody expects.
    ForeignKeyDifferent,
    /// Indexes that must be there and are not.
    IndexMissing,
    /// Indexes that have the name of one that must be there, and index something else.
    IndexDifferent,
    /// Indexes that nobody expects.
    IndexExtra,
    /// Indexes of what another one indexes.
    IndexDuplicate,
    /// Indexes of what another one begins with.
    IndexCovered,
    /// Indexes that must be there and cannot be used.
    IndexInvalid,
    /// Indexes that an interrupted command has left: they cannot be used, and cost with every write.
    IndexLeftover,
    /// Indexes that are still being built.
    IndexBuilding,
    /// Indexes whose content is not what it must be.
    IndexCorrupt,
    /// Indexes that are much larger than they would be if they were built anew.
    IndexBloat,
    /// Indexes that nobody uses.
    IndexUnused,
    /// Indexes that hold another number of rows than their table.
    IndexDrift,
    /// Tables that are often read from end to end.
    SequentialScans,
    /// Tables in which dead rows pile up.
    DeadRows,
    /// Databases or tables that come close to the end of the transaction numbers.
    TransactionAge,
    /// Tables that a crash empties.
    TableUnlogged,
    /// Texts that are compared in another way than they must be, or than when their indexes were built.
    Collation,
    /// Keys that come close to the largest that the store takes.
    KeySize,
    /// Items that come close to the largest that DynamoDB takes.
    ItemSize,
    /// Tables of DynamoDB that cannot be used as they are.
    TableStatus,
    /// Tables of DynamoDB with so small a capacity that they turn requests away.
    BillingMode,
    /// DynamoDB does not expire attributes, or does by the wrong attribute.
    TimeToLive,
    /// Settings of tables of DynamoDB that are asked for and are off.
    TableSettings,
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
            Self::TableMissing => "table_missing",
            Self::ColumnMissing => "column_missing",
            Self::ColumnDifferent => "column_different",
            Self::ColumnExtra => "column_extra",
            Self::KeyDifferent => "key_different",
            Self::ForeignKeyDifferent => "foreign_key_different",
            Self::IndexMissing => "index_missing",
            Self::IndexDifferent => "index_different",
            Self::IndexExtra => "index_extra",
            Self::IndexDuplicate => "index_duplicate",
            Self::IndexCovered => "index_covered",
            Self::IndexInvalid => "index_invalid",
            Self::IndexLeftover => "index_leftover",
            Self::IndexBuilding => "index_building",
            Self::IndexCorrupt => "index_corrupt",
            Self::IndexBloat => "index_bloat",
            Self::IndexUnused => "index_unused",
            Self::IndexDrift => "index_drift",
            Self::SequentialScans => "sequential_scans",
            Self::DeadRows => "dead_rows",
            Self::TransactionAge => "transaction_age",
            Self::TableUnlogged => "table_unlogged",
            Self::Collation => "collation",
            Self::KeySize => "key_size",
            Self::ItemSize => "item_size",
            Self::TableStatus => "table_status",
            Self::BillingMode => "billing_mode",
            Self::TimeToLive => "time_to_live",
            Self::TableSettings => "table_settings",
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
