//! What checks ask of a store besides walking over its tables.

use async_trait::async_trait;

use super::{Batch, Fence, Result, Stretch};
use crate::model::row::Property;
use crate::model::{Indexing, Record, Table};

/// Rows that were asked for by their keys.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// For each key its row, if there is one.
    pub records: Vec<Option<Record>>,
    /// What reading them has cost, where the backend bills.
    pub read_units: f64,
}

/// What became of a look-up entry that was to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It was made.
    Made,
    /// There is one by now.
    Taken,
    /// The property has another value by now, or somebody is about to change it.
    Changed,
    /// There is no actor with this id.
    NoActor,
    /// The value is longer than the backend can look up by.
    TooLong,
}

/// What became of look-up entries that were to be made.
#[derive(Clone, Debug, Default)]
pub struct Added {
    /// For each property what became of its entry.
    pub entries: Vec<Entry>,
    /// The numbers; nothing is deleted.
    pub batch: Batch,
}

/// Checks of whole tables.
#[async_trait]
pub trait Audit: Send + Sync {
    /// The rows under these keys, read consistently. The parts of a key are those of the backend, or
    /// name and value of a look-up entry.
    async fn rows_by_key(&self, table: Table, keys: &[Vec<String>]) -> Result<Found>;

    /// The rows of a table that belong to `id`, if there is no such actor. Row and actor are read at one
    /// and the same instant, so whoever makes or deletes an actor meanwhile does not show. Entries
    /// of the look-up table on DynamoDB, which are not kept by actor, are read by `keys`.
    async fn orphans(&self, table: Table, id: &str, keys: &[Vec<String>]) -> Result<Stretch>;

    /// The properties that the look-up table has entries for; none where there is no such table, or
    /// it is not used.
    async fn looked_up(&self) -> Result<Option<Indexing>>;

    /// Makes the look-up entries of these properties, each only while the property has this value, the
    /// actor exists, and there is no entry. On PostgreSQL one transaction that locks property and
    /// entry, and passes over what somebody else has locked; on DynamoDB a transaction for each, and
    /// a call that fails may have made some.
    async fn add_entries(&self, properties: &[Property], fence: &Fence) -> Result<Added>;
}
