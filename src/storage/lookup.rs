//! The entries of the reverse look-up by themselves. Writing properties keeps them; this is for
//! whoever checks or rebuilds them.

use async_trait::async_trait;

use super::Result;

/// The look-up table: which actor has a property with a given value. The first to store a value
/// keeps its entry.
#[async_trait]
pub trait Lookup: Send + Sync {
    /// The actor of the entry, read consistently, whether or not it still has the property.
    async fn lookup(&self, name: &str, value: &str) -> Result<Option<String>>;

    /// Makes an entry, unless there is one (false). Atomic.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Limit`](super::ErrorKind::Limit) when the value is longer than the backend can
    /// look up by, and on PostgreSQL when there is no such actor.
    async fn create_lookup(&self, name: &str, value: &str, actor_id: &str) -> Result<bool>;

    /// Deletes an entry that is this actor's (else false). Atomic.
    async fn delete_lookup(&self, name: &str, value: &str, actor_id: &str) -> Result<bool>;
}
