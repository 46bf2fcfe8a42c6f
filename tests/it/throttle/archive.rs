//! An archive of the write-ahead log that does not keep up.

use actingweb_maintd::model::setting::Bounded;
use actingweb_maintd::throttle::Settings;

use super::{LARGEST, Work, add_expired, calm, store_on};
use crate::harness::archiving::{archive_with, archiving, complete_files, is_failing};
use crate::harness::eventually;

#[tokio::test]
async fn a_run_pauses_within_a_batch_of_a_failure_and_comes_back() {
    let server = archiving("true").await;
    add_expired(server.pool(), 100_000).await;
    let work =
        Work::at_full_speed(&store_on(&server), Settings { wal_archive_backlog: Bounded::new(1_000), ..calm() }).await;
    assert_eq!(work.rested("wal_archive"), 0.0);

    archive_with(&server, "false").await;
    complete_files(&server, 1).await;
    eventually("the archive to fail", async || is_failing(&server).await).await;
    let when_visible = work.progress.done();
    work.until_resting("wal_archive").await;
    let when_paused = work.progress.done();
    // One, unless the machine stood still: what was to go meanwhile goes at once then, before anything is asked again.
    assert!(when_paused - when_visible <= 3 * LARGEST, "{} rows went meanwhile", when_paused - when_visible);
    eventually("the rest to be told", async || work.rested("wal_archive") > 1.0).await;
    assert_eq!(work.progress.done(), when_paused);

    archive_with(&server, "true").await;
    work.until_gone(1).await;
    work.until_full_speed().await;
    work.end().await;
}

#[tokio::test]
async fn files_that_wait_make_a_run_pause_although_nothing_fails() {
    let server = archiving("").await;
    add_expired(server.pool(), 100_000).await;
    let work =
        Work::at_full_speed(&store_on(&server), Settings { wal_archive_backlog: Bounded::new(3), ..calm() }).await;
    complete_files(&server, 4).await;
    work.until_resting("wal_archive").await;
    assert!(!is_failing(&server).await);
    archive_with(&server, "true").await;
    // Before PostgreSQL 14 only a file wakes who archives.
    complete_files(&server, 1).await;
    work.until_gone(1).await;
    work.until_full_speed().await;
    work.end().await;
}
