//! Deletes attributes whose TTL has passed: what DynamoDB does by itself and PostgreSQL never.
//!
//! Rows are read ahead in pages along the index of their TTLs, without locks and while the rows
//! before them are being deleted, and deleted by their place in the table. So each batch starts
//! where the last one ended, dead entries are walked once and not once a batch, and several
//! workers have disjoint rows by construction.
//! What was locked or had changed is passed over; one more pass at the end looks for it.

mod queue;
mod settings;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use chrono::DateTime;
use futures_util::future::{join, join_all};

pub use settings::Settings;

use self::queue::Queue;
use super::persist::Step;
use super::shift::Shift;
use super::{Job, Place, Plan, Touches, Workplace};
use crate::model::{BackendKind, Table};
use crate::storage::{Expired, Result, Store, Sweep};
use crate::throttle;
use crate::work::{Limits, Report, StopReason};

/// The job's name.
pub const NAME: &str = "ttl_cleanup";

const TABLE: Table = Table::Attributes;

/// Why rows leave it.
const EXPIRED: &str = "expired";

/// The job.
#[derive(Debug)]
pub struct TtlCleanup {
    settings: Settings,
    throttle: throttle::Settings,
    place: Place,
}

/// One walk over the expired rows.
#[derive(Debug, Default)]
struct Pass {
    examined: AtomicU64,
    deleted: AtomicU64,
    skipped: AtomicU64,
    batches: AtomicU64,
    /// A worker failed, or was stopped before its batch could be done; the others end at their next
    /// batch.
    given_up: AtomicBool,
    /// What kept a worker from going on.
    trouble: OnceLock<String>,
}

impl Pass {
    fn give_up(&self, trouble: Option<String>) {
        if let Some(trouble) = trouble {
            let _first_trouble_stays = self.trouble.set(trouble);
        }
        self.given_up.store(true, Ordering::Relaxed);
    }
}

impl TtlCleanup {
    /// The job as `settings` want it, at the pace of `throttle`, on one of the deployment's backends.
    pub fn new(settings: Settings, throttle: throttle::Settings, place: Place) -> Self {
        Self { settings, throttle, place }
    }

    fn expired(&self, cutoff: i64, report: &mut Report) -> Expired {
        report.cutoff = DateTime::from_timestamp(cutoff, 0);
        Expired { cutoff, buckets: self.settings.buckets.clone() }
    }

    /// Deletes what has expired. The report is filled in as it goes.
    ///
    /// # Errors
    ///
    /// Those of the store that do not pass.
    pub async fn sweep(&self, store: &dyn Sweep, at: Workplace<'_>, report: &mut Report) -> Result<()> {
        // Until it is known better: a run that breaks off leaves work.
        report.more = true;
        let pace = (self.settings.batch_size.get(), self.settings.max_rows_per_second.get());
        let shift = Shift::new(NAME, at, &self.throttle, pace, &self.place);
        let cutoff = match shift.cutoff(store, self.settings.grace.0).await? {
            Step::Done(cutoff) => cutoff,
            Step::GivenUp(trouble) => {
                (report.stopped, report.trouble) = (shift.stopped(), Some(trouble));
                return Ok(());
            }
        };
        let which = self.expired(cutoff.epoch, report);
        let first = Pass::default();
        let mut came_to_the_end = self.pass(store, &which, &shift, &first, report).await?;
        let mut passed_over = first.skipped.into_inner();
        if came_to_the_end && passed_over > 0 {
            let last = Pass::default();
            came_to_the_end = self.pass(store, &which, &shift, &last, report).await?;
            passed_over = last.skipped.into_inner();
        }
        report.stopped = if came_to_the_end { None } else { shift.stopped() };
        report.more = match (came_to_the_end, passed_over) {
            (true, 0) => false,
            // Somebody else is at it.
            _ if report.stopped == Some(StopReason::LeaseLost) => true,
            // Not known, if it cannot be asked any more: then something may be left.
            _ => match shift.persist(|| store.any_expired(&which)).await? {
                Step::Done(any) => any,
                Step::GivenUp(_) => true,
            },
        };
        shift.after_purge(TABLE, report.deleted, self.settings.vacuum_after.get()).await;
        Ok(())
    }

