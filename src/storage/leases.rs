//! The right to run a job: one holder at a time, in the store itself.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Result;
use crate::work::{Run, Trigger};

/// A wish to run a job.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The job's name.
    pub job: &'static str,
    /// The slot to run for; none by hand.
    pub slot: Option<DateTime<Utc>>,
    /// What makes it run.
    pub trigger: Trigger,
    /// Who wants to run it, for people: host and process.
    pub holder: String,
    /// Connections that will write for the run, each with a fence of its own.
    pub workers: u16,
    /// How long the lease holds without being renewed.
    pub ttl: Duration,
}

/// The answer to a [`Claim`].
#[derive(Clone, Debug)]
pub enum Claimed {
    /// The job is ours to run.
    Won(Box<Lease>),
    /// Somebody else is running it.
    Held {
        /// Who, for people.
        holder: String,
        /// Since when.
        since: DateTime<Utc>,
    },
    /// The slot has been dealt with already.
    SlotDone,
}

/// The right to run a job once. It ends when it is released, and when it was not renewed in time.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The run as it stands in the history, with outcome and counts still open.
    pub run: Run,
    /// Grows with every lease of this job: a newer term means that somebody took over.
    pub term: i64,
    /// Random, known only to the holder.
    pub secret: Uuid,
    /// When it was asked for or last renewed, by our own monotonic clock and before the request
    /// was sent: add the length of the lease, and it certainly still holds before that instant.
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

/// Leases on jobs. All times are the store's.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Remembers `slot` as dealt with if nothing is known of the job yet, so that a new deployment
    /// starts with the first slot that comes. Returns the newest slot that has been dealt with.
    async fn last_slot(&self, job: &'static str, slot: DateTime<Utc>) -> Result<DateTime<Utc>>;

    /// Takes the lease if it is free or has run out, and begins the run. Atomic: of two claims at
    /// once one wins. A run that its holder left open becomes `lost` first; after that none of
    /// its writes are accepted.
    async fn claim(&self, claim: &Claim) -> Result<Claimed>;

    /// Keeps the lease for another `ttl`. False when it is no longer ours.
    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool>;
}
