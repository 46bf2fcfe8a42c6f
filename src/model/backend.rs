//! The backends that ActingWeb can store its actors in.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A backend by its name: the word in the configuration, in reports and in the label `backend`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackendKind {
    /// PostgreSQL, with the schema that ActingWeb's Alembic migrations make.
    Postgresql,
    /// DynamoDB, with the tables that ActingWeb's models describe.
    Dynamodb,
}

impl BackendKind {
    /// Every backend that this build can work on.
    pub const ALL: [Self; 2] = [Self::Postgresql, Self::Dynamodb];

    /// The backend's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Postgresql => "postgresql",
            Self::Dynamodb => "dynamodb",
        }
    }
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
