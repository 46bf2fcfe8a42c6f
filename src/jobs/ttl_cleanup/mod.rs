//! Deletes attributes whose TTL has passed: what DynamoDB does by itself and PostgreSQL never.
//!
//! Rows are read ahead in pages along the index of their TTLs, without locks and while the rows
//! before them are being deleted, and deleted by their place in the table. So each batch starts
//! where the last one ended, dead entries are walked once and not once a batch, and several
//! workers have disjoint rows by construction.
//! What was locked or had changed is passed over; one more pass at the end looks for it.

mod native;
mod queue;
mod settings;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use chrono::DateTime;
use futures_util::future::{join, join_all};

pub use settings::{NativeTtl, Settings};

use self::native::Seen;
use self::queue::{PAGE, Queue};
use super::persist::Step;
use super::shift::Shift;
use super::{Job, Place, Plan, Touches, Workplace};
use crate::metrics::Check;
use crate::model::{BackendKind, Table};
use crate::storage::{self, Cursor, Cutoff, Ends, Expired, Result, Segment, Store, Sweep};
use crate::throttle;
use crate::work::{Defect, Limits, Report, Severity, StopReason};

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
    /// What the rows show of their TTLs.
    ends: Mutex<Ends>,
}

impl Pass {
    fn saw(&self, ends: &Ends) {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).add(ends);
    }

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

    fn is_on_dynamodb(&self) -> bool {
        self.place.backend == BackendKind::Dynamodb
    }

    /// Whether it deletes here what has expired.
    fn sweeps(&self) -> bool {
        self.settings.sweep || !self.is_on_dynamodb()
    }

    /// Parts of the table that are read at the same time. PostgreSQL has one, along its index.
    fn segments(&self) -> u32 {
        if self.is_on_dynamodb() { u32::try_from(self.settings.segments.get()).unwrap_or(1) } else { 1 }
    }

    fn shift<'a>(&self, at: Workplace<'a>) -> Shift<'a> {
        let pace = (self.settings.batch_size.get(), self.settings.max_rows_per_second.get());
        Shift::new(NAME, at, &self.throttle, pace, &self.place)
    }

    /// Deletes what has expired. The report is filled in as it goes. Returns what the rows show of their
    /// TTLs.
    ///
    /// # Errors
    ///
    /// Those of the store that do not pass.
    pub async fn sweep(&self, store: &dyn Sweep, at: Workplace<'_>, report: &mut Report) -> Result<Ends> {
        // Until it is known better: a run that breaks off leaves work.
        report.more = true;
        let shift = self.shift(at);
        let mut ends = Ends::default();
        let Some(cutoff) = shift.cutoff(store, self.settings.grace.0, report).await? else { return Ok(ends) };
        let which = self.expired(cutoff.epoch, report);
        let first = Pass::default();
        let mut came_to_the_end = self.pass(store, &which, &shift, &first, report).await?;
        ends.add(&first.ends.into_inner().unwrap_or_else(PoisonError::into_inner));
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
        Ok(ends)
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
        let (reader, queue) = queue::pages(which, self.segments(), pass);
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

impl TtlCleanup {
    /// Whether DynamoDB deletes by itself what has expired, after it was told to where it is to be; and
    /// why it could not be. Nothing when the run was asked to stop.
    async fn native_ttl(
        &self,
        store: &dyn Store,
        shift: &Shift<'_>,
        report: &mut Report,
    ) -> Result<Option<(storage::NativeTtl, Option<String>)>> {
        let looked = async || -> Result<(storage::NativeTtl, Option<String>)> {
            let state = store.native_ttl().await?;
            if state != storage::NativeTtl::Off || self.settings.native_ttl != NativeTtl::Enable {
                return Ok((state, None));
            }
            match store.enable_native_ttl().await {
                Ok(_) => {
                    tracing::info!(
                        job.name = NAME,
                        "DynamoDB was told to expire attributes, which may take it an hour to begin"
                    );
                    Ok((store.native_ttl().await?, None))
                }
                Err(error) if error.kind.may_pass() => Err(error),
                // Without it everything else can be done.
                Err(error) => Ok((state, Some(error.chain()))),
            }
        };
        match shift.persist(looked).await? {
            Step::Done(seen) => Ok(Some(seen)),
            Step::GivenUp(trouble) => {
                (report.stopped, report.trouble, report.more) = (shift.stopped(), Some(trouble), true);
                Ok(None)
            }
        }
    }

    /// What some pages show of their rows' TTLs: the first, and others that `seed` chooses.
    async fn sample(&self, store: &dyn Sweep, seed: u128) -> Result<(Cutoff, Ends)> {
        /// So many pages of a megabyte at most.
        const PAGES: u32 = 4;
        /// The parts of a table that is larger than that.
        const PARTS: u32 = 1024;
        let cutoff = store.cutoff(self.settings.grace.0).await?;
        let which = Expired { cutoff: cutoff.epoch, buckets: Vec::new() };
        let mut ends = Ends::default();
        let mut segment = Segment::WHOLE;
        for page in 0..PAGES {
            let found = store.expired(&which, segment, &Cursor::default(), PAGE).await?;
            ends.add(&found.ends);
            if segment == Segment::WHOLE && found.next.is_none() {
                break;
            }
            let index = u32::try_from((seed >> (page * 10)) % u128::from(PARTS)).unwrap_or_default();
            segment = Segment { index, of: PARTS };
        }
        Ok((cutoff, ends))
    }

    /// What is wrong, by the store's clock as the report has it.
    fn defects(&self, seen: &Seen, report: &Report) -> Vec<Defect> {
        let grace = i64::try_from(self.settings.grace.0.as_secs()).unwrap_or(i64::MAX);
        let now = report.cutoff.map_or(i64::MIN, |cutoff| cutoff.timestamp().saturating_add(grace));
        native::defects(seen, self.settings.native_ttl, self.sweeps(), now)
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
        let checks = self.is_on_dynamodb() && self.settings.native_ttl != NativeTtl::Ignore;
        if !checks {
            return self.sweep(store, at, report).await.map(drop);
        }
        let shift = self.shift(at);
        let Some((state, refusal)) = self.native_ttl(store, &shift, report).await? else { return Ok(()) };
        let ends = if self.sweeps() {
            self.sweep(store, at, report).await?
        } else {
            match shift.persist(|| self.sample(store, at.lease.run.run_id.as_u128())).await? {
                Step::Done((cutoff, ends)) => {
                    report.cutoff = DateTime::from_timestamp(cutoff.epoch, 0);
                    report.examined = ends.examined;
                    ends
                }
                Step::GivenUp(trouble) => {
                    (report.stopped, report.trouble, report.more) = (shift.stopped(), Some(trouble), true);
                    return Ok(());
                }
            }
        };
        report.defects = self.defects(&Seen { state, refusal, ends }, report);
        for severity in Severity::ALL {
            let count = report.defects.iter().filter(|defect| defect.severity == severity).count() as u64;
            at.metrics.findings(at.backend, Check::NativeTtl, severity, Some(count));
        }
        for Defect { kind, what, remedy, .. } in &report.defects {
            tracing::warn!(job.name = NAME, finding = kind, remedy, "{what}");
        }
        Ok(())
    }

    async fn preview(&self, store: &dyn Store) -> Result<Report> {
        let mut report = Report { limits: self.limits(), ..Report::default() };
        let which = self.expired(store.cutoff(self.settings.grace.0).await?.epoch, &mut report);
        if self.is_on_dynamodb() && self.settings.native_ttl != NativeTtl::Ignore {
            let state = store.native_ttl().await?;
            // Always the same part of the table, as nobody knows of a dry run.
            let (_, ends) = self.sample(store, 0).await?;
            report.defects = self.defects(&Seen { state, refusal: None, ends }, &report);
        }
        let buckets = if self.sweeps() { store.count_expired(&which).await? } else { Default::default() };
        report.examined = buckets.values().sum();
        report.more = report.examined > 0;
        report.buckets = Some(buckets);
        Ok(report)
    }
}
