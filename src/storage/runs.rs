//! The history of runs.

use std::time::Duration;

use async_trait::async_trait;

use super::{Lease, Result};
use crate::work::{Outcome, PassedSlots, Report, Run};

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Finish {
    /// In one word.
    pub outcome: Outcome,
    /// What went wrong, if it failed.
    pub error: Option<String>,
    /// In numbers. Those that the store counted itself are replaced by the store's.
    pub report: Report,
    /// What its slot is now, if it has one.
    pub slot: SlotAfter,
}

/// What the slot of a run is after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotAfter {
    /// Dealt with.
    Done,
    /// To be tried again, after this time at the earliest.
    Again(Duration),
    /// Open for whoever goes on with it, at once.
    HandedOver,
}

/// Runs that were.
#[async_trait]
pub trait Runs: Send + Sync {
    /// Ends the run: writes its report, closes its slot if it is done and releases the lease, all
    /// in one transaction. Returns the run as history has it. When the lease was lost nothing is
    /// written ([`ErrorKind::Fenced`](super::ErrorKind::Fenced)).
    async fn finish(&self, lease: &Lease, finish: &Finish) -> Result<Run>;

    /// The newest runs of `job`, or of all jobs, newest first; those still running included, with
    /// the counts of the batches committed so far.
    async fn history(&self, job: Option<&str>, limit: u32) -> Result<Vec<Run>>;

    /// The newest slots that were passed over, of `job` or of all jobs, newest first.
    async fn passed(&self, job: Option<&str>, limit: u32) -> Result<Vec<PassedSlots>>;

    /// The newest run of `job` that succeeded.
    async fn last_success(&self, job: &str) -> Result<Option<Run>>;

    /// Forgets runs that ended longer than `keep` ago, except the newest success of each job, and
    /// slots that were passed over before that. Returns how many runs.
    async fn forget(&self, keep: Duration) -> Result<u64>;
}
