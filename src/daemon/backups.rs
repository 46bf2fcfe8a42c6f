//! Looks at the backups from time to time, so that the page and the metrics can answer from memory.
//!
//! What there is lies in a place of its own, which may be slow, or gone, while the stores are well. So this is no part
//! of the watch over a store, and nobody waits for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch::Receiver;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

use crate::backup::{Error, Form, Kind, Ledger, Pitr, Workshop};
use crate::jobs::{backup, backup_drill};
use crate::metrics::{BackupsSeen, Check, Severity};
use crate::model::{BackendKind, clock};
use crate::runner::{BackupStatus, Runner, Status, place_of};
use crate::storage::{Identity, Store};
use crate::work::Stop;

/// Between two looks, when no run gives a reason for one.
const LOOKING: Duration = Duration::from_secs(5 * 60);

/// Between two questions whether there is a reason.
const ASKING: Duration = Duration::from_secs(5);

/// How long a place may take to answer before it is told that it does not.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs that are looked through for the newest that asked about point-in-time recovery: those that only remove sets
/// do not.
const RECENT: u32 = 20;

/// Who looks at the backups of one store.
#[derive(Debug)]
pub(super) struct Looker {
    runner: Arc<Runner>,
    shop: Receiver<Arc<Workshop>>,
    /// Who the deployment is, once that is known.
    identity: Option<Identity>,
    /// A look that takes its time: there is never more than one, whatever the place does.
    going_on: Option<JoinHandle<Result<(Identity, Ledger), Error>>>,
}

impl Looker {
    /// Looks at the backups of what `runner` works on, by what `shop` says.
    pub(super) fn new(runner: Arc<Runner>, shop: Receiver<Arc<Workshop>>) -> Self {
        Self { runner, shop, identity: None, going_on: None }
    }

    /// Looks until it is asked to stop.
    pub(super) async fn look(mut self, stop: &Stop) {
        let mut looked: Option<(Instant, Vec<Uuid>)> = None;
        while stop.requested().is_none() {
            let is_other = self.shop.has_changed().unwrap_or_default();
            let ended = self.ended_runs();
            let is_due = looked.as_ref().is_none_or(|(at, seen)| at.elapsed() >= LOOKING || *seen != ended);
            if let Some(task) = self.going_on.take_if(|_| is_other) {
                // It looks at another place than the one that counts now.
                task.abort();
            }
            if (is_other || is_due) && self.once(stop).await {
                looked = Some((Instant::now(), ended));
            }
            stop.sleep(ASKING).await;
        }
        if let Some(task) = self.going_on {
            task.abort();
        }
    }

    /// The newest runs that may have changed what there is.
    fn ended_runs(&self) -> Vec<Uuid> {
        let jobs = self.runner.board.snapshot().jobs.into_iter();
        let is_about = |job: &&'static str| [backup::NAME, backup_drill::NAME].contains(job);
        jobs.filter(|shown| shown.backend == self.runner.backend && is_about(&shown.job))
            .filter_map(|shown| Some(shown.last_run?.run_id))
            .collect()
    }

