//! What becomes of the slots of a schedule.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::BackendKind;

/// What became of a slot. The words are the label `fate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It was run, well or not.
    Ran,
    /// Somebody was there to run it, and there was a reason not to.
    Skipped,
    /// Nobody could run it in time.
    Missed,
}

impl Fate {
    /// Every fate.
    pub const ALL: [Self; 3] = [Self::Ran, Self::Skipped, Self::Missed];

    /// The word in history, in JSON and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ran => "ran",
            Self::Skipped => "skipped",
            Self::Missed => "missed",
        }
    }
}

/// Why a slot was not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It fell due while a run of the job was going on.
    Running,
    /// The job was paused.
    Paused,
    /// It was due outside the hours in which the job may run.
    Window,
    /// The schema was not one that the job may work on.
    Schema,
    /// The clocks could not be trusted.
    Clock,
    /// The store was being restored or imported into.
    Incomplete,
    /// No daemon was there to run it: none was up, or it was suspended.
    Downtime,
    /// The store did not answer, or refused.
    Unavailable,
}

impl Reason {
    /// The word in history and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Window => "window",
            Self::Schema => "schema",
            Self::Clock => "clock",
            Self::Incomplete => "incomplete",
            Self::Downtime => "downtime",
            Self::Unavailable => "unavailable",
        }
    }

    /// What that means for the slot.
    pub const fn fate(self) -> Fate {
        match self {
            Self::Running | Self::Paused | Self::Window | Self::Schema | Self::Clock | Self::Incomplete => {
                Fate::Skipped
            }
            Self::Downtime | Self::Unavailable => Fate::Missed,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "a run was still going on",
            Self::Paused => "the job was paused",
            Self::Window => "it was outside the job's window",
            Self::Schema => "the schema was not one to work on",
            Self::Clock => "the clocks could not be trusted",
            Self::Incomplete => "the store was being restored or imported into",
            Self::Downtime => "no daemon was there to run it",
            Self::Unavailable => "the database could not be used",
        })
    }
}

/// Neighbouring slots that were not run, for one and the same reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// The first of them.
    pub first: DateTime<Utc>,
    /// The last of them.
    pub last: DateTime<Utc>,
    /// How many they are.
    pub count: u64,
    /// Why.
    pub reason: Reason,
}

/// The same, as history has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PassedSlots {
    /// The job's name.
    pub job: String,
    /// The backend it works on.
    pub backend: BackendKind,
    /// The first of the slots.
    pub from: DateTime<Utc>,
    /// The last of the slots.
    pub to: DateTime<Utc>,
    /// How many they are.
    pub count: u64,
    /// What became of them.
    pub fate: Fate,
    /// Why.
    pub reason: Reason,
    /// When the last of them was recorded, by the store's clock.
    pub recorded_at: DateTime<Utc>,
    /// By whom: host and process.
    pub recorded_by: String,
}
