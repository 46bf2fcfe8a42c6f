//! The form of rows at rest: what a backup has of DynamoDB, and what moves between backends.
//!
//! A file is text, compressed by Zstandard: a line that says what it is ([`Header`]), a line for every row as its
//! backend has it, and a line that says how many they were, with a hash of everything before it. So whoever has
//! such a file, and nothing else, can read it with everyday tools, and can tell whether all of it is there. The form
//! is described in `docs/archive-format.md`.

mod form;
mod header;
mod read;
mod write;

pub use header::{Header, Name};
pub use read::Reader;
pub use write::Writer;

use crate::model::BackendKind;

/// The form that this build writes and reads.
pub const VERSION: u32 = 1;

/// The most bytes that a line has. Control characters take six times their bytes in JSON, so an item of 400 KiB can
/// have 2.4 MiB; the largest value of PostgreSQL is 1 GiB, but nobody keeps such a one in a property.
pub const fn longest_line(backend: BackendKind) -> usize {
    match backend {
        BackendKind::Dynamodb => 4 << 20,
        BackendKind::Postgresql => 64 << 20,
    }
}

#[cfg(test)]
mod tests;
