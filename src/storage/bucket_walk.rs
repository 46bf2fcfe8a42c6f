//! The attributes of some buckets, wherever they are, as a daemon looks through them.

use async_trait::async_trait;

use super::{Place, Result, Segment};
use crate::model::Record;

/// Which attributes are wanted. Buckets are compared exactly, never as prefixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Buckets all of whose attributes are.
    pub all_of: Vec<String>,
    /// Buckets of whose attributes only those without a TTL are.
    pub endless_of: Vec<String>,
}

/// A stretch of the attributes' table.
#[derive(Clone, Debug, Default)]
pub struct Walked {
    /// The attributes that are wanted, **in no promised order**, as they are stored.
    pub records: Vec<Record>,
    /// Rows looked at, those that are not wanted included.
    pub examined: u64,
    /// Where the next stretch starts; none when this was the last. A stretch may be empty and still
    /// have a next one.
    pub next: Option<Place>,
    /// What reading it has cost, where the backend bills.
    pub read_units: f64,
}

/// Where an attribute is. Its [`Debug`](std::fmt::Debug) form does not show the name, which may be a
/// bearer token.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributePlace {
    /// The actor.
    pub id: String,
    /// The bucket.
    pub bucket: String,
    /// The name.
    pub name: String,
}

impl AttributePlace {
    /// The second part of the key.
    pub fn bucket_name(&self) -> String {
        format!("{}:{}", self.bucket, self.name)
    }
}

impl std::fmt::Debug for AttributePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AttributePlace").field("id", &self.id).field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

/// Attributes that were read by their keys.
#[derive(Clone, Debug, Default)]
pub struct Located {
    /// For each place what is under its key, of whatever bucket; none where there is nothing.
    pub records: Vec<Option<Record>>,
    /// What reading them has cost, where the backend bills.
    pub read_units: f64,
}

/// Looking through buckets.
#[async_trait]
pub trait BucketWalk: Send + Sync {
    /// Reads on from `place` along the primary key, without locking; `limit` rows at most are looked
    /// at, wanted or not. A row that is there during the whole walk is seen exactly once. On DynamoDB
    /// read consistently, and in segments as [`Bulk::scan`](super::Bulk::scan); on PostgreSQL all rows
    /// are in the first segment.
    async fn walk(&self, wanted: &Wanted, segment: Segment, place: &Place, limit: u32) -> Result<Walked>;

    /// What is under these keys, read consistently. Two pairs of bucket and name can share one key, so
    /// a record may be of another bucket.
    async fn locate(&self, places: &[AttributePlace]) -> Result<Located>;
}
