//! Deletes the changes of subscriptions that nobody will fetch any more: what the subscriber has
//! confirmed, what has become too old, and what has no subscription.
//!
//! The walk is by actor. Of each the numbers of all changes are read, then who subscribes; `decide` says
//! how many of the lowest numbers go; and they go in batches, from the lowest on, so that whenever a run
//! ends, and however, no number is missing below one that is there.

mod account;
mod archive;
mod decide;
mod place;
mod settings;
mod survey;
mod walk;

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

pub use settings::Settings;

use self::account::Account;
use self::archive::Archive;
use self::decide::{Reason, Rules};
use self::place::Place as Position;
use self::survey::Survey;
use self::walk::Walk;
use super::pace::{Halt, Pace, conclude, looked};
use super::shift::Shift;
use super::{Job, Place, Plan, Touches, Workplace};
use crate::model::{BackendKind, Table};
use crate::storage::{Result, Store};
use crate::throttle;
use crate::work::{Limits, Report};

/// The job's name.
pub const NAME: &str = "diff_prune";

const TABLE: Table = Table::SubscriptionDiffs;

/// Why rows leave it.
const REASONS: &[&str] = &[Reason::ALL[0].name(), Reason::ALL[1].name(), Reason::ALL[2].name()];

/// Actors that a preview looks for in one request.
const OWNERS: u32 = 1000;

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

    fn rules(&self, now: DateTime<Utc>) -> Rules {
        let Settings { keep_newest, max_age, confirmed, orphans, orphan_age, .. } = &self.settings;
        let before = |age: Duration| now.checked_sub_signed(TimeDelta::from_std(age).ok()?);
        Rules {
            keep_newest: usize::try_from(keep_newest.get()).unwrap_or(usize::MAX),
            confirmed: *confirmed,
            made_before: max_age.and_then(|age| before(age.0)),
            orphaned_before: orphans.then(|| before(orphan_age.0)).flatten(),
            believes_times: self.place.backend == BackendKind::Postgresql,
        }
    }

    async fn walk(
        &self,
        store: &dyn Store,
        shift: &Shift<'_>,
        now: DateTime<Utc>,
        account: &Account,
    ) -> Result<(), Halt> {
        let pace = Pace::of(shift);
        let at = shift.at();
        // Before anything is read: a directory that is not there has to be found out at once.
        let archive = match &self.settings.archive {
            Some(directory) => Some(Archive::open(directory, at.backend, at.lease.run.run_id).await?),
            None => None,
        };
        let place = Position::found(store, pace, now).await?;
        let survey = Survey { store, pace, rules: self.rules(now) };
        let walked = Walk { store, shift, survey, archive: archive.as_ref(), account }.go(place).await;
        if let Some(archive) = archive {
            archive.close().await;
        }
        walked
    }

    async fn look(&self, store: &dyn Store, now: DateTime<Utc>, account: &Account) -> Result<(), Halt> {
        let survey = Survey { store, pace: Pace::free(), rules: self.rules(now) };
        let mut after = None;
        loop {
            let owners = store.diff_owners(after.as_deref(), OWNERS).await?;
            for id in &owners.ids {
                let surveyed = survey.actor(id).await?;
                account.surveyed(id, &surveyed, survey.rules.orphaned_before.is_some());
                surveyed.findings.iter().for_each(|finding| account.would_prune(finding));
            }
            after = owners.next;
            if after.is_none() {
                return Ok(());
            }
        }
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
        &[Touches { table: TABLE, reasons: REASONS }]
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
        let Some(cutoff) = shift.cutoff(store, Duration::ZERO, report).await? else { return Ok(()) };
        let now = cutoff.now;
        report.cutoff = self.rules(now).made_before;
        let account = Account::default();
        let walked = self.walk(store, &shift, now, &account).await;
        account.write(report);
        report.more = walked.is_err();
        conclude(walked, &shift, report)
    }

    async fn preview(&self, store: &dyn Store) -> Result<Report> {
        let mut report = Report { limits: self.limits(), ..Report::default() };
        let now = store.cutoff(Duration::ZERO).await?.now;
        report.cutoff = self.rules(now).made_before;
        let account = Account::default();
        looked(self.look(store, now, &account).await)?;
        report.more = account.wanted() > 0;
        account.write(&mut report);
        Ok(report)
    }
}
