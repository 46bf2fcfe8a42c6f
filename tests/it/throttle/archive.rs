//! An archive of the write-ahead log that does not keep up.

use actingweb_maintd::model::setting::Bounded;
use actingweb_maintd::throttle::Settings;
use sqlx::AssertSqlSafe;

use super::{LARGEST, Work, add_expired, calm, store_on};
use crate::harness::eventually;
use crate::harness::private::Private;

/// A server that archives with `command`; an empty one waits for another.
pub(super) async fn archiving(command: &str) -> Private {
    let server = Private::start(&[("archive_mode", "on")], &[]).await;
    archive_with(&server, command).await;
    server
}

/// A server whose archive has failed.
pub(super) async fn failing() -> Private {
    let server = archiving("false").await;
    complete_files(&server, 1).await;
    eventually("the archive to fail", async || is_failing(&server).await).await;
    server
}

/// Takes another command from now on.
pub(super) async fn archive_with(server: &Private, command: &str) {
    let sql = format!("ALTER SYSTEM SET archive_command = '{command}'");
    sqlx::query(AssertSqlSafe(sql)).execute(server.pool()).await.unwrap();
    sqlx::query("SELECT pg_reload_conf()").execute(server.pool()).await.unwrap();
}

/// Completes so many files of the write-ahead log.
pub(super) async fn complete_files(server: &Private, files: u32) {
    for _ in 0..files {
        sqlx::query("SELECT pg_logical_emit_message(false, 'test', 'a file'), pg_switch_wal()")
            .execute(server.pool())
            .await
            .unwrap();
    }
}

/// Waits until nothing waits any more.
pub(super) async fn until_archived(server: &Private) {
    let waiting = "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'";
    eventually("everything to be archived", async || {
        sqlx::query_scalar::<_, i64>(waiting).fetch_one(server.pool()).await.unwrap() == 0
    })
    .await;
}

async fn is_failing(server: &Private) -> bool {
    let failing = "SELECT coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) \
                   FROM pg_stat_archiver";
    sqlx::query_scalar(failing).fetch_one(server.pool()).await.unwrap()
}

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
    assert!(when_paused - when_visible <= LARGEST, "{} rows went meanwhile", when_paused - when_visible);
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
    work.until_gone(1).await;
    work.until_full_speed().await;
    work.end().await;
}
