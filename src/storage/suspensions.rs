//! Targets for which no changes are recorded, as an application uses them.

use async_trait::async_trait;

use super::Result;
use crate::model::row::Suspension;

/// Suspensions. A subtarget that is empty means the whole target.
#[async_trait]
pub trait Suspensions: Send + Sync {
    /// Whether changes of this are not recorded: it is suspended itself, or its whole target is.
    async fn is_suspended(&self, id: &str, target: &str, subtarget: &str) -> Result<bool>;

    /// Suspends exactly this, unless it is (false); a target that is suspended as a whole does not
    /// count. Atomic.
    async fn suspend(&self, id: &str, target: &str, subtarget: &str) -> Result<bool>;

    /// Ends the suspension of exactly this; false when there was none.
    async fn resume_target(&self, id: &str, target: &str, subtarget: &str) -> Result<bool>;

    /// All of an actor, in the order of the bytes of target and subtarget.
    async fn suspensions(&self, id: &str) -> Result<Vec<Suspension>>;

    /// Deletes all of an actor; returns how many there were. On PostgreSQL atomic.
    async fn delete_suspensions(&self, id: &str) -> Result<u64>;
}
