//! Targets for which no changes are recorded for the time being.

use chrono::{DateTime, Utc};

/// A target for which no changes are recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suspension {
    /// The actor.
    pub id: String,
    /// The target.
    pub target: String,
    /// A part of it; empty for all of it. DynamoDB has no attribute then.
    pub subtarget: String,
    /// Since when.
    pub suspended_at: DateTime<Utc>,
}

impl Suspension {
    /// The second part of the key in DynamoDB. Two rows of PostgreSQL may share one: (`a:b`, nothing)
    /// and (`a`, `b`).
    pub fn target_key(&self) -> String {
        if self.subtarget.is_empty() { self.target.clone() } else { format!("{}:{}", self.target, self.subtarget) }
    }
}
