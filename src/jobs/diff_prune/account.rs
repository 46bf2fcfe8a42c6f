//! What a run has done so far, kept while several subscriptions are worked on at once.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::decide::Reason;
use super::survey::{Finding, Surveyed};
use crate::storage::Batch;
use crate::work::{Diffs, LeftAlone, LostDiffs, Report};

/// So many subscriptions have a line each in the log.
const TOLD: u64 = 100;

const WENT_BACK: &str = "its numbers went back, or several subscriptions share its changes: their age is not known";
const UNREADABLE: &str =
    "some of its changes, or of the actor's subscriptions, are not stored as the library stores them";

/// The numbers.
#[derive(Debug, Default)]
pub(super) struct Account(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    examined: u64,
    deleted: u64,
    skipped: u64,
    batches: u64,
    reasons: BTreeMap<&'static str, u64>,
    diffs: Diffs,
    told: u64,
}

impl Account {
    /// An actor was looked at.
    pub(super) fn surveyed(&self, id: &str, surveyed: &Surveyed, waits: bool) {
        let mut entries = self.entries();
        entries.examined += surveyed.examined;
        let diffs = &mut entries.diffs;
        for subid in &surveyed.unreadable {
            diffs.unreadable += 1;
            diffs.add_left_alone(LeftAlone { id: id.to_owned(), subid: subid.clone(), why: UNREADABLE.to_owned() });
        }
        for finding in &surveyed.findings {
            if finding.verdict.went_back {
                let subid = finding.subid.clone();
                diffs.went_back += 1;
                diffs.add_left_alone(LeftAlone { id: id.to_owned(), subid, why: WENT_BACK.to_owned() });
            }
            if finding.verdict.is_orphaned && waits {
                diffs.waiting += finding.stay;
            }
        }
    }

    /// A batch was deleted.
    pub(super) fn pruned(&self, asked: u64, reason: Reason, batch: &Batch) {
        let mut entries = self.entries();
        entries.batches += 1;
        entries.deleted += batch.deleted;
        entries.skipped += asked.saturating_sub(batch.deleted);
        *entries.reasons.entry(reason.name()).or_default() += batch.deleted;
    }

    /// A subscription has lost changes.
    pub(super) fn lost(&self, lost: LostDiffs) {
        if lost.diffs > 0 {
            self.entries().diffs.add_lost(lost);
        }
    }

    /// What would be deleted.
    pub(super) fn would_prune(&self, finding: &Finding) {
        for (reason, length) in &finding.verdict.stretches {
            *self.entries().reasons.entry(reason.name()).or_default() += *length as u64;
        }
        self.lost(lost(finding));
    }

    /// Tells, before they go, that a subscription is about to lose changes. Not of all, if there are
    /// many: the report has more of them.
    pub(super) fn tell(&self, job: &'static str, finding: &Finding) {
        let LostDiffs { id, subid, peers, diffs, through } = lost(finding);
        if diffs == 0 {
            return;
        }
        let told = {
            let mut entries = self.entries();
            entries.told += 1;
            entries.told
        };
        if told <= TOLD {
            tracing::info!(
                job.name = job,
                id,
                subid,
                peers = peers.join(" "),
                diffs,
                through,
                "{diffs} changes that nobody is known to have are about to go: who subscribes may have to fetch everything anew"
            );
        }
        if told == TOLD {
            tracing::info!(job.name = job, "more such subscriptions are in the report only");
        }
    }

    /// How many rows would be deleted.
    pub(super) fn wanted(&self) -> u64 {
        self.entries().reasons.values().sum()
    }

    /// Writes all of it into the report.
    pub(super) fn write(&self, report: &mut Report) {
        let entries = self.entries();
        report.examined = entries.examined;
        report.deleted = entries.deleted;
        report.skipped = entries.skipped;
        report.batches = entries.batches;
        report.reasons = entries.reasons.iter().map(|(reason, rows)| ((*reason).to_owned(), *rows)).collect();
        report.diffs = Some(entries.diffs.clone());
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a subscription loses if all goes that is to go.
fn lost(finding: &Finding) -> LostDiffs {
    let is_lost = |seqnr: &&i64| finding.verdict.is_unconfirmed(**seqnr);
    LostDiffs {
        id: finding.id.clone(),
        subid: finding.subid.clone(),
        peers: finding.peers.clone(),
        diffs: finding.numbers.iter().filter(is_lost).count() as u64,
        through: finding.numbers.last().copied().unwrap_or_default(),
    }
}
