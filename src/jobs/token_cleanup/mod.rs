//! Deletes sessions, tokens and codes that carry their end in their data and have no TTL, and index
//! entries whose target is gone: what the library leaves to an operator, by functions that it never calls
//! itself.
//!
//! The table is walked once along its key. What may go is decided by the rows alone (`rules.rs`); each
//! goes only if it is unchanged since it was read, an index entry only while nothing is where it points.

mod rules;
mod settings;
mod sorted;
mod walk;

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;
use chrono::DateTime;
use futures_util::future::join_all;

pub use settings::Settings;

use self::rules::{Lines, wanted};
use self::sorted::Sorted;
use self::walk::Walk;
use super::shift::Shift;
use super::{Job, Place, Plan, Touches, Workplace};
use crate::model::{BackendKind, Table};
use crate::storage::{self, BucketWalk, Cutoff, Located, Removals, Result, Segment, Store, Sweep};
use crate::throttle;
use crate::work::{Limits, Report};

/// The job's name.
pub const NAME: &str = "token_cleanup";

const TABLE: Table = Table::Attributes;

/// Why rows leave it: their end has passed.
const EXPIRED: &str = "expired";

/// An index entry points at nothing.
const ORPHAN: &str = "orphan";

/// Rows that are looked at in one go.
const PAGE: u32 = 2_000;

/// The job.
#[derive(Debug)]
pub struct TokenCleanup {
    settings: Settings,
    throttle: throttle::Settings,
    place: Place,
}

/// What of a store the job needs.
#[derive(Clone, Copy)]
pub struct Tools<'a> {
    /// Tells the time.
    pub clock: &'a dyn Sweep,
    /// Reads.
    pub rows: &'a dyn BucketWalk,
    /// Deletes.
    pub removals: &'a dyn Removals,
}

impl TokenCleanup {
    /// The job as `settings` want it, at the pace of `throttle`, on one of the deployment's backends.
    pub fn new(settings: Settings, throttle: throttle::Settings, place: Place) -> Self {
        Self { settings, throttle, place }
    }

    /// The parts of the table that are walked at the same time. PostgreSQL has one, along its index.
    fn segments(&self) -> impl Iterator<Item = Segment> + use<> {
        let of = match self.place.backend {
            BackendKind::Postgresql => 1,
            BackendKind::Dynamodb => u32::try_from(self.settings.segments.get()).unwrap_or(1),
        };
        (0..of).map(move |index| Segment { index, of })
    }

    /// Deletes what may go. The report is filled in as it goes.
    ///
    /// # Errors
    ///
    /// Those of the store that do not pass.
    pub async fn clean(&self, tools: Tools<'_>, at: Workplace<'_>, report: &mut Report) -> Result<()> {
        // Until it is known better: a run that breaks off leaves work.
        report.more = true;
        let pace = (self.settings.batch_size.get(), self.settings.max_rows_per_second.get());
        let shift = Shift::new(NAME, at, &self.throttle, pace, &self.place);
        let Some(cutoff) = shift.cutoff(tools.clock, self.settings.grace.0, report).await? else { return Ok(()) };
        let lines = lines(&cutoff, report);
        let came_to_the_end = self.walk(tools, &shift, lines, report).await;
        if !matches!(came_to_the_end, Ok(true)) {
            (report.stopped, report.more) = (shift.stopped(), true);
        }
        came_to_the_end.map(|_| ())
    }

    async fn walk(&self, tools: Tools<'_>, shift: &Shift<'_>, lines: Lines, report: &mut Report) -> Result<bool> {
        let walk = Walk::new(tools, shift, lines);
        // All of them are waited for, even if one fails: each may be in the middle of a batch.
        let walked = join_all(self.segments().map(|segment| walk.segment(segment))).await;
        let walked: Result<Vec<bool>> = walked.into_iter().collect();
        let came_to_the_end = match walked {
            Ok(ends) if ends.iter().all(|end| *end) => walk.again().await,
            ends => ends.map(|_| false),
        };
        let tally = walk.tally();
        report.examined = tally.examined;
        report.deleted = tally.deleted.values().sum();
        report.skipped = tally.skipped;
        report.batches = tally.batches;
        report.reasons = named(tally.deleted);
        report.passed_over = named(tally.left);
        report.waited = shift.waited();
        report.trouble = tally.trouble;
        report.more = tally.more;
        came_to_the_end
    }
}

/// The same counts, as a report has them.
fn named(counts: BTreeMap<&'static str, u64>) -> BTreeMap<String, u64> {
    counts.into_iter().filter(|(_, rows)| *rows > 0).map(|(why, rows)| (why.to_owned(), rows)).collect()
}

/// Where a store draws the lines.
fn lines(cutoff: &Cutoff, report: &mut Report) -> Lines {
    report.cutoff = DateTime::from_timestamp(cutoff.epoch, 0);
    Lines { ended: cutoff.epoch, now: cutoff.now.timestamp() }
}

#[async_trait]
impl Job for TokenCleanup {
    fn name(&self) -> &'static str {
        NAME
    }

    fn backend(&self) -> BackendKind {
        self.place.backend
    }

    fn touches(&self) -> &'static [Touches] {
        &[Touches { table: TABLE, reasons: &[EXPIRED, ORPHAN] }]
    }

    fn plan(&self) -> Plan {
        self.settings.plan()
    }

    fn limits(&self) -> Limits {
        self.settings.limits()
    }

    async fn run(&self, store: &dyn Store, at: Workplace<'_>, report: &mut Report) -> Result<()> {
        self.clean(Tools { clock: store, rows: store, removals: store }, at, report).await
    }

    async fn preview(&self, store: &dyn Store) -> Result<Report> {
        let mut report = Report { limits: self.limits(), ..Report::default() };
        let lines = lines(&store.cutoff(self.settings.grace.0).await?, &mut report);
        let (mut buckets, mut left) = (BTreeMap::<String, u64>::new(), BTreeMap::new());
        let (wanted, mut counted) = (wanted(), HashSet::new());
        let mut next = Some(storage::Place::default());
        while let Some(place) = next {
            let found = store.walk(&wanted, Segment::WHOLE, &place, PAGE).await?;
            report.examined += found.examined;
            let mut sorted = Sorted::of(found.records, lines);
            let targets = sorted.targets();
            let located = if targets.is_empty() { Located::default() } else { store.locate(&targets).await? };
            sorted.settle(located, lines);
            let places = sorted.provider_places();
            let located = if places.is_empty() { Located::default() } else { store.locate(&places).await? };
            sorted.add_providers(&places, located);
            for bucket in sorted.buckets(&mut counted) {
                *buckets.entry(bucket).or_default() += 1;
            }
            for (why, rows) in sorted.left {
                *left.entry(why).or_default() += rows;
            }
            next = found.next;
        }
        report.passed_over = named(left);
        report.more = !buckets.is_empty();
        report.buckets = Some(buckets);
        Ok(report)
    }
}
