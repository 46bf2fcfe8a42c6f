//! Trusts, as an application uses them.

use async_trait::async_trait;

use super::Result;
use crate::model::row::{Trust, TrustChange};

/// Trusts. What connected last is stored in the library's words
/// ([`canonical_connection_method`](crate::model::row::canonical_connection_method)).
#[async_trait]
pub trait Trusts: Send + Sync {
    /// The trust, read consistently.
    async fn trust(&self, id: &str, peerid: &str) -> Result<Option<Trust>>;

    /// The actor's trust with this secret; of several, the first by peer. None for an empty one. On
    /// DynamoDB the index that finds it lags behind a little; what it finds is read consistently.
    async fn trust_by_secret(&self, id: &str, secret: &str) -> Result<Option<Trust>>;

    /// The actor's trusts, read consistently, in the order of the bytes of their peers.
    async fn trusts(&self, id: &str) -> Result<Vec<Trust>>;

    /// Makes a trust, unless there is one with this peer (false). Atomic. (The library overwrites
    /// it, on PostgreSQL all but `created_at`, and so undoes what somebody else has approved.)
    /// Without `created_at` it is now; `last_accessed` follows it, `last_connected_via`
    /// `established_via`.
    async fn create_trust(&self, trust: &Trust) -> Result<bool>;

    /// Changes a trust that there is (else false). Atomic; never brings one back. A way of connecting
    /// that is nothing but white space takes away the one before.
    async fn modify_trust(&self, id: &str, peerid: &str, change: &TrustChange) -> Result<bool>;

    /// Deletes a trust; false when there was none.
    async fn delete_trust(&self, id: &str, peerid: &str) -> Result<bool>;

    /// Deletes all trusts of an actor; returns how many there were. On PostgreSQL atomic.
    async fn delete_trusts(&self, id: &str) -> Result<u64>;
}
