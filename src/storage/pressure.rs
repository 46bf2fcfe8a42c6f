//! What a store and whoever else uses it have to bear, and what helps afterwards.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::Result;
use crate::model::Table;
use crate::work::Stop;

/// What one source says. That it cannot be seen is not that all is well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading<T> {
    /// There is nothing of the kind here.
    #[default]
    Absent,
    /// There may be, and we are not allowed to see it.
    Hidden,
    /// This.
    Seen(T),
}

/// How much others suffer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Strain {
    /// How far the slowest replica is behind.
    pub replay: Reading<Lag>,
    /// What the archive of the write-ahead log waits for.
    pub archive: Reading<Archive>,
    /// Whether a vacuum works on the table.
    pub vacuum: Reading<bool>,
    /// How many more connections the server would take.
    pub connections: Reading<u64>,
    /// Requests that were turned away for want of capacity, since the store was opened.
    pub throttled: u64,
}

impl Strain {
    /// Nothing of it can be seen.
    pub const HIDDEN: Self = Self {
        replay: Reading::Hidden,
        archive: Reading::Hidden,
        vacuum: Reading::Hidden,
        connections: Reading::Hidden,
        throttled: 0,
    };
}

/// How far a replica is behind with what it has made visible.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lag {
    /// In bytes of the write-ahead log.
    pub bytes: u64,
    /// In time, as the replica was last heard of.
    pub time: Duration,
}

/// How the archive of the write-ahead log is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Archive {
    /// The last attempt failed.
    pub is_failing: bool,
    /// Files that are complete and not archived yet, where that can be told.
    pub waiting: Option<u64>,
    /// When a file was last archived, if one ever was.
    pub last_success: Option<DateTime<Utc>>,
}

/// What came of a vacuum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vacuumed {
    /// It was done.
    Done,
    /// Nothing ever lies dead there.
    Needless,
    /// The server passed the table over, which it only tells in its log.
    PassedOver,
    /// It was asked to stop before it was done.
    Stopped,
}

/// How a store bears what is done to it.
#[async_trait]
pub trait Pressure: fmt::Debug + Send + Sync {
    /// Asks once for everything that tells that somebody suffers; cheap enough for several times a
    /// second. `table` is the one that is written to; replicas with one of the names in
    /// `ignored_replicas` may be as late as they like. A source that cannot be seen hides none of
    /// the others. On DynamoDB nobody is asked: this process knows what it was refused.
    async fn strain(&self, table: Option<Table>, ignored_replicas: &[String]) -> Result<Strain>;

    /// Clears away what lies dead in a table, on a connection of its own, outside of any transaction and
    /// waiting for nobody's lock, until it is done or asked to stop. On DynamoDB nothing lies dead.
    async fn vacuum(&self, table: Table, stop: &Stop) -> Result<Vacuumed>;

    /// The application's tables that nothing will vacuum by itself; nothing where nothing lies dead.
    async fn unvacuumed(&self) -> Result<Option<Vec<Table>>>;
}
