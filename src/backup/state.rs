//! How far a set has been proven.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::SetId;

/// How far a set has been proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// It is there.
    Taken,
    /// Every byte of it is what was written.
    Verified,
    /// It has been restored, and what came out is what went in.
    Drilled,
}

impl Level {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Taken, Self::Verified, Self::Drilled];

    /// The word for people and labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Verified => "verified",
            Self::Drilled => "drilled",
        }
    }
}

/// Who looks whether a set is what it should be. Each writes down what it has found in a file of its own, so nobody
/// overwrites what another has found at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finder {
    /// Who reads every byte.
    Verify,
    /// Who restores it.
    Drill,
}

/// The state of a set, which lies beside its manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The set.
    pub set: SetId,
    /// When every byte was last found to be what was written.
    pub verified_at: Option<DateTime<Utc>>,
    /// How it was last restored and compared.
    pub drill: Option<DrillResult>,
    /// What was found wrong when it was last looked at; a set that was damaged once counts for nothing until whoever
    /// has found it looks again and finds it gone.
    pub damage: Option<Damage>,
}

impl State {
    /// A set that has just been taken.
    pub fn taken(set: SetId) -> Self {
        Self { set, verified_at: None, drill: None, damage: None }
    }

    /// The state by what was found by [`Finder::Verify`] and by [`Finder::Drill`].
    pub(super) fn of(verified: Self, drilled: Self) -> Self {
        Self { drill: drilled.drill, damage: verified.damage.or(drilled.damage), ..verified }
    }

    /// How far the set has been proven; what is damaged is at most taken.
    pub fn level(&self) -> Level {
        match self {
            Self { damage: Some(_), .. } | Self { verified_at: None, drill: None, .. } => Level::Taken,
            Self { drill: Some(_), .. } => Level::Drilled,
            Self { .. } => Level::Verified,
        }
    }
}

/// How a set was restored and compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillResult {
    /// When.
    pub at: DateTime<Utc>,
    /// How long it took from an empty place to a database that answers: the recovery time.
    pub restore_seconds: f64,
    /// How old the data was when the drill began: what would have been lost.
    pub data_age_seconds: f64,
    /// How many rows were compared.
    pub rows: u64,
    /// Whether the digest of every table was compared, or only what the set itself can tell.
    pub compared: bool,
    /// What could not be compared, and why.
    pub note: Option<String>,
}

/// What is wrong with a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Damage {
    /// Who has found it.
    pub by: Finder,
    /// When it was found.
    pub at: DateTime<Utc>,
    /// What it is.
    pub what: String,
}
