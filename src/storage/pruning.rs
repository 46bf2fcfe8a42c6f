//! The changes of subscriptions, as the job that thins them out walks over them: actor by actor, and
//! without what the changes say.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Batch, Fence, Result};

/// Some of the actors that have changes, in the order of the walk.
#[derive(Clone, Debug, Default)]
pub struct DiffOwners {
    /// Their ids. One may come again later in the same walk.
    pub ids: Vec<String>,
    /// The id to go on after; none when these were the last.
    pub next: Option<String>,
    /// What reading them has cost, where the backend bills.
    pub read_units: f64,
}

/// A change without what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberedDiff {
    /// The subscription's own id.
    pub subid: String,
    /// Its number.
    pub seqnr: i64,
    /// The time that is stored with it, if that can be read: never later than when it was made, and
    /// much earlier where it comes from DynamoDB.
    pub timestamp: Option<DateTime<Utc>>,
    /// Whether it is stored under the key that follows from the other two, as the library's are. By any
    /// other key it is not found here.
    pub is_under_its_key: bool,
}

/// Some of an actor's changes, in no order.
#[derive(Clone, Debug, Default)]
pub struct NumberedDiffs {
    /// The changes.
    pub diffs: Vec<NumberedDiff>,
    /// The place to go on after; none when these were the last. Only good for the same actor.
    pub next: Option<String>,
    /// What reading them has cost, where the backend bills.
    pub read_units: f64,
}

/// What a change says, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffText {
    /// Its number.
    pub seqnr: i64,
    /// The time that is stored with it.
    pub timestamp: Option<String>,
    /// What it says.
    pub diff: Option<String>,
}

/// Changes of one subscription that are to be deleted. None with a lower number may be left besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The actor.
    pub id: String,
    /// The subscription's own id.
    pub subid: String,
    /// Their numbers, from the lowest on.
    pub numbers: Vec<i64>,
    /// They go only if there is no subscription with this id and `subid`, whoever's and of whichever
    /// kind.
    pub is_orphaned: bool,
}

/// Walking over changes and deleting them from the lowest number on.
#[async_trait]
pub trait Pruning: Send + Sync {
    /// The actors that have changes, those after `after`; `limit` at most. Neither how many changes there
    /// are nor how many an actor has matters to what it costs on PostgreSQL; on DynamoDB `limit` items
    /// are read at most, and the rest of an actor's is jumped over. An `after` that nobody has is as
    /// good as any.
    async fn diff_owners(&self, after: Option<&str>, limit: u32) -> Result<DiffOwners>;

    /// The changes of an actor, after the place `after`; `limit` at most. Read consistently, so that
    /// whatever is read afterwards is newer.
    async fn diff_numbers(&self, id: &str, after: Option<&str>, limit: u32) -> Result<NumberedDiffs>;

    /// What these changes say, by number. Those that are gone are left out.
    async fn diff_texts(&self, id: &str, subid: &str, numbers: &[i64]) -> Result<Vec<DiffText>>;

    /// Deletes changes so that at no time one is gone while one with a lower number is there. On
    /// PostgreSQL one transaction: rows that somebody else has locked are waited for, not passed over,
    /// and the counts in the run's own row are committed together with the deletions or, when `fence` no
    /// longer holds, neither. On DynamoDB one after the other, which ends with the first that fails;
    /// who tries the same again has those that are gone in its answer.
    async fn prune_diffs(&self, cut: &Cut, fence: &Fence) -> Result<Batch>;
}
