//! Where the schedule of a job stands: which slots have been dealt with, and whether it is paused.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::Result;
use crate::work::Passed;

/// Where a job stands. All times are the store's.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// What the store's clock shows.
    pub now: DateTime<Utc>,
    /// The newest slot that has been dealt with; every older one was run or passed over. None
    /// until the schedule has begun.
    pub last_slot: Option<DateTime<Utc>>,
    /// The schedule that this slot belongs to, as its writer described it.
    pub schedule: Option<String>,
    /// A slot that was begun and is not done.
    pub open: Option<OpenSlot>,
    /// When the last run began, or the first of those that went on with one and the same slot, and
    /// when it ended; if it goes on, that is until now, and if its holder has left it behind,
    /// until its lease ran out.
    pub busy: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// Who is running it.
    pub held: Option<Held>,
    /// Who has paused it.
    pub paused: Option<Paused>,
}

/// A slot that was begun and is not done: it is being run, or will be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenSlot {
    /// The slot.
    pub slot: DateTime<Utc>,
    /// Runs of it that failed.
    pub attempts: u32,
    /// How long to wait before it may be tried again.
    pub wait: Duration,
}

/// A lease in somebody's hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Whose, for people: host and process.
    pub holder: String,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// A job that does not run until it is resumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Paused {
    /// Who paused it, for people.
    pub by: String,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// What a daemon has concluded about the slots since the newest one that is dealt with. It only
/// holds while that one is still the newest.
#[derive(Clone, Debug)]
pub struct Conclusion {
    /// The newest slot that was dealt with when this was concluded.
    pub since: DateTime<Utc>,
    /// Slots that are not run, in order.
    pub passed: Vec<Passed>,
    /// The first of them come right after that newest slot, so that they may go on with what was
    /// passed over before.
    pub goes_on: bool,
    /// Slots that were begun and are given up now: 0 or 1. They are in the history of runs.
    pub begun: u64,
    /// The newest slot that is dealt with from now on.
    pub until: DateTime<Utc>,
    /// The schedule, described.
    pub schedule: String,
}

/// What is known of the slots of jobs. All times are the store's.
#[async_trait]
pub trait Slots: Send + Sync {
    /// The store's clock.
    async fn time(&self) -> Result<DateTime<Utc>>;

    /// Where `job` stands; as good as empty when nothing is known of it.
    async fn standing(&self, job: &str) -> Result<Standing>;

    /// Remembers `slot` as dealt with, if no slot of the job is: a new deployment starts with the
    /// first slot that comes.
    async fn begin_schedule(&self, job: &str, slot: DateTime<Utc>, schedule: &str) -> Result<()>;

    /// Remembers that the job has no schedule from now on, under this `name`, unless somebody is
    /// running it.
    async fn end_schedule(&self, job: &str, name: &str) -> Result<()>;

    /// Goes back to `slot` when the newest slot is `from`, which lies in a future that a wrong
    /// clock had announced. Slots that were passed over in that future are no longer; a stretch of
    /// them that began before `slot` is to be passed over again. Atomic. Nothing happens while
    /// somebody is running the job.
    async fn turn_back(&self, job: &str, from: DateTime<Utc>, slot: DateTime<Utc>) -> Result<()>;

    /// Passes slots over. Atomic: all of it, or, if somebody was quicker or is running the job,
    /// nothing (false).
    async fn pass(&self, job: &str, conclusion: &Conclusion, holder: &str) -> Result<bool>;

    /// Keeps the job from running until it is resumed; a run that is going on ends at its next
    /// batch. One that is paused already stays so, under the name of whoever did it first.
    async fn pause(&self, job: &str, by: &str) -> Result<Paused>;

    /// Lets the job run again. Returns who had paused it, if somebody had.
    async fn resume(&self, job: &str) -> Result<Option<Paused>>;
}
