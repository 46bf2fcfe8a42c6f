//! Finding and deleting what has expired, in bounded batches.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{Ends, Fence, Result, Segment};

/// Which rows a sweep is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Epoch seconds: rows whose TTL lies before this, exclusively, have expired.
    pub cutoff: i64,
    /// Exact names of buckets; none for all of them.
    pub buckets: Vec<String>,
}

/// Where the store draws the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cutoff {
    /// Epoch seconds, rounded down: what has a TTL before this, exclusively, has expired.
    pub epoch: i64,
    /// What the store's clock showed then.
    pub now: DateTime<Utc>,
}

/// A place in the walk over expired rows, in the words of the backend; the default is the beginning.
/// Only good for the segment that it came from.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Cursor(pub(super) Option<String>);

impl std::fmt::Debug for Cursor {
    /// On DynamoDB it names a row, and names of attributes may be bearer tokens.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cursor")
    }
}

/// A row that is to be deleted, as the backend addresses it.
#[derive(Clone, PartialEq, Eq)]
pub struct Candidate(pub(super) String);

impl std::fmt::Debug for Candidate {
    /// As [`Cursor`].
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Candidate")
    }
}

/// A stretch of expired rows.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Rows to delete, in order.
    pub candidates: Vec<Candidate>,
    /// Rows looked at, those of other buckets included.
    pub examined: u64,
    /// Where the next page starts; none when this was the last. A page may be empty and still
    /// have a next one.
    pub next: Option<Cursor>,
    /// What it shows of TTLs, where the backend goes by them itself.
    pub ends: Ends,
    /// What reading it has cost, where the backend bills.
    pub read_units: f64,
}

/// What the server says of one batch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Batch {
    /// Rows it deleted. The others were locked by somebody, or had changed.
    pub deleted: u64,
    /// Other transactions that waited, at the end of the batch, for a lock of ours.
    pub waiters: u64,
    /// How long the transaction took, from its begin to the answer to its commit.
    pub elapsed: Duration,
    /// What it has cost, where the backend bills.
    pub write_units: f64,
}

/// Rows that have expired and are still there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Backlog {
    /// How many were found; counted to [`Backlog::CAP`] at most.
    pub expired_rows: u64,
    /// Whether counting stopped early, so that there are at least this many: at the cap, or, on
    /// DynamoDB, where only reading the whole table would tell, after its first few megabytes.
    pub capped: bool,
    /// Seconds since the oldest that was found expired; none when none was.
    pub oldest_age_seconds: Option<u64>,
    /// When they were counted.
    pub measured_at: DateTime<Utc>,
}

impl Backlog {
    /// Where counting stops: beyond this a precise number costs more than it is worth.
    pub const CAP: u64 = 100_000;
}

/// The rows with a TTL, as the clean-up needs them.
///
/// DynamoDB has no clock to ask: there the store's clock is the `Date` of its answers. It cannot
/// find rows by TTL either, so each page reads a stretch of the whole table; and a deletion is
/// conditional on the row itself, while the run's own row is fenced by the lease's length.
#[async_trait]
pub trait Sweep: Send + Sync {
    /// The time of the store's clock, and the same less `grace` as a line between what has expired
    /// and what has not.
    async fn cutoff(&self, grace: Duration) -> Result<Cutoff>;

    /// Reads expired rows of a part of the table from `cursor` on, without locking them. At most
    /// `limit` rows are looked at, whether they have expired or not. On PostgreSQL all rows are in the
    /// first segment.
    async fn expired(&self, which: &Expired, segment: Segment, cursor: &Cursor, limit: u32) -> Result<Page>;

    /// Deletes those of `candidates` that still have expired and that nobody else has locked.
    /// On PostgreSQL atomic: the deletion and the counts in the run's own row are committed
    /// together, or, when `fence` no longer holds, neither
    /// ([`ErrorKind::Fenced`](super::ErrorKind::Fenced)). On DynamoDB each row goes by itself, and
    /// a batch that fails may have deleted some. They are counted, and who tries the same
    /// candidates again has them in its answer.
    async fn delete_expired(&self, which: &Expired, candidates: &[Candidate], fence: &Fence) -> Result<Batch>;

    /// Whether any row remains that has expired.
    async fn any_expired(&self, which: &Expired) -> Result<bool>;

    /// Counts expired rows per bucket.
    async fn count_expired(&self, which: &Expired) -> Result<BTreeMap<String, u64>>;

    /// Counts expired rows of all buckets, up to [`Backlog::CAP`], in bounded time and at a bounded
    /// price.
    async fn backlog(&self) -> Result<Backlog>;
}
