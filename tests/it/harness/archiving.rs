//! A server of a test's own that archives its write-ahead log, or fails to.

use sqlx::AssertSqlSafe;

use super::eventually;
use super::private::Private;

/// A server that archives with `command`; an empty one waits for another.
pub(crate) async fn archiving(command: &str) -> Private {
    let server = Private::start(&[("archive_mode", "on")], &[]).await;
    archive_with(&server, command).await;
    server
}

/// A server whose archive has failed.
pub(crate) async fn failing() -> Private {
    let server = archiving("false").await;
    complete_files(&server, 1).await;
    eventually("the archive to fail", async || is_failing(&server).await).await;
    server
}

/// Takes another command from now on.
pub(crate) async fn archive_with(server: &Private, command: &str) {
    let sql = format!("ALTER SYSTEM SET archive_command = '{command}'");
    sqlx::query(AssertSqlSafe(sql)).execute(server.pool()).await.unwrap();
    sqlx::query("SELECT pg_reload_conf()").execute(server.pool()).await.unwrap();
}

/// Completes so many files of the write-ahead log.
pub(crate) async fn complete_files(server: &Private, files: u32) {
    for _ in 0..files {
        sqlx::query("SELECT pg_logical_emit_message(false, 'test', 'a file'), pg_switch_wal()")
            .execute(server.pool())
            .await
            .unwrap();
    }
}

/// Waits until nothing waits any more.
pub(crate) async fn until_archived(server: &Private) {
    let waiting = "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'";
    eventually("everything to be archived", async || {
        sqlx::query_scalar::<_, i64>(waiting).fetch_one(server.pool()).await.unwrap() == 0
    })
    .await;
}

/// Whether the last file could not be archived.
pub(crate) async fn is_failing(server: &Private) -> bool {
    let failing = "SELECT coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) \
                   FROM pg_stat_archiver";
    sqlx::query_scalar(failing).fetch_one(server.pool()).await.unwrap()
}
