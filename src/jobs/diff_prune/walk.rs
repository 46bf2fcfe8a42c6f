//! One walk over all actors that have changes.

use std::sync::atomic::{AtomicBool, Ordering};

use chrono::TimeDelta;
use futures_util::{StreamExt, stream};

use super::super::pace::Halt;
use super::super::shift::Shift;
use super::account::Account;
use super::archive::Archive;
use super::place::Place;
use super::survey::{Finding, Survey, Surveyed};
use super::{NAME, TABLE};
use crate::model::BackendKind;
use crate::storage::{Cut, Result, Store};
use crate::work::LostDiffs;

/// Actors, or on DynamoDB changes, that are looked at in one request.
const OWNERS: u32 = 100;

/// So many changes are found before they are deleted, unless one actor has more.
const FOUND: usize = 10_000;

/// So many changes are archived at once: they are in memory meanwhile, with all that they say.
const ARCHIVED: usize = 200;

/// A clock that is known by the second may seem to go back by one.
const SLACK: TimeDelta = TimeDelta::seconds(2);

/// A walk.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) shift: &'a Shift<'a>,
    pub(super) survey: Survey<'a>,
    pub(super) archive: Option<&'a Archive>,
    pub(super) account: &'a Account,
}

/// What was found of some actors and is not done yet.
#[derive(Debug, Default)]
struct Found {
    /// Subscriptions that have changes to delete.
    findings: Vec<Finding>,
    /// How many.
    changes: usize,
    /// Seen without a subscription.
    orphans: Vec<(String, String, i64)>,
    /// The highest numbers.
    newest: Vec<(String, String, i64)>,
    /// Subscriptions whose numbers went back.
    went_back: Vec<(String, String)>,
}

