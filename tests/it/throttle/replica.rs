//! A replica that stands still.

use std::sync::Arc;

use actingweb_maintd::model::setting::{Size, Span};
use actingweb_maintd::storage::Runs;
use actingweb_maintd::storage::postgres::Postgres;
use actingweb_maintd::throttle::Settings;

use super::log::Log;
use super::{LARGEST, Work, add_expired, calm, store_on};
use crate::harness::eventually;
use crate::harness::private::Private;
use crate::harness::replica::{Replica, lag};

/// More than the write-ahead log of a few batches, which a replica that is well may not have replayed.
const LEVEL: Size = Size::mebibytes(2);

async fn scene() -> (Private, Replica, Arc<Postgres>) {
    let primary = Private::start(&[], &[]).await;
    let replica = Replica::of(&primary).await;
    add_expired(primary.pool(), 250_000).await;
    eventually("the replica to have all of it", async || lag(&primary).await < 1 << 16).await;
    let store = store_on(&primary);
    (primary, replica, store)
}

/// Writes some of the write-ahead log in the application's name.
async fn write(primary: &Private) {
    sqlx::query("SELECT pg_logical_emit_message(false, 'test', repeat('x', 1000000))")
        .execute(primary.pool())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_run_pauses_within_a_batch_names_the_reason_and_comes_back() {
    let (primary, replica, store) = scene().await;
    let log = Log::listen();
    let work = Work::at_full_speed(&store, Settings { replication_lag_bytes: LEVEL, ..calm() }).await;
    assert_eq!(work.rested("replication_lag"), 0.0);

    replica.stand_still().await;
    eventually("the replica to be late", async || {
        write(&primary).await;
        lag(&primary).await > LEVEL.0 as i64
    })
    .await;
    let when_visible = work.progress.done();
    work.until_resting("replication_lag").await;
    let when_paused = work.progress.done();
    // One, unless the machine stood still: what was to go meanwhile goes at once then, before anything is asked again.
    assert!(when_paused - when_visible <= 3 * LARGEST, "{} rows went meanwhile", when_paused - when_visible);

    // The time is told while it passes, and nothing is deleted in it.
    eventually("the rest to be told", async || work.rested("replication_lag") > 1.0).await;
    assert_eq!(work.progress.done(), when_paused);
    assert_eq!(work.progress.resting(), Some("replication_lag"));
    let begun = log.with("pauses: a replica is");
    assert!(begun.len() == 1 && begun[0].contains("throttle.replication_lag_bytes"), "{begun:?}");
    assert_eq!(log.with("replication_lag is over after"), [""; 0]);

    replica.go_on().await;
    work.until_gone(1).await;
    // It began with half of what it had; each batch since, of at least that, makes the next one a step larger.
    let (size, gone) = (work.size(), work.progress.done() - when_paused);
    let steps = gone / (LARGEST / 2) + 1;
    assert!(size <= LARGEST / 2 + steps * LARGEST / 16, "batches are {size} rows large after {gone} rows");
    eventually("the end to be told", async || log.with("replication_lag is over after").len() == 1).await;
    work.until_full_speed().await;
    let run = work.end().await;
    assert!(run.report.waited["replication_lag"] > 1.0, "{:?}", run.report.waited);
}

#[tokio::test]
async fn time_counts_as_well_as_bytes_and_some_replicas_do_not_count() {
    let (primary, replica, store) = scene().await;
    replica.stand_still().await;
    // By the name that a replica has if nobody gives it one.
    let ignoring = Settings {
        replication_lag: Span::millis(1),
        replication_lag_bytes: Size(1),
        ignored_replicas: vec!["walreceiver".to_owned()],
        ..calm()
    };
    let work = Work::at_full_speed(&store, ignoring).await;
    let ignored = work.end().await;
    assert!(!ignored.report.waited.contains_key("replication_lag"), "{:?}", ignored.report.waited);

    let work = Work::begin(&store, Settings { replication_lag: Span::millis(500), ..calm() });
    eventually("it rests", async || {
        write(&primary).await;
        work.progress.resting() == Some("replication_lag")
    })
    .await;
    let log = work.end().await;
    assert_eq!(store.history(None, 10).await.unwrap().len(), 2, "{log:?}");
}