    /// Looks once. Returns whether it was worth it: while the store does not say who it is, it is not.
    async fn once(&mut self, stop: &Stop) -> bool {
        let shop = Arc::clone(&self.shop.borrow_and_update());
        // A directory of another host is not to be seen from here, and that host tells what is in it.
        if shop.settings.r#where.is_none() || shop.settings.elsewhere(&shop.host).is_some() {
            self.going_on = None;
            self.forget();
            return true;
        }
        self.tell_recovery(shop.settings.dynamodb.point_in_time_recovery).await;
        let store = Arc::clone(&self.runner.store);
        let known = self.identity.clone();
        let begun = || tokio::spawn(async move { ledger(&shop, &*store, known).await });
        let mut task = self.going_on.take().unwrap_or_else(begun);
        let ended = tokio::select! {
            ended = &mut task => ended,
            () = tokio::time::sleep(PATIENCE) => {
                self.going_on = Some(task);
                self.tell_problem(format!("it has not answered for {} s", PATIENCE.as_secs()));
                return true;
            }
            () = stop.wait() => {
                task.abort();
                return true;
            }
        };
        match ended {
            Ok(Ok((identity, ledger))) => {
                self.identity = Some(identity);
                self.tell(ledger);
                true
            }
            // The watch over the store tells that.
            Ok(Err(Error::Store(_))) => false,
            Ok(Err(error)) => {
                self.tell_problem(error.chain());
                true
            }
            // The panic has been printed where it happened.
            Err(_panic) => true,
        }
    }

    fn tell(&self, ledger: Ledger) {
        let Runner { metrics, backend, .. } = &*self.runner;
        // The metrics with the board, so that whoever has seen the one finds the same on the other.
        self.show(|shown| {
            for form in Form::ALL {
                let seen = ledger.kinds.iter().find(|kind| kind.form == form).map(seen);
                metrics.backups(*backend, form.name(), seen.as_ref());
            }
            let counts = ledger.counts();
            metrics.findings(*backend, Check::BackupDamaged, Severity::Critical, Some(counts.damaged));
            metrics.findings(*backend, Check::BackupUnverified, Severity::Warning, Some(counts.taken));
            metrics.findings(*backend, Check::BackupPlace, Severity::Critical, Some(0));
            shown.problem = None;
            shown.ledger = Some(ledger);
            shown.looked_at = Some(clock::now());
        });
    }

    /// What was seen last is still the best that is known.
    fn tell_problem(&self, problem: String) {
        let Runner { metrics, backend, .. } = &*self.runner;
        tracing::warn!(%backend, error = problem, "the backups cannot be looked at");
        self.show(|shown| {
            metrics.findings(*backend, Check::BackupPlace, Severity::Critical, Some(1));
            shown.problem = Some(problem);
        });
    }

    /// Tells what the last run that looked has found about point-in-time recovery, whichever replica or command that
    /// was. What nobody wants to know is not told.
    async fn tell_recovery(&self, wanted: Pitr) {
        let Runner { store, metrics, backend, .. } = &*self.runner;
        if *backend != BackendKind::Dynamodb {
            return;
        }
        let found = if wanted == Pitr::Ignore {
            None
        } else {
            // That the store does not answer, the watch over it tells.
            let Ok(newest) = store.history(Some(backup::NAME), RECENT).await else { return };
            newest.iter().find_map(|run| run.report.backups.as_ref()?.recovery_findings)
        };
        metrics.findings(*backend, Check::PointInTimeRecovery, Severity::Warning, found);
    }

    fn forget(&self) {
        let Runner { metrics, backend, board, .. } = &*self.runner;
        for form in Form::ALL {
            metrics.backups(*backend, form.name(), None);
        }
        for (check, severity) in [
            (Check::BackupDamaged, Severity::Critical),
            (Check::BackupUnverified, Severity::Warning),
            (Check::BackupPlace, Severity::Critical),
            (Check::PointInTimeRecovery, Severity::Warning),
        ] {
            metrics.findings(*backend, check, severity, None);
        }
        board.update(|status| status.backups.retain(|shown| shown.backend != *backend));
    }

    fn show(&self, change: impl FnOnce(&mut BackupStatus)) {
        let (backend, shop) = (self.runner.backend, self.shop.borrow());
        let place = shop.settings.r#where.as_ref().map(ToString::to_string).unwrap_or_default();
        self.runner.board.update(|status| {
            let shown = shown(status, backend);
            shown.place = place;
            change(shown);
        });
    }
}

/// What the status shows of the backups of one backend, which from now on is something: at the place of the backend
/// among the others, whoever was looked at first.
fn shown(status: &mut Status, backend: BackendKind) -> &mut BackupStatus {
    let Status { backends, backups, .. } = status;
    let at = place_of(backends, backups, |shown| shown.backend, backend).unwrap_or_else(|at| {
        let nothing = BackupStatus { backend, place: String::new(), problem: None, ledger: None, looked_at: None };
        backups.insert(at, nothing);
        at
    });
    &mut backups[at]
}

async fn ledger(shop: &Workshop, store: &dyn Store, known: Option<Identity>) -> Result<(Identity, Ledger), Error> {
    let identity = match known {
        Some(identity) => identity,
        None => {
            let identity = store.identity().await?;
            if let Some(why) = identity.refusal(&store.home().await?) {
                return Err(Error::Refused(why));
            }
            identity
        }
    };
    let entries = shop.shelf(&identity)?.entries().await?;
    Ok((identity, Ledger::of(&entries)))
}

fn seen(kind: &Kind) -> BackupsSeen {
    let Kind { counts, taken_at, size, verified_at, drill, .. } = kind;
    BackupsSeen {
        taken_at: *taken_at,
        size: *size,
        verified_at: *verified_at,
        drilled_at: drill.as_ref().map(|drill| drill.at),
        restore_seconds: drill.as_ref().map(|drill| drill.restore_seconds),
        data_age_seconds: drill.as_ref().map(|drill| drill.data_age_seconds),
        sets: [counts.taken, counts.verified, counts.drilled, counts.damaged],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::BackendStatus;

    #[test]
    fn backups_are_shown_in_the_order_of_the_backends() {
        use BackendKind::{Dynamodb, Postgresql};
        for (backends, looks) in [
            ([Postgresql, Dynamodb], [Dynamodb, Postgresql, Dynamodb]),
            ([Postgresql, Dynamodb], [Postgresql, Dynamodb, Postgresql]),
            ([Dynamodb, Postgresql], [Postgresql, Dynamodb, Postgresql]),
        ] {
            let mut status = Status::default();
            status.backends.extend(backends.map(|backend| BackendStatus {
                backend,
                up: None,
                place: String::new(),
                problem: None,
                schema_revision: None,
                backlog: None,
            }));
            for backend in looks {
                assert_eq!(shown(&mut status, backend).backend, backend);
            }
            assert_eq!(status.backups.iter().map(|shown| shown.backend).collect::<Vec<_>>(), backends, "{looks:?}");
        }
    }
}
