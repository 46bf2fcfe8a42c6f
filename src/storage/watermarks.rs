//! What number a subscription had when, so that the age of its changes is known.
//!
//! The time that is stored with a change is that of the process that made it on DynamoDB, and rows
//! that came from there have it still; so the daemon remembers for itself.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::Result;

/// The newest number of a subscription at some time: every change up to it is older than that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// The actor.
    pub id: String,
    /// The subscription.
    pub subid: String,
    /// The number.
    pub seqnr: i64,
    /// When it was seen, by the store's clock.
    pub seen_at: DateTime<Utc>,
}

/// Watermarks of subscriptions, in the daemon's own state.
#[async_trait]
pub trait Watermarks: Send + Sync {
    /// Remembers that these are the newest numbers now. A number that was known is not remembered
    /// again, so that its first time stays.
    async fn mark(&self, newest: &[(String, String, i64)]) -> Result<()>;

    /// The highest number of a subscription that was seen before `before`.
    async fn watermark(&self, id: &str, subid: &str, before: DateTime<Utc>) -> Result<Option<Watermark>>;

    /// All watermarks of a subscription, oldest first.
    async fn watermarks(&self, id: &str, subid: &str) -> Result<Vec<Watermark>>;

    /// Forgets all of a subscription. Returns how many.
    async fn forget_watermarks_of(&self, id: &str, subid: &str) -> Result<u64>;

    /// Forgets what was seen before `before`, except the highest number of each subscription among
    /// that: what is older is known as well as it was. Returns how many.
    async fn forget_watermarks(&self, before: DateTime<Utc>) -> Result<u64>;
}
