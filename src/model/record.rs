//! A row of some backend with its meaning and its verbatim form, so that nothing is lost on the way
//! back.

use super::layout::{dynamodb_key, postgresql_columns, postgresql_key};
use super::{AttributeValue, Item, Row, Table};

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

impl Record {
    /// The actor's id; of a row that cannot be read as its source has it, and empty without one.
    pub fn id(&self) -> &str {
        let attribute = if self.table == Table::PropertyLookup { "actor_id" } else { "id" };
        match &self.meaning {
            Ok(row) => row.id(),
            Err(_) => self.text(attribute).unwrap_or_default(),
        }
    }

    /// The parts of the row's key in its backend; none while it is in no backend, or has no key that
    /// can be one.
    pub fn key(&self) -> Option<Vec<String>> {
        let names = match &self.source {
            Source::Postgresql(_) => postgresql_key(self.table).to_vec(),
            Source::Dynamodb(_) => {
                let (hash, range) = dynamodb_key(self.table);
                [Some(hash), range].into_iter().flatten().collect()
            }
            Source::Nowhere => return None,
        };
        names.into_iter().map(|name| self.text(name).map(str::to_owned)).collect()
    }

    /// A column or attribute of the source, if it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match &self.source {
            Source::Postgresql(texts) => {
                let known = postgresql_columns(self.table).iter();
                known.zip(texts).find(|(column, _)| column.name == name)?.1.as_deref()
            }
            Source::Dynamodb(item) => match item.get(name) {
                Some(AttributeValue::S(text)) => Some(text),
                _ => None,
            },
            Source::Nowhere => None,
        }
    }
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
