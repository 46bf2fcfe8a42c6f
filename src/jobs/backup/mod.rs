//! Makes a backup, verifies it, and removes the ones that nobody wants any more.
//!
//! A run is not in batches: it is whole or it has failed. What it had made by then is removed, at once or by
//! the next one.

pub(super) mod session;
mod settings;

use std::sync::Arc;

use async_trait::async_trait;
use chrono_tz::Tz;

pub use settings::Settings;

use self::session::{Halt, Session, failed, here, shelf};
use super::{Job, Plan, Touches, Workplace};
use crate::archive::Place;
use crate::backup::{self, Pruned, Shelf, Workshop, dynamodb};
use crate::jobs;
use crate::model::BackendKind;
use crate::storage::{Concrete, Result, Store};
use crate::work::{Backups, Defect, Limits, Progress, Pruning, Report};

/// The job's name.
pub const NAME: &str = "backup";

const CREATE: &str = "take the backup";
const VERIFY: &str = "verify the backup";
const PRUNE: &str = "remove old backups";

/// The job.
#[derive(Debug)]
pub struct BackupJob {
    settings: Settings,
    shop: Arc<Workshop>,
    zone: Tz,
    at: jobs::Place,
    task: Task,
}

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    /// To make a backup, with what belongs to that.
    Create,
    /// Only to remove old ones.
    Prune,
}

impl BackupJob {
    /// The job as `settings` want it, on one of the deployment's backends.
    pub fn new(settings: Settings, shop: Arc<Workshop>, zone: Tz, at: jobs::Place) -> Self {
        Self { settings, shop, zone, at, task: Task::Create }
    }

    /// The same, which makes none and only removes old ones. It has the job's name, and with it its lease.
    #[must_use]
    pub fn only_pruning(self) -> Self {
        Self { task: Task::Prune, ..self }
    }

    /// What becomes of each set, on the deployment in `store`: of one that a run would not touch, nothing is said.
    ///
    /// # Errors
    ///
    /// When it is not for this host or this deployment to remove sets, or the place does not answer.
    pub async fn decide(&self, store: &dyn Store) -> Result<Pruned> {
        let planned = async {
            here(&self.shop)?;
            backup::plan(&shelf(&self.shop, store).await?, self.zone).await
        };
        planned.await.map_err(|error| failed(self.at.backend, PRUNE, error))
    }

    async fn work(&self, session: &mut Session<'_>) -> Result<(), Halt> {
        let op = if self.task == Task::Create { CREATE } else { PRUNE };
        let shelf = session.shelf(op).await?;
        if self.task == Task::Prune {
            return self.prune(session, &shelf).await;
        }
        let is_kept = self.shop.settings.retention.enabled;
        if is_kept {
            // Before as well, so that there is space. A clock that was distrusted then is not trusted afterwards
            // because of the very set that it has dated.
            self.prune(session, &shelf).await?;
        }
        self.create(session, &shelf).await?;
        let is_trusted = session.told.pruning.as_ref().is_none_or(|pruning| pruning.note.is_none());
        if is_kept && is_trusted {
            self.prune(session, &shelf).await?;
        }
        Ok(())
    }

    async fn create(&self, session: &mut Session<'_>, shelf: &Shelf) -> Result<(), Halt> {
        let (desk, store, run) = (session.desk(), session.store, session.at.lease.run.run_id);
        session.step("find", CREATE, self.is_ours(store, shelf)).await?;
        if let Concrete::Dynamodb(store) = store.concrete()
            && let Some(defects) = session.step("check", CREATE, dynamodb::heed(desk, store)).await?
        {
            session.told.recovery_findings = Some(defects.len() as u64);
            session.defects = defects;
            for Defect { kind, what, remedy, .. } in &session.defects {
                tracing::warn!(job.name = NAME, finding = kind, remedy, "{what}");
            }
        }
        let manifest = session.step("create", CREATE, backup::create(desk, store, run)).await?;
        session.tell_set(&manifest);
        session.told.level = Some(backup::Level::Taken.name().to_owned());
        // The run's own progress is in rows.
        let bytes = Progress::new();
        let verified = backup::verify(desk.counting(&bytes), shelf, &manifest.set);
        let state = session.step("verify", VERIFY, verified).await?;
        session.tell_state(VERIFY, &state)
    }

    async fn prune(&self, session: &mut Session<'_>, shelf: &Shelf) -> Result<(), Halt> {
        let (desk, store, zone) = (session.desk(), session.store, self.zone);
        let before = session.told.pruning.take();
        let fence = Session::new(session.shop, store, session.at, session.budget);
        let pruned = session.step("prune", PRUNE, backup::prune(desk, store, shelf, zone, || fence.still_ours())).await;
        let pruned = pruned.inspect_err(|_| session.told.pruning.clone_from(&before))?;
        session.told.pruning = Some(both(before, &pruned));
        Ok(())
    }

    /// Refuses a directory in which the last backup of another host is not: it is not the one that the other
    /// host writes to.
    async fn is_ours(&self, store: &dyn Store, shelf: &Shelf) -> backup::Result<()> {
        let settings = &self.shop.settings;
        if settings.node.is_some() || !matches!(settings.r#where, Some(Place::Directory(_))) {
            return Ok(());
        }
        let Some(last) = store.last_success(NAME).await? else { return Ok(()) };
        let host = last.holder.rsplit_once('/').map_or(last.holder.as_str(), |(host, _)| host);
        let Some(set) = last.report.backups.as_ref().and_then(|backups| backups.set.clone()) else { return Ok(()) };
        let is_there = shelf.entries().await?.iter().any(|entry| entry.set.as_str() == set);
        if host == self.shop.host || is_there {
            return Ok(());
        }
        Err(backup::Error::Refused(format!(
            "{} has not the set {set}, which {host} took last, so it is a directory that the two do not share: write a \
             bucket or a shared directory as backup.where, or name the host that makes backups with backup.node",
            shelf.depot().describe()
        )))
    }
}

/// What pruning came to before and after, as one.
fn both(before: Option<Pruning>, after: &Pruned) -> Pruning {
    let mut pruning = before.unwrap_or_default();
    pruning.kept = after.decisions.iter().filter(|decision| !decision.removed).count() as u64;
    for decision in after.removed() {
        if pruning.removed.len() < Pruning::MOST {
            let why = decision.reasons.first().map(ToString::to_string).unwrap_or_default();
            pruning.removed.insert(decision.set.to_string(), why);
        }
    }
    pruning.note = pruning.note.or_else(|| after.note.clone());
    pruning
}

#[async_trait]
impl Job for BackupJob {
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

    /// What would be removed now.
    async fn preview(&self, store: &dyn Store) -> Result<Report> {
        let backups = Backups { pruning: Some(both(None, &self.decide(store).await?)), ..Backups::default() };
        Ok(Report { backups: Some(Box::new(backups)), limits: self.limits(), ..Report::default() })
    }
}
