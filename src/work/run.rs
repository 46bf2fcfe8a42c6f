//! One execution of a job, as history keeps it and as every surface shows it.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::BackendKind;
use crate::work::Report;

/// What made a run start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Its slot was due.
    Schedule,
    /// Somebody asked for it.
    Manual,
}

impl Trigger {
    /// The word in history and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Manual => "manual",
        }
    }
}

/// How a run ended. The words are the label `outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All its work is done.
    Succeeded,
    /// It was cut short, or work remains.
    Partial,
    /// It ended with an error.
    Failed,
    /// Its holder went away and somebody else took over.
    Lost,
    /// It was due and not started.
    Skipped,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 5] = [Self::Succeeded, Self::Partial, Self::Failed, Self::Lost, Self::Skipped];

    /// The word in history, in JSON and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Lost => "lost",
            Self::Skipped => "skipped",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A run: the same object in history, in `--json` and in the API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its identifier; newer runs sort behind older ones.
    pub run_id: Uuid,
    /// The job's name.
    pub job: String,
    /// The backend it works on.
    pub backend: BackendKind,
    /// The slot it runs for, when a schedule made it start.
    pub slot: Option<DateTime<Utc>>,
    /// What made it start.
    pub trigger: Trigger,
    /// How it ended; none while it runs.
    pub outcome: Option<Outcome>,
    /// When it took the lease, by the store's clock.
    pub started_at: DateTime<Utc>,
    /// When it ended, by the store's clock.
    pub finished_at: Option<DateTime<Utc>>,
    /// Who runs it: host and process.
    pub holder: String,
    /// What went wrong, if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Its numbers; while it runs only the counts.
    pub report: Report,
}

impl Run {
    /// Seconds from start to end, once it has ended.
    pub fn seconds(&self) -> Option<f64> {
        let finished = self.finished_at?;
        Some((finished - self.started_at).as_seconds_f64())
    }
}
