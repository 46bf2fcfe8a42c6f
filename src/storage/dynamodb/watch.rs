//! What this process has seen of leases, and those that it holds itself.
//!
//! Clocks of two machines are never compared. A holder counts the length of its lease from before
//! it has asked for it; whoever wants to take over counts it from after it has seen the lease. So
//! the one has let go before the other takes hold. Both go by the clock that also runs while the
//! machine sleeps.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use crate::storage::{Fence, Lease};
use crate::work::Report;

/// Leases as they were seen.
#[derive(Debug, Default)]
pub(super) struct Watch(Mutex<BTreeMap<String, Sight>>);

#[derive(Clone, Copy, Debug)]
struct Sight {
    /// The term, and how often it was renewed.
    lease: (i64, i64),
    /// When it was first seen like this.
    since: Duration,
}

impl Watch {
    /// Sees the lease of a job, `now`. Returns whether it has been the same for `ttl`.
    pub(super) fn is_left_behind(&self, job: &str, lease: (i64, i64), ttl: Duration, now: Duration) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get(job) {
            Some(sight) if sight.lease == lease => now.saturating_sub(sight.since) >= ttl,
            _ => {
                seen.insert(job.to_owned(), Sight { lease, since: now });
                false
            }
        }
    }
}

/// What was counted of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) batches: u64,
    pub(super) deleted: u64,
    pub(super) skipped: u64,
}

impl Counts {
    /// `report` with these counts in the place of its own.
    pub(super) fn into_report(self, report: Report) -> Report {
        Report { batches: self.batches, deleted: self.deleted, skipped: self.skipped, ..report }
    }
}

/// What is known of a row of a batch that was not committed, for when it is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It was deleted, and is counted.
    Deleted,
    /// It was passed over, and is counted.
    Skipped,
    /// There was no answer: it may be deleted.
    Unanswered,
}

/// The leases that this process holds, by run.
#[derive(Debug, Default)]
pub(super) struct Holdings(Mutex<BTreeMap<Uuid, Holding>>);

#[derive(Debug)]
struct Holding {
    job: String,
    term: i64,
    secret: Uuid,
    good_until: Duration,
    counts: Counts,
    known: HashMap<String, Known>,
}

impl Holdings {
    /// Begins with a lease that is good until then.
    pub(super) fn begin(&self, lease: &Lease, good_until: Duration) {
        let holding = Holding {
            job: lease.run.job.clone(),
            term: lease.term,
            secret: lease.secret,
            good_until,
            counts: Counts::default(),
            known: HashMap::new(),
        };
        self.lock().insert(lease.run.run_id, holding);
    }

    /// The lease of `run_id` was renewed and is good until then, which may be earlier than before
    /// when leases have become shorter.
    pub(super) fn renew(&self, run_id: Uuid, good_until: Duration) {
        if let Some(holding) = self.lock().get_mut(&run_id) {
            holding.good_until = good_until;
        }
    }

    /// Ends with a lease. Returns what was counted.
    pub(super) fn end(&self, run_id: Uuid) -> Option<Counts> {
        self.lock().remove(&run_id).map(|holding| holding.counts)
    }

    /// What was counted under a lease.
    pub(super) fn counts(&self, run_id: Uuid) -> Option<Counts> {
        self.lock().get(&run_id).map(|holding| holding.counts)
    }

    /// The job that `fence` may write for, `now`.
    pub(super) fn admits(&self, fence: &Fence, now: Duration) -> Option<String> {
        let holdings = self.lock();
        let holding = holdings.get(&fence.run_id)?;
        let is_ours = (holding.term, holding.secret) == (fence.term, fence.secret);
        (is_ours && now < holding.good_until).then(|| holding.job.clone())
    }

    /// What is known of a row.
    pub(super) fn known(&self, fence: &Fence, row: &str) -> Option<Known> {
        self.lock().get(&fence.run_id)?.known.get(row).copied()
    }

    /// Adds to the counts. Returns them all.
    pub(super) fn add(&self, fence: &Fence, more: Counts) -> Counts {
        let mut holdings = self.lock();
        let Some(holding) = holdings.get_mut(&fence.run_id) else { return more };
        holding.counts.batches += more.batches;
        holding.counts.deleted += more.deleted;
        holding.counts.skipped += more.skipped;
        holding.counts
    }

    /// Remembers what is known of the rows of a batch, or forgets it, where it is `None`.
    pub(super) fn remember<'a>(&self, fence: &Fence, rows: impl Iterator<Item = (&'a str, Option<Known>)>) {
        let mut holdings = self.lock();
        let Some(holding) = holdings.get_mut(&fence.run_id) else { return };
        for (row, known) in rows {
            match known {
                Some(known) => holding.known.insert(row.to_owned(), known),
                None => holding.known.remove(row),
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Uuid, Holding>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(10);

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(1000 + seconds)
    }

    #[test]
    fn a_lease_is_left_behind_when_it_was_the_same_for_its_whole_length() {
        let watch = Watch::default();
        assert!(!watch.is_left_behind("job", (1, 0), TTL, at(0)), "nobody has seen it before");
        assert!(!watch.is_left_behind("job", (1, 0), TTL, at(9)));
        assert!(!watch.is_left_behind("job", (1, 1), TTL, at(10)), "it was renewed");
        assert!(!watch.is_left_behind("job", (1, 1), TTL, at(19)));
        assert!(!watch.is_left_behind("another", (1, 1), TTL, at(20)));
        assert!(watch.is_left_behind("job", (1, 1), TTL, at(20)));
        assert!(!watch.is_left_behind("job", (2, 0), TTL, at(21)), "somebody else has it");
    }
}
