//! Finds rows of actors that do not exist.
//!
//! Rows come first: only the actor of a row that has been read is asked for, so an actor that is made
//! meanwhile is there when it is asked for. What seems to have none is looked at again at the end, row
//! and actor at one and the same instant, so that one that is being deleted is none either.

mod deletion;
mod list;
mod scan;
mod settings;
mod verdict;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::sync::mpsc::Sender;

pub use deletion::OrphanDeletion;
pub use list::{Header, Malformed, Orphan, read};
pub use settings::Settings;

use self::scan::Scan;
use self::verdict::Known;
use super::pace::{Pace, conclude, looked};
use super::shift::Shift;
use super::{Job, Place, Plan, Touches, Workplace, findings};
use crate::model::{BackendKind, Table};
use crate::storage::{Result, Store};
use crate::throttle;
use crate::work::{Findings, Limits, Report};

/// The job's name.
pub const NAME: &str = "orphan_scan";

/// Why rows are deleted by [`OrphanDeletion`].
const ORPHAN: &str = "orphan";

const TOUCHES: &[Touches] = &{
    let mut touches = [Touches { table: Table::Properties, reasons: &[ORPHAN] }; scan::TABLES.len()];
    let mut index = 0;
    while index < touches.len() {
        touches[index].table = scan::TABLES[index];
        index += 1;
    }
    touches
};

/// The job.
#[derive(Debug)]
pub struct OrphanScan {
    settings: Settings,
    throttle: throttle::Settings,
    place: Place,
    sink: Option<Sender<Orphan>>,
}

impl OrphanScan {
    /// The job as `settings` want it, at the pace of `throttle`, on one of the deployment's backends.
    pub fn new(settings: Settings, throttle: throttle::Settings, place: Place) -> Self {
        Self { settings, throttle, place, sink: None }
    }

    /// The same, handing every orphan on; its report has only the first of them.
    #[must_use]
    pub fn listing(self, sink: Sender<Orphan>) -> Self {
        Self { sink: Some(sink), ..self }
    }

    fn scan<'a>(&'a self, store: &'a dyn Store, pace: Pace<'a>, now: DateTime<Utc>) -> Scan<'a> {
        Scan {
            backend: self.place.backend,
            store,
            settings: &self.settings,
            pace,
            now,
            sink: self.sink.as_ref(),
            known: Known::default(),
            candidates: std::collections::BTreeMap::new(),
            findings: Findings::default(),
        }
    }
}

#[async_trait]
impl Job for OrphanScan {
    fn name(&self) -> &'static str {
        NAME
    }

    fn backend(&self) -> BackendKind {
        self.place.backend
    }

    fn touches(&self) -> &'static [Touches] {
        TOUCHES
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
        let Some(cutoff) = shift.cutoff(store, std::time::Duration::ZERO, report).await? else { return Ok(()) };
        let ended = self.scan(store, Pace::of(&shift), cutoff.now).run(report).await;
        conclude(ended, &shift, report)?;
        if let Some(found) = &report.findings {
            findings::show(at.metrics, at.backend, NAME, found);
        }
        Ok(())
    }

    /// A scan, as it changes nothing.
    async fn preview(&self, store: &dyn Store) -> Result<Report> {
        let mut report = Report { limits: self.limits(), ..Report::default() };
        let cutoff = store.cutoff(std::time::Duration::ZERO).await?;
        looked(self.scan(store, Pace::free(), cutoff.now).run(&mut report).await)?;
        Ok(report)
    }
}
