//! Subscriptions, as an application uses them.

use async_trait::async_trait;

use super::Result;
use crate::model::row::{Subscription, SubscriptionChange};

/// Subscriptions.
#[async_trait]
pub trait Subscriptions: Send + Sync {
    /// The subscription, read consistently.
    async fn subscription(&self, id: &str, peerid: &str, subid: &str) -> Result<Option<Subscription>>;

    /// All of an actor, read consistently, in the order of the bytes of their keys.
    async fn subscriptions(&self, id: &str) -> Result<Vec<Subscription>>;

    /// Makes one, unless there is one of this peer with this `subid` (false). Atomic. (The library
    /// looks first.) An empty text is stored as it is where the backend can, else left out; the
    /// library reads both alike.
    async fn create_subscription(&self, subscription: &Subscription) -> Result<bool>;

    /// Changes one that there is (else false). Atomic; never brings one back, as the library on
    /// DynamoDB does.
    async fn modify_subscription(
        &self,
        id: &str,
        peerid: &str,
        subid: &str,
        change: &SubscriptionChange,
    ) -> Result<bool>;

    /// Deletes one; false when there was none. Its changes stay.
    async fn delete_subscription(&self, id: &str, peerid: &str, subid: &str) -> Result<bool>;

    /// Deletes all of an actor; returns how many there were. On PostgreSQL atomic.
    async fn delete_subscriptions(&self, id: &str) -> Result<u64>;
}
