//! What was seen once and has to be seen again before anything is done about it, and where a walk was
//! when it was cut off.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::Result;

/// Changes that were seen without their subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The actor.
    pub id: String,
    /// The subscription's own id.
    pub subid: String,
    /// The highest number that was seen at first.
    pub through: i64,
    /// When that was, by the store's clock.
    pub seen_at: DateTime<Utc>,
}

/// Sightings, in the daemon's own state.
#[async_trait]
pub trait Sightings: Send + Sync {
    /// Those of an actor.
    async fn sightings(&self, id: &str) -> Result<Vec<Sighting>>;

    /// Remembers that these are seen now, with these highest numbers. Of one that was known, number and
    /// time stay as they are, and it is only noted that it was seen again.
    async fn sight(&self, seen: &[(String, String, i64)]) -> Result<()>;

    /// Forgets one.
    async fn forget_sighting(&self, id: &str, subid: &str) -> Result<()>;

    /// Forgets those that were not seen again since `since`. Returns how many.
    async fn forget_sightings(&self, since: DateTime<Utc>) -> Result<u64>;
}

/// Places that walks have come to, in the daemon's own state.
#[async_trait]
pub trait Cursors: Send + Sync {
    /// The place of a job's walk, in the job's own words.
    async fn cursor(&self, job: &str) -> Result<Option<String>>;

    /// Remembers it, or that there is none.
    async fn keep_cursor(&self, job: &str, place: Option<&str>) -> Result<()>;
}