impl Walk<'_> {
    /// Goes on from `place` to the end.
    pub(super) async fn go(&self, mut place: Place) -> Result<(), Halt> {
        let pace = self.survey.pace;
        loop {
            pace.check()?;
            let owners = pace.persist(|| self.store.diff_owners(place.after.as_deref(), OWNERS)).await?;
            pace.has_read(TABLE, 0, owners.read_units).await;
            let mut found = Found::default();
            for id in owners.ids {
                pace.check()?;
                let surveyed = self.survey.actor(&id).await?;
                self.account.surveyed(&id, &surveyed, self.survey.rules.orphaned_before.is_some());
                self.add(&mut found, surveyed);
                if found.changes >= FOUND {
                    self.finish(std::mem::take(&mut found)).await?;
                    place.after = Some(id);
                    place.keep(self.store, pace).await?;
                }
            }
            self.finish(found).await?;
            if owners.next.is_none() {
                return self.end(&place).await;
            }
            place.after = owners.next;
            place.keep(self.store, pace).await?;
        }
    }

    fn add(&self, found: &mut Found, surveyed: Surveyed) {
        let rules = &self.survey.rules;
        for finding in surveyed.findings {
            let (id, subid) = (finding.id.clone(), finding.subid.clone());
            if finding.verdict.is_orphaned {
                if rules.orphaned_before.is_some() {
                    found.orphans.push((id, subid, finding.newest));
                }
            } else if finding.verdict.went_back {
                found.went_back.push((id, subid));
            } else if rules.made_before.is_some() && !finding.peers.is_empty() {
                found.newest.push((id, subid, finding.newest));
            }
            if !finding.numbers.is_empty() {
                found.changes += finding.numbers.len();
                found.findings.push(finding);
            }
        }
    }

    async fn finish(&self, found: Found) -> Result<(), Halt> {
        let pace = self.survey.pace;
        if !found.orphans.is_empty() {
            pace.persist(|| self.store.sight(&found.orphans)).await?;
        }
        // What was seen of earlier numbers says nothing of these.
        for (id, subid) in &found.went_back {
            pace.persist(|| self.store.forget_watermarks_of(id, subid)).await?;
        }
        if !found.newest.is_empty() {
            pace.persist(|| self.store.mark(&found.newest)).await?;
        }
        let halted = AtomicBool::new(false);
        let pruned: Vec<_> = found.findings.iter().map(|finding| self.prune(finding, &halted)).collect();
        // All of them are waited for: dropping one in its batch would leave a transaction behind.
        let pruned: Vec<_> = stream::iter(pruned).buffer_unordered(self.lanes()).collect().await;
        let (failed, others): (Vec<_>, Vec<_>) =
            pruned.into_iter().partition(|pruned| matches!(pruned, Err(Halt::Failed(_))));
        failed.into_iter().chain(others).collect()
    }

    /// How many subscriptions are worked on at once. On DynamoDB each of them has to wait for the answer
    /// to each of its deletions.
    fn lanes(&self) -> usize {
        match self.shift.at().backend {
            BackendKind::Postgresql => 1,
            BackendKind::Dynamodb => 8,
        }
    }

    async fn prune(&self, finding: &Finding, halted: &AtomicBool) -> Result<(), Halt> {
        let mut lost = LostDiffs {
            id: finding.id.clone(),
            subid: finding.subid.clone(),
            peers: finding.peers.clone(),
            ..LostDiffs::default()
        };
        let pruned = self.prune_in_batches(finding, halted, &mut lost).await;
        self.account.lost(lost);
        if pruned.is_err() {
            halted.store(true, Ordering::Relaxed);
        }
        pruned
    }

    async fn prune_in_batches(&self, finding: &Finding, halted: &AtomicBool, lost: &mut LostDiffs) -> Result<(), Halt> {
        let (pace, fence) = (self.survey.pace, self.shift.at().lease.fence(0));
        let Finding { id, subid, verdict, .. } = finding;
        let mut begun = false;
        let mut numbers = finding.numbers.as_slice();
        for (reason, length) in &verdict.stretches {
            let (mut stretch, others) = numbers.split_at(*length);
            numbers = others;
            while !stretch.is_empty() {
                pace.check()?;
                if halted.load(Ordering::Relaxed) {
                    return Err(Halt::Stopped(None));
                }
                if !std::mem::replace(&mut begun, true) {
                    self.account.tell(NAME, finding);
                }
                let most = if self.archive.is_some() { ARCHIVED } else { usize::MAX };
                let size = (self.shift.batch_size() as usize).clamp(1, most).min(stretch.len());
                let (batch, later) = stretch.split_at(size);
                stretch = later;
                if let Some(archive) = self.archive {
                    let texts = pace.persist(|| self.store.diff_texts(id, subid, batch)).await?;
                    archive.keep(id, subid, *reason, &texts).await?;
                }
                let cut = Cut {
                    id: id.clone(),
                    subid: subid.clone(),
                    numbers: batch.to_vec(),
                    is_orphaned: verdict.is_orphaned,
                };
                let done = pace.persist(|| self.store.prune_diffs(&cut, &fence)).await?;
                self.account.pruned(size as u64, *reason, &done);
                self.shift.has_deleted(TABLE, reason.name(), done.deleted);
                // Also those that were gone: it may have been our own attempt whose answer was lost.
                lost.diffs += batch.iter().filter(|seqnr| verdict.is_unconfirmed(**seqnr)).count() as u64;
                lost.through = batch.last().copied().unwrap_or(lost.through);
                tracing::debug!(job.name = NAME, asked = size, done.deleted, done.waiters, done.elapsed = ?done.elapsed, "batch done");
                self.shift.rest_after(&done).await;
                if verdict.is_orphaned && done.deleted == 0 {
                    // Somebody subscribes again, or has deleted them. The next pass sees what is left.
                    return Ok(());
                }
            }
        }
        if verdict.is_orphaned {
            // What came later has to be seen twice as well.
            pace.persist(|| self.store.forget_sighting(id, subid)).await?;
            if finding.stay > 0 {
                let seen = [(id.clone(), subid.clone(), finding.newest)];
                pace.persist(|| self.store.sight(&seen)).await?;
            }
        }
        Ok(())
    }

    /// What follows a complete pass.
    async fn end(&self, place: &Place) -> Result<(), Halt> {
        let pace = self.survey.pace;
        if self.survey.rules.orphaned_before.is_some() {
            pace.persist(|| self.store.forget_sightings(place.begun - SLACK)).await?;
        }
        if let Some(before) = self.survey.rules.made_before {
            pace.persist(|| self.store.forget_watermarks(before)).await?;
        }
        pace.persist(|| self.store.keep_cursor(NAME, None)).await
    }
}
