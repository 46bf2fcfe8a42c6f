//! Every pause ends, one way or another.

use std::sync::Arc;

use actingweb_maintd::model::setting::{Bounded, Span};
use actingweb_maintd::storage::postgres::Postgres;
use actingweb_maintd::storage::{Runs, Slots};
use actingweb_maintd::throttle::Settings;
use actingweb_maintd::work::{Outcome, Run, StopReason};

use super::{Work, add_expired, calm, store_on};
use crate::harness::archiving::{archive_with, complete_files, failing, until_archived};
use crate::harness::private::Private;

/// A server whose archive fails, and a job that heeds it.
async fn scene() -> (Private, Arc<Postgres>, Settings) {
    let server = failing().await;
    add_expired(server.pool(), 50_000).await;
    let store = store_on(&server);
    (server, store, Settings { wal_archive_backlog: Bounded::new(16), ..calm() })
}

async fn told(store: &Postgres, run: &Run) -> Run {
    let kept = store.history(None, 1).await.unwrap().remove(0);
    assert_eq!((kept.run_id, kept.outcome), (run.run_id, run.outcome));
    assert_eq!((kept.report.stopped, &kept.report.trouble), (run.report.stopped, &run.report.trouble));
    kept
}

#[tokio::test]
async fn patience_ends_a_run_and_the_report_names_the_reason() {
    let (_server, store, settings) = scene().await;
    let work = Work::begin(&store, Settings { patience: Span::secs(1), ..settings });
    let run = told(&store, &work.task.await.unwrap()).await;
    assert_eq!((run.outcome, run.report.stopped), (Some(Outcome::Partial), Some(StopReason::Pressure)), "{run:?}");
    assert!(run.report.more && run.report.batches == 1, "{run:?}");
    let trouble = run.report.trouble.unwrap_or_default();
    assert!(trouble.starts_with("wal_archive: the server's archive_command fails"), "{trouble}");
    assert!(trouble.contains("throttle.patience is 1s"), "{trouble}");
}

#[tokio::test]
async fn a_level_far_above_ends_a_run_at_once() {
    let (server, store, settings) = scene().await;
    complete_files(&server, 4).await;
    let settings = Settings { wal_archive_backlog: Bounded::new(1), abort_at: Bounded::new(2), ..settings };
    let run = told(&store, &Work::begin(&store, settings.clone()).task.await.unwrap()).await;
    assert_eq!((run.outcome, run.report.stopped), (Some(Outcome::Partial), Some(StopReason::Pressure)), "{run:?}");
    assert_eq!((run.report.batches, run.report.waited.get("wal_archive")), (1, None), "{run:?}");
    let trouble = run.report.trouble.unwrap_or_default();
    assert!(trouble.contains("files wait to be archived, and 1 may (throttle.wal_archive_backlog)"), "{trouble}");

    // When that is over the next run goes on.
    archive_with(&server, "true").await;
    until_archived(&server).await;
    let work = Work::at_full_speed(&store, settings).await;
    assert_eq!(work.end().await.report.stopped, Some(StopReason::Shutdown));
}

#[tokio::test]
async fn whoever_stops_a_run_does_not_wait_for_the_end_of_its_pause() {
    let (_server, store, settings) = scene().await;
    let settings = Settings { patience: Span::secs(24 * 60 * 60), ..settings };
    for reason in [StopReason::Shutdown, StopReason::Paused] {
        let work = Work::begin(&store, settings.clone());
        work.until_resting("wal_archive").await;
        if reason == StopReason::Paused {
            store.pause("ttl_cleanup", "ada").await.unwrap();
        } else {
            work.stop.request(reason);
        }
        let run = told(&store, &work.task.await.unwrap()).await;
        assert_eq!((run.outcome, run.report.stopped), (Some(Outcome::Partial), Some(reason)), "{run:?}");
        assert_eq!(run.report.trouble, None);
    }
}
