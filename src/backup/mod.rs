//! Backups that are proven: taken, verified, drilled, restored and kept for as long as somebody wants them.
//!
//! A backup is a *set*: files or references, and a manifest that says what they are, with a checksum of every
//! file and, where the backend can say it, the digest of every table, taken in the same snapshot as the data.
//! Beside it lies its state: taken, verified, drilled, or damaged.

pub mod cluster;
mod compare;
mod create;
mod drill;
pub mod dynamodb;
mod error;
mod ledger;
mod manifest;
mod point;
pub mod postgresql;
pub mod program;
mod prune;
mod restore;
mod retention;
mod scratch;
mod settings;
mod shelf;
mod state;
mod verify;
mod workshop;

pub use create::{Taken, create, fingerprint};
pub use drill::drill;
pub use error::{Error, Result};
pub use ledger::{Counts, Kind, Ledger, Line};
pub use manifest::{Consistency, DIGESTS, FORMAT, FileSum, Form, Manifest, Part, SetId, TableSum, Versions};
pub use prune::{Pruned, plan, prune};
pub use restore::{Restored, restore};
pub use retention::{Candidate, Condition, Decision, Why, decide};
pub use scratch::refusal_of_target;
pub use settings::{
    Bucket, Compression, CompressionKind, Drill, Dynamodb, DynamodbMethod, Encryption, Pitr, Postgresql,
    PostgresqlMethod, Retention, Settings, Tool, ToolName,
};
pub use shelf::space::{existing, may_write};
pub use shelf::{Draft, Entry, Fetched, Held, Hold, Owner, Sheet, Shelf};
pub use state::{Damage, DrillResult, Finder, Level, State};
pub use verify::{examine, read_digests, verify};
pub use workshop::{Desk, Workshop};
