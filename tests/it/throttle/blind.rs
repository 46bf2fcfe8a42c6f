//! A store that does not say how others are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actingweb_maintd::jobs::Place;
use actingweb_maintd::jobs::ttl_cleanup::{self, TtlCleanup};
use actingweb_maintd::model::setting::{Bounded, Span};
use actingweb_maintd::model::{BackendKind, Table};
use actingweb_maintd::storage::postgres::Postgres;
use actingweb_maintd::storage::{Error, ErrorKind, Pressure, Result, Strain, Vacuumed};
use actingweb_maintd::throttle::Settings;
use actingweb_maintd::work::{Report, Stop, StopReason};
use async_trait::async_trait;

use super::log::Log;
use super::{LARGEST, add_expired};
use crate::harness::cluster::TestDb;
use crate::harness::daemon::sum;
use crate::harness::eventually;
use crate::harness::runner::Site;
use crate::harness::store::store;

/// A store that is asked in vain, or not.
#[derive(Debug)]
struct Silent {
    store: Arc<Postgres>,
    is_silent: AtomicBool,
}

#[async_trait]
impl Pressure for Silent {
    async fn strain(&self, table: Option<Table>, ignored_replicas: &[String]) -> Result<Strain> {
        if self.is_silent.load(Ordering::Relaxed) {
            let source = "nobody answers".into();
            return Err(Error { backend: BackendKind::Postgresql, op: "ask", kind: ErrorKind::Unavailable, source });
        }
        self.store.strain(table, ignored_replicas).await
    }

    async fn vacuum(&self, table: Table, stop: &Stop) -> Result<Vacuumed> {
        self.store.vacuum(table, stop).await
    }

    async fn unvacuumed(&self) -> Result<Option<Vec<Table>>> {
        self.store.unvacuumed().await
    }
}

#[tokio::test]
async fn batches_stay_small_until_the_store_answers_again() {
    let db = TestDb::new().await;
    add_expired(db.pool(), 100_000).await;
    let store = store(&db);
    let site = Site::of(&*store, ttl_cleanup::NAME).await;
    let Site { stop, progress, metrics, .. } = &site;
    let settings = ttl_cleanup::Settings {
        batch_size: Bounded::new(LARGEST),
        max_rows_per_second: Bounded::new(4 * LARGEST),
        ..ttl_cleanup::Settings::default()
    };
    // However slow the machine is, batches may grow.
    let patient = Settings { batch_latency: Span::secs(5), ..Settings::default() };
    let job = TtlCleanup::new(settings, patient, Place::on(BackendKind::Postgresql));
    let silent = Silent { store: Arc::clone(&store), is_silent: AtomicBool::new(true) };
    let log = Log::listen();
    let mut report = Report::default();
    let watching = async {
        let size = || sum(&metrics.encode(), "maintd_throttle_batch_size", &[]).unwrap_or_default() as u64;
        let findings = || sum(&metrics.encode(), "maintd_findings", &[("check", "throttle_signals")]);
        eventually("it rests", async || progress.resting() == Some("blind")).await;
        eventually("it goes on", async || progress.done() > LARGEST).await;
        assert!(size() <= LARGEST / 4, "batches are {} rows large", size());
        assert_eq!(findings(), Some(4.0));
        silent.is_silent.store(false, Ordering::Relaxed);
        eventually("batches are large", async || size() == LARGEST).await;
        assert_eq!(findings(), Some(0.0));
        stop.request(StopReason::Shutdown);
    };
    let (result, ()) = tokio::join!(job.sweep(&*store, site.at(&silent), &mut report), watching);
    result.unwrap();
    assert!(report.waited["blind"] > 0.0, "{report:?}");
    assert_eq!(log.with("cannot see how others are").len(), 1);
    assert_eq!(log.with("blind is over after").len(), 1);
}
