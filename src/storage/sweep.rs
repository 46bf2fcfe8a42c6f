//! Finding and deleting what has expired, in bounded batches.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{Fence, Result};

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

/// A place in the order in which expired rows are read: by TTL, then by where the row lies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor(pub(super) Option<(i64, String)>);

/// A row that is to be deleted, as the backend addresses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate(pub(super) String);

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
}

/// What the server says of one batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Rows it deleted. The others were locked by somebody, or had changed.
    pub deleted: u64,
    /// Other transactions that waited, at the end of the batch, for a lock of ours.
    pub waiters: u64,
    /// How long the transaction took, from its begin to the answer to its commit.
    pub elapsed: Duration,
}

/// Rows that have expired and are still there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Backlog {
    /// How many; counted to [`Backlog::CAP`] at most.
    pub expired_rows: u64,
    /// Whether counting stopped at the cap, so that there are at least this many.
    pub capped: bool,
    /// Seconds since the oldest of them expired; none when there are none.
    pub oldest_age_seconds: Option<u64>,
    /// When they were counted.
    pub measured_at: DateTime<Utc>,
}

impl Backlog {
    /// Where counting stops: beyond this a precise number costs more than it is worth.
    pub const CAP: u64 = 100_000;
}

/// The rows with a TTL, as the clean-up needs them.
#[async_trait]
pub trait Sweep: Send + Sync {
    /// The time of the store's clock, and the same less `grace` as a line between what has expired
    /// and what has not.
    async fn cutoff(&self, grace: Duration) -> Result<Cutoff>;

    /// Reads expired rows from `cursor` on, `limit` at most, without locking them.
    async fn expired(&self, which: &Expired, cursor: &Cursor, limit: u32) -> Result<Page>;

    /// Deletes those of `candidates` that still have expired and that nobody else has locked.
    /// Atomic: the deletion and the counts in the run's own row are committed together, or, when
    /// `fence` no longer holds, neither ([`ErrorKind::Fenced`](super::ErrorKind::Fenced)).
    async fn delete_expired(&self, which: &Expired, candidates: &[Candidate], fence: &Fence) -> Result<Batch>;

    /// Whether any row remains that has expired.
    async fn any_expired(&self, which: &Expired) -> Result<bool>;

    /// Counts expired rows per bucket.
    async fn count_expired(&self, which: &Expired) -> Result<BTreeMap<String, u64>>;

    /// Counts expired rows of all buckets, up to [`Backlog::CAP`], in bounded time.
    async fn backlog(&self) -> Result<Backlog>;
}
