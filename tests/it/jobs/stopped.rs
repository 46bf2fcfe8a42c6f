//! A run that is asked to stop at an awkward moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actingweb_maintd::jobs::Workplace;
use actingweb_maintd::jobs::{self, ttl_cleanup};
use actingweb_maintd::metrics::Metrics;
use actingweb_maintd::model::BackendKind;
use actingweb_maintd::storage::postgres::Postgres;
use actingweb_maintd::storage::{
    Backlog, Batch, Candidate, Cursor, Error, ErrorKind, Expired, Fence, Page, Result, Sweep,
};
use actingweb_maintd::throttle;
use actingweb_maintd::work::{Progress, Report, Stop, StopReason};
use async_trait::async_trait;

use crate::harness::cluster::TestDb;
use crate::harness::store::{add_attributes, claim, count_attributes, store, won};

/// When the run is asked to stop.
#[derive(Clone, Copy, PartialEq)]
enum Moment {
    /// When the store has told the time, before anything was read.
    Cutoff,
    /// When a batch cannot be done for now.
    Batch,
}

/// A store that asks the run to stop.
struct Stops {
    store: Arc<Postgres>,
    stop: Stop,
    at: Moment,
}

#[async_trait]
impl Sweep for Stops {
    async fn cutoff(&self, grace: Duration) -> Result<i64> {
        let cutoff = self.store.cutoff(grace).await;
        if self.at == Moment::Cutoff {
            self.stop.request(StopReason::Shutdown);
        }
        cutoff
    }

    async fn expired(&self, which: &Expired, cursor: &Cursor, limit: u32) -> Result<Page> {
        self.store.expired(which, cursor, limit).await
    }

    async fn delete_expired(&self, which: &Expired, candidates: &[Candidate], fence: &Fence) -> Result<Batch> {
        if self.at == Moment::Batch {
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

/// What a run over 100 expired rows reports that is asked to stop.
async fn stopped(moment: Moment) -> Report {
    let db = TestDb::new().await;
    add_attributes(&db, "expired", 100, -60).await;
    let (stop, store) = (Stop::new(), store(&db));
    let lease = won(&store, &claim("a worker")).await;
    let settings = jobs::Settings { ttl_cleanup: ttl_cleanup::Settings::default() };
    let job = jobs::registry(&settings, &throttle::Settings::default()).remove(0);
    let (progress, metrics) = (Progress::new(), Metrics::new("test", "test"));
    let at = Workplace { lease: &lease, stop: &stop, progress: &progress, metrics: &metrics };
    let mut report = Report::default();
    job.run(&Stops { store, stop: stop.clone(), at: moment }, at, &mut report).await.expect("running");
    assert_eq!(count_attributes(&db).await, 100);
    report
}

/// The page that was being read when the workers went home has been handed out to nobody.
#[tokio::test]
async fn a_run_that_is_asked_to_stop_while_it_reads_says_that_work_remains() {
    let report = stopped(Moment::Cutoff).await;
    assert_eq!((report.deleted, report.stopped, report.more), (0, Some(StopReason::Shutdown), true), "{report:?}");
}

/// The last batch has been handed out, and given up.
#[tokio::test]
async fn a_run_that_is_stopped_before_its_last_batch_could_be_done_says_that_work_remains() {
    let report = stopped(Moment::Batch).await;
    assert_eq!((report.deleted, report.stopped, report.more), (0, Some(StopReason::LeaseLost), true), "{report:?}");
}
