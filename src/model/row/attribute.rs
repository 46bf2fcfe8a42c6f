//! Attributes: what the library itself stores for actors.

use chrono::{DateTime, Utc};

use crate::model::json;

/// Seconds that the library adds to each lifetime before it stores when a row expires, so that no
/// clock that is ahead reaps a row early (`TTL_CLOCK_SKEW_BUFFER` of the library).
pub const TTL_CLOCK_SKEW_BUFFER: i64 = 3600;

/// An attribute. Its name may be a bearer token: it must appear in no log and no error.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attribute {
    /// The actor, or one of the reserved ids that begin with `_actingweb_`.
    pub id: String,
    /// The second part of the key as it is stored: bucket, colon and name. Both may hold colons, so
    /// it is never split.
    pub bucket_name: String,
    /// The bucket; what tells whose row it is where two pairs share one key.
    pub bucket: String,
    /// The name within the bucket.
    pub name: String,
    /// The value; none where there is none or the column is null. JSON's own null is a value here,
    /// though Python reads both as `None`.
    pub data: Option<json::Value>,
    /// A time that hardly anybody sets; never a row's age.
    pub timestamp: Option<DateTime<Utc>>,
    /// When it expires, in epoch seconds, with [`TTL_CLOCK_SKEW_BUFFER`] added.
    pub ttl_timestamp: Option<i64>,
}

impl Attribute {
    /// An attribute without a time and without an end.
    pub fn new(id: &str, bucket: &str, name: &str, data: Option<json::Value>) -> Self {
        Self {
            id: id.to_owned(),
            bucket_name: format!("{bucket}:{name}"),
            bucket: bucket.to_owned(),
            name: name.to_owned(),
            data,
            timestamp: None,
            ttl_timestamp: None,
        }
    }
}
