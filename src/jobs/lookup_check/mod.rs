//! Holds the reverse look-up table against the properties, both ways.
//!
//! An application writes a property and its entries one after the other, so nothing counts that is not
//! the same a moment later. What a repair changes is judged once more in the transaction that changes
//! it.

mod check;
mod entries;
mod properties;
mod settings;
mod verdict;

use async_trait::async_trait;

pub use settings::Settings;

use self::check::Check;
use super::pace::{Halt, Pace, conclude, looked};
use super::shift::Shift;
use super::{Job, Place, Plan, Touches, Workplace, findings};
use crate::metrics;
use crate::model::{BackendKind, Table};
use crate::storage::{Result, Store};
use crate::throttle;
use crate::work::{Findings, Limits, Report};

/// The job's name.
pub const NAME: &str = "lookup_check";

/// Why entries are deleted.
const STALE: &str = "stale";

/// What is shown of the findings, by their kinds.
pub(super) const CHECKS: &[(metrics::Check, Option<&[&str]>)] = &[
    (metrics::Check::LookupMissing, Some(&[verdict::Kind::Missing.name()])),
    (metrics::Check::LookupStale, Some(&[verdict::Kind::Stale.name()])),
    (metrics::Check::LookupCollision, Some(&[verdict::Kind::Collision.name()])),
    (metrics::Check::LookupImpossible, Some(&[verdict::Kind::TooLong.name(), verdict::Kind::NoActor.name()])),
];

/// The job.
#[derive(Debug)]
pub struct LookupCheck {
    settings: Settings,
    throttle: throttle::Settings,
    place: Place,
}

impl LookupCheck {
    /// The job as `settings` want it, at the pace of `throttle`, on one of the deployment's backends.
    pub fn new(settings: Settings, throttle: throttle::Settings, place: Place) -> Self {
        Self { settings, throttle, place }
    }

    async fn check(
        &self,
        store: &dyn Store,
        pace: Pace<'_>,
        repairing: Option<&Shift<'_>>,
        report: &mut Report,
    ) -> Result<(), Halt> {
        let Some(indexing) = pace.persist(|| store.looked_up()).await? else {
            let note = "the look-up table is not used (storage.property_lookup, storage.indexed_properties), or the \
                        application's schema has none yet: there is nothing to check";
            tracing::info!(job.name = NAME, backend = %self.place.backend, "{note}");
            report.more = false;
            report.findings = Some(Findings { note: Some(note.to_owned()), ..Findings::default() });
            return Ok(());
        };
        let check = Check {
            backend: self.place.backend,
            store,
            pace,
            repairing,
            indexing,
            limit: u32::try_from(self.settings.batch_size.get()).unwrap_or(u32::MAX),
            findings: Findings::default(),
        };
        check.run(report).await
    }
}

#[async_trait]
impl Job for LookupCheck {
    fn name(&self) -> &'static str {
        NAME
    }

    fn backend(&self) -> BackendKind {
        self.place.backend
    }

    fn touches(&self) -> &'static [Touches] {
        &[
            Touches { table: Table::PropertyLookup, reasons: &[STALE] },
            Touches { table: Table::Properties, reasons: &[] },
        ]
    }

    fn plan(&self) -> Plan {
        self.settings.plan()
    }

    fn limits(&self) -> Limits {
        self.settings.limits()
    }

    async fn run(&self, store: &dyn Store, at: Workplace<'_>, report: &mut Report) -> Result<()> {
        report.more = true;
        let pace = (self.settings.batch_size.get(), self.settings.max_rows_per_second.get());
        let shift = Shift::new(NAME, at, &self.throttle, pace, &self.place);
        let repairing = self.settings.repair.then_some(&shift);
        let ended = self.check(store, Pace::of(&shift), repairing, report).await;
        conclude(ended, &shift, report)?;
        if let Some(found) = &report.findings {
            findings::show(at.metrics, at.backend, NAME, found);
        }
        Ok(())
    }

    /// A check without repair.
    async fn preview(&self, store: &dyn Store) -> Result<Report> {
        let mut report = Report { limits: self.limits(), ..Report::default() };
        looked(self.check(store, Pace::free(), None, &mut report).await)?;
        Ok(report)
    }
}
