//! Whether the server gets rid of its write-ahead log is seen from outside.

use sqlx::AssertSqlSafe;

use crate::harness::private::Private;

async fn archive_with(server: &Private, command: &str) {
    let sql = format!("ALTER SYSTEM SET archive_command = '{command}'");
    sqlx::query(AssertSqlSafe(sql)).execute(server.pool()).await.unwrap();
    sqlx::raw_sql("SELECT pg_reload_conf(), pg_logical_emit_message(false, 'test', 'a file'), pg_switch_wal()")
        .execute(server.pool())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_that_fails_is_a_finding_until_it_works() {
    let server = Private::start(&[("archive_mode", "on")], &[]).await;
    archive_with(&server, "false").await;
    // A run that ends is a reason to look again soon.
    let daemon = server.maintd().env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s").start().ready();
    let shown = |name: &str| daemon.metric(&format!("maintd_wal_archive_{name}"), &[("backend", "postgresql")]);
    let finding = || daemon.metric("maintd_findings", &[("check", "wal_archiving"), ("severity", "critical")]);
    daemon.until("the archive to fail", |_| shown("failing") == Some(1.0) && finding() == Some(1.0));
    assert_eq!(shown("last_success_timestamp_seconds"), None);
    assert!(shown("waiting_files").is_some_and(|files| files >= 1.0));

    archive_with(&server, "true").await;
    daemon.until("the archive to work", |_| shown("failing") == Some(0.0) && finding() == Some(0.0));
    assert!(shown("last_success_timestamp_seconds").is_some_and(|at| at > 1_700_000_000.0));
    daemon.stop();
}
