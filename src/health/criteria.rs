//! What counts as wrong, and what a repair must not do. Where these come from is the job's to know.

use std::collections::BTreeSet;
use std::time::Duration;

/// What counts as wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Criteria {
    /// Whether whole tables and indexes are read.
    pub deep: bool,
    /// An index is bloated from so many hundredths on that would go if it were built anew, ...
    pub bloat_percent: u64,
    /// ... if they are at least so many bytes.
    pub bloat_bytes: u64,
    /// An index is unused when nobody has used it for so long.
    pub unused_after: Duration,
    /// Servers that follow the database's, and are asked which indexes they use: host and port.
    pub replicas: Vec<(String, u16)>,
    /// So many rows are looked at of each table of DynamoDB with `deep`; fewer where they would take more than twice as many
    /// read units.
    pub sample: u64,
    /// Settings that every table of DynamoDB must have.
    pub wanted: BTreeSet<Wanted>,
}

/// A setting of tables of DynamoDB that some want and others do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// Nobody can delete the table by mistake.
    DeletionProtection,
    /// It can be brought back as it was at any second of the last weeks.
    PointInTimeRecovery,
    /// What changes can be read as a stream.
    Streams,
}

/// All of them.
pub const WANTED: [Wanted; 3] = [Wanted::DeletionProtection, Wanted::PointInTimeRecovery, Wanted::Streams];

impl Wanted {
    /// The word in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DeletionProtection => "deletion_protection",
            Self::PointInTimeRecovery => "point_in_time_recovery",
            Self::Streams => "streams",
        }
    }
}

/// What a repair must not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairLimits {
    /// It waits for nobody's lock or transaction for longer.
    pub lock_wait: Duration,
    /// It does not begin while somebody's transaction is older: it would have to wait for its end.
    pub long_transaction: Duration,
    /// The largest index that is built where nobody can see how much space the server has left, in bytes.
    pub unseen_space: u64,
    /// So many bytes must be left where that can be seen.
    pub keep_free: u64,
}