    /// Walks once over what has expired. Returns whether it came to the end.
    async fn pass(
        &self,
        store: &dyn Sweep,
        which: &Expired,
        shift: &Shift<'_>,
        pass: &Pass,
        report: &mut Report,
    ) -> Result<bool> {
        let (reader, queue) = queue::pages(which, &pass.examined);
        let reading = reader.read(store, shift);
        let working = async {
            let workers = (0..self.workers()).map(|worker| self.work(worker, store, which, &queue, shift, pass));
            // All of them are waited for, even if one fails: dropping another in its batch would
            // leave a transaction behind.
            let results = join_all(workers).await;
            (results, queue.close().await)
        };
        let (read_to_the_end, (results, handed_out)) = join(reading, working).await;
        report.examined += pass.examined.load(Ordering::Relaxed);
        report.deleted += pass.deleted.load(Ordering::Relaxed);
        report.skipped += pass.skipped.load(Ordering::Relaxed);
        report.batches += pass.batches.load(Ordering::Relaxed);
        report.waited = shift.waited();
        report.trouble = pass.trouble.get().cloned();
        results.into_iter().collect::<Result<()>>()?;
        // A batch that was given up had been handed out as well.
        Ok(read_to_the_end? && handed_out && !pass.given_up.load(Ordering::Relaxed))
    }

    async fn work(
        &self,
        worker: u16,
        store: &dyn Sweep,
        which: &Expired,
        queue: &Queue,
        shift: &Shift<'_>,
        pass: &Pass,
    ) -> Result<()> {
        let fence = shift.at().lease.fence(worker);
        while shift.stopped().is_none() && !pass.given_up.load(Ordering::Relaxed) {
            let candidates = queue.take(shift.batch_size()).await;
            if candidates.is_empty() {
                break;
            }
            let asked = candidates.len();
            let delete = || store.delete_expired(which, &candidates, &fence);
            let batch = shift.persist(delete).await;
            let batch = match batch.inspect_err(|_| pass.give_up(None))? {
                Step::Done(batch) => batch,
                Step::GivenUp(trouble) => {
                    pass.give_up(Some(trouble));
                    break;
                }
            };
            pass.batches.fetch_add(1, Ordering::Relaxed);
            pass.deleted.fetch_add(batch.deleted, Ordering::Relaxed);
            pass.skipped.fetch_add(asked as u64 - batch.deleted, Ordering::Relaxed);
            shift.has_deleted(TABLE, EXPIRED, batch.deleted);
            tracing::debug!(job.name = NAME, worker, asked, batch.deleted, batch.waiters, batch.elapsed = ?batch.elapsed, "batch done");
            shift.rest_after(&batch).await;
        }
        Ok(())
    }
}

#[async_trait]
impl Job for TtlCleanup {
    fn name(&self) -> &'static str {
        NAME
    }

    fn backend(&self) -> BackendKind {
        self.place.backend
    }

    fn touches(&self) -> &'static [Touches] {
        &[Touches { table: TABLE, reasons: &[EXPIRED] }]
    }

    fn plan(&self) -> Plan {
        let plan = self.settings.plan();
        let is_here = self.settings.backends.iter().any(|backend| backend == self.place.backend.name());
        Plan { enabled: plan.enabled && is_here, ..plan }
    }

    fn workers(&self) -> u16 {
        self.settings.workers.get() as u16
    }

    fn limits(&self) -> Limits {
        self.settings.limits()
    }

    async fn run(&self, store: &dyn Store, at: Workplace<'_>, report: &mut Report) -> Result<()> {
        self.sweep(store, at, report).await
    }

    async fn preview(&self, store: &dyn Store) -> Result<Report> {
        let mut report = Report { limits: self.limits(), ..Report::default() };
        let which = self.expired(store.cutoff(self.settings.grace.0).await?.epoch, &mut report);
        let buckets = store.count_expired(&which).await?;
        report.examined = buckets.values().sum();
        report.more = report.examined > 0;
        report.buckets = Some(buckets);
        Ok(report)
    }
}
