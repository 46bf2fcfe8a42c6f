//! What can go wrong in the middle of a run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actingweb_maintd::jobs;
use actingweb_maintd::jobs::ttl_cleanup::{self, TtlCleanup};
use actingweb_maintd::model::BackendKind;
use actingweb_maintd::storage::postgres::Postgres;
use actingweb_maintd::storage::{
    Backlog, Batch, Candidate, Cursor, Cutoff, Error, ErrorKind, Expired, Fence, Page, Result, Segment, Sweep,
};
use actingweb_maintd::throttle;
use actingweb_maintd::work::{Report, Stop, StopReason};
use async_trait::async_trait;
use chrono::TimeDelta;

use crate::harness::cluster::TestDb;
use crate::harness::runner::Site;
use crate::harness::store::{add_attributes, count_attributes, store};

/// What goes wrong.
#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    /// The run is asked to stop when the store has told the time, before anything was read.
    StopsAtOnce,
    /// The run is asked to stop when a batch cannot be done for now.
    StopsInABatch,
    /// The clock is a day ahead of what it was before the run: another server answers.
    ClockJumps,
}

/// A store with some trouble.
struct Troubled {
    store: Arc<Postgres>,
    stop: Stop,
    trouble: Trouble,
}

#[async_trait]
impl Sweep for Troubled {
    async fn cutoff(&self, grace: Duration) -> Result<Cutoff> {
        let cutoff = self.store.cutoff(grace).await;
        if self.trouble == Trouble::ClockJumps {
            let Cutoff { epoch, now } = cutoff?;
            return Ok(Cutoff { epoch: epoch + 86_400, now: now + TimeDelta::days(1) });
        }
        if self.trouble == Trouble::StopsAtOnce {
            self.stop.request(StopReason::Shutdown);
        }
        cutoff
    }

    async fn expired(&self, which: &Expired, segment: Segment, cursor: &Cursor, limit: u32) -> Result<Page> {
        self.store.expired(which, segment, cursor, limit).await
    }

    async fn delete_expired(&self, which: &Expired, candidates: &[Candidate], fence: &Fence) -> Result<Batch> {
        if self.trouble == Trouble::StopsInABatch {
            self.stop.request(StopReason::LeaseLost);
            let source = "somebody has locked the table".into();
            return Err(Error { backend: BackendKind::Postgresql, op: "delete", kind: ErrorKind::Timeout, source });
        }
        self.store.delete_expired(which, candidates, fence).await
    }

    async fn any_expired(&self, which: &Expired) -> Result<bool> {
        self.store.any_expired(which).await
    }

    async fn count_expired(&self, which: &Expired) -> Result<BTreeMap<String, u64>> {
        self.store.count_expired(which).await
    }

    async fn backlog(&self) -> Result<Backlog> {
        self.store.backlog().await
    }
}

/// What a run over 100 rows, that have expired or will in an hour, comes to with this trouble.
async fn run(trouble: Trouble, from_now: i64) -> (Result<()>, Report) {
    let db = TestDb::new().await;
    add_attributes(&db, "rows", 100, from_now).await;
    let store = store(&db);
    let site = Site::of(&*store, ttl_cleanup::NAME).await;
    let place = jobs::Place::on(BackendKind::Postgresql);
    let job = TtlCleanup::new(ttl_cleanup::Settings::default(), throttle::Settings::default(), place);
    let mut report = Report::default();
    let troubled = Troubled { store: Arc::clone(&store), stop: site.stop.clone(), trouble };
    let result = job.sweep(&troubled, site.at(&*store), &mut report).await.map(drop);
    assert_eq!(count_attributes(&db).await, 100);
    (result, report)
}

/// The page that was being read when the workers went home has been handed out to nobody.
#[tokio::test]
async fn a_run_that_is_asked_to_stop_while_it_reads_says_that_work_remains() {
    let (result, report) = run(Trouble::StopsAtOnce, -60).await;
    result.expect("being stopped is no error");
    assert_eq!((report.deleted, report.stopped, report.more), (0, Some(StopReason::Shutdown), true), "{report:?}");
}

/// The last batch has been handed out, and given up.
#[tokio::test]
async fn a_run_that_is_stopped_before_its_last_batch_could_be_done_says_that_work_remains() {
    let (result, report) = run(Trouble::StopsInABatch, -60).await;
    result.expect("being stopped is no error");
    assert_eq!((report.deleted, report.stopped, report.more), (0, Some(StopReason::LeaseLost), true), "{report:?}");
    assert!(report.trouble.as_ref().is_some_and(|trouble| trouble.contains("has locked the table")), "{report:?}");
}

#[tokio::test]
async fn a_clock_that_has_jumped_since_it_was_judged_deletes_nothing() {
    let (result, report) = run(Trouble::ClockJumps, 3600).await;
    let error = result.expect_err("the clock cannot be trusted").chain();
    assert!(error.contains("behind the database's"), "{error}");
    assert_eq!((report.deleted, report.more), (0, true), "{report:?}");
}
