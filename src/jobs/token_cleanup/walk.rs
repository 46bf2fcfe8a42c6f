//! One walk over the table, which deletes as it goes.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::persist::Step;
use super::super::shift::Shift;
use super::rules::{Lines, wanted};
use super::sorted::{Left, Sorted, place_of};
use super::{EXPIRED, NAME, ORPHAN, PAGE, TABLE, Tools};
use crate::model::Record;
use crate::storage::{AttributePlace, Located, Place, Removal, Result, Segment};

/// So many rows that were passed over are looked at once more.
const AGAIN: usize = 10_000;

/// A walk, which its segments take at the same time.
pub(super) struct Walk<'a> {
    tools: Tools<'a>,
    shift: &'a Shift<'a>,
    lines: Lines,
    tally: Mutex<Tally>,
}

/// What a walk has come to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) examined: u64,
    pub(super) skipped: u64,
    pub(super) batches: u64,
    /// Rows deleted, by why.
    pub(super) deleted: BTreeMap<&'static str, u64>,
    pub(super) left: Left,
    /// Rows that were passed over, to be looked at once more.
    again: Vec<AttributePlace>,
    /// Whether rows were passed over that are not.
    pub(super) more: bool,
    /// What kept it from going on when it was asked to stop.
    pub(super) trouble: Option<String>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(tools: Tools<'a>, shift: &'a Shift<'a>, lines: Lines) -> Self {
        Self { tools, shift, lines, tally: Mutex::default() }
    }

    /// What it has come to.
    pub(super) fn tally(self) -> Tally {
        self.tally.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn tallied(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Walks over a segment. Returns whether it came to the end.
    ///
    /// # Errors
    ///
    /// Those of the store that do not pass.
    pub(super) async fn segment(&self, segment: Segment) -> Result<bool> {
        let wanted = wanted();
        let mut next = Some(Place::default());
        while let Some(place) = next {
            if self.shift.stopped().is_some() {
                return Ok(false);
            }
            let read = || self.tools.rows.walk(&wanted, segment, &place, PAGE);
            let Some(found) = self.persist(read).await? else { return Ok(false) };
            self.tallied().examined += found.examined;
            self.shift.has_read(TABLE, found.examined, found.read_units).await;
            let Some(sorted) = self.sort(found.records).await? else { return Ok(false) };
            {
                let mut tally = self.tallied();
                for (why, rows) in &sorted.left {
                    *tally.left.entry(why).or_default() += rows;
                }
            }
            if !self.delete(&sorted).await? {
                return Ok(false);
            }
            next = found.next;
        }
        Ok(true)
    }

    /// Looks once more at what was passed over: it was locked perhaps, or has changed. Returns whether it
    /// came to the end.
    ///
    /// # Errors
    ///
    /// Those of the store that do not pass.
    pub(super) async fn again(&self) -> Result<bool> {
        let places = std::mem::take(&mut self.tallied().again);
        for places in places.chunks(PAGE as usize) {
            let Some(located) = self.locate(places).await? else { return Ok(false) };
            let records = located.records.into_iter().flatten().collect();
            let Some(sorted) = self.sort(records).await? else { return Ok(false) };
            if !self.delete(&sorted).await? {
                return Ok(false);
            }
        }
        let mut tally = self.tallied();
        tally.more |= !tally.again.is_empty();
        Ok(true)
    }

    /// Sorts rows, and reads what that takes besides. Nothing when the run was asked to stop.
    async fn sort(&self, records: Vec<Record>) -> Result<Option<Sorted>> {
        let mut sorted = Sorted::of(records, self.lines);
        let Some(found) = self.locate(&sorted.targets()).await? else { return Ok(None) };
        sorted.settle(found, self.lines);
        let places = sorted.provider_places();
        let Some(found) = self.locate(&places).await? else { return Ok(None) };
        sorted.add_providers(&places, found);
        Ok(Some(sorted))
    }

    /// Deletes what may go, so that whatever breaks off here is found again: provider tokens before the
    /// access tokens that name them, and tokens before the entries that point at them. Returns whether it
    /// came to the end.
    async fn delete(&self, sorted: &Sorted) -> Result<bool> {
        let Some(gone) = self.remove(&sorted.providers(), EXPIRED).await? else { return Ok(false) };
        let (expired, stay) = sorted.expired(&gone);
        self.pass_over(stay.iter());
        if self.remove(&expired, EXPIRED).await?.is_none() {
            return Ok(false);
        }
        Ok(self.remove(&sorted.orphans(), ORPHAN).await?.is_some())
    }

    /// Deletes rows in batches; returns of each whether it went. Nothing when the run was asked to stop.
    async fn remove(&self, removals: &[Removal], reason: &'static str) -> Result<Option<Vec<bool>>> {
        let fence = self.shift.at().lease.fence(0);
        let mut gone = Vec::with_capacity(removals.len());
        while gone.len() < removals.len() {
            if self.shift.stopped().is_some() {
                return Ok(None);
            }
            let rest = &removals[gone.len()..];
            let batch = &rest[..rest.len().min(self.shift.batch_size() as usize)];
            let Some(removed) = self.persist(|| self.tools.removals.remove(batch, &fence)).await? else {
                return Ok(None);
            };
            let deleted = removed.batch.deleted;
            {
                let mut tally = self.tallied();
                tally.batches += 1;
                tally.skipped += batch.len() as u64 - deleted;
                *tally.deleted.entry(reason).or_default() += deleted;
            }
            let passed_over = batch.iter().zip(&removed.rows).filter(|(_, gone)| !**gone);
            self.pass_over(passed_over.map(|(removal, _)| &removal.record));
            gone.extend(&removed.rows);
            self.shift.has_deleted(TABLE, reason, deleted);
            let asked = batch.len();
            tracing::debug!(job.name = NAME, asked, deleted, reason, batch.elapsed = ?removed.batch.elapsed, "batch done");
            self.shift.rest_after(&removed.batch).await;
        }
        Ok(Some(gone))
    }

    fn pass_over<'r>(&self, records: impl Iterator<Item = &'r Record>) {
        let mut tally = self.tallied();
        for place in records.filter_map(place_of) {
            if tally.again.len() < AGAIN {
                tally.again.push(place);
            } else {
                tally.more = true;
            }
        }
    }

    async fn locate(&self, places: &[AttributePlace]) -> Result<Option<Located>> {
        if places.is_empty() {
            return Ok(Some(Located::default()));
        }
        let Some(located) = self.persist(|| self.tools.rows.locate(places)).await? else { return Ok(None) };
        self.shift.has_read(TABLE, 0, located.read_units).await;
        Ok(Some(located))
    }

    /// Takes a step until it succeeds; nothing when the run was asked to stop.
    async fn persist<T, S>(&self, step: impl Fn() -> S) -> Result<Option<T>>
    where
        S: Future<Output = Result<T>>,
    {
        match self.shift.persist(step).await? {
            Step::Done(done) => Ok(Some(done)),
            Step::GivenUp(trouble) => {
                self.tallied().trouble.get_or_insert(trouble);
                Ok(None)
            }
        }
    }
}
