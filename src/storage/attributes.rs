//! Attributes, as an application and the library itself use them.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::Result;
use crate::model::json;
use crate::model::row::Attribute;

/// An attribute by bucket and name. Its [`Debug`](std::fmt::Debug) form does not show the name,
/// which may be a bearer token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AttributeKey<'a> {
    /// The actor.
    pub id: &'a str,
    /// The bucket.
    pub bucket: &'a str,
    /// The name.
    pub name: &'a str,
}

impl std::fmt::Debug for AttributeKey<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AttributeKey").field("id", &self.id).field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

/// A value to store.
#[derive(Clone, Debug, PartialEq)]
pub struct NewValue<'a> {
    /// The value.
    pub data: &'a json::Value,
    /// A time to store with it.
    pub timestamp: Option<DateTime<Utc>>,
    /// In how many seconds it expires; the hour of
    /// [`TTL_CLOCK_SKEW_BUFFER`](crate::model::row::TTL_CLOCK_SKEW_BUFFER) is added.
    pub ttl_seconds: Option<i64>,
}

/// Attributes. Two pairs of bucket and name can share one key, (`a`, `b:c`) and (`a:b`, `c`); the
/// row then belongs to the bucket that it says, and the other pair does not exist. Buckets are
/// compared exactly, never as prefixes.
#[async_trait]
pub trait Attributes: Send + Sync {
    /// The attribute, read consistently, whether or not it has expired.
    async fn attribute(&self, key: AttributeKey<'_>) -> Result<Option<Attribute>>;

    /// The attribute unless it has expired, that is, its TTL is now or before by the store's clock.
    async fn live_attribute(&self, key: AttributeKey<'_>) -> Result<Option<Attribute>>;

    /// All attributes of a bucket, expired ones included, in the order of the bytes of their names.
    async fn bucket(&self, id: &str, bucket: &str) -> Result<Vec<Attribute>>;

    /// All attributes of an actor, expired ones included, by bucket and name in the order of bytes.
    async fn buckets(&self, id: &str) -> Result<Vec<Attribute>>;

    /// Stores a value, whatever was there. A value that Python takes for false deletes the attribute,
    /// as with the library; without `ttl_seconds` it has no end, whatever it had before.
    async fn set_attribute(&self, key: AttributeKey<'_>, value: &NewValue<'_>) -> Result<()>;

    /// Stores a value where one stands that equals `expected` as Python compares, whatever the order
    /// of keys (else false). Atomic. What `value` does not name stays: TTL and time (the library on
    /// PostgreSQL takes the time away). Never makes an attribute.
    async fn swap_attribute(&self, key: AttributeKey<'_>, expected: &json::Value, value: &NewValue<'_>)
    -> Result<bool>;

    /// Deletes an attribute; true for exactly one of several who do so at once.
    async fn delete_attribute(&self, key: AttributeKey<'_>) -> Result<bool>;

    /// Deletes a bucket; returns how many attributes it had. On PostgreSQL atomic.
    async fn delete_bucket(&self, id: &str, bucket: &str) -> Result<u64>;

    /// Deletes all attributes of an actor; returns how many there were. On PostgreSQL atomic.
    async fn delete_attributes(&self, id: &str) -> Result<u64>;

    /// Deletes the attributes in these buckets whose data is an object with this `chain_id`, the one
    /// named `last` after all others, so that it is still there to try again when this breaks off;
    /// returns how many. On PostgreSQL atomic.
    async fn delete_chain(&self, id: &str, buckets: &[String], chain_id: &str, last: Option<&str>) -> Result<u64>;
}
