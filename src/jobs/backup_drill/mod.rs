//! Proves a backup by restoring it.

mod settings;

use std::sync::Arc;

use async_trait::async_trait;

pub use settings::Settings;

use super::backup::session::{Halt, Session, failed, shelf};
use super::{Job, Place, Plan, Touches, Workplace};
use crate::backup::{self, Entry, Level, SetId, Shelf, Workshop};
use crate::model::BackendKind;
use crate::storage::{Result, Store};
use crate::work::{Backups, Limits, Report};

/// The job's name.
pub const NAME: &str = "backup_drill";

const DRILL: &str = "drill a backup";

/// The job.
#[derive(Debug)]
pub struct DrillJob {
    settings: Settings,
    shop: Arc<Workshop>,
    at: Place,
    /// The set that is wanted; none for whichever needs it most.
    set: Option<SetId>,
}

impl DrillJob {
    /// The job as `settings` want it, on one of the deployment's backends.
    pub fn new(settings: Settings, shop: Arc<Workshop>, at: Place) -> Self {
        Self { settings, shop, at, set: None }
    }

    /// The same for one set.
    #[must_use]
    pub fn of(self, set: SetId) -> Self {
        Self { set: Some(set), ..self }
    }

    async fn work(&self, session: &mut Session<'_>) -> Result<(), Halt> {
        let (desk, shelf) = (session.desk(), session.shelf(DRILL).await?);
        let entry = session.step("find", DRILL, self.chosen(&shelf)).await?;
        let Some(entry) = entry else {
            session.told.note = Some("there is no verified set to drill".to_owned());
            return Ok(());
        };
        if let Ok(manifest) = &entry.manifest {
            session.tell_set(manifest);
        }
        let state = session.step("drill", DRILL, backup::drill(desk, &shelf, &entry.set)).await?;
        session.tell_drill(&state);
        session.tell_state(DRILL, &state)
    }

    async fn chosen(&self, shelf: &Shelf) -> backup::Result<Option<Entry>> {
        let entries = shelf.entries().await?;
        let Some(wanted) = &self.set else { return Ok(next(entries)) };
        let Some(entry) = entries.into_iter().find(|entry| entry.set == *wanted) else {
            let place = shelf.depot().describe();
            return Err(backup::Error::Refused(format!(
                "there is no set {wanted} in {place}: `backup list` shows them"
            )));
        };
        match &entry.manifest {
            Err(why) => Err(backup::Error::Damaged { set: wanted.to_string(), what: why.clone() }),
            Ok(_) => Ok(Some(entry)),
        }
    }
}

/// The set that needs a drill most: the newest that is verified and was never drilled,
/// else the one whose drill is the longest ago.
fn next(entries: Vec<Entry>) -> Option<Entry> {
    let proven = entries.into_iter().filter(|entry| entry.manifest.is_ok() && entry.state.level() >= Level::Verified);
    let (drilled, verified): (Vec<Entry>, Vec<Entry>) = proven.partition(|entry| entry.state.level() == Level::Drilled);
    let newest = verified.into_iter().max_by(|one, other| one.set.cmp(&other.set));
    newest.or_else(|| {
        let drilled_at = |entry: &Entry| entry.state.drill.as_ref().map(|drill| drill.at);
        drilled.into_iter().min_by_key(drilled_at)
    })
}

#[async_trait]
impl Job for DrillJob {
    fn name(&self) -> &'static str {
        NAME
    }

    fn backend(&self) -> BackendKind {
        self.at.backend
    }

    fn touches(&self) -> &'static [Touches] {
        &[]
    }

    fn plan(&self) -> Plan {
        self.settings.plan().only_on(self.shop.settings.elsewhere(&self.shop.host))
    }

    fn limits(&self) -> Limits {
        self.settings.limits()
    }

    async fn run(&self, store: &dyn Store, at: Workplace<'_>, report: &mut Report) -> Result<()> {
        let mut session = Session::new(&self.shop, store, at, &self.at.budget);
        let ended = self.work(&mut session).await;
        session.conclude(ended, report)
    }

    /// Which set it would be.
    async fn preview(&self, store: &dyn Store) -> Result<Report> {
        let chosen = async { self.chosen(&shelf(&self.shop, store).await?).await };
        let chosen = chosen.await.map_err(|error| failed(self.at.backend, DRILL, error))?;
        let mut told = Backups::default();
        match chosen {
            Some(entry) => told.set = Some(entry.set.to_string()),
            None => told.note = Some("there is no verified set to drill".to_owned()),
        }
        Ok(Report { backups: Some(Box::new(told)), limits: self.limits(), ..Report::default() })
    }
}
