//! The table `[throttle]`.

use serde::{Deserialize, Serialize};

use crate::model::setting::{self, Bounded, Problem, Size, Span};

/// When a writer slows down, whatever its job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How long a batch may take. Above it batches shrink, well below it they grow.
    pub batch_latency: Span,
    /// How long to rest after a batch that kept somebody else waiting for a lock.
    pub lock_wait: Span,
    /// How late a replica may be; nothing for as late as it likes.
    pub replication_lag: Span,
    /// How much of the write-ahead log a replica may still have to replay; nothing for any amount.
    pub replication_lag_bytes: Size,
    /// The names (`application_name`) of replicas that may be as late as they like.
    #[serde(deserialize_with = "setting::list")]
    pub ignored_replicas: Vec<String>,
    /// How many files of the write-ahead log may wait to be archived; 0 for any number, and for an
    /// archive that fails as well.
    pub wal_archive_backlog: Bounded<0, 1_000_000>,
    /// With fewer connections left than this a writer is slow; 0 for never.
    pub connection_headroom: Bounded<0, 100_000>,
    /// Whether a writer is slow while a vacuum works on its table.
    #[serde(deserialize_with = "setting::flag")]
    pub yield_to_autovacuum: bool,
    /// So many times the lag or the backlog that makes a run pause ends it; 0 for never.
    pub abort_at: Bounded<0, 1_000_000>,
    /// How long a run may pause before it ends.
    pub patience: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch_latency: Span::millis(25),
            lock_wait: Span::millis(100),
            replication_lag: Span::secs(10),
            replication_lag_bytes: Size::mebibytes(64),
            ignored_replicas: Vec::new(),
            wal_archive_backlog: Bounded::new(16),
            connection_headroom: Bounded::new(5),
            yield_to_autovacuum: true,
            abort_at: Bounded::new(10),
            patience: Span::secs(10 * 60),
        }
    }
}

impl Settings {
    /// What is wrong with these values together.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.batch_latency.0.is_zero() {
            problems.push(Problem::new(
                "batch_latency",
                "is zero, which no batch can keep: write how long a batch may take, as in \"25ms\"",
            ));
        }
        if self.patience.0.is_zero() {
            problems.push(Problem::new(
                "patience",
                "is zero, so that no run could pause: write how long one may, as in \"10m\", or abort_at = 1 to end \
                 a run instead",
            ));
        }
        problems
    }
}
