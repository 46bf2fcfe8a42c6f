//! Deleting single rows, each only as it was read, and only while something else still holds.

use async_trait::async_trait;

use super::{Batch, Fence, Result};
use crate::model::{Record, Table};

/// A row that is to be deleted.
#[derive(Clone, Debug)]
pub struct Removal {
    /// The row as it was read from this very store. It goes only if it is still the same, to the last
    /// byte.
    pub record: Record,
    /// What must hold besides, in the same transaction.
    pub guard: Option<Guard>,
}

/// What must hold for a row to be deleted.
#[derive(Clone, PartialEq, Eq)]
pub enum Guard {
    /// There is no row with this key: the parts of
    /// [`dynamodb_key`](crate::model::layout::dynamodb_key) in this table.
    Absent {
        /// The table: actors, properties or attributes, which have the same key on both backends.
        table: Table,
        /// The parts of the key.
        key: Vec<String>,
    },
    /// The property has this value.
    Property {
        /// The actor.
        id: String,
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
}

impl std::fmt::Debug for Guard {
    /// Keys of attributes and values of properties may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Absent { table, .. } => write!(f, "Absent({table})"),
            Self::Property { .. } => f.write_str("Property"),
        }
    }
}

/// What became of rows that were to be deleted.
#[derive(Clone, Debug, Default)]
pub struct Removed {
    /// For each removal whether it was this call that deleted the row.
    pub rows: Vec<bool>,
    /// The numbers.
    pub batch: Batch,
}

/// Deleting row by row.
#[async_trait]
pub trait Removals: Send + Sync {
    /// Deletes each of the rows that is unchanged and whose guard holds; the others stay, and count as
    /// skipped. On PostgreSQL one transaction: both rows are locked, a row that somebody else has
    /// locked is passed over, and the counts in the run's own row are committed together with the
    /// deletions or, when `fence` no longer holds, neither. On DynamoDB each row goes by itself, with
    /// its guard in one transaction; a call that fails may have deleted some, which are counted.
    async fn remove(&self, removals: &[Removal], fence: &Fence) -> Result<Removed>;
}
