//! The right to run a job: one holder at a time, in the store itself.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Conclusion, Held, Paused, Result};
use crate::work::{Run, Trigger};

/// A slot to run.
#[derive(Clone, Debug)]
pub struct Due {
    /// The slot.
    pub slot: DateTime<Utc>,
    /// What became of those before it.
    pub before: Conclusion,
    /// How many of its runs may fail and be tried again.
    pub retries: u32,
}

/// A wish to run a job.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The job's name.
    pub job: &'static str,
    /// The slot to run; none by hand.
    pub due: Option<Due>,
    /// Who wants to run it, for people: host and process.
    pub holder: String,
    /// Connections that will write for the run, each with a fence of its own.
    pub workers: u16,
    /// How long the lease holds without being renewed.
    pub ttl: Duration,
}

impl Claim {
    /// What makes the job run.
    pub fn trigger(&self) -> Trigger {
        if self.due.is_some() { Trigger::Schedule } else { Trigger::Manual }
    }
}

/// The answer to a [`Claim`].
#[derive(Clone, Debug)]
pub enum Claimed {
    /// The job is ours to run.
    Won(Box<Won>),
    /// Somebody else is running it.
    Held(Held),
    /// Somebody has paused it.
    Paused(Paused),
    /// The slots are not any more what the claim was made on.
    Moved,
    /// The slot was tried as often as it may be, so it is done; with the run that was left behind.
    Exhausted(Option<Box<Run>>),
}

/// A lease that was won, and what was found with it.
#[derive(Clone, Debug)]
pub struct Won {
    /// The lease.
    pub lease: Lease,
    /// The run that its last holder left behind, closed as `lost` now.
    pub lost: Option<Run>,
}

/// The right to run a job once. It ends when it is released, and when it was not renewed in time.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The run as it stands in the history, with outcome and counts still open.
    pub run: Run,
    /// Runs of the same slot that failed before.
    pub attempts: u32,
    /// Grows with every lease of this job: a newer term means that somebody took over.
    pub term: i64,
    /// Random, known only to the holder.
    pub secret: Uuid,
    /// When it was asked for or last renewed, by our own monotonic clock and before the request
    /// was sent: add the length of the lease, and it still holds before that instant. The clock
    /// stands still while the machine sleeps; then only the fence protects.
    pub renewed: Instant,
}

impl Lease {
    /// What the writes of worker number `worker`, counted from 0, must carry.
    pub fn fence(&self, worker: u16) -> Fence {
        Fence { run_id: self.run.run_id, term: self.term, secret: self.secret, worker }
    }
}

/// Proof of a lease, checked by the store in the transaction of every write.
#[derive(Clone, Debug)]
pub struct Fence {
    /// The run.
    pub run_id: Uuid,
    /// The lease's term.
    pub term: i64,
    /// The lease's secret.
    pub secret: Uuid,
    /// Which of the run's workers writes.
    pub worker: u16,
}

/// What became of a lease that was to be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// It is kept.
    Kept,
    /// It is kept, and somebody wants the job to pause.
    Paused,
    /// It is no longer ours.
    Lost,
}

/// Leases on jobs. All times are the store's.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Takes the lease if it is free or has run out, and begins the run. Atomic: of two claims at
    /// once one wins. A run that its holder left open becomes `lost` first; after that none of
    /// its writes are accepted.
    async fn claim(&self, claim: &Claim) -> Result<Claimed>;

    /// Keeps the lease for another `ttl`.
    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Renewal>;
}
