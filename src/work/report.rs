//! What a job says when it is done.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::work::{Backups, Defect, Diffs, Findings, Health, StopReason};

/// The limits that a run worked under, by the names of the settings they come from, so that a
/// report can be understood alone.
pub type Limits = BTreeMap<String, serde_json::Value>;

/// The numbers of one run. Counts are rows, taken from the server's answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Rows looked at.
    pub examined: u64,
    /// Rows deleted.
    pub deleted: u64,
    /// Rows added.
    #[serde(skip_serializing_if = "is_zero")]
    pub added: u64,
    /// Rows passed over because somebody else held them, or because they had changed.
    pub skipped: u64,
    /// Transactions that deleted.
    pub batches: u64,
    /// Rows on this side of the time (exclusively) were to be deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cutoff: Option<DateTime<Utc>>,
    /// Rows per bucket that would be deleted; only in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buckets: Option<BTreeMap<String, u64>>,
    /// Rows deleted by reason, as this process has heard of them; only of jobs with several reasons.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reasons: BTreeMap<String, u64>,
    /// Rows that were passed over, by why; only of jobs that say so.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub passed_over: BTreeMap<String, u64>,
    /// What was found wrong; only of jobs that look for it, and only when they came to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<Findings>,
    /// What became of the changes of subscriptions; only of jobs that delete them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diffs: Option<Diffs>,
    /// What became of backups; only of jobs that make, prove or remove them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backups: Option<Box<Backups>>,
    /// What is wrong with how the deployment is set up; only of jobs that look at that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub defects: Vec<Defect>,
    /// What was seen of tables and indexes; only of jobs that look at those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Box<Health>>,
    /// Whether work remains for another run.
    pub more: bool,
    /// Why the run ended before its work did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<StopReason>,
    /// What kept the run from going on when it was asked to stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Seconds spent waiting between batches, by reason.
    pub waited: BTreeMap<String, f64>,
    /// The limits in force.
    pub limits: Limits,
}

impl Report {
    /// How many findings remain, whatever they are about.
    pub fn remaining(&self) -> u64 {
        self.findings.as_ref().map_or(0, Findings::total)
            + self.defects.iter().filter(|defect| defect.acknowledged.is_none()).count() as u64
    }

    /// Whether nothing was found, and everything that was to be looked at was.
    pub fn is_clean(&self) -> bool {
        self.remaining() == 0 && self.health.as_ref().is_none_or(|seen| seen.unseen.is_empty())
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
