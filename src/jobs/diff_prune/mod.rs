//! Deletes the changes of subscriptions that nobody will fetch any more.

mod settings;

use async_trait::async_trait;

pub use settings::Settings;

use super::persist::Step;
use super::shift::Shift;
use super::{Job, Place, Plan, Touches, Workplace};
use crate::model::{BackendKind, Table};
use crate::storage::{Result, Store};
use crate::throttle;
use crate::work::{Limits, Report};

/// The job's name.
pub const NAME: &str = "diff_prune";

/// The job.
#[derive(Debug)]
pub struct DiffPrune {
    settings: Settings,
    throttle: throttle::Settings,
    place: Place,
}

impl DiffPrune {
    /// The job as `settings` want it, at the pace of `throttle`, on one of the deployment's backends.
    pub fn new(settings: Settings, throttle: throttle::Settings, place: Place) -> Self {
        Self { settings, throttle, place }
    }
}

#[async_trait]
impl Job for DiffPrune {
    fn name(&self) -> &'static str {
        NAME
    }

    fn backend(&self) -> BackendKind {
        self.place.backend
    }

    fn touches(&self) -> &'static [Touches] {
        &[Touches { table: Table::SubscriptionDiffs, reasons: &["aged", "confirmed", "orphan"] }]
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
        let _cutoff = match shift.cutoff(store, std::time::Duration::ZERO).await? {
            Step::Done(cutoff) => cutoff,
            Step::GivenUp(trouble) => {
                (report.stopped, report.trouble) = (shift.stopped(), Some(trouble));
                return Ok(());
            }
        };
        report.more = false;
        Ok(())
    }

    async fn preview(&self, _store: &dyn Store) -> Result<Report> {
        Ok(Report { limits: self.limits(), ..Report::default() })
    }
}
