//! What a set is.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::BackendKind;
use crate::storage::Identity;

/// The form of manifests that this build writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// The name of a set: when it was begun, what it is, and something random, as in
/// `20261128T053000Z-logical-3f2a91`. Names are in the order of time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SetId(String);

impl SetId {
    const TIME: &str = "%Y%m%dT%H%M%SZ";

    /// A new one.
    pub fn new(begun: DateTime<Utc>, form: Form) -> Self {
        let random = Uuid::new_v4().simple().to_string();
        Self(format!("{}-{form}-{}", begun.format(Self::TIME), &random[..6]))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is made of.
    pub fn form(&self) -> Form {
        let name = self.0.split('-').nth(1);
        Form::ALL.into_iter().find(|form| Some(form.name()) == name).expect("every id names a form")
    }

    /// When it was begun, to the second.
    pub fn begun(&self) -> DateTime<Utc> {
        let time = self.0.split('-').next().and_then(|time| NaiveDateTime::parse_from_str(time, Self::TIME).ok());
        time.unwrap_or_default().and_utc()
    }
}

impl FromStr for SetId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('-').collect();
        let is_one = matches!(parts.as_slice(), [time, form, random]
            if NaiveDateTime::parse_from_str(time, Self::TIME).is_ok()
                && Form::ALL.iter().any(|known| known.name() == *form)
                && random.len() == 6 && random.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if is_one {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("`{text}` is not the id of a backup set: `backup list` shows them"))
        }
    }
}

impl TryFrom<String> for SetId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<SetId> for String {
    fn from(id: SetId) -> Self {
        id.0
    }
}

impl fmt::Display for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a set is made of: the label `kind` of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// What `pg_dump` writes.
    Logical,
    /// What `pg_basebackup` writes.
    Physical,
    /// Made and kept by pgBackRest, WAL-G or Barman; the set only refers to it.
    Tool,
    /// Rows of DynamoDB in our own form.
    Archive,
    /// DynamoDB's own backups; the set only refers to them.
    Native,
    /// DynamoDB's export to S3; the set only refers to it.
    Export,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Logical, Self::Physical, Self::Tool, Self::Archive, Self::Native, Self::Export];

    /// The word in names and labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Logical => "logical",
            Self::Physical => "physical",
            Self::Tool => "tool",
            Self::Archive => "archive",
            Self::Native => "native",
            Self::Export => "export",
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a set is. Everything that is needed to check it is in here; nothing in it is a secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`] of the build that wrote it.
    pub format: u32,
    /// The set.
    pub set: SetId,
    /// The run that took it.
    pub run: Uuid,
    /// Who was backed up.
    pub deployment: Identity,
    /// What people call it.
    pub name: Option<String>,
    /// Where it was, for people.
    pub place: String,
    /// On what.
    pub backend: BackendKind,
    /// The schema that the application's tables are in; none where there are no schemas.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub schema: Option<String>,
    /// What it is made of.
    pub form: Form,
    /// When it was begun.
    pub started_at: DateTime<Utc>,
    /// The moment that the data is of, by the clock of the store where it has one.
    pub taken_at: DateTime<Utc>,
    /// When it was done.
    pub finished_at: DateTime<Utc>,
    /// What of: how far its rows belong to one moment.
    pub consistency: Consistency,
    /// What it was made with.
    pub versions: Versions,
    /// How files are compressed, in the words of whoever did it; none if they are not.
    pub compression: Option<String>,
    /// Whom files are encrypted for, by age's public keys; none if they are not.
    pub recipients: Vec<String>,
    /// The application's tables, by name.
    pub tables: BTreeMap<String, TableSum>,
    /// Every file of the set but the manifest and the state.
    pub files: Vec<FileSum>,
    /// What is kept elsewhere.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub parts: Vec<Part>,
}

impl Manifest {
    /// The bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// What the set takes: its files, and the parts that lie elsewhere as far as their keeper tells.
    pub fn size(&self) -> u64 {
        self.bytes() + self.parts.iter().filter_map(|part| part.size).sum::<u64>()
    }

    /// The rows of all tables; none if they were not counted.
    pub fn rows(&self) -> Option<u64> {
        let rows = self.tables.values().map(|table| table.rows).sum::<Option<u64>>();
        rows.filter(|_| !self.tables.is_empty())
    }

    /// Whether every table has a digest.
    pub fn has_digests(&self) -> bool {
        !self.tables.is_empty() && self.tables.values().all(|table| table.digest.is_some())
    }
}

/// How far the rows of a set belong to one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// All of them are of one moment.
    Snapshot,
    /// Each table by itself is of one moment.
    Table,
    /// Each row is of some moment between the beginning and the end.
    Row,
}

/// What a set was made with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Versions {
    /// Of this program.
    pub maintd: String,
    /// Of the server.
    pub server: Option<String>,
    /// Of the program that made the files.
    pub client: Option<String>,
    /// Of the application's schema.
    pub revision: Option<String>,
}

/// A table of a set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSum {
    /// How many rows it has; none if nobody counted them.
    pub rows: Option<u64>,
    /// The SHA-256 of its digest, which is in the file [`DIGESTS`]; none where there is none.
    pub digest: Option<String>,
}

/// The file with the digests of all tables: an object of [`Digest`](crate::model::digest::Digest)s by table.
pub const DIGESTS: &str = "digests.json";

/// A file of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSum {
    /// Its name in the set, with `/` between the parts.
    pub name: String,
    /// Its bytes, as they lie there.
    pub size: u64,
    /// The SHA-256 of these bytes.
    pub sha256: String,
}

/// Something that is kept elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// What it is of: a table, or a cluster.
    pub of: String,
    /// How its keeper knows it: an ARN, or a label.
    pub reference: String,
    /// Its bytes, where its keeper says so.
    pub size: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_tell_when_and_what_and_are_read_back() {
        let begun = "2026-11-28T05:30:00.123Z".parse().unwrap();
        let id = SetId::new(begun, Form::Logical);
        assert!(id.as_str().starts_with("20261128T053000Z-logical-"), "{id}");
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        assert_eq!(id.form(), Form::Logical);
        assert_eq!(id.begun(), "2026-11-28T05:30:00Z".parse::<DateTime<Utc>>().unwrap());
        for text in ["", "..", "20261128T053000Z-logical", "20261128T053000Z-logical-3f2a9/", "x-logical-3f2a91"] {
            assert!(text.parse::<SetId>().is_err(), "{text}");
        }
    }
}
