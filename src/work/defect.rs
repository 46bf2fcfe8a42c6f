//! What a run has found to be wrong with how the deployment is set up.

use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing; everything works.
    Warning,
    /// Something does not work until it is dealt with.
    Critical,
}

impl Severity {
    /// Every severity.
    pub const ALL: [Self; 2] = [Self::Warning, Self::Critical];

    /// The word for the label `severity`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Defect {
    /// What it is, in one word for programs.
    pub kind: String,
    /// How bad that is.
    pub severity: Severity,
    /// How many rows it is about, where it is about rows; of a sample, those in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// The table or index that it is about, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// What is wrong, for people.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
    /// Why it may stay as it is, where the configuration says so: then it does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<String>,
}
