//! The changes that subscribers may still fetch, as an application uses them.

use async_trait::async_trait;

use super::Result;
use crate::model::row::SubscriptionDiff;

/// Up to which number changes are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Through {
    /// All of them.
    All,
    /// This number and all before it.
    Number(i64),
}

impl Through {
    /// What the library's `delete(seqnr)` means: 0 is all, a negative number is nothing, any other
    /// is included.
    pub const fn from_sequence(seqnr: i64) -> Self {
        if seqnr == 0 { Self::All } else { Self::Number(seqnr) }
    }

    /// Whether a change of this number goes.
    pub const fn includes(self, seqnr: i64) -> bool {
        match self {
            Self::All => true,
            Self::Number(last) => last > 0 && seqnr <= last,
        }
    }
}

/// Changes. Their order is that of their numbers on both backends, and a subscription's are told by
/// the exact `subid` (on DynamoDB the library orders them as text, and may answer with a change of a
/// subscription whose id begins alike).
#[async_trait]
pub trait SubscriptionDiffs: Send + Sync {
    /// The change, read consistently. (The library on DynamoDB raises when it is missing.)
    async fn diff(&self, id: &str, subid: &str, seqnr: i64) -> Result<Option<SubscriptionDiff>>;

    /// The change with the lowest number.
    async fn first_diff(&self, id: &str, subid: &str) -> Result<Option<SubscriptionDiff>>;

    /// The changes of a subscription, or of all of an actor's, by `subid` and number.
    async fn diffs(&self, id: &str, subid: Option<&str>) -> Result<Vec<SubscriptionDiff>>;

    /// Adds a change, unless its number is taken (false). Atomic. (The library on DynamoDB
    /// overwrites.)
    async fn create_diff(&self, diff: &SubscriptionDiff) -> Result<bool>;

    /// Deletes a change; false when there was none.
    async fn delete_diff(&self, id: &str, subid: &str, seqnr: i64) -> Result<bool>;

    /// Deletes the changes of a subscription, or of all of an actor's, up to a number; returns how
    /// many there were. On PostgreSQL atomic; on DynamoDB from the lowest number on, so that what is
    /// left after an error has no hole.
    async fn clear_diffs(&self, id: &str, subid: Option<&str>, through: Through) -> Result<u64>;
}
