//! What the jobs about backups share: their desk, the steps they take at it, and what the end of one means.

use std::time::Instant;

use crate::archive;
use crate::backup::{self, Desk, Manifest, Shelf, State, Workshop};
use crate::jobs::Workplace;
use crate::model::BackendKind;
use crate::storage::{self, Error, ErrorKind, Renewal, Store};
use crate::throttle::Budget;
use crate::work::{Backups, Defect, Drilled, Report, StopReason};

/// A run at its desk. What it learns is in [`Session::told`], however the run ends.
pub(in crate::jobs) struct Session<'a> {
    pub(in crate::jobs) shop: &'a Workshop,
    pub(in crate::jobs) store: &'a dyn Store,
    pub(in crate::jobs) at: Workplace<'a>,
    /// What may be used of the store together with other jobs, where it bills.
    pub(in crate::jobs) budget: &'a Budget,
    pub(in crate::jobs) told: Backups,
    /// What is wrong with how the deployment is set up.
    pub(in crate::jobs) defects: Vec<Defect>,
}

/// Why a run did not come to its end.
#[derive(Debug)]
pub(in crate::jobs) enum Halt {
    /// It failed.
    Failed(Error),
    /// It failed because it was not done by its deadline.
    Late(Error),
    /// It was asked to stop.
    Stopped(StopReason),
}

impl<'a> Session<'a> {
    pub(in crate::jobs) fn new(
        shop: &'a Workshop,
        store: &'a dyn Store,
        at: Workplace<'a>,
        budget: &'a Budget,
    ) -> Self {
        Self { shop, store, at, budget, told: Backups::default(), defects: Vec::new() }
    }

    /// What the rooms below are given.
    pub(in crate::jobs) fn desk(&self) -> Desk<'a> {
        Desk { shop: self.shop, stop: self.at.stop, progress: self.at.progress, budget: self.budget }
    }

    /// The sets of the deployment, if this is the host to work on them.
    pub(in crate::jobs) async fn shelf(&self, op: &'static str) -> Result<Shelf, Halt> {
        here(self.shop).map_err(|error| self.halt(op, error))?;
        shelf(self.shop, self.store).await.map_err(|error| self.halt(op, error))
    }

    /// Takes a step and notes how long it took.
    pub(in crate::jobs) async fn step<T>(
        &mut self,
        name: &str,
        op: &'static str,
        step: impl Future<Output = backup::Result<T>>,
    ) -> Result<T, Halt> {
        let begun = Instant::now();
        let done = step.await;
        *self.told.seconds.entry(name.to_owned()).or_default() += begun.elapsed().as_secs_f64();
        done.map_err(|error| self.halt(op, error))
    }

    /// Notes what a set is.
    pub(in crate::jobs) fn tell_set(&mut self, manifest: &Manifest) {
        self.told.set = Some(manifest.set.to_string());
        self.told.form = Some(manifest.form.to_string());
        self.told.bytes = Some(manifest.size());
        self.told.files = Some(manifest.files.len() as u64);
        self.told.rows = manifest.rows();
    }

    /// Notes how far a set is proven. One that is damaged is a failure.
    pub(in crate::jobs) fn tell_state(&mut self, op: &'static str, state: &State) -> Result<(), Halt> {
        self.told.level = Some(state.level().name().to_owned());
        let Some(damage) = &state.damage else { return Ok(()) };
        self.told.damage = Some(damage.what.clone());
        let error = backup::Error::Damaged { set: state.set.to_string(), what: damage.what.clone() };
        Err(self.halt(op, error))
    }

    /// Notes how a set was restored.
    pub(in crate::jobs) fn tell_drill(&mut self, state: &State) {
        self.told.drill = state.drill.as_ref().map(|drill| Drilled {
            restore_seconds: drill.restore_seconds,
            data_age_seconds: drill.data_age_seconds,
            rows: drill.rows,
            compared: drill.compared,
            note: drill.note.clone(),
        });
    }

    /// Asks the store whether the lease is still ours: what follows cannot be undone.
    pub(in crate::jobs) async fn still_ours(&self) -> backup::Result<()> {
        match self.store.renew(self.at.lease, self.at.ttl).await? {
            Renewal::Kept | Renewal::Paused => Ok(()),
            Renewal::Lost => Err(backup::Error::Store(Error {
                backend: self.at.backend,
                op: "keep the lease",
                kind: ErrorKind::Fenced,
                source: "somebody has taken over".into(),
            })),
        }
    }

    /// What the failure of a step means for the run. Whoever asked it to stop knows better than the step why it did
    /// not come to its end; but a backup that is not done in time has failed.
    fn halt(&self, op: &'static str, error: backup::Error) -> Halt {
        let backend = self.at.backend;
        match (error, self.at.stop.requested()) {
            (backup::Error::Stopped, Some(StopReason::Deadline)) => Halt::Late(Error {
                backend,
                op,
                kind: ErrorKind::Timeout,
                source: "the deadline has passed, so it was ended; what it had made is removed".into(),
            }),
            (backup::Error::Stopped, reason) => Halt::Stopped(reason.unwrap_or(StopReason::Shutdown)),
            (error, _) => Halt::Failed(failed(backend, op, error)),
        }
    }

    /// Writes what is known into the report, and says how the run ended.
    pub(in crate::jobs) fn conclude(self, ended: Result<(), Halt>, report: &mut Report) -> storage::Result<()> {
        report.examined = self.told.rows.unwrap_or_default();
        report.backups = Some(Box::new(self.told));
        report.defects = self.defects;
        report.more = ended.is_err();
        match ended {
            Ok(()) => Ok(()),
            Err(Halt::Failed(error)) => Err(error),
            Err(Halt::Late(error)) => {
                report.stopped = Some(StopReason::Deadline);
                Err(error)
            }
            Err(Halt::Stopped(reason)) => {
                report.stopped = Some(reason);
                Ok(())
            }
        }
    }
}

/// The sets of the deployment in `store`. One that is not where it was first seen may be a copy, which must not touch
/// the sets of the original.
pub(in crate::jobs) async fn shelf(shop: &Workshop, store: &dyn Store) -> backup::Result<Shelf> {
    let identity = store.identity().await?;
    match identity.refusal(&store.home().await?) {
        Some(why) => Err(backup::Error::Refused(why)),
        None => shop.shelf(&identity),
    }
}

/// Refuses to work on a host that is not the one that the configuration names.
pub(in crate::jobs) fn here(shop: &Workshop) -> backup::Result<()> {
    match shop.settings.elsewhere(&shop.host) {
        None => Ok(()),
        Some(node) => Err(backup::Error::Refused(format!(
            "backups are made on {node} (backup.node), and this is {}: do it there",
            shop.host
        ))),
    }
}

/// An error about backups as one of the store's, which is what runs end with.
pub(in crate::jobs) fn failed(backend: BackendKind, op: &'static str, error: backup::Error) -> Error {
    let kind = match error {
        backup::Error::Store(error) => return error,
        backup::Error::Place(ref error) => match error.kind {
            archive::ErrorKind::Unreachable => ErrorKind::Unavailable,
            archive::ErrorKind::Denied => ErrorKind::Denied,
            archive::ErrorKind::Full => ErrorKind::Limit,
            archive::ErrorKind::NotFound | archive::ErrorKind::Damaged | archive::ErrorKind::Other => ErrorKind::Other,
        },
        backup::Error::Stopped
        | backup::Error::Refused(_)
        | backup::Error::Failed { .. }
        | backup::Error::Damaged { .. } => ErrorKind::Other,
    };
    Error { backend, op, kind, source: error.into() }
}
