//! One run of a job at its pace: what every job does around each of its steps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::persist::{Step, persist};
use super::purge::after_purge;
use super::{Place, Workplace};
use crate::model::{Table, clock};
use crate::storage::{Batch, Cutoff, Error, ErrorKind, Result, Sweep};
use crate::throttle::{self, Signals, Site, Throttle};
use crate::work::{Report, StopReason};

/// A run at its pace.
#[derive(Debug)]
pub(super) struct Shift<'a> {
    job: &'static str,
    at: Workplace<'a>,
    throttle: Throttle<'a>,
}

impl<'a> Shift<'a> {
    /// Begins with batches of `batch_size` rows at most and `rows_per_second` at most; 0 for no
    /// limit.
    pub(super) fn new(
        job: &'static str,
        at: Workplace<'a>,
        settings: &throttle::Settings,
        (batch_size, rows_per_second): (u64, u64),
        place: &Place,
    ) -> Self {
        let batch_size = u32::try_from(batch_size).unwrap_or(u32::MAX);
        let site = Site { job, backend: at.backend, stop: at.stop, progress: at.progress, metrics: at.metrics };
        let (pace, budget) = ((batch_size, rows_per_second), Arc::clone(&place.budget));
        let throttle = Throttle::new(settings, pace, budget, site, at.pressure);
        Self { job, at, throttle }
    }

    /// Where the run takes place.
    pub(super) fn at(&self) -> Workplace<'a> {
        self.at
    }

    /// Takes `step` until it succeeds, fails for good, or the run is asked to stop. It must be one
    /// that may be repeated, also after its answer was lost.
    ///
    /// # Errors
    ///
    /// The step's own, when they do not pass.
    pub(super) async fn persist<T, S>(&self, step: impl Fn() -> S) -> Result<Step<T>>
    where
        S: Future<Output = Result<T>>,
    {
        persist(self.job, &self.throttle, self.at, step).await
    }

    /// Has the store draw the line between what is older than `grace` and what is not, if its clock
    /// can be trusted. None when the run was asked to stop meanwhile, which the report then says.
    ///
    /// # Errors
    ///
    /// When it cannot, as another server may have answered than the one that was asked before the run.
    pub(super) async fn cutoff(
        &self,
        store: &dyn Sweep,
        grace: Duration,
        report: &mut Report,
    ) -> Result<Option<Cutoff>> {
        let asked = clock::steady();
        let cutoff = match self.persist(|| store.cutoff(grace)).await? {
            Step::Done(cutoff) => cutoff,
            Step::GivenUp(trouble) => {
                (report.stopped, report.trouble) = (self.stopped(), Some(trouble));
                return Ok(None);
            }
        };
        match self.at.clocks.distrust(asked, cutoff.now) {
            None => Ok(Some(cutoff)),
            Some(why) => Err(Error {
                backend: self.at.backend,
                op: "judge what has expired",
                kind: ErrorKind::Other,
                source: why.into(),
            }),
        }
    }

    /// Why the run shall stop, if it shall.
    pub(super) fn stopped(&self) -> Option<StopReason> {
        self.at.stop.requested()
    }

    /// How many rows the next batch may have.
    pub(super) fn batch_size(&self) -> u32 {
        self.throttle.batch_size()
    }

    /// Counts rows that were looked at, and rests as long as others, or the `units` that reading them has
    /// cost, take.
    pub(super) async fn has_read(&self, table: Table, rows: u64, units: f64) {
        self.at.metrics.rows_examined(self.job, self.at.backend, table.name(), rows);
        self.throttle.works_on(table);
        self.throttle.after_reading(units).await;
    }

    /// Counts what a batch has deleted of `table` for `reason`.
    pub(super) fn has_deleted(&self, table: Table, reason: &'static str, rows: u64) {
        self.throttle.works_on(table);
        self.at.progress.add(rows);
        self.at.metrics.rows_deleted(self.job, self.at.backend, table.name(), reason, rows);
    }

    /// Learns from a batch that has changed rows, and rests outside of any transaction as long as it
    /// takes.
    pub(super) async fn rest_after(&self, batch: &Batch) {
        let signals = Signals { elapsed: batch.elapsed, waiters: batch.waiters, write_units: batch.write_units };
        self.throttle.after(batch.deleted, &signals).await;
        self.at.metrics.throttle_batch_size(self.job, self.at.backend, self.throttle.batch_size());
    }

    /// Sees to the table after a run that has deleted so many rows of it: it is vacuumed when they are at
    /// least `vacuum_after`, or it is told when nobody else will.
    pub(super) async fn after_purge(&self, table: Table, deleted: u64, vacuum_after: u64) {
        after_purge(self.job, self.at, table, deleted, vacuum_after).await;
    }

    /// Seconds rested so far, by reason.
    pub(super) fn waited(&self) -> BTreeMap<String, f64> {
        self.throttle.waited()
    }
}
