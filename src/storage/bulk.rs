//! Whole tables, as a daemon walks over them.

use async_trait::async_trait;

use super::Result;
use crate::model::{Record, Table};

/// A part of a table. All parts with the same `of` are the whole table, each row in exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Which part, from 0.
    pub index: u32,
    /// Of how many.
    pub of: u32,
}

impl Segment {
    /// The whole table.
    pub const WHOLE: Self = Self { index: 0, of: 1 };
}

/// A place in a walk over a segment; the default is its beginning. Only good for the store, table
/// and segment that it came from.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Place(pub(super) Option<String>);

impl std::fmt::Debug for Place {
    /// It names a row, and names of attributes may be bearer tokens.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Place")
    }
}

/// A stretch of a table.
#[derive(Clone, Debug, Default)]
pub struct Stretch {
    /// The rows, **in no promised order**.
    pub records: Vec<Record>,
    /// Where the next stretch starts; none when this was the last. A stretch may be empty and still
    /// have a next one.
    pub next: Option<Place>,
    /// What reading it has cost, where the backend bills.
    pub read_units: f64,
}

/// What became of rows that were written.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Written {
    /// How many rows were.
    pub records: u64,
    /// What that has cost, where the backend bills.
    pub write_units: f64,
}

/// Whole tables.
#[async_trait]
pub trait Bulk: Send + Sync {
    /// Reads on from `place`, `limit` rows at most. A row that is there during the whole walk is
    /// seen exactly once; one that comes, changes or goes meanwhile may or may not be. On DynamoDB
    /// read consistently.
    async fn scan(&self, table: Table, segment: Segment, place: &Place, limit: u32) -> Result<Stretch>;

    /// All rows of a table that belong to this actor, read consistently, in no promised order.
    /// Entries of the look-up table on DynamoDB are not kept by actor: there this reads the whole
    /// table.
    async fn read_all(&self, table: Table, id: &str) -> Result<Vec<Record>>;

    /// Writes rows of one table, whatever stands under their keys; writing them again changes
    /// nothing. A record that comes from the same kind of backend is written verbatim, any other by
    /// its meaning. Either each of them can be represented here, or nothing is written
    /// ([`ErrorKind::Limit`](super::ErrorKind::Limit) names the first that cannot). On PostgreSQL
    /// atomic; on DynamoDB in batches, of which some may be written after an error.
    async fn write(&self, records: &[Record]) -> Result<Written>;

    /// How many rows a table has, counted and not estimated.
    async fn count(&self, table: Table) -> Result<u64>;
}
