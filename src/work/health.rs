//! What a run saw of tables and indexes, and what it repaired; what is wrong with them are the report's defects.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What a run saw of the tables and indexes of a deployment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    /// Every index of the application's tables.
    pub indexes: Vec<IndexFigures>,
    /// What was repaired, or was to be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<Repaired>,
    /// What is to be known beside that: what could not be looked at and why, and what nobody can tell.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The checks that could not be made, wholly or of some tables: that they have found nothing says nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<String>,
    /// Whether the look came to its end. If not there are no figures, and that nothing was found says nothing.
    pub looked: bool,
    /// Whether what needs reading whole tables and indexes was looked at as well.
    pub deep: bool,
    /// When that was last done, now or by an earlier run, whose findings are among these; none if it never was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deep_at: Option<DateTime<Utc>>,
    /// Seconds that looking took.
    pub seconds: f64,
}

/// One index in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct IndexFigures {
    /// The table that it is on, in the words of labels.
    pub table: String,
    /// Its name.
    pub index: String,
    /// The name that ActingWeb gives it, if it is one of its.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_as: Option<String>,
    /// Its bytes.
    pub bytes: u64,
    /// Which part of it would go if it were built anew, from 0 to 1; none where nobody can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bloat: Option<f64>,
    /// How often it was used since the statistics began, on the server and its replicas together; none where the backend
    /// does not count, or not all of them tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scans: Option<u64>,
    /// What was last counted, if an earlier run has counted the same; or if nobody can tell now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steady: Option<Steady>,
}

/// How often an index was used, and that every count said so for some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steady {
    /// How often.
    pub scans: u64,
    /// The first of these counts.
    pub since: DateTime<Utc>,
}

/// What became of one repair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Repaired {
    /// What it was to repair, in the word of the finding.
    pub kind: String,
    /// The table or index.
    pub object: String,
    /// How it ended.
    pub outcome: RepairOutcome,
    /// What was done, or why not, for people.
    pub what: String,
    /// Bytes before, where something was rebuilt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_before: Option<u64>,
    /// Bytes that were expected to remain, where something was rebuilt and that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_expected: Option<u64>,
    /// Bytes after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_after: Option<u64>,
    /// Seconds that it took.
    pub seconds: f64,
}

/// How a repair ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RepairOutcome {
    /// It was done.
    Done,
    /// It goes on at the store without us.
    GoingOn,
    /// Nothing was begun: this is not the moment.
    PutOff,
    /// It failed. If anything of it is left, that is said, and the next run deals with it.
    Failed,
    /// It was cut off, just now or in an earlier run, and nothing of it is left.
    CleanedUp,
}
