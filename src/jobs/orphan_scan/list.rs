//! The list of orphans, for people to look through and for `orphan delete` to go by: a line of JSON
//! that says where it is from, and one for each row.
//!
//! Keys stand in it as digests, as those of attributes may be bearer tokens.

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::scan::TABLES;
use super::verdict::RESERVED;
use crate::model::{BackendKind, Record, Source, Table, digest};

/// What the first line says it is.
const FORMAT: &str = "actingweb-maintd orphans";

/// How its lines are to be understood.
const VERSION: u64 = 1;

/// Where a list is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Header {
    format: &'static str,
    version: u64,
    /// The deployment's identity.
    pub deployment: Uuid,
    /// The backend.
    pub backend: BackendKind,
    /// When the scan began to list.
    pub made_at: DateTime<Utc>,
}

impl Header {
    /// The first line of a list.
    pub fn new(deployment: Uuid, backend: BackendKind, made_at: DateTime<Utc>) -> Self {
        Self { format: FORMAT, version: VERSION, deployment, backend, made_at }
    }
}

/// A row whose actor does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Orphan {
    /// Its table.
    #[serde(serialize_with = "by_name")]
    pub table: Table,
    /// Who would be its actor.
    pub id: String,
    /// What can be said of it besides: the name of a property, the bucket of an attribute, the peer
    /// of a trust.
    pub name: String,
    /// A digest of its key.
    pub key: String,
    /// A digest of the whole row as it was read.
    pub digest: String,
    /// When its actor was deleted, where a tombstone says so.
    pub deleted_at: Option<DateTime<Utc>>,
}

impl Orphan {
    /// As it stands in a list; none for a row without a key.
    pub(super) fn of(record: &Record, deleted_at: Option<DateTime<Utc>>) -> Option<Self> {
        Some(Self {
            table: record.table,
            id: record.id().to_owned(),
            name: name(record),
            key: key(record)?,
            digest: digest::of_row(record),
            deleted_at,
        })
    }
}

/// A table as reports and metrics call it.
fn by_name<S: Serializer>(table: &Table, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(table.name())
}

/// What a row's key is called in a list. The key of a look-up entry of DynamoDB is a digest already.
pub(super) fn key(record: &Record) -> Option<String> {
    match (&record.source, record.key()?.as_slice()) {
        (Source::Dynamodb(_), [key]) => Some(key.clone()),
        (_, key) => Some(digest::of_key(record.table, key)),
    }
}

/// What may be said of a row.
fn name(record: &Record) -> String {
    let column = match record.table {
        Table::Actors => "id",
        Table::Properties => "name",
        Table::PropertyLookup => "property_name",
        Table::Attributes => "bucket",
        Table::Trusts | Table::PeerTrustees => "peerid",
        Table::Subscriptions => "peer_sub_id",
        Table::SubscriptionDiffs => "subid_seqnr",
        Table::SubscriptionSuspensions => "target",
    };
    record.text(column).unwrap_or_default().to_owned()
}

/// What is wrong with a list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {field} {why}")]
pub struct Malformed {
    /// The line, counted from 1.
    pub line: usize,
    /// The field, or what else is meant.
    pub field: &'static str,
    /// What is wrong with it.
    pub why: String,
}

/// Reads a list. Lines may have been taken out of it, and empty ones put in.
///
/// # Errors
///
/// The first thing that is wrong with it.
pub fn read(text: &str) -> Result<(Header, Vec<Orphan>), Malformed> {
    let mut lines =
        text.lines().enumerate().map(|(index, line)| (index + 1, line)).filter(|(_, line)| !line.trim().is_empty());
    let Some((number, first)) = lines.next() else {
        return Err(Malformed {
            line: 1,
            field: "the list",
            why: "is empty: `orphan scan --output` makes one".to_owned(),
        });
    };
    let header = Line::read(number, first)?.header()?;
    let orphans = lines.map(|(number, line)| Line::read(number, line)?.orphan()).collect::<Result<_, _>>()?;
    Ok((header, orphans))
}

/// A line of a list.
struct Line {
    number: usize,
    fields: Map<String, Value>,
}

impl Line {
    fn read(number: usize, text: &str) -> Result<Self, Malformed> {
        match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => Ok(Self { number, fields }),
            // What serde says may show what is in the line.
            Ok(_) | Err(_) => {
                Err(Malformed { line: number, field: "the line", why: "is not a JSON object".to_owned() })
            }
        }
    }

    fn header(mut self) -> Result<Header, Malformed> {
        if self.text("format")? != FORMAT {
            return Err(self.wrong("format", format!("is not \"{FORMAT}\": the first line is that of `orphan scan`")));
        }
        if self.take("version")?.as_u64() != Some(VERSION) {
            return Err(self.wrong("version", format!("is not {VERSION}, the one that this build knows: scan again")));
        }
        let deployment =
            self.text("deployment")?.parse().map_err(|_| self.wrong("deployment", "is not an identity"))?;
        let backend = self.text("backend")?;
        let backend = BackendKind::ALL.into_iter().find(|kind| kind.name() == backend);
        let backend = backend.ok_or_else(|| self.wrong("backend", "is none of the backends"))?;
        let made_at = self.text("made_at")?.parse().map_err(|_| self.wrong("made_at", "is not a time"))?;
        self.end()?;
        Ok(Header::new(deployment, backend, made_at))
    }

    fn orphan(mut self) -> Result<Orphan, Malformed> {
        let table = self.text("table")?;
        let table = TABLES.into_iter().find(|known| known.name() == table);
        let table = table.ok_or_else(|| self.wrong("table", "is none of the tables that have orphans"))?;
        let id = self.text("id")?;
        if id.is_empty() || id.starts_with(RESERVED) {
            return Err(self.wrong("id", "is one that never has orphans: take the line out"));
        }
        let name = self.text("name")?;
        let key = self.digest("key", &[32, 64])?;
        let digest = self.digest("digest", &[32])?;
        let deleted_at = match self.take("deleted_at")? {
            Value::Null => None,
            Value::String(text) => Some(text.parse().map_err(|_| self.wrong("deleted_at", "is not a time"))?),
            _ => return Err(self.wrong("deleted_at", "is not a time")),
        };
        self.end()?;
        Ok(Orphan { table, id, name, key, digest, deleted_at })
    }

    fn digest(&mut self, field: &'static str, lengths: &[usize]) -> Result<String, Malformed> {
        let text = self.text(field)?;
        let is_hexadecimal = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if is_hexadecimal && lengths.contains(&text.len()) {
            Ok(text)
        } else {
            Err(self.wrong(field, "is not a digest"))
        }
    }

    fn text(&mut self, field: &'static str) -> Result<String, Malformed> {
        match self.take(field)? {
            Value::String(text) => Ok(text),
            _ => Err(self.wrong(field, "is not a text")),
        }
    }

    fn take(&mut self, field: &'static str) -> Result<Value, Malformed> {
        self.fields.remove(field).ok_or_else(|| self.wrong(field, "is missing"))
    }

    /// Nothing is left that nobody understands.
    fn end(&self) -> Result<(), Malformed> {
        if self.fields.is_empty() {
            Ok(())
        } else {
            Err(self.wrong("the line", "has a field that is none of a list's"))
        }
    }

    fn wrong(&self, field: &'static str, why: impl Into<String>) -> Malformed {
        Malformed { line: self.number, field, why: why.into() }
    }
}

#[cfg(test)]
mod tests;
