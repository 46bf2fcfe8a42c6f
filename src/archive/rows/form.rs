//! The lines of a file.

use serde::{Deserialize, Serialize};
use serde_json::Error as Malformed;

use super::Header;
use crate::model::layout::postgresql_columns;
use crate::model::{BackendKind, Item, Source};

/// How a last line begins. No row does: the value of an attribute has one of the protocol's types, and `rows` is none.
const END: &[u8] = br#"{"end":{"rows":"#;

/// The last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Last {
    end: End,
}

/// What a last line says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    /// How many rows there are.
    pub(super) rows: u64,
    /// Whether the segment ends here.
    pub(super) last: bool,
    /// The SHA-256 of all lines before this one, their ends included.
    pub(super) sha256: String,
}

impl End {
    /// The last line, without its end.
    pub(super) fn line(&self) -> String {
        serde_json::to_string(&Last { end: self.clone() }).expect("a last line is plain data")
    }

    /// What a line says, if it is a last one.
    pub(super) fn read(line: &[u8]) -> Option<Result<Self, Malformed>> {
        line.starts_with(END).then(|| Ok(serde_json::from_slice::<Last>(line)?.end))
    }
}

/// Writes a row behind what `line` has. What is refused is told, without anything that is in the row.
pub(super) fn write(source: &Source, header: &Header, line: &mut Vec<u8>) -> Result<(), &'static str> {
    let written = match (source, header.backend) {
        (Source::Dynamodb(item), BackendKind::Dynamodb) => serde_json::to_writer(line, item),
        (Source::Postgresql(columns), BackendKind::Postgresql) => {
            if columns.len() != postgresql_columns(header.name.table).len() {
                return Err("it has another number of columns than the table");
            }
            serde_json::to_writer(line, columns)
        }
        (Source::Nowhere, _) => return Err("it is in no backend, whose form it could have"),
        _ => return Err("it is of another backend than the file"),
    };
    written.map_err(|_| "it cannot be written as JSON")
}

/// The row that a line is; none if it is none of the table's.
pub(super) fn read(line: &[u8], header: &Header) -> Option<Source> {
    match header.backend {
        BackendKind::Dynamodb => serde_json::from_slice::<Item>(line).ok().map(Source::Dynamodb),
        BackendKind::Postgresql => {
            let columns: Vec<Option<String>> = serde_json::from_slice(line).ok()?;
            let is_whole = columns.len() == postgresql_columns(header.name.table).len();
            is_whole.then_some(Source::Postgresql(columns))
        }
    }
}
