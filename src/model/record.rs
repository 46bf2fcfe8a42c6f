//! A row of some backend with its meaning and its verbatim form, so that nothing is lost on the way
//! back.

use super::{Item, Row, Table};

/// A row as it was found.
#[derive(Clone, Debug)]
pub struct Record {
    /// The table.
    pub table: Table,
    /// The row as its backend has it.
    pub source: Source,
    /// What it means, or why it means nothing: then Python cannot read it either.
    pub meaning: Result<Row, Unreadable>,
}

/// A row as its backend has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The columns of [`postgresql_columns`](super::layout::postgresql_columns), in that order, each
    /// as PostgreSQL writes it as text with the time zone UTC; none for NULL.
    Postgresql(Vec<Option<String>>),
    /// Every attribute.
    Dynamodb(Item),
    /// It has been made here and is in no backend yet; the meaning is all there is.
    Nowhere,
}

/// Why a row cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{table}: {attribute} {why}")]
pub struct Unreadable {
    /// The table.
    pub table: Table,
    /// The column or attribute.
    pub attribute: String,
    /// What is wrong with it, without its value.
    pub why: String,
}

impl From<Row> for Record {
    /// A row that is in no backend yet.
    fn from(row: Row) -> Self {
        Self { table: row.table(), source: Source::Nowhere, meaning: Ok(row) }
    }
}
