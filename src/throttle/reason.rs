//! Why a writer rests.

/// Why a writer rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The configured rows per second.
    Rate,
    /// The configured capacity units per second.
    Budget,
    /// Somebody waited for a lock that the batch held.
    LockWait,
    /// The batch took longer than it should.
    Latency,
    /// A batch could not be done for now: the table is locked, or the store does not answer.
    Stalled,
    /// A replica is too far behind.
    ReplicationLag,
    /// The write-ahead log is not archived fast enough, or not at all.
    WalArchive,
    /// A vacuum works on the table.
    Autovacuum,
    /// The server has hardly any connections left.
    Connections,
    /// The store turned requests away for want of capacity.
    Throttled,
    /// The store does not say how others are.
    Blind,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 11] = [
        Self::Rate,
        Self::Budget,
        Self::LockWait,
        Self::Latency,
        Self::Stalled,
        Self::ReplicationLag,
        Self::WalArchive,
        Self::Autovacuum,
        Self::Connections,
        Self::Throttled,
        Self::Blind,
    ];

    /// The word in reports and in the label `reason`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Budget => "budget",
            Self::LockWait => "lock_wait",
            Self::Latency => "latency",
            Self::Stalled => "stalled",
            Self::ReplicationLag => "replication_lag",
            Self::WalArchive => "wal_archive",
            Self::Autovacuum => "autovacuum",
            Self::Connections => "connections",
            Self::Throttled => "throttled",
            Self::Blind => "blind",
        }
    }
}
