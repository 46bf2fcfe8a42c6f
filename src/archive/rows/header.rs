//! What a file of rows says of itself.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::VERSION;
use crate::model::{BackendKind, Table, layout};

/// What makes a file one of these.
const FORMAT: &str = "actingweb-maintd rows";

/// What is in a file: rows of one segment of one table. A segment has one file or several, the last of which says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whose rows they are.
    pub backend: BackendKind,
    /// How many segments the table has.
    pub segments: u32,
    /// Which table, segment and file.
    pub name: Name,
}

/// Which file of which segment of which table; as text the name of the file: `rows/actors/00-0000.jsonl.zst`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// The table.
    pub table: Table,
    /// Which segment, from 0.
    pub segment: u32,
    /// Which file of the segment, from 0.
    pub file: u32,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, segment, file } = self;
        write!(f, "rows/{table}/{segment:02}-{file:04}.jsonl.zst")
    }
}

impl Name {
    /// What a file's name says, if it is one of these.
    pub fn parse(text: &str) -> Option<Self> {
        let (table, file) = text.strip_prefix("rows/")?.split_once('/')?;
        let (segment, file) = file.strip_suffix(".jsonl.zst")?.split_once('-')?;
        let name = Self { table: table_of(table)?, segment: segment.parse().ok()?, file: file.parse().ok()? };
        (name.to_string() == text).then_some(name)
    }
}

fn table_of(name: &str) -> Option<Table> {
    Table::named(name)
}

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    format: String,
    version: u32,
    backend: BackendKind,
    table: String,
    segment: u32,
    segments: u32,
    file: u32,
    /// The columns of PostgreSQL, in the order of the rows.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    columns: Option<Vec<String>>,
}

impl Header {
    /// The first line, without its end.
    pub(super) fn line(&self) -> String {
        let Self { backend, segments, name: Name { table, segment, file } } = *self;
        let line = Line {
            format: FORMAT.to_owned(),
            version: VERSION,
            backend,
            table: table.name().to_owned(),
            segment,
            segments,
            file,
            columns: columns(backend, table),
        };
        serde_json::to_string(&line).expect("a header is plain data")
    }

    /// What a first line says; else what is wrong with it.
    pub(super) fn read(line: &[u8]) -> Result<Self, String> {
        let line: Line =
            serde_json::from_slice(line).map_err(|_| "it does not begin as a file of rows does".to_owned())?;
        if line.format != FORMAT {
            return Err("it does not begin as a file of rows does".to_owned());
        }
        if line.version != VERSION {
            return Err(format!(
                "it has version {} of the form and this build reads {VERSION}: use the actingweb-maintd that wrote it",
                line.version
            ));
        }
        let table = table_of(&line.table).ok_or("it is of a table that this build does not know")?;
        if line.segment >= line.segments {
            return Err(format!("it is of segment {} of {}", line.segment, line.segments));
        }
        if line.columns != columns(line.backend, table) {
            return Err(format!("its rows of {table} have other columns than this build knows"));
        }
        let name = Name { table, segment: line.segment, file: line.file };
        Ok(Self { backend: line.backend, segments: line.segments, name })
    }
}

fn columns(backend: BackendKind, table: Table) -> Option<Vec<String>> {
    let names = || layout::postgresql_columns(table).iter().map(|column| column.name.to_owned()).collect();
    (backend == BackendKind::Postgresql).then(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_first_lines_are_read_back() {
        for backend in BackendKind::ALL {
            for table in Table::ALL {
                let name = Name { table, segment: 3, file: 12_345 };
                assert_eq!(Name::parse(&name.to_string()), Some(name));
                let header = Header { backend, segments: 4, name };
                assert_eq!(Header::read(header.line().as_bytes()), Ok(header));
            }
        }
        let name = Name { table: Table::PeerTrustees, segment: 0, file: 7 };
        assert_eq!(name.to_string(), "rows/peertrustees/00-0007.jsonl.zst");
    }

    #[test]
    fn what_is_no_name_is_none() {
        for text in ["", "rows/actors/", "rows/actors/0-0.jsonl.zst", "rows/others/00-0000.jsonl.zst", "digests.json"] {
            assert_eq!(Name::parse(text), None, "{text}");
        }
    }

    #[test]
    fn another_version_is_told() {
        let header = Header {
            backend: BackendKind::Dynamodb,
            segments: 1,
            name: Name { table: Table::Actors, segment: 0, file: 0 },
        };
        let newer = header.line().replace("\"version\":1", "\"version\":2");
        assert!(Header::read(newer.as_bytes()).unwrap_err().contains("version 2"));
    }
}
